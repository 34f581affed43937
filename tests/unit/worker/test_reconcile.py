"""worker/reconcile.py: each end by itself; test_ordering.py has them all at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import BinaryIO

import pytest

from tests.unit.worker.memory_s3 import MemoryS3, Stored
from tests.unit.worker.test_ordering import BUCKET, SETTINGS, process, settings_with
from worker import reconcile, storage
from worker.events import SourceObject
from worker.results import Output, Result
from worker.settings import Settings, Source

KEY = "uploads/a.jpg"
RECORD = "rejected/uploads/a.jpg.json"
OUTPUTS = ["thumbnails/uploads/a.jpg/w0", "thumbnails/uploads/a.jpg/w1"]
PROPAGATING = settings_with(propagate_deletes=True)

Reconcile = Callable[..., Result]


@pytest.fixture
def s3() -> MemoryS3:
    return MemoryS3()


@pytest.fixture
def requests() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
def run(s3: MemoryS3, requests: Executor) -> Reconcile:
    def one(source: SourceObject, settings: Settings = SETTINGS) -> Result:
        return reconcile.reconcile(s3, settings, source, process, requests)

    return one


def version(number: int, *, deleted: bool = False, sequencer: str | None = "") -> SourceObject:
    return SourceObject(
        BUCKET,
        KEY,
        f"v{number}",
        etag=None if deleted else f"e{number}",
        sequencer=f"{number:02X}" if sequencer == "" else sequencer,
        deleted=deleted,
    )


def upload(s3: MemoryS3, number: int, outputs: int | None) -> SourceObject:
    body = None if outputs is None else str(outputs).encode()
    s3.upload(BUCKET, KEY, f"v{number}", body)
    return version(number, deleted=outputs is None)


def test_a_new_picture_costs_no_question_but_two(s3: MemoryS3, run: Reconcile) -> None:
    """P6: its writes are conditional; then a list and the look for a record, and that is all."""
    result = run(upload(s3, 1, 2))
    assert result.outcome == "succeeded"
    assert result.output_count == 2
    assert [operation for operation, _ in s3.calls] == [
        "GetObject",
        "PutObject",
        "PutObject",
        "ListObjectsV2",
        "HeadObject",
    ]


def test_a_rejection_replaces_older_outputs(s3: MemoryS3, run: Reconcile) -> None:
    """P5, P6: thumbnails of what is not there any more are a wrong result."""
    run(upload(s3, 1, 2))
    assert run(upload(s3, 2, 0)).outcome == "rejected"
    assert list(s3.objects) == [RECORD]
    assert run(version(1)).outcome == "superseded"
    assert list(s3.objects) == [RECORD]


def test_outputs_replace_an_older_rejection(s3: MemoryS3, run: Reconcile) -> None:
    """P5, P6: and the other way round."""
    run(upload(s3, 1, 0))
    assert run(upload(s3, 2, 2)).outcome == "succeeded"
    assert sorted(s3.objects) == OUTPUTS
    assert run(version(1)).outcome == "superseded"
    assert sorted(s3.objects) == OUTPUTS


def test_outputs_that_a_newer_version_does_not_have_go(s3: MemoryS3, run: Reconcile) -> None:
    """P6: complete, and nothing else."""
    run(upload(s3, 1, 2))
    run(upload(s3, 2, 1))
    assert list(s3.objects) == OUTPUTS[:1]


def test_a_duplicate_after_the_sources_end_takes_nothing_away(s3: MemoryS3, run: Reconcile) -> None:
    """P6: who deletes originals once they are worked on keeps the thumbnails."""
    run(upload(s3, 1, 2))
    del s3.versions[BUCKET, KEY, "v1"]
    before = dict(s3.objects)
    assert run(version(1)).outcome == "superseded"
    assert s3.objects == before


def test_half_a_set_that_cannot_become_whole_goes(s3: MemoryS3, run: Reconcile) -> None:
    """P6: all outputs or a record, never half: here a worker died and then the source was gone."""
    run(upload(s3, 1, 2))
    del s3.objects[OUTPUTS[0]]
    del s3.versions[BUCKET, KEY, "v1"]
    assert run(version(1)).reason == "deleted"
    assert list(s3.objects) == [RECORD]


def test_what_is_overwritten_without_versions_leaves_nothing(s3: MemoryS3, run: Reconcile) -> None:
    """P6: not even what a worker that died has left of it."""
    run(upload(s3, 2, 0))
    source = replace(version(1), version_id=None)
    left = Output("w0", b"1", "text/plain")
    s3.objects[OUTPUTS[0]] = Stored(left.body, "e", {"Metadata": storage.identity(source)})
    assert run(source).outcome == "superseded"
    assert list(s3.objects) == [RECORD]


def test_a_version_without_a_sequencer_joins_its_own_results(
    s3: MemoryS3, run: Reconcile, requests: Executor
) -> None:
    """P6: objects announced anew, for variants that are new, are as new as they were."""
    run(upload(s3, 3, 1))
    again = replace(version(3), sequencer=None)

    def more(_body: BinaryIO, _source: Source) -> Sequence[Output]:
        return [Output(name, b"x", "text/plain") for name in ("w0", "w1")]

    assert reconcile.reconcile(s3, SETTINGS, again, more, requests).outcome == "succeeded"
    assert sorted(s3.objects) == OUTPUTS
    assert s3.objects[OUTPUTS[1]].metadata["source-sequencer"] == "03"
    assert s3.objects[OUTPUTS[0]].body == b"1"  # written once


def test_somebody_elses_file_stays(s3: MemoryS3, run: Reconcile) -> None:
    """P6: what does not say which source it comes from was not made here."""
    s3.put_object(Bucket="thumbnails", Key="thumbnails/uploads/a.jpg/note", Body=b"", Metadata={})
    run(upload(s3, 1, 2))
    run(upload(s3, 2, 0))
    assert sorted(s3.objects) == [RECORD, "thumbnails/uploads/a.jpg/note"]


def test_removals_are_not_followed_unless_asked(s3: MemoryS3, run: Reconcile) -> None:
    """P6: off by default, and then without a request."""
    run(upload(s3, 1, 2))
    s3.calls.clear()
    assert run(upload(s3, 2, None)).outcome == "skipped"
    assert s3.calls == []


def test_a_removal_takes_the_outputs_along(s3: MemoryS3, run: Reconcile) -> None:
    """P6: under the rules of any other version, whatever comes first."""
    uploaded, removed = upload(s3, 1, 2), upload(s3, 2, None)
    run(uploaded, PROPAGATING)
    assert run(removed, PROPAGATING).outcome == "deleted"
    assert run(uploaded, PROPAGATING).outcome == "superseded"
    (stored,) = s3.objects.values()
    record = json.loads(stored.body)
    assert (record["reason"], record["sequencer"], record["version_id"]) == ("deleted", "02", "v2")
    assert record.keys() == {
        "bucket",
        "key",
        "version_id",
        "etag",
        "sequencer",
        "size",
        "time",
        "reason",
        "detail",
    }
    assert run(upload(s3, 3, 1), PROPAGATING).outcome == "succeeded"
    assert list(s3.objects) == OUTPUTS[:1]


@pytest.mark.parametrize("erased", [None, 1])
def test_what_a_removal_uncovers_comes_back(
    s3: MemoryS3, run: Reconcile, erased: int | None
) -> None:
    """P6: deleting a delete marker, or the newest version, makes an older one the current one."""
    uploaded = [upload(s3, 1, 2), upload(s3, 2, erased)]
    for source in uploaded:
        run(source, PROPAGATING)
    del s3.versions[BUCKET, KEY, "v2"]
    assert run(version(3, deleted=True), PROPAGATING).outcome == "succeeded"
    assert sorted(s3.objects) == OUTPUTS
    assert {stored.metadata["source-version"] for stored in s3.objects.values()} == {"v1"}
    for source in uploaded:
        assert run(source, PROPAGATING).outcome == "superseded"
    assert sorted(s3.objects) == OUTPUTS


def test_a_removal_without_a_place_in_the_order(s3: MemoryS3, run: Reconcile) -> None:
    """P6: it counts if the object is gone, after all outputs there are; else it changes nothing."""
    removed = version(9, deleted=True, sequencer=None)
    assert run(removed, PROPAGATING).outcome == "skipped"
    run(upload(s3, 1, 2), PROPAGATING)
    before = dict(s3.objects)
    assert run(removed, PROPAGATING).outcome == "skipped"
    assert s3.objects == before
    upload(s3, 2, None)
    for outcome in ("deleted", "skipped"):
        assert run(removed, PROPAGATING).outcome == outcome
        assert list(s3.objects) == [RECORD]
    assert run(upload(s3, 2, 2), PROPAGATING).outcome == "succeeded"
    assert sorted(s3.objects) == OUTPUTS


def test_another_bucket_is_not_touched(s3: MemoryS3, run: Reconcile) -> None:
    """R5: not even where removals are followed."""
    source = replace(version(1, deleted=True), bucket=SETTINGS.thumbnail_bucket)
    with pytest.raises(reconcile.UnknownBucketError):
        run(source, PROPAGATING)
    assert s3.calls == []
