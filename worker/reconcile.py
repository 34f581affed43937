"""One object to its one right result: outputs and a record of them, or of its rejection."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, Literal

from worker import records, storage
from worker.destination import Destination, StoredRecord, Writer
from worker.events import SourceObject
from worker.records import Record
from worker.results import Outcome, Output, Properties, Rejection, Result
from worker.settings import Settings, Source
from worker.storage import Stored
from worker.versions import compare, is_of, order

_COMMIT_ATTEMPTS = 8
"""Attempts to store one record; each lost one means that another delivery has stored its own."""

Process = Callable[[BinaryIO, Source], Generator[Output | Properties]]


class UnknownBucketError(Exception):
    """A message names a bucket that this worker does not read."""


def reconcile(
    client: Any,
    settings: Settings,
    source: SourceObject,
    process: Process,
    requests: Executor,
    *,
    first: bool = False,
    with_watermarks: Callable[[Source], Source] = lambda source: source,
) -> Result:
    """Bring the results of one object up to date.

    Messages come late, twice, in any order and at the same time, and a worker may die between any
    two requests. Still the newest event of a key alone decides what is there in the end, because
    every delivery does the same, and one that dies does it again:

    1. Write each output, or the object that gives the reason of a rejection, over what is older or
       nothing, never over what is newer.
    2. Write the record of them, over nothing or over the very record that it was compared with. The
       order of records is the order of results: this request decides.
    3. Delete what the replaced record named and this one does not; if a newer record is there,
       delete what of one's own it does not name.

    An object that no record names was written by a delivery that died. Its message comes again, not
    as a first one, and then everything that is there is looked at: `Destination.delete_stale`.

    For one version, outputs win over a rejection, and what was made with other settings is replaced
    by what the last delivery made, whole. Delete the rejection to have a rejected version processed
    again. A deletion is a version too: of what its bucket has now, or of nothing.

    Args:
        client: An S3 client.
        settings: The worker's settings.
        source: The object, as its event names it.
        process: Turns the object's bytes into outputs, or raises Rejection.
        requests: Runs requests to S3 that need not wait for each other. It must not be the executor
            that runs this function.
        first: This delivery is certainly the first one of its message, so that no earlier one can
            have died.
        with_watermarks: Returns a source's settings with its watermarks read; called only where
            thumbnails may be made.

    Raises:
        UnknownBucketError: The object is in none of the sources, and only S3 sends to this queue.
        WatermarkError: A watermark is missing or cannot be used.
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
    place = Destination(
        client, settings, source_settings, source.key, requests, with_watermarks=with_watermarks
    )
    known = None if first and source.sequencer else place.record()
    if source.deleted:
        return _apply_deletion(place, source, process, known, first=first)
    if source.sequencer is None:
        source, first = _with_known_sequencer(place, source, known), False
    return _apply(place, source, process, known, first=first)


def _apply(
    place: Destination,
    source: SourceObject,
    process: Process,
    known: StoredRecord | None,
    *,
    first: bool,
) -> Result:
    """Process a version and store what comes of it, unless that was done before."""
    place = place.with_content()
    if known and known.record and (done := _done_before(place, source, known, known.record)):
        return done
    work = _Work(place, source, known, first)
    try:
        work.read_and_process(process)
    except storage.SupersededError:
        place.delete_stale()
        return Result("superseded", "superseded: the object was overwritten")
    except Rejection as rejection:
        return work.reject(rejection, outcome="rejected")
    return work.finish()


def _done_before(
    place: Destination, source: SourceObject, known: StoredRecord, record: Record
) -> Result | None:
    """Return what became of the version by the record, if that is still right."""
    if record.compare(source) == "newer":
        place.delete_stale(known)
        return Result("superseded", "superseded by a newer version")
    if not (record.is_of(source) and record.settings == place.made_with):
        return None
    contents = place.look(record)
    if not contents.is_complete:
        if all(compare(one.metadata, source) != "newer" for one in contents.others):
            return None
        # What a newer version is about to replace is not written once more.
        place.delete_stale(known, contents)
        return Result("superseded", "superseded by a newer version")
    place.delete_stale(known, contents)
    if record.state == "done":
        outputs = record.content["outputs"]
        size = sum(output["bytes"] for output in outputs)
        return Result(
            "succeeded", "outputs were written before", output_count=len(outputs), bytes_out=size
        )
    rejection = record.content["rejection"]
    return Result(
        record.state, f"{record.state} before: {rejection['detail']}", reason=rejection["reason"]
    )


@dataclass
class _Work:
    """What one delivery makes of one version.

    Attributes:
        place: Where its results go.
        source: The version.
        known: The record; None as well where this is a first delivery.
        first: No earlier delivery of the message has died, and nothing was read.
    """

    place: Destination
    source: SourceObject
    known: StoredRecord | None
    first: bool
    bytes_in: int | None = None
    processing_ms: int | None = None
    _properties: Properties = field(default_factory=lambda: Properties({}, {}))
    _writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        self._writer = self._new_writer()

    def read_and_process(self, process: Process) -> None:
        """Read the version, and write each output while the next is made.

        Raises:
            Rejection: There will be no outputs.
        """
        place = self.place
        limit = place.settings.max_object_bytes
        body, metadata = storage.read(place.client, self.source, limit=limit)
        names = place.source_settings.copy_metadata
        copied = {"metadata": storage.decoded(metadata, names)} if names else {}
        self._properties = Properties({}, copied)
        self.bytes_in = len(body.getbuffer())
        started = time.monotonic()
        try:
            with closing(process(body, place.source_settings.for_object(metadata))) as items:
                for made in items:
                    if isinstance(made, Properties):
                        self._properties = replace(made, record={**made.record, **copied})
                    else:
                        self._writer.add(
                            place.output_key(made),
                            made,
                            cache_control=place.source_settings.cache_control,
                        )
        finally:
            self.processing_ms = round((time.monotonic() - started) * 1000)
            self._writer.wait()

    def finish(self) -> Result:
        """Store the record of the outputs."""
        written = self._settle(
            lambda stored: records.done(
                self.source, self.place.made_with, stored, self._properties, time=_now()
            )
        )
        if written is None:
            return self._result("superseded", "superseded by a newer version")
        return replace(
            self._result("succeeded", "outputs written"),
            output_count=len(written.content["outputs"]),
            bytes_out=sum(output["bytes"] for output in written.content["outputs"]),
        )

    def reject(self, rejection: Rejection, *, outcome: Literal["rejected", "deleted"]) -> Result:
        """Store the record of a rejection, unless the version has outputs."""
        place = self.place
        undone = self._writer.stored()
        place.delete({key: stored.etag for key, (_, stored) in undone.items() if stored})
        self._writer = self._new_writer()
        about = partial(records.rejected, outcome, self.source, place.made_with, rejection)
        self._writer.add(
            place.rejection_key,
            Output("rejection", about().body(), "application/json"),
            cache_control="no-cache",
        )
        self._writer.wait()

        def record(stored: dict[str, tuple[Output, Stored]]) -> Record:
            ((_, written),) = stored.values()
            return about(stored=written, time=_now())

        if self._settle(record) is None:
            message = f"superseded by a newer version or its own outputs; now: {rejection.detail}"
            return self._result("superseded", message)
        return replace(
            self._result(outcome, f"{outcome}: {rejection.detail}"),
            reason=rejection.reason,
            cause=rejection.__cause__,
        )

    def _new_writer(self) -> Writer:
        return Writer(self.place, self.source, self.known, first=self.first)

    def _settle(
        self, record_of: Callable[[dict[str, tuple[Output, Stored]]], Record]
    ) -> Record | None:
        """Make this delivery's record the one that counts; return None if another one does."""
        place, source = self.place, self.source
        written = self._writer.stored()
        known, has_read_first = self._writer.known, self._writer.has_read_first
        may_have_leftovers = not self.first or (self._writer.met_others and known is None)
        # A request that is refused may have been processed before: botocore repeats it where the
        # answer was lost. So each record that was to be replaced may have been, by this delivery.
        replaced: dict[str, str] = {}
        for _ in range(_COMMIT_ATTEMPTS):
            present = known.record if known else None
            stored = {key: (output, one) for key, (output, one) in written.items() if one}
            if len(stored) < len(written) or (present and present.compare(source) == "newer"):
                break
            record = record_of(stored)
            if present and present.is_beside(source):
                if present.is_like(record):
                    self._delete_replaced(replaced, record)
                    if may_have_leftovers:
                        place.delete_stale(known)
                    return present
                if record.state != "done" and self._has_outputs(present):
                    break
                if not has_read_first:
                    written = self._writer.write_again()
                    has_read_first = True
                    continue
            if present:
                replaced |= present.objects
            if place.put_record(record, known):
                self._delete_replaced(replaced, record)
                if may_have_leftovers:
                    place.delete_stale()
                return record
            known, has_read_first = place.record(), False
        else:
            raise storage.ContentionError(f"{place.record_key}: lost {_COMMIT_ATTEMPTS} writes")
        own = {key: one.etag for key, (_, one) in stored.items()}
        named = present.objects.items() if present else ()
        place.delete(dict((replaced | own).items() - named))
        if may_have_leftovers:
            place.delete_stale()
        return None

    def _delete_replaced(self, replaced: Mapping[str, str], record: Record) -> None:
        """Delete what records named that a record has replaced."""
        self.place.delete(
            {key: etag for key, etag in replaced.items() if key not in record.objects}
        )

    def _has_outputs(self, record: Record) -> bool:
        """Return whether the version has all outputs: it worked before.

        What has changed since (a limit, the object's deletion) is no reason to delete them.
        """
        return (
            record.state == "done"
            and record.is_of(self.source)
            and self.place.look(record).is_complete
        )

    def _result(self, outcome: Outcome, message: str) -> Result:
        return Result(outcome, message, bytes_in=self.bytes_in, processing_ms=self.processing_ms)


def _apply_deletion(
    place: Destination,
    source: SourceObject,
    process: Process,
    known: StoredRecord | None,
    *,
    first: bool,
) -> Result:
    """Apply what the bucket has after a deletion, at the deletion's place in the order.

    Mostly that is nothing. It is an older version where a version or a delete marker was deleted
    permanently, and a newer one, with an event of its own, where the key was uploaded again.
    """
    present = storage.current_version(place.client, source)
    if source.sequencer is None:
        newest = None if present else _newest_sequencer(place, known)
        if newest is None:
            if not first:
                place.delete_stale(known)
            return Result("skipped", "skipped: the deletion changes nothing")
        # All outputs were there before the bucket said that the object is gone: so is this newer.
        source, first = replace(source, sequencer=newest + "01"), False
    if present:
        source = replace(present, sequencer=source.sequencer)
        return _apply(place, source, process, known, first=first)
    if known and known.record and (done := _done_before(place, source, known, known.record)):
        return done
    rejection = Rejection("deleted", "The object was deleted.")
    return _Work(place, source, known, first).reject(rejection, outcome="deleted")


def _newest_sequencer(place: Destination, known: StoredRecord | None) -> str | None:
    """Return the sequencer of the outputs that are there; None if there are none."""
    if known and known.record:
        source = known.record.source
        return source.sequencer or "" if known.record.state == "done" else None
    found = [one for one in place.look().others if one.key != place.rejection_key]
    return max((one.sequencer or "" for one in found), key=order, default=None)


def _with_known_sequencer(
    place: Destination, source: SourceObject, known: StoredRecord | None
) -> SourceObject:
    """Give a version that came without a sequencer the one that its stored results have."""
    if known and known.record:
        found = [known.record.stored(key) for key in known.record.objects]
    else:
        found = [*place.look().others]
    sequencers = [
        stored.sequencer
        for stored in found
        if stored and stored.sequencer and is_of(stored.metadata, source)
    ]
    return replace(source, sequencer=max(sequencers, key=order, default=None))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
