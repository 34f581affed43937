"""Uploads from every kind of source, through one stack with two queues.

The emulator delivers S3's events through EventBridge and SNS, and looks at the topic's policy.
It does not look at the queue's policy for EventBridge, knows no dead letters of rules, and its
events carry no version: what AWS sends is put onto the queue as a message of the same shape.
"""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from PIL import Image

from darkroom.emulator import deployment, prerequisites
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline, Stored
from worker import keys

PLAN = {
    "sources": {
        "default": {"suffixes": [".jpg"], "hash_prefix": True},
        "old": {
            "type": "eventbridge",
            "prefixes": ["in/", "more/"],
            "queue": "bulk",
            "variants": "small",
            "propagate_deletes": True,
        },
        "partner": {
            "type": "sns",
            "queue": "bulk",
            "variants": "small",
            "output_prefix": "theirs/",
        },
        "wire": {"type": "sns", "raw_message_delivery": True},
    },
    "queues": {"default": {}, "bulk": {"max_receive_count": 2}},
    "variants": {
        "default": {"widths": [64], "formats": {"jpeg": 80}},
        "small": {"widths": [32, 16], "formats": {"webp": 80}},
    },
}
BUCKETS = {"old": "somebodys-old", "partner": "somebodys-partner", "wire": "somebodys-wire"}


@pytest.fixture(scope="module")
def mixed(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A stack beside buckets and topics that were there before it."""
    given = {"NamePrefix": "mixed", "CreateSqsEndpoint": "false"}
    for name, bucket in BUCKETS.items():
        given[f"{name.capitalize()}BucketName"] = prerequisites.create_bucket(emulator, bucket)
    for name in ("partner", "wire"):
        arn = prerequisites.create_topic(emulator, name, bucket=BUCKETS[name])
        given[f"{name.capitalize()}TopicArn"] = arn
    prerequisites.create_topic(emulator, "others", bucket=BUCKETS["old"])  # there before
    stack = deployment.deploy(
        emulator,
        template(specification.parse(PLAN, origin="test")),
        stack_name="mixed",
        parameters={**package_parameters, **given},
    )
    pipeline = Pipeline(emulator, stack)
    pipeline.sqs.set_queue_attributes(
        QueueUrl=stack.outputs["BulkWorkQueueUrl"], Attributes={"VisibilityTimeout": "2"}
    )
    # The command of the output, as an operator runs it.
    aws = f'aws() {{ "{sys.executable}" -m awscli "$@"; }}'
    script = f"{aws}\n{stack.outputs['OldEnableEventBridgeCommand']}"
    subprocess.run(["/bin/sh", "-ec", script], env=emulator.environment, check=True)
    return pipeline


def outputs(pipeline: Pipeline, folder: str, key: str, *names: str) -> dict[str, Stored]:
    """Wait for the outputs of one upload; name → object."""
    (source,) = (one for one in pipeline.stack.sources.values() if one.output_prefix == folder)

    def complete() -> dict[str, Stored] | None:
        found = {name: pipeline.stored(source.output_key(key, name)) for name in names}
        there = {name: stored for name, stored in found.items() if stored}
        return there if len(there) == len(names) else None

    return pipeline.until(complete, f"outputs of {key} below {folder!r}")


def put(pipeline: Pipeline, source: str, key: str) -> str:
    version: str = pipeline.s3.put_object(Bucket=BUCKETS[source], Key=key, Body=pictures.jpeg())[
        "VersionId"
    ]
    return version


def width_and_format(stored: Stored) -> tuple[int, str | None]:
    with Image.open(io.BytesIO(stored.body)) as picture:
        return picture.width, picture.format


@pytest.mark.parametrize(
    ("source", "key", "folder", "made"),
    [
        (
            "old",
            "in/a b+c.jpg",
            "old/",
            {"small-w32.webp": (32, "WEBP"), "small-w16.webp": (16, "WEBP")},
        ),
        (
            "old",
            "more/ä.JPEG",
            "old/",
            {"small-w32.webp": (32, "WEBP"), "small-w16.webp": (16, "WEBP")},
        ),
        ("partner", "uploads/a b+c.jpg", "theirs/", {"small-w32.webp": (32, "WEBP")}),
        ("wire", "uploads/a b+c.jpg", "wire/", {"w64": (64, "JPEG")}),
    ],
)
def test_each_source_gives_its_variants_in_its_folder(
    mixed: Pipeline, source: str, key: str, folder: str, made: dict[str, tuple[int, str]]
) -> None:
    """T5, P2, pitfall 13: by rule, topic and raw topic, each with its encoding of keys."""
    put(mixed, source, key)
    found = outputs(mixed, folder, key, *made)
    assert {name: width_and_format(stored) for name, stored in found.items()} == made
    assert {stored.metadata["source-bucket"] for stored in found.values()} == {BUCKETS[source]}


def test_the_stacks_own_bucket_is_beside_them(mixed: Pipeline) -> None:
    """T1, T5: with the plain folder and the other variants."""
    mixed.upload("uploads/own.jpg", pictures.jpeg())
    found = outputs(mixed, "", "uploads/own.jpg", "w64")
    assert width_and_format(found["w64"]) == (64, "JPEG")


def test_a_hash_is_before_the_key_of_outputs(
    mixed: Pipeline, terminal: Callable[[str], Operator]
) -> None:
    """Pitfall 84, P6, D6: a rejection has none, and the commands find the records of both."""
    done, junk = "uploads/hashed/picture.jpg", "uploads/hashed/junk.jpg"
    version = mixed.upload(done, pictures.jpeg())
    mixed.upload(junk, b"no picture")
    mixed.thumbnails(done, version)
    assert mixed.rejection(junk)["rejection"]["key"] == f"rejected/{junk}.json"
    listed = mixed.s3.list_objects_v2(Bucket=mixed.thumbnail_bucket)["Contents"]
    assert sorted(one["Key"] for one in listed if "/hashed/" in one["Key"]) == sorted(
        [
            f"rejected/{junk}.json",
            *(f"thumbnails/{_hash(done)}/{done}/{name}" for name in ("index.json", "w64")),
            f"thumbnails/{_hash(junk)}/{junk}/index.json",
        ]
    )
    operator = terminal("mixed")
    only = ("--source", "default", "--prefix", "uploads/hashed/", "--skip-processed")
    found = operator.reads("backfill", "--dry-run", *only)
    assert (found["objects"], found["skipped"]) == (0, {"processed already": 2})
    listing = ("--format", "jsonl", "--prefix", "uploads/hashed/")
    assert json.loads(operator.does("rejections list", *listing))["key"] == junk


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:2]


@contextmanager
def quiet(pipeline: Pipeline, bucket: str) -> Iterator[None]:
    """Have a bucket announce nothing for a while."""
    before = pipeline.s3.get_bucket_notification_configuration(Bucket=bucket)
    del before["ResponseMetadata"]
    change = pipeline.s3.put_bucket_notification_configuration
    change(Bucket=bucket, NotificationConfiguration={})
    yield
    change(Bucket=bucket, NotificationConfiguration=before)


def test_turning_events_on_keeps_what_a_bucket_announces_already(mixed: Pipeline) -> None:
    """T5: S3 replaces the whole of a bucket's notifications; the command of the output does not."""
    found = mixed.s3.get_bucket_notification_configuration(Bucket=BUCKETS["old"])
    assert found["EventBridgeConfiguration"] == {}
    (kept,) = found["TopicConfigurations"]
    assert kept["TopicArn"].endswith(":others")


def test_an_event_as_aws_sends_it_reads_its_version(mixed: Pipeline) -> None:
    """T5: EventBridge's shape with version and sequencer, of a version that is not the last."""
    key = "more/versions.jpg"
    with quiet(mixed, BUCKETS["old"]):
        version, last = put(mixed, "old", key), put(mixed, "old", key)
    assert version != last
    _send(mixed, _event(key, version))
    found = outputs(mixed, "old/", key, "small-w32.webp", "small-w16.webp")
    assert {stored.metadata["source-version"] for stored in found.values()} == {version}


def test_what_the_rule_or_the_worker_leaves_out_stays_out(mixed: Pipeline) -> None:
    """T2: another prefix never comes; another suffix comes, and is left alone."""
    put(mixed, "old", "elsewhere/a.jpg")
    put(mixed, "old", "in/a.txt")
    put(mixed, "partner", "elsewhere/a.jpg")
    put(mixed, "old", "in/known.jpg")
    outputs(mixed, "old/", "in/known.jpg", "small-w32.webp", "small-w16.webp")
    mixed.until(
        lambda: True if len(_lines(mixed, "skipped")) >= 2 else None, "both skipped objects"
    )
    skipped = _lines(mixed, "skipped")
    assert {(line["source"], line["key"]) for line in skipped} == {
        ("old", "in/a.txt"),
        ("partner", "elsewhere/a.jpg"),
    }
    listed = mixed.s3.list_objects_v2(Bucket=mixed.thumbnail_bucket)["Contents"]
    assert not [item["Key"] for item in listed if "a.txt" in item["Key"] or "else" in item["Key"]]


def test_deletions_are_followed_where_asked(mixed: Pipeline) -> None:
    """P6, T5: EventBridge tells of them; a topic's source keeps its thumbnails."""
    key = "in/goes.jpg"
    put(mixed, "old", key)
    outputs(mixed, "old/", key, "small-w32.webp", "small-w16.webp")
    mixed.s3.delete_object(Bucket=BUCKETS["old"], Key=key)
    mixed.until(
        lambda: (
            True if mixed.stored(keys.output_key(key, "small-w32.webp", "old/")) is None else None
        ),
        "end of the thumbnails",
    )
    assert mixed.stored(keys.rejection_key(key, "old/")) is not None


def test_a_queue_skips_the_buckets_of_another(mixed: Pipeline) -> None:
    """R5, T5, Pitfall 56: an object of another queue's bucket is not read, and is logged.

    A topic may carry the events of several buckets, so such a message is no failure.
    """
    key = "uploads/astray.jpg"
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": mixed.uploads}, "object": {"key": key, "sequencer": "01"}},
    }
    _send(mixed, {"Records": [record]})
    mixed.until(
        lambda: [line for line in _lines(mixed, "skipped") if line.get("key") == key] or None,
        "a skipped object",
    )
    assert mixed.stored(keys.output_key(key, "small-w32.webp")) is None
    assert mixed.waiting("BulkDeadLetterQueueUrl") == 0


def test_metrics_name_the_sources(mixed: Pipeline) -> None:
    """O3, T5: a line for each source of a function that has several."""
    put(mixed, "partner", "uploads/counted.jpg")
    outputs(mixed, "theirs/", "uploads/counted.jpg", "small-w32.webp")
    mixed.until(
        lambda: [line for line in mixed.log_lines() if line.get("Source") == "partner"] or None,
        "metrics of the source",
    )


def _lines(pipeline: Pipeline, outcome: str) -> list[dict[str, Any]]:
    return [line for line in pipeline.log_lines() if line.get("outcome") == outcome]


def _send(pipeline: Pipeline, message: dict[str, Any]) -> None:
    queue = pipeline.stack.outputs["BulkWorkQueueUrl"]
    pipeline.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(message))


def _event(key: str, version: str) -> dict[str, Any]:
    """Return S3's event as EventBridge delivers it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-11-21T00:00:00Z",
        "region": "eu-west-1",
        "resources": [f"arn:aws:s3:::{BUCKETS['old']}"],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKETS["old"]},
            "object": {
                "key": key,
                "size": 1,
                "etag": 32 * "0",
                "version-id": version,
                "sequencer": "00FF",
            },
            "reason": "PutObject",
        },
    }
