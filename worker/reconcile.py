"""One object to its one right result: outputs, or a record of its rejection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, wait
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, Literal, TypeVar

from worker import storage
from worker.events import SourceObject
from worker.keys import output_key, output_key_prefix, rejection_key
from worker.results import Output, Rejection, Result
from worker.settings import Settings, Source
from worker.storage import OutputBucket, Stored
from worker.versions import compare, is_of, order

_OUTPUT_COUNT = "outputs"
"""The metadata that say how many outputs belong together."""

Process = Callable[[BinaryIO, Source], Sequence[Output]]
Rank = tuple[str, bool]
"""The place of a result's version, and whether it is the record: the greater, the newer."""

Item = TypeVar("Item")
Value = TypeVar("Value")


class UnknownBucketError(Exception):
    """A message names a bucket that this worker does not read."""


def reconcile(
    client: Any,
    settings: Settings,
    source: SourceObject,
    process: Process,
    requests: Executor,
) -> Result:
    """Bring the results of one object up to date.

    Messages come late, twice, in any order and at the same time, and a worker may die between any
    two requests. Still the newest event of a key alone decides what is there in the end, because
    every delivery does the same two things, and one that dies does them again:

    1. Write each output, or the record, over what is older or nothing, never over what is newer.
    2. Delete what is stale: look at the outputs and the record of this key, and delete whatever is
       older than the newest of them, as long as it is still what was looked at.

    Nothing deletes the newest result. An older one is seen by the newest's step 2 if it was written
    before that; if it was written after that, its own step 2 sees the newest.

    For one version, a record is newer than outputs, so that half a set is never kept because the
    other half has become impossible. Delete the record to retry a rejected version. A deletion is a
    version too: of what its bucket has now, which is a record if that is nothing.

    Args:
        client: An S3 client.
        settings: The worker's settings.
        source: The object, as its event names it.
        process: Turns the object's bytes into outputs, or raises Rejection.
        requests: Runs requests to S3 that need not wait for each other. It must not be the executor
            that runs this function.

    Raises:
        UnknownBucketError: The object is in none of the sources, and only S3 sends to this queue.
        Exception: Whatever a later try may cure.
    """
    source_settings = settings.sources.get(source.bucket)
    if source_settings is None:
        if any(one.prefixes or one.suffixes for one in settings.sources.values()):
            # A topic may have several buckets; only its sources are filtered here (pitfall 56).
            return Result("skipped", "skipped: the bucket is not a source of this queue")
        raise UnknownBucketError(f"{source.bucket} is none of {', '.join(settings.sources)}")
    if not source_settings.matches(source.key):
        return Result("skipped", "skipped: the key matches no prefix or no suffix of its source")
    if source.deleted and not source_settings.propagate_deletes:
        return Result("skipped", "skipped: this source does not propagate deletes")
    destination = _Destination(client, settings, source_settings, source.key, requests)
    if source.deleted:
        return _apply_deletion(destination, source, process)
    if source.sequencer is None:
        source = _with_known_sequencer(destination, source)
    return _apply(destination, source, process)


def _apply(destination: _Destination, source: SourceObject, process: Process) -> Result:
    """Process a version and store what comes of it."""
    try:
        processed = _read_and_process(destination, source, process)
    except storage.SupersededError:
        destination.delete_stale()
        return Result("superseded", "superseded: the object was overwritten")
    if isinstance(processed.outputs, Rejection):
        result = _reject(destination, source, processed.outputs, outcome="rejected")
    else:
        result = _store(destination, source, processed.outputs)
    return replace(result, bytes_in=processed.bytes_in, processing_ms=processed.milliseconds)


@dataclass(frozen=True)
class _Processed:
    """What came of an object's bytes, and what it took.

    Attributes:
        outputs: The outputs, or why there will be none.
        bytes_in: The object's size; None where it was not read.
        milliseconds: The time in `process`; None where it was not called.
    """

    outputs: Sequence[Output] | Rejection
    bytes_in: int | None = None
    milliseconds: int | None = None


def _read_and_process(
    destination: _Destination, source: SourceObject, process: Process
) -> _Processed:
    limit = destination.settings.max_object_bytes
    try:
        body = storage.read(destination.client, source, limit=limit)
    except Rejection as rejection:
        return _Processed(rejection)
    size = len(body.getbuffer())
    started = time.monotonic()
    try:
        outputs = process(body, destination.source_settings)
    except Rejection as rejection:
        return _Processed(rejection, size, _milliseconds_since(started))
    return _Processed(outputs, size, _milliseconds_since(started))


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _store(destination: _Destination, source: SourceObject, outputs: Sequence[Output]) -> Result:
    count = {_OUTPUT_COUNT: str(len(outputs))}

    def write(output: Output) -> Stored | None:
        output = replace(output, metadata={**output.metadata, **count})
        key = output_key(source.key, output.name, destination.source_settings.output_prefix)
        return destination.write(key, output, source, destination.source_settings.cache_control)

    # One after the other, waiting for S3 would take longer than the processing.
    written = _run_together(destination.requests, write, outputs)
    newest = destination.delete_stale([stored for stored in written if stored is not None])
    if newest > (order(source.sequencer), False):
        return Result("superseded", "superseded by a newer version or this one's rejection")
    return Result(
        "succeeded",
        "outputs written",
        output_count=len(outputs),
        bytes_out=sum(len(output.body) for output in outputs),
    )


def _reject(
    destination: _Destination,
    source: SourceObject,
    rejection: Rejection,
    *,
    outcome: Literal["rejected", "deleted"],
) -> Result:
    """Record why a version has no outputs, unless it has them all."""
    if _is_complete(destination.find(), source):
        # It worked before; what has changed since (a limit, the object's deletion) is not a reason
        # to delete the outputs.
        destination.delete_stale()
        return Result("superseded", f"superseded by its own outputs; now: {rejection.detail}")
    # The time is the event's, not the clock's: a duplicate writes the same bytes.
    record = {**asdict(source), "reason": rejection.reason, "detail": rejection.detail}
    del record["deleted"]
    body = json.dumps(record, ensure_ascii=False, indent=2).encode() + b"\n"
    output = Output(name="rejection", body=body, content_type="application/json")
    destination.write(destination.record_key, output, source, "no-cache")
    newest = destination.delete_stale()
    return Result(
        "superseded" if newest > (order(source.sequencer), True) else outcome,
        f"{outcome}: {rejection.detail}",
        reason=rejection.reason,
        cause=rejection.__cause__,
    )


def _apply_deletion(destination: _Destination, source: SourceObject, process: Process) -> Result:
    """Apply what the bucket has after a deletion, at the deletion's place in the order.

    Mostly that is nothing. It is an older version where a version or a delete marker was deleted
    permanently, and a newer one, with an event of its own, where the key was uploaded again.
    """
    outputs = [stored for stored in destination.find() if stored.key != destination.record_key]
    present = storage.current_version(destination.client, source)
    if source.sequencer is None:
        if present or not outputs:
            return Result("skipped", "skipped: the deletion changes nothing")
        # All outputs were there before the bucket said that the object is gone: so is this newer.
        newest = max((stored.sequencer or "" for stored in outputs), key=order)
        source = replace(source, sequencer=newest + "01")
    if present:
        return _apply(destination, replace(present, sequencer=source.sequencer), process)
    rejection = Rejection("deleted", "The object was deleted.")
    return _reject(destination, source, rejection, outcome="deleted")


def _with_known_sequencer(destination: _Destination, source: SourceObject) -> SourceObject:
    """Give a version that came without a sequencer the one that its stored results have."""
    known = [
        stored.sequencer
        for stored in destination.find()
        if is_of(stored.metadata, source) and stored.sequencer
    ]
    return replace(source, sequencer=max(known, key=order, default=None))


def _is_complete(found: Iterable[Stored], source: SourceObject) -> bool:
    """Return whether all outputs of this version are there."""
    counts = [
        stored.metadata[_OUTPUT_COUNT]
        for stored in found
        if _OUTPUT_COUNT in stored.metadata and compare(stored.metadata, source) == "same"
    ]
    return bool(counts) and len(counts) >= int(max(counts, key=int))


@dataclass(frozen=True)
class _Destination:
    """The results of one source key in the output bucket."""

    client: Any
    settings: Settings
    source_settings: Source
    source_key: str
    requests: Executor

    @property
    def record_key(self) -> str:
        return rejection_key(self.source_key, self.source_settings.output_prefix)

    def write(
        self, key: str, output: Output, source: SourceObject, cache_control: str
    ) -> Stored | None:
        """Do step 1 for one result; return it, or None if a newer one has its place."""
        return storage.write(
            self.client,
            OutputBucket(self.settings.thumbnail_bucket, self.settings.encryption_key_arn),
            key=key,
            output=output,
            source=source,
            cache_control=cache_control,
        )

    def find(self, written: Iterable[Stored] = ()) -> list[Stored]:
        """Return all results that are there; those still as in `written` cost no request."""
        bucket = self.settings.thumbnail_bucket
        known = {(stored.key, stored.etag): stored for stored in written}
        prefix = output_key_prefix(self.source_key, self.source_settings.output_prefix)
        listed = storage.list_directory(self.client, bucket, prefix)
        looked_up = _run_together(
            self.requests,
            lambda key: storage.head(self.client, bucket, key),
            [self.record_key, *(key for key, etag in listed if (key, etag) not in known)],
        )
        return [
            *(known[entry] for entry in listed if entry in known),
            # An object that names no source was not written by this worker.
            *(stored for stored in looked_up if stored and "source-bucket" in stored.metadata),
        ]

    def delete_stale(self, written: Iterable[Stored] = ()) -> Rank:
        """Do step 2; return the rank of the newest result."""
        found = self.find(written)
        newest = max((self.rank(stored) for stored in found), default=("", False))
        bucket = self.settings.thumbnail_bucket
        _run_together(
            self.requests,
            # A result that was replaced meanwhile is left to the delivery that replaced it.
            lambda stored: storage.delete(self.client, bucket, stored),
            [stored for stored in found if self.rank(stored) < newest],
        )
        return newest

    def rank(self, stored: Stored) -> Rank:
        return order(stored.sequencer), stored.key == self.record_key


def _run_together(
    requests: Executor, function: Callable[[Item], Value], items: Iterable[Item]
) -> list[Value]:
    """Call the function with all items at once; raise the first failure after all have ended."""
    futures = [requests.submit(function, item) for item in items]
    wait(futures)  # what still runs after its message was returned would race the next try
    return [future.result() for future in futures]
