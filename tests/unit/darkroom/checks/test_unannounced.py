"""What lies in a bucket and was announced to nobody: named where a check lists it."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from darkroom.aws.queues import DeployedQueue, DeployedSource
from darkroom.checks.deployed import unannounced
from darkroom.checks.framework import Finding
from tests.unit.darkroom.checks.test_deployed import Stubbed, stubbed
from worker import records
from worker.events import SourceObject
from worker.results import Rejection
from worker.settings import Source, Variants

__all__ = ["stubbed"]

QUEUE = DeployedQueue("default", "https://work", "https://dead", "worker")
VARIANTS = (Variants((128,), {"jpeg": 85}, 1),)


def source(*suffixes: str, filtered: tuple[str, ...] = ()) -> DeployedSource:
    settings = Source("default", VARIANTS, "no-cache", suffixes=filtered)
    return DeployedSource("uploads", settings, QUEUE, ("in/",), suffixes)


def findings(
    stubbed: Stubbed,
    monkeypatch: pytest.MonkeyPatch,
    found: DeployedSource,
    keys: list[str],
    *records_of: str | None,
    truncated: bool = False,
) -> list[Finding]:
    """Findings for these keys, and for the version, or none, that each record is of."""
    target = stubbed.target
    outputs = {"ThumbnailBucketName": "thumbnails"}
    target = replace(target, stack=replace(target.stack, outputs=outputs))
    monkeypatch.setattr(unannounced, "find_sources", lambda _: {found.bucket: found})
    # One request at a time: a stub answers in its order.
    monkeypatch.setattr(unannounced, "map_concurrently", map)
    versions = [
        {
            "Key": key,
            "VersionId": "2",
            "IsLatest": True,
            "ETag": '"e"',
            "Size": 1,
            "LastModified": datetime(2026, 11, 1, tzinfo=UTC),
        }
        for key in keys
    ]
    with Stubber(target.stack.client("s3")) as stub:
        if keys:
            stub.add_response(
                "list_object_versions",
                {"Versions": versions, "IsTruncated": truncated},
                {"Bucket": "uploads", "Prefix": "in/"},
            )
        for version in records_of:
            if version is None:
                stub.add_client_error("get_object", "NoSuchKey", http_status_code=404)
                continue
            about = SourceObject("uploads", "in/x", version, "e", sequencer="0A")
            body = records.rejected("rejected", about, "d", Rejection("empty", "So.")).body()
            stub.add_response(
                "get_object",
                {"ETag": '"e"', "Body": StreamingBody(io.BytesIO(body), len(body))},
            )
        result = list(unannounced.check_unannounced(target))
        stub.assert_no_pending_responses()
    return result


def test_what_no_filter_names_and_has_no_record_is_named(
    stubbed: Callable[..., Stubbed],  # the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R2, pitfall 11: how many, examples and the command; another version's record is none."""
    keys = ["in/", "in/a.jpg", "in/B.JPG", "in/cat.Jpg", "in/notes.txt", "in/x", "in/y/"]
    (found,) = findings(stubbed(), monkeypatch, source(".jpg"), keys, None, "1", "2")
    assert found.verdict == "warn"
    assert "of 7 objects under 'in/' 2 have a suffix" in found.message
    assert found.message.endswith("no record: in/cat.Jpg, in/notes.txt")
    assert "darkroom backfill --stack-name checked --source default --unannounced" in (
        found.remediation
    )


def test_a_large_bucket_is_listed_in_part(
    stubbed: Callable[..., Stubbed],  # the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D4: one request for each prefix; the finding says that there is more."""
    (found,) = findings(stubbed(), monkeypatch, source(".jpg"), ["in/a.jpg"], truncated=True)
    assert (found.verdict, "the first 1 object under 'in/'" in found.message) == ("pass", True)


def test_what_the_worker_would_skip_is_not_sent_to_it(
    stubbed: Callable[..., Stubbed],  # the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R2, T5: of an existing bucket; in any case, and the specification has to name the others."""
    keys = ["in/cat.Jpg", "in/notes.txt"]
    existing = source(".jpg", filtered=(".jpg",))
    (found,) = findings(stubbed(), monkeypatch, existing, keys, None)
    assert "no record: in/notes.txt" in found.message
    assert "--unannounced" not in found.remediation


def test_any_suffix_leaves_nothing_out(
    stubbed: Callable[..., Stubbed],  # the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R2: nothing is listed."""
    (found,) = findings(stubbed(), monkeypatch, source("*"), [])
    assert (found.verdict, "every key under 'in/'" in found.message) == ("pass", True)
