"""What operators do with a running stack: backfill, dead letters, rejections."""

import gzip
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from darkroom.aws import notifications
from darkroom.checks.names import VERIFY
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from darkroom.operations import backfill
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline
from worker import events, keys, records

NAME = "operated"


@pytest.fixture(scope="module")
def operated(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A stack whose messages are dead letters after two tries, two seconds apart."""
    plan = specification.parse(
        {
            # Each suffix has a configuration of its own, which begins with a test event.
            "sources": {"default": {"suffixes": [".jpg", ".png"]}},
            "queues": {"default": {"max_receive_count": 2}},
        },
        origin="test",
    )
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name=NAME,
        parameters={**package_parameters, "NamePrefix": NAME, "CreateSqsEndpoint": "false"},
    )
    pipeline = Pipeline(emulator, stack)
    pipeline.sqs.set_queue_attributes(
        QueueUrl=stack.outputs["WorkQueueUrl"], Attributes={"VisibilityTimeout": "2"}
    )
    return pipeline


@pytest.fixture
def operator(operated: Pipeline, terminal: Callable[[str], Operator]) -> Operator:
    assert operated
    return terminal(NAME)


@contextmanager
def without_notifications(pipeline: Pipeline) -> Iterator[None]:
    """Uploads are not notified, as before there was a pipeline."""
    s3, bucket = pipeline.s3, pipeline.uploads
    before = s3.get_bucket_notification_configuration(Bucket=bucket)
    del before["ResponseMetadata"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=before)


@contextmanager
def paused(pipeline: Pipeline) -> Iterator[None]:
    """The worker takes nothing from the queue, so that it can be looked at; then it is emptied."""
    client = pipeline.emulator.client("lambda")
    found = client.list_event_source_mappings(FunctionName=pipeline.stack.outputs["FunctionName"])
    (mapping,) = found["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        pipeline.sqs.purge_queue(QueueUrl=pipeline.stack.outputs["WorkQueueUrl"])
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def queued(pipeline: Pipeline) -> list[str]:
    """The keys that the messages in the work queue are about."""
    found: list[str] = []
    url = pipeline.stack.outputs["WorkQueueUrl"]
    while messages := pipeline.sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0, VisibilityTimeout=30
    ).get("Messages"):
        for message in messages:
            found += [source.key for source in events.parse(message["Body"]).objects]
    return found


def dead(pipeline: Pipeline) -> set[str]:
    """The ids in the dead-letter queue; others may arrive at any time, so tests count none."""
    found = pipeline.sqs.receive_message(
        QueueUrl=pipeline.stack.outputs["DeadLetterQueueUrl"],
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
    )
    return {message["MessageId"] for message in found.get("Messages", [])}


def outputs(pipeline: Pipeline, key: str) -> int:
    """How many outputs of a key were ever written."""
    found = pipeline.s3.list_object_versions(
        Bucket=pipeline.thumbnail_bucket, Prefix=keys.output_key_prefix(key)
    )
    return len(found.get("Versions", []))


def test_what_was_there_before_gets_thumbnails(operated: Pipeline, operator: Operator) -> None:
    """D6: the source's own objects and no others; a later upload wins over what this made."""
    odd = "uploads/old/a b+c%2B ü.JPG"
    before = {odd, "uploads/old/plain.png"}
    with without_notifications(operated):
        versions = {key: operated.upload(key, pictures.jpeg()) for key in before}
        operated.upload("uploads/old/notes.txt", b"no picture")
        operated.upload("uploads/Old.Jpg", pictures.jpeg())
        operated.upload("elsewhere/old.jpg", pictures.jpeg())
        operated.upload("uploads/deleted.jpg", pictures.jpeg())
        operated.s3.delete_object(Bucket=operated.uploads, Key="uploads/deleted.jpg")
    operated.drained()
    estimate = operator.reads("backfill", "--dry-run")
    assert estimate["objects"] == 2
    assert estimate["skipped"] == {"not matched by the source": 2}
    assert operated.waiting() == 0

    done = operator.reads("backfill", "--yes")
    assert done["sent"] == 2
    for key, version in versions.items():
        made = operated.thumbnails(key, version)
        assert all("source-sequencer" not in stored.metadata for stored in made.values())
    newer = operated.upload(odd, pictures.jpeg())
    made = operated.thumbnails(odd, newer)
    assert all("source-sequencer" in stored.metadata for stored in made.values())
    operated.drained()


def test_what_no_filter_names_gets_its_outcome(operated: Pipeline, operator: Operator) -> None:
    """R2, D4, D6, pitfall 11: `verify` names it, and `backfill --unannounced` sends it once."""
    picture, text = "uploads/left/cat.Jpg", "uploads/left/notes.txt"
    versions = {key: operated.upload(key, pictures.jpeg()) for key in (picture, "uploads/left/")}
    operated.upload(text, b"no picture")
    others = [option for name in VERIFY if name != "unannounced" for option in ("--skip", name)]

    def warnings() -> list[str]:
        report = json.loads(operator.does("verify", *others, "--format", "json"))
        return [one["message"] for one in report["checks"] if one["verdict"] == "warn"]

    (warning,) = warnings()
    assert "a suffix that is announced to nobody" in warning
    assert picture in warning or " more" in warning
    only = ("--unannounced", "--prefix", "uploads/left/")
    assert operator.reads("backfill", "--dry-run", *only)["objects"] == 2
    assert operator.reads("backfill", "--yes", *only)["sent"] == 2
    operated.thumbnails(picture, versions[picture])
    assert operated.rejection(text)["rejection"]["reason"] == "not_an_image"
    assert operator.reads("backfill", "--dry-run", *only)["objects"] == 0
    operator.does("backfill", "--yes", "--unannounced")
    operated.drained()
    assert not warnings()


def test_what_is_done_is_left_alone(operated: Pipeline, operator: Operator) -> None:
    """P6: sent again, the worker keeps the outputs of the newer one; or nothing is sent."""
    key = "uploads/done/one.jpg"
    version = operated.upload(key, pictures.jpeg())
    operated.thumbnails(key, version)
    written = outputs(operated, key)
    operator.does("backfill", "--yes", "--prefix", "uploads/done/")
    operated.drained()
    assert outputs(operated, key) == written
    assert operated.thumbnails(key, version)["w128"].metadata["source-sequencer"]

    only = ("--prefix", "uploads/done/", "--skip-processed")
    assert operator.reads("backfill", "--dry-run", *only)["skipped"] == {"processed already": 1}
    stale = ("--prefix", "uploads/done/", "--rebuild-stale")
    assert operator.reads("backfill", "--dry-run", *stale)["objects"] == 0
    with operator.patch.context() as patch:
        patch.setattr(records, "__version__", "9.9.9")
        assert operator.reads("backfill", "--dry-run", *stale)["objects"] == 1
    with without_notifications(operated):
        operated.upload(key, pictures.jpeg())
    assert operator.reads("backfill", "--dry-run", *only)["objects"] == 1
    assert operator.reads("backfill", "--dry-run", *stale)["objects"] == 0


def test_an_interrupted_run_goes_on(operated: Pipeline, operator: Operator) -> None:
    """D6: nothing is left out, and one batch at most is sent twice."""
    names = [f"uploads/many/{number:03}.jpg" for number in range(35)]
    with without_notifications(operated):
        for key in names:
            operated.upload(key, b"x")
    only = ("--yes", "--prefix", "uploads/many/")
    with paused(operated):
        with operator.patch.context() as patch:
            patch.setattr(notifications, "send", interrupted(notifications.send, after=2))
            operator.does("backfill", *only, status=130)
        assert sorted(queued(operated)) == names[:20]
        # A checkpoint is its own run's: another choice of objects would leave some out.
        operator.does("backfill", "--yes", status=2)
        # Killed after a batch was sent, before it was noted.
        with operator.patch.context() as patch:
            patch.setattr(backfill.Checkpoint, "save", interrupted(print, after=0))
            operator.does("backfill", *only, status=130)
        assert operator.reads("backfill", *only)["sent"] == 15
        assert sorted(queued(operated)) == sorted(names[20:] + names[20:30])
    assert not list(Path("build").iterdir())


def test_an_inventory_stands_for_the_listing(operated: Pipeline, operator: Operator) -> None:
    """D6: rows in no order; filtered, and continued in the middle of a file."""
    names = [f"uploads/inventory/{number:02}.jpg" for number in range(12)]
    row = '"{0}","{1}","v","true","false","1","2026-11-01T00:00:00.000Z","e"'
    rows = [row.format(operated.uploads, key) for key in [*reversed(names), "uploads/in.txt"]]
    schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
    manifest = {
        "sourceBucket": operated.uploads,
        "destinationBucket": f"arn:aws:s3:::{operated.thumbnail_bucket}",
        "fileFormat": "CSV",
        "fileSchema": schema,
        "files": [{"key": "inventory/0.csv.gz"}],
    }
    for key, body in (
        ("inventory/manifest.json", json.dumps(manifest).encode()),
        ("inventory/0.csv.gz", gzip.compress("\n".join(rows).encode())),
    ):
        operated.s3.put_object(Bucket=operated.thumbnail_bucket, Key=key, Body=body)
    url = f"s3://{operated.thumbnail_bucket}/inventory/manifest.json"
    only = ("--inventory", url, "--until", "2026-11-02")
    assert operator.reads("backfill", "--dry-run", "--skip-processed", *only)["objects"] == 12
    assert operator.reads("backfill", "--dry-run", *only)["objects"] == 12
    with paused(operated):
        with operator.patch.context() as patch:
            patch.setattr(notifications, "send", interrupted(notifications.send, after=1))
            operator.does("backfill", "--yes", *only, status=130)
        assert operator.reads("backfill", "--yes", *only)["sent"] == 2
        assert sorted(queued(operated)) == names


def interrupted(function: Callable[..., None], *, after: int) -> Callable[..., None]:
    """Ctrl-C at the call after so many."""
    left = after

    def call(*arguments: object) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        function(*arguments)

    return call


FAILED = ("uploads/dead letter.jpg", "uploads/another.jpg")


@pytest.fixture(scope="module")
def dead_letters(operated: Pipeline) -> dict[str, str]:
    """Dead letters of the worker: uploads whose outputs it could not write, and junk.

    Key or `junk` to message id.
    """
    operated.drained()
    # What an earlier test received and did not delete may have come here.
    operated.sqs.purge_queue(QueueUrl=operated.stack.outputs["DeadLetterQueueUrl"])
    with operated.without("s3:PutObject"):
        for key in FAILED:
            operated.upload(key, pictures.jpeg())
        operated.send("junk")

        def failed() -> dict[str, str] | None:
            found = {}
            for message in operated.sqs.receive_message(
                QueueUrl=operated.stack.outputs["DeadLetterQueueUrl"],
                MaxNumberOfMessages=10,
                VisibilityTimeout=0,
            ).get("Messages", []):
                if message["Body"] == "junk":
                    found["junk"] = message["MessageId"]
                # A test event has no object: S3 sends one with each new configuration.
                elif objects := events.parse(message["Body"]).objects:
                    found[objects[0].key] = message["MessageId"]
            return found if found.keys() >= {*FAILED, "junk"} else None

        return operated.until(failed, "three dead letters")


def test_dead_letters_are_listed_by_error(
    operated: Pipeline, operator: Operator, dead_letters: dict[str, str]
) -> None:
    """D6, pitfall 19: what failed, why, since when; looking takes nothing away."""
    before = dead(operated)
    found = operator.reads("dlq list", "--exit-code", status=1)
    causes = {one["id"]: group["error"] for group in found["errors"] for one in group["messages"]}
    key = FAILED[0]
    assert "(AccessDenied)" in causes[dead_letters[key]]
    assert "PutObject" in causes[dead_letters[key]]
    assert "UnreadableMessageError" in causes[dead_letters["junk"]]

    table = operator.does("dlq list")
    assert f"s3://{operated.uploads}/{key}" in table
    assert "the worker cannot read it" in table

    shown = operator.reads("dlq show", dead_letters[key])
    (about,) = shown["objects"]
    assert about["state"].startswith("exists: ")
    lines = [line["text"] for line in shown["log"] if isinstance(line["text"], dict)]
    tries = [line["exception"] for line in lines if "exception" in line]
    assert len(tries) >= 2
    assert all("AccessDenied" in one for one in tries)
    operated.s3.delete_object(Bucket=operated.uploads, Key=key, VersionId=about["version_id"])
    assert "deleted" in operator.does("dlq show", dead_letters[key])
    operator.does("dlq show", "no-such-id", status=1)
    assert dead(operated) >= before


def test_selected_dead_letters_are_sent_to_work_again(
    operated: Pipeline, operator: Operator, dead_letters: dict[str, str]
) -> None:
    """D6, R2: those, and no others; nothing by a dry run."""
    key = FAILED[1]
    before = dead(operated)
    choice = ("--error", "AccessDenied", dead_letters[key])
    assert operator.reads("dlq redrive", "--dry-run", *choice)["would_redrive"] == [
        dead_letters[key]
    ]
    assert dead(operated) >= before
    assert operator.reads("dlq redrive", *choice)["redriven"] == [dead_letters[key]]
    assert dead_letters[key] not in dead(operated)
    assert dead(operated) >= before - {dead_letters[key]}
    operated.until(lambda: operated.stored(keys.output_key(key, "w128")), "thumbnails")
    operator.does("dlq redrive", dead_letters[key], status=1)
    operator.does("dlq redrive", dead_letters[key], "--rate", "9", status=2)


def undelivered(pipeline: Pipeline, *bodies: str) -> list[str]:
    """Put messages where EventBridge and SNS put what they cannot deliver; their ids."""
    url = pipeline.stack.outputs["DeadLetterQueueUrl"]
    attributes = {"ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"}}
    return [
        pipeline.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)[
            "MessageId"
        ]
        for body in bodies
    ]


def test_dead_letters_are_saved_before_they_are_deleted(
    operated: Pipeline, operator: Operator
) -> None:
    """D6: not without consent, never over another file, and with a copy to send again."""
    ids = undelivered(operated, "one", "two")
    before = dead(operated)
    assert before >= set(ids)
    operator.does("dlq purge", status=2)  # no terminal
    Path("taken").write_text("mine")
    operator.does("dlq purge", "--yes", "--save", "taken", status=2)
    assert operator.reads("dlq purge", "--dry-run", ids[0])["would_purge"] == ids[:1]
    # The disk is full, so to speak: nothing that is not saved is deleted.
    with operator.patch.context() as patch:
        patch.setattr(os, "fsync", full)
        operator.does("dlq purge", "--yes", status=1)
    assert dead(operated) >= before

    operator.does("dlq purge", "--yes", "--save", "saved.jsonl", *ids)
    saved = [json.loads(line) for line in Path("saved.jsonl").read_text().splitlines()]
    assert {one["id"]: one["body"] for one in saved} == dict(zip(ids, ["one", "two"], strict=True))
    assert not dead(operated) & set(ids)
    assert dead(operated) >= before - set(ids)


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_the_printed_policy_is_enough_and_needed(operated: Pipeline, operator: Operator) -> None:
    """Pitfall 21, S5: an operator with these rights and no others can do all of it."""
    policy = json.loads(operator.does("dlq policy"))
    documented = Path(__file__).parents[2].joinpath("docs/operations.md").read_text("utf-8")
    for statement in policy["Statement"]:
        if statement["Sid"] in ("ManageDeadLetters", "SendToWorkQueues", "UseKey"):
            assert all(f"`{action}`" in documented for action in statement["Action"])
    iam = operated.emulator.client("iam")
    iam.create_user(UserName="operator")
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    operator.patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    operator.patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    operator.does("dlq list", status=1)

    def allow(*, without: str = "") -> None:
        """Attach the policy; to the emulator, batches are actions of their own."""
        rights = json.loads(json.dumps(policy))
        for statement in rights["Statement"]:
            kept = [action for action in statement["Action"] if action != without]
            statement["Action"] = kept + [
                f"{action}Batch" for action in kept if action.startswith("sqs:")
            ]
        iam.put_user_policy(
            UserName="operator", PolicyName="dead-letters", PolicyDocument=json.dumps(rights)
        )

    allow()
    first, second = undelivered(operated, "{}", "[]")
    assert "NO_PERMISSIONS" in operator.reads("dlq show", first)["error"]
    operator.does("dlq purge", first, "--yes")
    allow(without="sqs:SendMessage")
    operator.does("dlq redrive", second, status=1)
    assert second in dead(operated)
    allow()
    operator.does("dlq redrive", second)
    assert second not in dead(operated)


def test_rejections_are_listed_with_their_reasons(operated: Pipeline, operator: Operator) -> None:
    """D6: filtered by reason, key, prefix and time; a line each, and how many of each reason."""
    for key, body in (
        ("listed/a b.jpg", b""),
        ("listed/c+d.png", b"junk" * 50),
        ("listed/e.jpg", b""),
    ):
        operated.upload(f"uploads/{key}", body)
        operated.rejection(f"uploads/{key}")
    here = ("--prefix", "uploads/listed/")
    summary = operator.reads("rejections list", "--summary", *here)
    assert summary == {"total": 3, "reasons": {"empty": 2, "not_an_image": 1}}

    lines = operator.does("rejections list", "--format", "jsonl", "--reason", "empty", *here)
    found = [json.loads(line) for line in lines.splitlines()]
    assert [one["key"] for one in found] == ["uploads/listed/a b.jpg", "uploads/listed/e.jpg"]
    assert {one["reason"] for one in found} == {"empty"}
    only = ("--key", "uploads/listed/c+d.png", "--exit-code")
    assert "not_an_image" in operator.does("rejections list", *only, status=1)
    assert operator.does("rejections list", "--since", "2099-01-01") == "0 rejections.\n"


def test_a_rejected_version_is_tried_again(operated: Pipeline, operator: Operator) -> None:
    """R2: it and no other ends as thumbnails once the cause is fixed; nothing by a dry run."""
    function = operated.stack.outputs["FunctionName"]
    client = operated.emulator.client("lambda")
    environment = client.get_function_configuration(FunctionName=function)["Environment"]
    strict = {"Variables": {**environment["Variables"], "MAX_OBJECT_BYTES": "100"}}
    client.update_function_configuration(FunctionName=function, Environment=strict)
    names = [f"uploads/again/{number}.jpg" for number in range(2)]
    versions = {key: operated.upload(key, pictures.jpeg()) for key in names}
    assert {operated.rejection(key)["rejection"]["reason"] for key in names} == {"too_large"}
    client.update_function_configuration(FunctionName=function, Environment=environment)

    choice = ("--reason", "too_large")
    assert operator.reads("rejections retry", "--dry-run", *choice)["would_retry"] == 2
    operator.does("rejections retry", *choice, status=2)  # no terminal
    assert all(operated.stored(keys.rejection_key(key)) for key in names)
    one = ("--key", names[0], "--yes")
    assert operator.reads("rejections retry", *one)["retried"] == 1
    made = operated.thumbnails(names[0], versions[names[0]])
    # The event's own place in the order: a duplicate of it is a duplicate still.
    assert all("source-sequencer" in stored.metadata for stored in made.values())
    assert operated.stored(keys.rejection_key(names[0])) is None
    assert operated.stored(keys.rejection_key(names[1]))

    # Killed between the deletion of the record and its message: nothing is lost.
    with operator.patch.context() as patch:
        patch.setattr(notifications, "send", interrupted(print, after=0))
        operator.does("rejections retry", "--yes", *choice, status=130)
    assert operated.stored(keys.rejection_key(names[1])) is None
    assert operator.reads("rejections retry", "--yes", *choice)["resumed"] == 1
    operated.thumbnails(names[1], versions[names[1]])
