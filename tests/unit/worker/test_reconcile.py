"""worker/reconcile.py: each outcome on its own; test_ordering.py combines them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.worker.memory_s3 import MemoryS3, Stored
from tests.unit.worker.test_ordering import BUCKET, SETTINGS, process, settings_with
from worker import reconcile, records, storage
from worker.events import SourceObject
from worker.results import Output, Result
from worker.settings import Settings

KEY = "uploads/a.jpg"
REJECTION = "rejected/uploads/a.jpg.json"
RECORD = "thumbnails/uploads/a.jpg/index.json"
OUTPUTS = ["thumbnails/uploads/a.jpg/w0", "thumbnails/uploads/a.jpg/w1.1"]
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
    def one(source: SourceObject, settings: Settings = SETTINGS, *, first: bool = False) -> Result:
        return reconcile.reconcile(s3, settings, source, process, requests, first=first)

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


def operations(s3: MemoryS3) -> list[str]:
    return [operation for operation, _ in s3.calls]


def test_a_new_object_costs_no_look_at_results(s3: MemoryS3, run: Reconcile) -> None:
    """P6, P7: its writes are conditional, and the record is the last of them."""
    result = run(upload(s3, 1, 2), first=True)
    assert result.outcome == "succeeded"
    assert result.output_count == 2
    assert operations(s3) == ["GetObject", "PutObject", "PutObject", "PutObject"]
    assert s3.calls[-1][1]["Key"] == RECORD
    record = records.parse(s3.objects[RECORD].body)
    assert record.objects == {key: stored.etag for key, stored in s3.results.items()}


def test_the_record_repeats_metadata_of_the_upload_that_are_asked_for(
    s3: MemoryS3, run: Reconcile
) -> None:
    """P6: those alone, and with the bytes: no request more."""
    source = upload(s3, 1, 1)
    s3.metadata[BUCKET, KEY, "v1"] = {"author": "=?UTF-8?B?SsO8cmdlbg==?=", "camera": "x"}
    copying = settings_with(copy_metadata=("author", "license"))
    run(source, copying, first=True)
    assert records.parse(s3.objects[RECORD].body).content["metadata"] == {"author": "Jürgen"}
    assert operations(s3) == ["GetObject", "PutObject", "PutObject"]


def test_a_delivery_again_makes_nothing_again(s3: MemoryS3, run: Reconcile) -> None:
    """P6, P7: the record says what was done, and the list that nothing of it is gone."""
    run(upload(s3, 1, 2), first=True)
    s3.calls.clear()
    result = run(version(1))
    assert (result.outcome, result.output_count) == ("succeeded", 2)
    assert operations(s3) == ["GetObject", "ListObjectsV2", "HeadObject"]
    del s3.objects[OUTPUTS[0]]
    assert run(version(1)).outcome == "succeeded"
    assert sorted(s3.results) == OUTPUTS


def test_a_new_version_replaces_what_the_record_names(s3: MemoryS3, run: Reconcile) -> None:
    """P6, P7: with the record's entity tags, without a HEAD."""
    run(upload(s3, 1, 2), first=True)
    s3.calls.clear()
    run(upload(s3, 2, 2), first=True)
    assert sorted(operations(s3)) == ["GetObject"] * 2 + ["PutObject"] * 5
    assert {stored.metadata["source-version"] for stored in s3.objects.values()} == {"v2"}


def test_what_another_delivery_replaced_and_left_is_written_again(
    s3: MemoryS3, run: Reconcile
) -> None:
    """P6: a record may be written although a worker that died has replaced an output of it."""
    source = upload(s3, 1, 2)
    newer = settings_with(deployment=2)
    run(source, newer, first=True)
    committed = s3.objects.pop(RECORD)
    s3.put_object(
        Bucket="thumbnails",
        Key=OUTPUTS[0],
        Body=b"2 of 1",
        Metadata=storage.identity(source) | {"settings": "those of the worker that died"},
    )

    def commit(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "GetObject" and arguments["Key"] == KEY:
            s3.objects[RECORD] = committed

    s3.before = commit
    assert run(source, newer).outcome == "succeeded"
    assert {stored.body for stored in s3.results.values()} == {b"2 of 2"}
    tags = {key: stored.etag for key, stored in s3.results.items()}
    assert records.parse(s3.objects[RECORD].body).objects == tags


def test_an_output_that_another_delivery_is_about_to_delete_is_replaced(
    s3: MemoryS3, run: Reconcile
) -> None:
    """P6: of the same version, but not named by the record as it was read."""
    source, newer = upload(s3, 1, 2), settings_with(deployment=2)
    run(source, newer, first=True)
    left = s3.objects["thumbnails/uploads/a.jpg/w1.2"]
    s3.objects.clear()
    run(source, first=True)
    s3.objects["thumbnails/uploads/a.jpg/w1.2"] = left

    def delete(operation: str, arguments: dict[str, Any]) -> None:
        if operation == "PutObject" and arguments["Key"] == RECORD:
            s3.before = lambda _operation, _arguments: None
            storage.delete(s3, "thumbnails", "thumbnails/uploads/a.jpg/w1.2", left.etag)

    s3.before = delete
    assert run(source, newer).outcome == "succeeded"
    tags = {key: stored.etag for key, stored in s3.results.items()}
    assert records.parse(s3.objects[RECORD].body).objects == tags


def test_a_rejection_replaces_older_outputs(s3: MemoryS3, run: Reconcile) -> None:
    """P5, P6: thumbnails of an older version are a wrong result."""
    run(upload(s3, 1, 2))
    assert run(upload(s3, 2, 0)).outcome == "rejected"
    assert list(s3.results) == [REJECTION]
    assert run(version(1)).outcome == "superseded"
    assert list(s3.results) == [REJECTION]


def test_outputs_replace_an_older_rejection(s3: MemoryS3, run: Reconcile) -> None:
    """P5, P6: and the reverse."""
    run(upload(s3, 1, 0))
    assert run(upload(s3, 2, 2)).outcome == "succeeded"
    assert sorted(s3.results) == OUTPUTS
    assert run(version(1)).outcome == "superseded"
    assert sorted(s3.results) == OUTPUTS


def test_what_was_replaced_goes_though_the_answer_was_lost(
    s3: MemoryS3, run: Reconcile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: botocore repeats a write whose answer it did not get, and that one is refused."""
    put = s3.put_object

    def lost(**arguments: Any) -> dict[str, Any]:
        answer = put(**arguments)
        return put(**arguments) if arguments["Key"] == RECORD else answer

    run(upload(s3, 1, 2), first=True)
    monkeypatch.setattr(s3, "put_object", lost)
    run(upload(s3, 2, 0), first=True)
    assert list(s3.results) == [REJECTION]


def test_what_a_newer_version_replaces_is_not_written_again(s3: MemoryS3, run: Reconcile) -> None:
    """P6: a duplicate meets the first output of a newer version, which is still being processed."""
    old, new = upload(s3, 1, 2), upload(s3, 2, 3)
    run(old)
    at_first, before = {**s3.objects}, s3.writes
    run(new)
    s3.objects = at_first | {OUTPUTS[0]: s3.objects[OUTPUTS[0]]}
    writes = s3.writes
    assert writes > before
    assert run(old).outcome == "superseded"
    assert s3.writes == writes


def test_outputs_that_a_newer_version_does_not_have_are_deleted(
    s3: MemoryS3, run: Reconcile
) -> None:
    """P6: complete, and nothing else."""
    run(upload(s3, 1, 2))
    run(upload(s3, 2, 1))
    assert list(s3.results) == OUTPUTS[:1]


def test_a_duplicate_after_the_sources_deletion_deletes_nothing(
    s3: MemoryS3, run: Reconcile
) -> None:
    """P6: deleting originals after processing keeps the thumbnails."""
    run(upload(s3, 1, 2))
    del s3.versions[BUCKET, KEY, "v1"]
    before = dict(s3.objects)
    assert run(version(1), first=True).outcome == "superseded"
    assert run(version(1)).outcome == "succeeded"
    assert s3.objects == before


def test_an_incomplete_set_that_cannot_be_completed_is_deleted(
    s3: MemoryS3, run: Reconcile
) -> None:
    """P6: all outputs or a record: here a worker died, and then the source was deleted."""
    run(upload(s3, 1, 2))
    del s3.objects[OUTPUTS[0]]
    del s3.versions[BUCKET, KEY, "v1"]
    assert run(version(1)).reason == "deleted"
    assert list(s3.results) == [REJECTION]


def test_what_is_overwritten_without_versioning_leaves_nothing(
    s3: MemoryS3, run: Reconcile
) -> None:
    """P6: not even the outputs of a worker that died."""
    run(upload(s3, 2, 0))
    source = replace(version(1), version_id=None)
    left = Output("w0", b"1", "text/plain")
    s3.objects[OUTPUTS[0]] = Stored(left.body, "e", {"Metadata": storage.identity(source)})
    assert run(source).outcome == "superseded"
    assert list(s3.results) == [REJECTION]


def test_a_version_without_a_sequencer_joins_its_own_results(s3: MemoryS3, run: Reconcile) -> None:
    """P6: objects that are sent again, for new variants, keep their place in the order."""
    run(upload(s3, 3, 2))
    again = replace(version(3), sequencer=None)
    assert run(again, settings_with(deployment=2)).outcome == "succeeded"
    assert sorted(s3.results) == [OUTPUTS[0], "thumbnails/uploads/a.jpg/w1.2"]
    for stored in s3.results.values():
        assert stored.metadata["source-sequencer"] == "03"
        assert stored.body == b"2 of 2"


def test_an_external_file_stays(s3: MemoryS3, run: Reconcile) -> None:
    """P6: an object whose metadata name no source was not written by the worker."""
    s3.put_object(Bucket="thumbnails", Key="thumbnails/uploads/a.jpg/note", Body=b"", Metadata={})
    run(upload(s3, 1, 2))
    run(upload(s3, 2, 0))
    assert sorted(s3.results) == [REJECTION, "thumbnails/uploads/a.jpg/note"]


def test_deletes_are_not_propagated_by_default(s3: MemoryS3, run: Reconcile) -> None:
    """P6: and then no request is sent."""
    run(upload(s3, 1, 2))
    s3.calls.clear()
    assert run(upload(s3, 2, None)).outcome == "skipped"
    assert s3.calls == []


def test_a_deletion_deletes_the_outputs(s3: MemoryS3, run: Reconcile) -> None:
    """P6: by the rules of any other version, whichever event comes first."""
    uploaded, deleted = upload(s3, 1, 2), upload(s3, 2, None)
    run(uploaded, PROPAGATING)
    assert run(deleted, PROPAGATING).outcome == "deleted"
    assert run(uploaded, PROPAGATING).outcome == "superseded"
    (stored,) = s3.results.values()
    record = json.loads(stored.body)
    assert (record["state"], record["rejection"]["reason"]) == ("deleted", "deleted")
    assert (record["source"]["sequencer"], record["source"]["version_id"]) == ("02", "v2")
    writes = s3.writes
    assert run(deleted, PROPAGATING).outcome == "deleted"
    assert s3.writes == writes, "what a duplicate finds done stays as it is"
    assert run(upload(s3, 3, 1), PROPAGATING).outcome == "succeeded"
    assert list(s3.results) == OUTPUTS[:1]


@pytest.mark.parametrize("erased", [None, 1])
def test_a_version_that_a_deletion_restores_is_processed(
    s3: MemoryS3, run: Reconcile, erased: int | None
) -> None:
    """P6: deleting a delete marker, or the newest version, makes an older one the current one."""
    uploaded = [upload(s3, 1, 2), upload(s3, 2, erased)]
    for source in uploaded:
        run(source, PROPAGATING)
    del s3.versions[BUCKET, KEY, "v2"]
    assert run(version(3, deleted=True), PROPAGATING).outcome == "succeeded"
    assert sorted(s3.results) == OUTPUTS
    assert {stored.metadata["source-version"] for stored in s3.results.values()} == {"v1"}
    for source in uploaded:
        assert run(source, PROPAGATING).outcome == "superseded"
    assert sorted(s3.results) == OUTPUTS


def test_a_restored_version_is_written_again_although_its_outputs_are_whole(
    s3: MemoryS3, run: Reconcile
) -> None:
    """P6, pitfall 58: else a late delivery of the deleted version would replace them by its record.

    Nothing in the deletion's event says whether the deleted version was older than the current one,
    where this could be left out, or newer.
    """
    run(upload(s3, 1, 2), PROPAGATING)
    late = upload(s3, 2, 1)
    del s3.versions[BUCKET, KEY, "v2"]
    assert run(version(3, deleted=True), PROPAGATING).outcome == "succeeded"
    assert run(late, PROPAGATING).outcome == "superseded"
    assert sorted(s3.results) == OUTPUTS


def test_a_deletion_without_a_sequencer(s3: MemoryS3, run: Reconcile) -> None:
    """P6: it counts if the object is gone, as the newest event; else it changes nothing."""
    deleted = version(9, deleted=True, sequencer=None)
    assert run(deleted, PROPAGATING).outcome == "skipped"
    run(upload(s3, 1, 2), PROPAGATING)
    before = dict(s3.objects)
    assert run(deleted, PROPAGATING).outcome == "skipped"
    assert s3.objects == before
    upload(s3, 2, None)
    for outcome in ("deleted", "skipped"):
        assert run(deleted, PROPAGATING).outcome == outcome
        assert list(s3.results) == [REJECTION]
    assert run(upload(s3, 2, 2), PROPAGATING).outcome == "succeeded"
    assert sorted(s3.results) == OUTPUTS


def test_another_bucket_is_not_touched(s3: MemoryS3, run: Reconcile) -> None:
    """R5: not even where deletes are propagated."""
    source = replace(version(1, deleted=True), bucket=SETTINGS.thumbnail_bucket)
    with pytest.raises(reconcile.UnknownBucketError):
        run(source, PROPAGATING)
    assert s3.calls == []
