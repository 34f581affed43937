"""darkroom/aws/records.py: what a record says of an object that is there."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from darkroom.aws.objects import ExistingObject
from darkroom.aws.records import is_processed, is_stale, read_record
from tests.unit.worker.memory_s3 import MemoryS3
from worker import records
from worker.events import SourceObject
from worker.records import Record
from worker.results import Rejection
from worker.settings import Source, Variants

SOURCE = Source(
    "scans",
    (Variants(widths=(400, 1200), formats={"jpeg": 85, "webp": 80}, max_pixels=1),),
    cache_control="no-cache",
    output_prefix="scans/",
)
VERSION = SourceObject("uploads", "uploads/a.jpg", "v1", "e1", sequencer="0A")


def record(source: SourceObject = VERSION, settings: Source = SOURCE) -> Record:
    rejection = Rejection("empty", "It is empty.")
    return records.rejected("rejected", source, records.made_with(settings), rejection)


def existing(**changes: Any) -> ExistingObject:
    source = replace(VERSION, sequencer=None, **changes)
    return ExistingObject(source, datetime(2026, 11, 1, tzinfo=UTC), source.key)


def test_an_object_with_a_record_of_its_version_is_processed() -> None:
    """D6: by its outputs or its rejection."""
    assert is_processed(record(), existing(), SOURCE)


@pytest.mark.parametrize(
    ("found", "changes"),
    [
        (None, {}),
        (record(), {"version_id": "v2"}),
        (record(replace(VERSION, version_id=None)), {"version_id": None, "etag": "e2"}),
    ],
)
def test_anything_else_is_sent(found: Record | None, changes: dict[str, Any]) -> None:
    """D6: never a wrong yes."""
    assert not is_processed(found, existing(**changes), SOURCE)


def test_outputs_of_former_variants_are_not_those_of_todays() -> None:
    """D6: after a width was added, backfill makes it."""
    wider = replace(SOURCE.variants[0], widths=(400, 1200, 2000))
    assert not is_processed(record(), existing(), replace(SOURCE, variants=(wider,)))


def test_another_workers_version_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: the operator's checkout may be newer than what is deployed."""
    old = record()
    monkeypatch.setattr(records, "__version__", "9.9.9")
    assert is_processed(old, existing(), SOURCE)


def test_what_was_made_otherwise_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """P7: with other variants, or by another worker; what has no record is new, not stale."""
    assert not is_stale(record(), existing(), SOURCE)
    wider = replace(SOURCE.variants[0], widths=(400, 1200, 2000))
    assert is_stale(record(), existing(), replace(SOURCE, variants=(wider,)))
    assert not is_stale(None, existing(), SOURCE)
    assert not is_stale(record(), existing(version_id="v2"), replace(SOURCE, variants=(wider,)))
    old = record()
    monkeypatch.setattr(records, "__version__", "9.9.9")
    assert is_stale(old, existing(), SOURCE)


@pytest.mark.parametrize(
    ("hash_prefix", "key"),
    [
        (False, "thumbnails/scans/uploads/a.jpg/index.json"),
        (True, "thumbnails/scans/8f/uploads/a.jpg/index.json"),
    ],
)
def test_a_record_is_read_where_the_worker_writes_it(hash_prefix: bool, key: str) -> None:
    """P7: below the source's prefix; what is no record is none."""
    s3, source = cast(Any, MemoryS3()), replace(SOURCE, hash_prefix=hash_prefix)
    assert read_record(s3, "thumbnails", VERSION.key, source) is None
    s3.put_object(Bucket="thumbnails", Key=key, Body=b"{}")
    assert read_record(s3, "thumbnails", VERSION.key, source) is None
    s3.put_object(Bucket="thumbnails", Key=key, Body=record().body())
    assert read_record(s3, "thumbnails", VERSION.key, source) == record()
    # After a change of the setting there is none: --skip-processed makes all, --rebuild-stale none.
    moved = replace(source, hash_prefix=not hash_prefix)
    assert read_record(s3, "thumbnails", VERSION.key, moved) is None
