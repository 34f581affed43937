"""Three outcomes and no fourth: thumbnails, a recorded rejection, a dead-letter message."""

import io
import json
import struct
import zlib

import pytest
from PIL import Image

from tests.e2e import pictures
from tests.e2e.harness import Pipeline
from worker import keys
from worker.versions import order


def _bomb() -> bytes:
    """A PNG of 20 000 × 20 000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(2_501 * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


JUNK = {
    "uploads/empty.png": (b"", "empty"),
    "uploads/text.jpg": (b"not a picture at all\n" * 50, "not_an_image"),
    "uploads/half a picture.jpg": (pictures.jpeg()[:600], "corrupt"),
    "uploads/phone.jpg": (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(64), "unsupported_format"),
    "uploads/bomb.png": (_bomb(), "too_many_pixels"),
}


@pytest.fixture(scope="module")
def junk(running: Pipeline) -> dict[str, str]:
    """All junk uploaded at once; key → version."""
    return {key: running.upload(key, body) for key, (body, _) in JUNK.items()}


@pytest.mark.parametrize("key", JUNK)
def test_junk_is_rejected_with_its_reason(
    running: Pipeline, junk: dict[str, str], key: str
) -> None:
    """P5, R2, pitfall 43: what will never work is recorded, and burns no retries."""
    body, reason = JUNK[key]
    record = running.rejection(key)
    assert record["state"] == "rejected"
    assert record["rejection"]["reason"] == reason
    source = record["source"]
    assert (source["bucket"], source["key"]) == (running.uploads, key)
    assert (source["version_id"], source["bytes"]) == (junk[key], len(body))
    assert all(running.stored(keys.output_key(key, name)) is None for name in running.variant_names)
    running.drained()


def test_the_test_event_is_harmless(running: Pipeline) -> None:
    """Pitfall 8: S3's `s3:TestEvent` on day one is recognised, and is no dead letter."""
    running.until(
        lambda: (
            [line for line in running.log_lines() if line.get("outcome") == "test_event"] or None
        ),
        "test event in the log",
    )
    running.drained()
    assert running.waiting("DeadLetterQueueUrl") == 0


def test_each_log_line_says_what_it_is_about(running: Pipeline, junk: dict[str, str]) -> None:
    """O1: JSON with the request, the message and the object."""
    key = next(iter(junk))
    running.rejection(key)

    def find() -> dict[str, object] | None:
        lines = running.log_lines()
        return next((line for line in lines if line.get("key") == key), None)

    line = running.until(find, "log line")
    assert {"timestamp", "level", "message", "function_request_id", "message_id"} <= set(line)
    assert (line["bucket"], line["version_id"]) == (running.uploads, junk[key])
    assert line["outcome"] == "rejected"


def _red_corner(body: bytes) -> int:
    with Image.open(io.BytesIO(body)) as picture:
        found = picture.convert("RGB").getpixel((2, 2))
    assert isinstance(found, tuple)
    return found[0]


def test_late_and_repeated_deliveries_change_nothing(running: Pipeline) -> None:
    """P6, pitfall 14: at least once and out of order ends as once and in order."""
    key = "uploads/twice and late.jpg"
    old = running.upload(key, pictures.encoded(Image.new("RGB", (900, 600), (20, 0, 0)), "JPEG"))
    old_metadata = running.thumbnails(key, old)["w128"].metadata
    new = running.upload(key, pictures.encoded(Image.new("RGB", (900, 600), (230, 0, 0)), "JPEG"))
    new_metadata = running.thumbnails(key, new)["w128"].metadata
    assert order(old_metadata["source-sequencer"]) < order(new_metadata["source-sequencer"])

    for metadata in (old_metadata, new_metadata, old_metadata):
        running.send(running.notification(key, metadata))
    running.until(
        lambda: _outcomes(running, key).count("superseded") >= 2 or None, "two superseded"
    )
    running.drained()

    for stored in running.thumbnails(key, new).values():
        assert _red_corner(stored.body) > 200
    prefix = keys.output_key_prefix(key)
    versions = running.s3.list_object_versions(Bucket=running.thumbnail_bucket, Prefix=prefix)
    assert len(versions["Versions"]) == 2 * (len(running.variant_names) + 1)  # the records


def test_outputs_without_a_record_get_one(running: Pipeline) -> None:
    """P6, P7: as a worker left them that died, or one that wrote no records."""
    key = "uploads/without a record.jpg"
    version = running.upload(key, pictures.jpeg())
    made = running.thumbnails(key, version)
    for name in ("index.json", "w128"):
        running.s3.delete_object(
            Bucket=running.thumbnail_bucket, Key=keys.output_key_prefix(key) + name
        )
    retired = keys.output_key(key, "w77")
    metadata = dict(made["w128"].metadata)
    running.s3.put_object(
        Bucket=running.thumbnail_bucket, Key=retired, Body=b"x", Metadata=metadata
    )
    running.send(running.notification(key, metadata))
    again = running.thumbnails(key, version)
    assert {name: one.etag for name, one in again.items()} == {
        name: one.etag for name, one in made.items()
    }
    running.drained()
    assert running.stored(retired) is None


def _outcomes(running: Pipeline, key: str) -> list[str]:
    return [line["outcome"] for line in running.log_lines() if line.get("key") == key]


def test_versions_at_once_end_as_the_newest(running: Pipeline) -> None:
    """P6, pitfall 14: five versions at once leave the variants of the last one, complete."""
    key = "uploads/five at once.jpg"
    versions = [
        running.upload(key, pictures.encoded(Image.new("RGB", (900, 600), (level, 0, 0)), "JPEG"))
        for level in (10, 60, 110, 160, 210)
    ]
    running.drained()
    for stored in running.thumbnails(key, versions[-1]).values():
        assert abs(_red_corner(stored.body) - 210) < 20
    record = running.record(key)
    assert record
    assert abs(int(record["color"][1:3], 16) - 210) < 20


def test_a_deleted_upload_is_a_rejection(impatient: Pipeline) -> None:
    """R2: what was deleted before its turn ends as that, not as a fault."""
    key = "uploads/gone.jpg"
    version = "0123456789abcdef"
    metadata = {"source-version": version, "source-etag": "0", "source-sequencer": "00A1"}
    impatient.send(impatient.notification(key, metadata))
    record = impatient.rejection(key)
    assert (record["state"], record["rejection"]["reason"]) == ("rejected", "deleted")


def test_one_bad_message_fails_alone(impatient: Pipeline) -> None:
    """T4, R1, pitfall 10: the others of its batch succeed; it ends in the dead-letter queue."""
    impatient.send(json.dumps({"unknown": "to the worker"}))
    version = impatient.upload("uploads/a good neighbour.jpg", pictures.jpeg())
    impatient.thumbnails("uploads/a good neighbour.jpg", version)
    _dead_letter(impatient, "to the worker")


def test_one_bad_record_does_not_hide_the_others(impatient: Pipeline) -> None:
    """T4: both records of one message are worked on, though it has to come back for one."""
    key = "uploads/second record.jpg"
    version = impatient.upload(key, pictures.jpeg())
    metadata = impatient.thumbnails(key, version)["w128"].metadata
    for name in impatient.variant_names:
        impatient.s3.delete_object(
            Bucket=impatient.thumbnail_bucket, Key=keys.output_key(key, name)
        )
    good = json.loads(impatient.notification(key, metadata))["Records"]
    impatient.send(json.dumps({"Records": [{"eventName": "?"}, *good]}))
    impatient.thumbnails(key, version)


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:GetObjectVersion"])
def test_a_missing_permission_ends_as_a_dead_letter(impatient: Pipeline, action: str) -> None:
    """S5, R1, R2: a lasting fault loses nothing: the message is kept, and a redrive succeeds."""
    key = f"uploads/without-{action[3:]}.jpg"
    impatient.drained()
    with impatient.without(action):
        version = impatient.upload(key, pictures.jpeg())
        message = _dead_letter(impatient, key)
        assert impatient.stored(keys.output_key(key, "w128")) is None
        assert impatient.stored(keys.rejection_key(key)) is None
    impatient.send(message)
    impatient.thumbnails(key, version)


def _dead_letter(pipeline: Pipeline, text: str) -> str:
    """Wait for the dead-letter message that contains `text`; return its body."""
    url = pipeline.stack.outputs["DeadLetterQueueUrl"]

    def look() -> str | None:
        found = pipeline.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1
        )
        bodies = [str(message["Body"]) for message in found.get("Messages", ())]
        return next((body for body in bodies if text in body), None)

    return pipeline.until(look, f"dead-letter message about {text}")


def test_a_retry_is_put_off_through_the_queue(running: Pipeline) -> None:
    """R2: the worker may and does set when a failed message comes back."""
    running.send("not even JSON")
    try:
        running.until(
            lambda: (
                [line for line in running.log_lines() if line.get("outcome") == "retried"] or None
            ),
            "retry in the log",
        )
        assert not [
            line for line in running.log_lines() if "could not be set" in line.get("message", "")
        ]
    finally:
        running.sqs.purge_queue(QueueUrl=running.stack.outputs["WorkQueueUrl"])
