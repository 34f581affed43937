"""One announced object brought to its one right end: outputs, or a record of its rejection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, wait
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar

from worker import storage
from worker.events import SourceObject, order
from worker.keys import output_key, output_key_prefix, rejection_key
from worker.results import Output, Rejection
from worker.settings import Settings, Source
from worker.storage import Stored

_OUTPUTS = "outputs"
"""The metadata that say how many outputs belong together."""

Rank = tuple[str, bool]
"""The order of a result's version, and whether it is the record: the greater, the newer."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class MisdirectedError(Exception):
    """A message names a bucket that is not this worker's to read."""


@dataclass(frozen=True)
class Ending:
    """How an object ended, for the log: `facts` are fields of the line, `cause` its traceback."""

    outcome: Literal["written", "rejected", "removed", "stale", "ignored"]
    message: str
    facts: Mapping[str, object] = field(default_factory=dict)
    cause: BaseException | None = None


def settle(
    client: Any,
    settings: Settings,
    source: SourceObject,
    make: Callable[[SourceObject], Sequence[Output]],
    requests: Executor,
) -> Ending:
    """Bring one object to its end; raises whatever a later try may cure.

    `make` reads the object and turns it into outputs, or raises Rejection or SupersededError.
    Requests to S3 that need not wait for each other go through the executor `requests`, which
    must not be the one that runs this function.

    Messages come late, twice, in any order and at once, and a worker may die between any two
    requests. Still the newest event of a key decides alone what is there in the end, because every
    delivery does the same two things, and one that dies does them again:

    1. Write: each output, or the record, over what is older or nothing, never over what is newer.
    2. Sweep: look at the outputs and the record of this key, and delete whatever is older than the
       newest thing there is, as long as it is still what was looked at.

    Nothing deletes the newest result. An older one is seen by the newest's sweep if it was written
    before that; if it was written after that, then its own sweep sees the newest.

    For one version, a record is newer than outputs, so that half a set is never kept because the
    other half has become impossible. Who wants a rejected version tried again deletes its record.
    A removal is a version too: of what its bucket has now, which is a record if that is nothing.
    """
    told = settings.sources.get(source.bucket)
    if told is None:
        raise MisdirectedError(f"{source.bucket} is none of {', '.join(settings.sources)}")
    if not told.means(source.key):
        return Ending("ignored", "not under a prefix, or not with a suffix, of its source")
    if source.removed and not told.propagate_deletes:
        return Ending("ignored", "removals are not followed")
    place = _Place(client, settings, told, source.key, requests)
    if source.removed:
        return _follow(place, source, make)
    if source.sequencer is None:
        source = _ordered(place, source)
    return _bring(place, source, make)


def _bring(
    place: _Place, source: SourceObject, make: Callable[[SourceObject], Sequence[Output]]
) -> Ending:
    began = time.monotonic()
    try:
        outputs = make(source)
    except Rejection as rejection:
        return _reject(place, source, rejection, outcome="rejected")
    except storage.SupersededError:
        place.sweep()
        return Ending("stale", "overwritten since")
    whole = {_OUTPUTS: str(len(outputs))}

    def write(output: Output) -> Stored | None:
        output = replace(output, metadata={**output.metadata, **whole})
        key = output_key(source.key, output.name, place.told.output_prefix)
        return place.write(key, output, source, place.told.cache_control)

    # One by one, waiting for S3 would take longer than the work.
    written = _together(place.requests, write, outputs)
    newest = place.sweep([stored for stored in written if stored is not None])
    if newest > (order(source.sequencer), False):
        return Ending("stale", "a newer version, or this one's rejection, is there")
    facts = {
        "outputs": len(outputs),
        "bytes_out": sum(len(output.body) for output in outputs),
        "seconds": round(time.monotonic() - began, 3),
    }
    return Ending("written", "outputs written", facts)


def _reject(
    place: _Place,
    source: SourceObject,
    rejection: Rejection,
    *,
    outcome: Literal["rejected", "removed"],
) -> Ending:
    if _is_whole(place.look(), source):
        # It worked before; what has changed since (a limit, the object's end) is no reason to
        # take away what there is.
        place.sweep()
        return Ending("stale", f"outputs are there already; now: {rejection.detail}")
    # The time is the event's, not the clock's: a duplicate writes the same bytes.
    record = {**asdict(source), "reason": rejection.reason, "detail": rejection.detail}
    del record["removed"]
    body = json.dumps(record, ensure_ascii=False, indent=2).encode() + b"\n"
    output = Output(name="rejection", body=body, content_type="application/json")
    place.write(place.record, output, source, "no-cache")
    newest = place.sweep()
    return Ending(
        "stale" if newest > (order(source.sequencer), True) else outcome,
        f"{outcome}: {rejection.detail}",
        {"reason": rejection.reason},
        rejection.__cause__,
    )


def _follow(
    place: _Place, source: SourceObject, make: Callable[[SourceObject], Sequence[Output]]
) -> Ending:
    """Bring what the bucket has after a removal to its end, at the removal's place in the order.

    Mostly that is nothing. It is an older version where a version or a delete marker was deleted
    for good, and a newer one, with an event of its own, where somebody uploaded again.
    """
    outputs = [stored for stored in place.look() if stored.key != place.record]
    present = storage.current(place.client, source)
    if source.sequencer is None:
        if present or not outputs:
            return Ending("ignored", "the removal changes nothing")
        # All outputs there were older than the answer that there is no object: so is this.
        newest = max((stored.sequencer or "" for stored in outputs), key=order)
        source = replace(source, sequencer=newest + "01")
    if present:
        return _bring(place, replace(present, sequencer=source.sequencer), make)
    rejection = Rejection("deleted", "The object was deleted.")
    return _reject(place, source, rejection, outcome="removed")


def _ordered(place: _Place, source: SourceObject) -> SourceObject:
    """Give a version that was announced without a sequencer the one that its results have."""
    known = [
        stored.sequencer
        for stored in place.look()
        if storage.is_of(stored.metadata, source) and stored.sequencer
    ]
    return replace(source, sequencer=max(known, key=order, default=None))


def _is_whole(found: Iterable[Stored], source: SourceObject) -> bool:
    """Tell whether all outputs of this version are there."""
    same = [
        stored.metadata[_OUTPUTS]
        for stored in found
        if _OUTPUTS in stored.metadata and storage.compare(stored.metadata, source) == "same"
    ]
    return bool(same) and len(same) >= int(max(same, key=int))


@dataclass(frozen=True)
class _Place:
    """What lies in the destination for one source key, and how to get at it."""

    client: Any
    settings: Settings
    told: Source
    source_key: str
    requests: Executor

    @property
    def record(self) -> str:
        return rejection_key(self.source_key, self.told.output_prefix)

    def write(
        self, key: str, output: Output, source: SourceObject, cache_control: str
    ) -> Stored | None:
        """Step 1, for one object; returns it, or None if a newer one has its place."""
        return storage.write(
            self.client,
            storage.Destination(self.settings.thumbnail_bucket, self.settings.encryption_key_arn),
            key=key,
            output=output,
            source=source,
            cache_control=cache_control,
        )

    def look(self, written: Iterable[Stored] = ()) -> list[Stored]:
        """Return all results that are there; `written` saves asking about what is still that."""
        bucket = self.settings.thumbnail_bucket
        known = {(stored.key, stored.etag): stored for stored in written}
        prefix = output_key_prefix(self.source_key, self.told.output_prefix)
        listed = storage.listed(self.client, bucket, prefix)
        asked = _together(
            self.requests,
            lambda key: storage.look(self.client, bucket, key),
            [self.record, *(key for key, etag in listed if (key, etag) not in known)],
        )
        return [
            *(known[entry] for entry in listed if entry in known),
            # What names no source was put there by somebody else, and is theirs.
            *(stored for stored in asked if stored and "source-bucket" in stored.metadata),
        ]

    def sweep(self, written: Iterable[Stored] = ()) -> Rank:
        """Step 2; returns the rank of the newest result."""
        found = self.look(written)
        newest = max((self.rank(stored) for stored in found), default=("", False))
        bucket = self.settings.thumbnail_bucket
        _together(
            self.requests,
            # What has become something else meanwhile is swept by whoever has written that.
            lambda stored: storage.remove(self.client, bucket, stored),
            [stored for stored in found if self.rank(stored) < newest],
        )
        return newest

    def rank(self, stored: Stored) -> Rank:
        return order(stored.sequencer), stored.key == self.record


def _together(
    requests: Executor, function: Callable[[Item], Result], items: Iterable[Item]
) -> list[Result]:
    """Call the function with all items at once; raises the first failure after all have ended."""
    futures = [requests.submit(function, item) for item in items]
    wait(futures)  # what still ran after its message was handed back would race the next try
    return [future.result() for future in futures]
