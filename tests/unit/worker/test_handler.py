"""worker/handler.py: the outcomes, the batch, the waits; with a processor of its own."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any, BinaryIO

import botocore.session
import pytest

from tests.unit.worker.memory_s3 import MemoryS3, refusal
from worker import events, handler, logs
from worker.handler import Worker
from worker.imaging.memory import Memory
from worker.records import made_with
from worker.results import Output, Rejection
from worker.settings import Settings, Source, Variants

UPLOADS = "uploads-bucket"
TEXT, JUNK = b"a letter", b"\xff"
SETTINGS = Settings(
    sources={
        UPLOADS: Source(
            "default",
            (Variants(widths=(40, 10), formats={"jpeg": 85, "webp": 80}, max_pixels=10_000),),
            "public, max-age=60",
        )
    },
    thumbnail_bucket="thumbnails-bucket",
    encryption_key_arn="arn:aws:kms:xx-test-1:111122223333:key/k",
    work_queue_url="https://sqs.invalid/work",
    max_object_bytes=100_000,
    visibility_timeout=360,
    log_level="INFO",
)
OUTPUTS = {"thumbnails/uploads/a b.jpg/upper.txt", "thumbnails/uploads/a b.jpg/lower.txt"}
KEY = "uploads/a b.jpg"


@dataclass
class Clock:
    """Lambda's context: milliseconds left, one answer per question, the last one forever."""

    left: list[int] = field(default_factory=lambda: [60_000])
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        """Return the next answer."""
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


@dataclass
class Queue:
    """The two calls to SQS that the worker makes."""

    waits: dict[str, int] = field(default_factory=dict)
    hooks: list[Any] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    error: Exception | None = None

    @property
    def meta(self) -> Any:
        """Return the part of botocore's `meta` that is used: hooks on requests."""
        return MemoryS3(hooks=self.hooks).meta

    def change_message_visibility(self, **arguments: Any) -> None:
        """Keep the wait, or raise `error`."""
        for hook in self.hooks:
            hook()
        assert arguments["QueueUrl"] == SETTINGS.work_queue_url
        if self.error:
            raise self.error
        self.waits[arguments["ReceiptHandle"]] = arguments["VisibilityTimeout"]

    def delete_message(self, **arguments: Any) -> None:
        """Keep what was deleted, or raise `error`."""
        for hook in self.hooks:
            hook()
        assert arguments["QueueUrl"] == SETTINGS.work_queue_url
        if self.error:
            raise self.error
        self.deleted.append(arguments["ReceiptHandle"].removeprefix("handle of "))


@pytest.fixture
def s3() -> MemoryS3:
    return MemoryS3()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def log() -> io.StringIO:
    """What goes to standard output in Lambda."""
    logs.configure("INFO")
    (to_stdout,) = logs.LOGGER.handlers
    assert isinstance(to_stdout, logging.StreamHandler)
    buffer = io.StringIO()
    to_stdout.setStream(buffer)
    return buffer


@pytest.fixture
def worker(s3: MemoryS3, queue: Queue, log: io.StringIO) -> Worker:
    assert log.getvalue() == ""
    return worker_for(s3, queue)


def change_case(body: BinaryIO, _source: Source, _memory: Memory) -> list[Output]:
    """The processor: text in upper and in lower case; anything else is rejected."""
    text = body.read()
    if not text.isascii():
        raise Rejection("not_text", "Only ASCII is text.")
    return [
        Output("upper.txt", text.upper(), "text/plain", {"letters": str(len(text))}),
        Output("lower.txt", text.lower(), "text/x-lower"),
    ]


def worker_for(s3: MemoryS3, queue: Queue | None, settings: Settings = SETTINGS) -> Worker:
    return Worker(
        settings=settings, s3=s3, sqs=queue, processor=change_case, reasons=["empty", "not_text"]
    )


def record(
    *, key: str = "uploads/a+b.jpg", version: str = "v1", sequencer: str = "0A", bucket: str = ""
) -> dict[str, Any]:
    return {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "s3": {
            "bucket": {"name": bucket or UPLOADS},
            "object": {"key": key, "versionId": version, "sequencer": sequencer, "eTag": version},
        },
    }


def message(name: str, *records: dict[str, Any], tries: int = 1) -> dict[str, Any]:
    return {
        "messageId": name,
        "receiptHandle": f"handle of {name}",
        "body": json.dumps({"Records": list(records)}),
        "attributes": {
            "ApproximateReceiveCount": str(tries),
            "ApproximateFirstReceiveTimestamp": str(round(time.time() * 1000)),
        },
    }


def failures(response: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_an_object_ends_as_its_outputs(worker: Worker, s3: MemoryS3, log: io.StringIO) -> None:
    """P3: every output is stored, typed, cached, encrypted, and names its source."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    assert failures(worker.handle_batch([message("m1", record())], Clock())) == []
    assert set(s3.results) == OUTPUTS
    stored = s3.objects["thumbnails/uploads/a b.jpg/upper.txt"]
    assert stored.body == b"A LETTER"
    assert stored.arguments["Bucket"] == SETTINGS.thumbnail_bucket
    assert stored.arguments["ContentType"] == "text/plain"
    assert stored.arguments["CacheControl"] == "public, max-age=60"
    assert stored.arguments["ServerSideEncryption"] == "aws:kms"
    assert stored.arguments["SSEKMSKeyId"] == SETTINGS.encryption_key_arn
    assert stored.metadata == {
        "letters": "8",
        "settings": made_with(SETTINGS.sources[UPLOADS]),
        "source-bucket": UPLOADS,
        "source-key": "uploads/a%20b.jpg",
        "source-version": "v1",
        "source-etag": "v1",
        "source-sequencer": "0A",
    }
    (line,) = lines(log)
    assert line["outcome"] == "succeeded"
    assert (line["function_request_id"], line["message_id"]) == ("request-1", "m1")
    assert (line["receive_count"], line["cold_start"], line["source"]) == (1, False, "default")
    assert (line["output_count"], line["bytes_in"], line["bytes_out"]) == (2, 8, 16)
    assert line["duration_ms"] >= line["processing_ms"] >= 0
    assert (line["bucket"], line["key"], line["version_id"]) == (UPLOADS, KEY, "v1")


def test_what_the_processor_rejects_is_recorded(
    worker: Worker, s3: MemoryS3, queue: Queue, log: io.StringIO
) -> None:
    """P5, R2: what will never work is recorded with its reason and not retried."""
    s3.upload(UPLOADS, KEY, "v1", JUNK)
    assert failures(worker.handle_batch([message("m1", record())], Clock())) == []
    assert set(s3.results) == {"rejected/uploads/a b.jpg.json"}
    stored = s3.objects["rejected/uploads/a b.jpg.json"]
    written = json.loads(stored.body)
    assert written["rejection"]["reason"] == "not_text"
    source = written["source"]
    assert (source["bucket"], source["key"]) == (UPLOADS, KEY)
    assert (source["version_id"], source["sequencer"]) == ("v1", "0A")
    assert stored.arguments["ContentType"] == "application/json"
    assert stored.arguments["SSEKMSKeyId"] == SETTINGS.encryption_key_arn
    assert queue.waits == {}
    (line,) = lines(log)
    assert (line["outcome"], line["reason"]) == ("rejected", "not_text")


def test_a_failure_returns_to_the_queue_with_its_exception(
    worker: Worker, s3: MemoryS3, queue: Queue, log: io.StringIO
) -> None:
    """R2: what may work later is neither recorded nor lost, and the log says where it failed."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)

    def deny(operation: str, _arguments: dict[str, Any]) -> None:
        if operation == "PutObject":
            raise refusal(operation, "AccessDenied", 403)

    s3.before = deny
    assert failures(worker.handle_batch([message("m1", record())], Clock())) == ["m1"]
    assert s3.objects == {}
    assert list(queue.waits) == ["handle of m1"]
    (line,) = lines(log)
    assert (line["outcome"], line["level"]) == ("retried", "ERROR")
    assert "AccessDenied" in line["exception"]
    assert "in reconcile" in line["exception"]
    assert line["exception_name"] == "ClientError"
    assert line["message"] == "processing failed; message returned to queue"


def test_each_record_of_each_message_is_processed(worker: Worker, s3: MemoryS3) -> None:
    """T4: not only the first record, not only the first message."""
    for name in "abc":
        s3.upload(UPLOADS, f"uploads/{name}.jpg", "v1", TEXT)
    batch = [
        message("m1", record(key="uploads/a.jpg"), record(key="uploads/b.jpg")),
        message("m2", record(key="uploads/c.jpg")),
    ]
    assert failures(worker.handle_batch(batch, Clock())) == []
    assert {key.split("/")[2] for key in s3.objects} == {"a.jpg", "b.jpg", "c.jpg"}


def test_a_bad_record_fails_its_message_and_no_other(worker: Worker, s3: MemoryS3) -> None:
    """T4: the good record beside it is still processed."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    batch = [
        message("bad", {"eventName": "ObjectCreated:Put"}, record()),
        message("good", record()),
    ]
    assert failures(worker.handle_batch(batch, Clock())) == ["bad"]
    assert set(s3.results) == OUTPUTS


def test_one_failing_record_of_several_fails_the_message(worker: Worker, s3: MemoryS3) -> None:
    """R2: a message with one unfinished object must not be deleted."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)

    def fail(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "GetObject" and arguments["Key"] == "uploads/slow.jpg":
            raise refusal(operation, "SlowDown", 503)

    s3.before = fail
    batch = [message("m1", record(key="uploads/slow.jpg"), record())]
    assert failures(worker.handle_batch(batch, Clock())) == ["m1"]
    assert set(s3.results) == OUTPUTS


def test_the_test_event_is_done(worker: Worker, log: io.StringIO) -> None:
    """Pitfall 8: it has no records and is not a failure."""
    batch = [message("m1") | {"body": '{"Service":"Amazon S3","Event":"s3:TestEvent"}'}]
    assert failures(worker.handle_batch(batch, Clock())) == []
    (line,) = lines(log)
    assert (line["outcome"], line["message"]) == ("test_event", "S3 test event")


@pytest.mark.parametrize("body", ["", "{}", "[]", "null", '{"Records": []}', "not JSON"])
def test_an_unreadable_message_is_a_failure(worker: Worker, body: str) -> None:
    """Pitfall 10: reporting no failure would delete an unread message."""
    assert failures(worker.handle_batch([message("m1") | {"body": body}], Clock())) == ["m1"]


def test_outputs_are_stored_at_once(worker: Worker, s3: MemoryS3) -> None:
    """P3: waiting for one after the other would cost more than making them."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    together = threading.Barrier(len(OUTPUTS), timeout=5)

    def wait(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "PutObject" and arguments["Key"] in OUTPUTS:
            together.wait()

    s3.before = wait
    assert failures(worker.handle_batch([message("m1", record())], Clock())) == []


def now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.mark.parametrize(
    ("event_time", "tries", "is_first"),
    [(now, 1, True), (now, 2, False), (lambda: "2026-01-01T00:00:00Z", 1, False)],
)
def test_only_a_certain_first_delivery_looks_at_nothing(
    worker: Worker, s3: MemoryS3, event_time: Callable[[], str], tries: int, is_first: bool
) -> None:
    """P6: an earlier one may have died, also before a dead letter was sent again."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    event = record() | {"eventTime": event_time()}
    assert failures(worker.handle_batch([message("m1", event, tries=tries)], Clock())) == []
    looks = s3.count("ListObjectsV2") + s3.count("HeadObject") + s3.count("GetObject") - 1
    assert (looks == 0) == is_first


def test_one_output_that_fails_fails_the_object(worker: Worker, s3: MemoryS3) -> None:
    """R2: the other outputs are there already; the next try adds the last."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    last = "thumbnails/uploads/a b.jpg/lower.txt"

    def fail(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "PutObject" and arguments["Key"] == last:
            raise refusal(operation, "SlowDown", 503)

    s3.before = fail
    assert failures(worker.handle_batch([message("m1", record())], Clock())) == ["m1"]
    assert set(s3.results) == OUTPUTS - {last}
    s3.before = lambda _operation, _arguments: None
    assert failures(worker.handle_batch([message("m1", record(), tries=2)], Clock())) == []
    assert set(s3.results) == OUTPUTS


@pytest.mark.parametrize("queue_url", ["https://sqs.invalid/work", ""])
def test_setting_up_calls_nothing(queue_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S7: clients are created once, from the environment, without a request.

    Pitfall 46: also in the one region that S3's endpoint name used to omit, it is the regional one.
    """
    environment = {
        "SOURCES": '{"uploads-bucket":{"name":"default"}}',
        "THUMBNAIL_BUCKET": "thumbnails-bucket",
        "ENCRYPTION_KEY_ARN": SETTINGS.encryption_key_arn,
        "WORK_QUEUE_URL": queue_url,
        "VARIANTS": (
            '{"default":{"widths":[40],"formats":{"jpeg":85},"cache_control":"no-cache"}}'
        ),
        "MAX_OBJECT_BYTES": "1000",
        "MAX_PIXELS": "1000",
        "VISIBILITY_TIMEOUT": "360",
        "LOG_LEVEL": "INFO",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",  # as Lambda gives them; without any, botocore would look
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def connect(*_arguments: object) -> None:
        raise AssertionError("a connection while setting up")

    monkeypatch.setattr("socket.socket.connect", connect)
    handler._worker.cache_clear()
    try:
        made = handler._worker()
        assert made is handler._worker()
        assert made.s3.meta.service_model.service_name == "s3"
        assert (made.sqs is None) == (queue_url == "")
        assert handler.handle({"Records": []}, Clock()) == {"batchItemFailures": []}
        assert made.s3.meta.endpoint_url == "https://s3.us-east-1.amazonaws.com"
        made.s3.close()
        if made.sqs is not None:
            made.sqs.close()
    finally:
        handler._worker.cache_clear()


def test_what_is_not_a_batch_raises() -> None:
    """Pitfall 10: an event without records must not look like a batch that is done."""
    with pytest.raises(KeyError):
        handler.handle({}, Clock())


def test_another_bucket_is_not_read(worker: Worker, s3: MemoryS3) -> None:
    """R5: in particular not the one that thumbnails are written to."""
    batch = [message("m1", record(bucket=SETTINGS.thumbnail_bucket))]
    assert failures(worker.handle_batch(batch, Clock())) == ["m1"]
    assert s3.calls == []


def test_a_topics_other_buckets_and_events_are_skipped_and_counted(
    worker: Worker, s3: MemoryS3, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """T5, pitfall 56: a topic may be external; more receives would not change the event."""
    filtered = replace(SETTINGS.sources[UPLOADS], prefixes=("uploads/",), suffixes=(".jpg",))
    worker = replace(worker, settings=replace(SETTINGS, sources={UPLOADS: filtered}))
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    tagged = record() | {"eventName": "ObjectTagging:Put"}
    batch = [message("m1", record(bucket="another-bucket"), tagged), message("m2", record())]
    assert failures(worker.handle_batch(batch, Clock())) == []
    assert set(s3.results) == OUTPUTS
    found = [(line["message_id"], line["level"], line["outcome"]) for line in lines(log)]
    assert found == [
        ("m1", "INFO", "skipped"),
        ("m1", "INFO", "skipped"),
        ("m2", "INFO", "succeeded"),
    ]
    assert json.loads(capsys.readouterr().out)["ImagesProcessed"] == 3


def test_the_processor_is_given_the_source_and_the_memory(worker: Worker, s3: MemoryS3) -> None:
    """C1: bytes, the source's settings and the function's memory in, named outputs out."""

    def check(body: BinaryIO, source: Source, memory: Memory) -> list[Output]:
        assert (source, memory) == (SETTINGS.sources[UPLOADS], worker.memory)
        return [Output("checked", body.read(), "text/plain")]

    s3.upload(UPLOADS, KEY, "v1", TEXT)
    batch = [message("m1", record())]
    assert failures(replace(worker, processor=check).handle_batch(batch, Clock())) == []
    assert s3.objects["thumbnails/uploads/a b.jpg/checked"].body == TEXT


def test_any_reason_is_recorded_and_the_metrics_stay_bounded(
    worker: Worker, s3: MemoryS3, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """C1, O3: a reason that is not listed has its name in log and record, but not as a metric."""

    def reject(*_arguments: object) -> list[Output]:
        raise Rejection("out_of_focus", "Everything is blurred.")

    s3.upload(UPLOADS, KEY, "v1", TEXT)
    batch = [message("m1", record())]
    assert failures(replace(worker, processor=reject).handle_batch(batch, Clock())) == []
    (stored,) = s3.results.values()
    rejection = json.loads(stored.body)["rejection"]
    assert rejection["reason"] == lines(log)[0]["reason"] == "out_of_focus"
    metrics = json.loads(capsys.readouterr().out)
    assert {name for name in metrics if name.startswith("Rejected")} == {
        "Rejected",
        "RejectedOther",
    }


def test_a_cold_start_is_logged_once(
    worker: Worker, s3: MemoryS3, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O1: the first invocation of an execution environment, and no other."""
    monkeypatch.setattr(handler, "_worker", cache(lambda: worker))
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    for _ in range(2):
        handler.handle({"Records": [message("m1", record())]}, Clock())
    assert [line["cold_start"] for line in lines(log)] == [True, False]


def test_waits_grow_with_the_tries_and_are_spread(worker: Worker, queue: Queue) -> None:
    """R2: exponential back-off with equal jitter."""

    def waits(tries: int) -> list[int]:
        found = []
        for _ in range(200):
            worker.handle_batch([message("m1", tries=tries)], Clock())
            found.append(queue.waits["handle of m1"])
        return found

    for tries, ceiling in [(1, 30), (2, 60), (4, 240)]:
        found = waits(tries)
        assert ceiling * 0.5 <= min(found) < ceiling * 0.6
        assert ceiling * 0.9 < max(found) <= ceiling
    assert max(waits(1_000)) <= 43_200  # more than SQS takes would be no wait at all


def test_the_first_wait_is_no_longer_than_the_queues_own(s3: MemoryS3, queue: Queue) -> None:
    """R2: a short visibility timeout is respected."""
    worker = worker_for(s3, queue, replace(SETTINGS, visibility_timeout=3))
    for _ in range(50):
        worker.handle_batch([message("m1")], Clock())
        assert 1 <= queue.waits["handle of m1"] <= 3


def test_an_older_version_leaves_the_newer_ones_outputs(
    worker: Worker, s3: MemoryS3, log: io.StringIO
) -> None:
    """P6: it is superseded, and the log says so."""
    s3.upload(UPLOADS, KEY, "v1", b"red")
    s3.upload(UPLOADS, KEY, "v2", b"blue")
    newer, older = record(version="v2", sequencer="0B"), record(version="v1", sequencer="0A")
    worker.handle_batch([message("m1", newer)], Clock())
    before = dict(s3.objects)
    assert (
        failures(worker.handle_batch([message("m2", older), message("m3", newer)], Clock())) == []
    )
    assert s3.objects == before
    assert [line["outcome"] for line in lines(log)] == ["succeeded", "superseded", "succeeded"]


def test_an_older_versions_rejection_leaves_the_newer_ones(
    worker: Worker, s3: MemoryS3, log: io.StringIO
) -> None:
    """P6: records of rejections are ordered as thumbnails are."""
    s3.upload(UPLOADS, KEY, "v1", b"")
    s3.upload(UPLOADS, KEY, "v2", JUNK)
    for version, sequencer in [("v2", "0B"), ("v1", "0A"), ("v2", "0B")]:
        worker.handle_batch([message("m", record(version=version, sequencer=sequencer))], Clock())
    (stored,) = s3.results.values()
    assert json.loads(stored.body)["source"]["version_id"] == "v2"
    assert [line["outcome"] for line in lines(log)] == ["rejected", "superseded", "rejected"]


def test_a_wait_that_cannot_be_set_loses_nothing(
    worker: Worker, queue: Queue, log: io.StringIO
) -> None:
    """R2: the message still returns, after its visibility timeout."""
    queue.error = TimeoutError("no way there")
    assert failures(worker.handle_batch([message("m1"), message("m2")], Clock())) == ["m1", "m2"]
    assert "no way there" in lines(log)[1]["exception"]


def test_without_an_endpoint_nothing_is_called(s3: MemoryS3) -> None:
    """R2: no SQS endpoint, no back-off, the same failures."""
    worker = worker_for(s3, None, replace(SETTINGS, work_queue_url=None))
    assert failures(worker.handle_batch([message("m1")], Clock())) == ["m1"]


def test_near_the_end_no_message_is_started(
    worker: Worker, s3: MemoryS3, queue: Queue, log: io.StringIO
) -> None:
    """R2: a message that would be cut off returns to the queue at once."""
    batch, clock = uploads(s3, 3), Clock()

    def use_up_the_time(body: BinaryIO, source: Source, memory: Memory) -> list[Output]:
        clock.left = [60_000 if len(s3.calls) < 8 else 0]
        return change_case(body, source, memory)

    worker = replace(worker, processor=use_up_the_time)
    assert failures(worker.handle_batch(batch, clock)) == ["m2"]
    assert queue.waits == {"handle of m2": 0}
    assert lines(log)[-1]["outcome"] == "retried"


def test_a_request_near_the_end_is_not_sent(
    worker: Worker, s3: MemoryS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2: the message returns in time, and the next invocation starts again."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    now = time.monotonic()

    def process_for_long(*_arguments: object) -> list[Output]:
        monkeypatch.setattr("time.monotonic", lambda: now + 55)
        return [Output("w1", b"", "text/plain")]

    slow, batch = replace(worker, processor=process_for_long), [message("m1", record())]
    assert failures(slow.handle_batch(batch, Clock())) == ["m1"]
    assert s3.count("PutObject") == 0
    assert failures(worker.handle_batch(batch, Clock())) == []


def test_near_the_end_sqs_is_not_called_either(
    worker: Worker, s3: MemoryS3, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2, pitfall 57: a call that hangs would end the invocation, and its whole batch with it."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    now = time.monotonic()

    def process_for_long(*_arguments: object) -> list[Output]:
        monkeypatch.setattr("time.monotonic", lambda: now + 55)
        return [Output("w1", b"", "text/plain")]

    slow, batch = replace(worker, processor=process_for_long), [message("m1", record())]
    assert failures(slow.handle_batch(batch, Clock())) == ["m1"]
    assert queue.waits == {}  # it comes back after its visibility timeout, as the response says
    assert queue.hooks == []


def test_the_first_message_is_always_started(worker: Worker, s3: MemoryS3) -> None:
    """R2: a function with a short timeout still makes progress."""
    s3.upload(UPLOADS, KEY, "v1", TEXT)
    assert failures(worker.handle_batch([message("m1", record())], Clock([2_000]))) == []


def uploads(s3: MemoryS3, count: int) -> list[dict[str, Any]]:
    """Return a batch of this many messages, each with its object uploaded."""
    for number in range(count):
        s3.upload(UPLOADS, f"uploads/{number}.jpg", "v1", TEXT)
    return [message(f"m{n}", record(key=f"uploads/{n}.jpg")) for n in range(count)]


def test_messages_are_processed_at_once(worker: Worker, s3: MemoryS3, log: io.StringIO) -> None:
    """P3: one is downloaded while another is processed; each line is about its own message."""
    batch = uploads(s3, 3)
    together = threading.Barrier(3, timeout=5)

    def wait(operation: str, _arguments: dict[str, Any]) -> None:
        if operation == "GetObject":
            together.wait()

    s3.before = wait
    assert failures(replace(worker, threads=3).handle_batch(batch, Clock())) == []
    about = {(line["message_id"], line["key"], line["outcome"]) for line in lines(log)}
    assert about == {(f"m{n}", f"uploads/{n}.jpg", "succeeded") for n in range(3)}


def test_no_more_messages_at_once_than_threads(worker: Worker, s3: MemoryS3) -> None:
    """P5: each of them holds a file in memory."""
    batch = uploads(s3, 6)
    active, most = 0, 0
    lock = threading.Lock()

    def count(operation: str, _arguments: dict[str, Any]) -> None:
        nonlocal active, most
        if operation == "GetObject":
            with lock:
                active += 1
                most = max(most, active)
            time.sleep(0.02)
            with lock:
                active -= 1

    s3.before = count
    assert failures(replace(worker, threads=2).handle_batch(batch, Clock())) == []
    assert most == 2


def test_one_bad_message_of_several_at_once_fails_alone(worker: Worker, s3: MemoryS3) -> None:
    """T4: whichever thread it is in; failures are reported in the batch's order."""
    batch = uploads(s3, 6)
    batch[1]["body"] = batch[4]["body"] = "unreadable"
    assert failures(replace(worker, threads=3).handle_batch(batch, Clock())) == ["m1", "m4"]


def test_what_several_threads_have_not_started_near_the_end_returns(
    worker: Worker, s3: MemoryS3, queue: Queue
) -> None:
    """R2: as with one thread."""
    batch, clock = uploads(s3, 5), Clock()

    def use_up_the_time(*_arguments: object) -> list[Output]:
        clock.left = [0]
        return [Output("out", b"out", "text/plain")]

    worker = replace(worker, threads=2, processor=use_up_the_time)
    assert failures(worker.handle_batch(batch, clock)) == ["m1", "m2", "m3", "m4"]
    assert set(queue.waits.values()) == {0}


def test_large_objects_take_turns(worker: Worker, s3: MemoryS3) -> None:
    """P5: ten at once are processed within the memory for one, and all succeed."""
    batch = uploads(s3, 10)
    memory = Memory(10_000_000)
    at_once = 0

    def heavy(_body: BinaryIO, _source: Source, memory: Memory) -> list[Output]:
        nonlocal at_once
        with memory.reserved(6_000_000):
            at_once += 1
            time.sleep(0.005)
            assert at_once == 1
            at_once -= 1
        return [Output("out", b"out", "text/plain")]

    worker = replace(worker, threads=5, memory=memory, processor=heavy)
    assert failures(worker.handle_batch(batch, Clock())) == []
    assert len(s3.results) == 10


def test_a_batch_of_new_messages_is_left_to_lambda_to_delete(
    worker: Worker, s3: MemoryS3, queue: Queue
) -> None:
    """R2: no unnecessary call."""
    worker.handle_batch(uploads(s3, 2), Clock())
    assert queue.deleted == []


def test_redelivered_messages_go_first_and_each_is_deleted_when_done(
    worker: Worker, s3: MemoryS3, queue: Queue
) -> None:
    """R2: if one ends the invocation, messages that are done do not return with it."""
    batch = uploads(s3, 4)
    batch[0]["attributes"]["ApproximateReceiveCount"] = "2"
    batch[2]["body"] = "unreadable"
    assert failures(replace(worker, threads=1).handle_batch(batch, Clock())) == ["m2"]
    assert queue.deleted == ["m0", "m1", "m3"]


def test_a_message_that_cannot_be_deleted_is_still_done(
    worker: Worker, s3: MemoryS3, queue: Queue
) -> None:
    """R2: the response reports no failure, and Lambda deletes it."""
    batch = uploads(s3, 1)
    batch[0]["attributes"]["ApproximateReceiveCount"] = "2"
    queue.error = TimeoutError("no way there")
    assert failures(worker.handle_batch(batch, Clock())) == []


def test_metrics_are_one_line(
    worker: Worker, s3: MemoryS3, capsys: pytest.CaptureFixture[str]
) -> None:
    """O3: for the whole invocation, without a call to CloudWatch."""
    batch = uploads(s3, 2)
    s3.upload(UPLOADS, "uploads/2.jpg", "v1", JUNK)
    batch += [message("m2", record(key="uploads/2.jpg")), message("m3") | {"body": "unreadable"}]
    worker.handle_batch(batch, Clock())
    (line,) = capsys.readouterr().out.splitlines()
    metrics = json.loads(line)
    expected = {"ImagesProcessed": 3, "ThumbnailsWritten": 4, "Rejected": 1, "RejectedNotText": 1}
    assert metrics | expected == metrics
    assert metrics["Retries"] == 1
    assert metrics["BytesIn"] == 2 * len(TEXT) + len(JUNK)
    assert metrics["BytesOut"] == sum(
        len(stored.body) for key, stored in s3.results.items() if key.startswith("thumbnails/")
    )
    # One value for each object that the processor was given, and for each that succeeded.
    assert len(metrics["ProcessingTime"]) == 3
    assert len(metrics["EndToEndLatency"]) == 2
    assert (
        min(metrics["EndToEndLatency"]) > 86_400_000
    )  # milliseconds since the record's time, a fixed day


def test_each_source_has_its_name_prefix_and_metrics(
    worker: Worker, s3: MemoryS3, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """T5, O3: a function with several sources separates them in keys, log and metrics."""
    default = SETTINGS.sources[UPLOADS]
    scans = replace(default, name="scans", output_prefix="scans/", hash_prefix=True)
    both = replace(SETTINGS, sources={**SETTINGS.sources, "scans-bucket": scans})
    batch = [message("m1", record()), message("m2", record(bucket="scans-bucket"))]
    for bucket in both.sources:
        s3.upload(bucket, KEY, "v1", TEXT)
    replace(worker, settings=both).handle_batch(batch, Clock())
    names = {key.removeprefix("thumbnails/") for key in OUTPUTS}
    hashed = sha256(KEY.encode()).hexdigest()[:2]
    folders = {"thumbnails/", f"thumbnails/scans/{hashed}/"}
    names.add(f"{KEY}/index.json")
    assert set(s3.objects) == {folder + name for folder in folders for name in names}
    assert {(line["source"], line["bucket"]) for line in lines(log)} == {
        ("default", UPLOADS),
        ("scans", "scans-bucket"),
    }
    function, *sources = map(json.loads, capsys.readouterr().out.splitlines())
    assert function["ImagesProcessed"] == 2
    assert {line["Source"]: line["ImagesProcessed"] for line in sources} == {
        "default": 1,
        "scans": 1,
    }


def test_an_output_is_sent_at_once() -> None:
    """P7: without `Expect: 100-continue`, which makes each write wait for one answer more."""
    session = botocore.session.Session()
    session.set_config_variable("region", "xx-test-1")
    session.set_credentials("AKIDEXAMPLE", "secret")
    sent: list[Any] = []

    def stop(**arguments: Any) -> None:
        sent.append(arguments["request"])
        raise EOFError

    session.register("before-send.s3", stop)
    with pytest.raises(EOFError):
        handler.s3_client(session).put_object(Bucket="bucket", Key="key", Body=b"output")
    (request,) = sent
    assert request.method == "PUT"
    assert "Expect" not in request.headers


def test_invocations_share_their_threads(s3: MemoryS3, queue: Queue) -> None:
    """R4: the threads are made once per execution environment."""
    used = set()

    def note_thread(body: BinaryIO, *_: Any) -> list[Output]:
        used.add(threading.get_ident())
        return [Output("copy", body.read(), "text/plain")]

    worker = replace(worker_for(s3, queue), processor=note_thread)
    for number in range(3):
        s3.upload(UPLOADS, f"uploads/{number}", "v1", TEXT)
        worker.handle_batch([message("m", record(key=f"uploads/{number}"))], Clock())
    assert len(used) == 1


def test_an_invocation_that_fails_leaves_no_thread_at_work(
    s3: MemoryS3, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2: its messages come back, and what still ran would race them."""
    ended = []

    def parse(body: str) -> Any:
        if "first" in body:
            raise RuntimeError("unforeseen")
        time.sleep(0.1)
        ended.append(body)
        return events.Notification()

    monkeypatch.setattr(events, "parse", parse)
    worker = replace(worker_for(s3, queue), threads=2)
    batch = [message("m1", record(key="first")), message("m2", record(key="second"))]
    with pytest.raises(RuntimeError, match="unforeseen"):
        worker.handle_batch(batch, Clock())
    assert len(ended) == 1
