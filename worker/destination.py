"""The results of one source key: outputs, and the record that names them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, TypeVar

from worker import records, storage
from worker.events import SourceObject
from worker.records import Record
from worker.results import Output
from worker.settings import Settings, Source
from worker.storage import OutputBucket, Stored
from worker.versions import order

_CLEANUP_ATTEMPTS = 4

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True)
class StoredRecord:
    """A record as it is stored.

    Attributes:
        etag: Its entity tag.
        record: Its content; None if it is not a record of this worker's format.
    """

    etag: str
    record: Record | None


@dataclass(frozen=True)
class Contents:
    """What is stored for a source key.

    Attributes:
        is_complete: All that the record names is there.
        others: What the record does not name.
    """

    is_complete: bool
    others: Sequence[Stored]


@dataclass(frozen=True)
class Destination:
    """The results of one source key in the output bucket."""

    client: Any
    settings: Settings
    source_settings: Source
    source_key: str
    requests: Executor
    with_watermarks: Callable[[Source], Source] = lambda source: source

    def with_content(self) -> Destination:
        """Return it with the watermarks read, which decide what its results are made with."""
        return replace(self, source_settings=self.with_watermarks(self.source_settings))

    @property
    def record_key(self) -> str:
        """Return the key of the record."""
        return self.source_settings.record_key(self.source_key)

    @property
    def rejection_key(self) -> str:
        """Return the key of the object that gives the reason of a rejection."""
        return self.source_settings.rejection_key(self.source_key)

    @property
    def made_with(self) -> str:
        """Return the digest of the source's settings."""
        return records.made_with(self.source_settings)

    @property
    def bucket(self) -> OutputBucket:
        """Return the bucket of all results."""
        return OutputBucket(self.settings.thumbnail_bucket, self.settings.encryption_key_arn)

    def output_key(self, output: Output) -> str:
        """Return the key of an output."""
        return self.source_settings.output_key(self.source_key, output.name)

    def record(self) -> StoredRecord | None:
        """Return the record that is there now."""
        found = storage.get(self.client, self.bucket.name, self.record_key)
        if found is None:
            return None
        etag, body = found
        try:
            return StoredRecord(etag, records.parse(body))
        except ValueError:
            return StoredRecord(etag, None)

    def put_record(self, record: Record, over: StoredRecord | None) -> str | None:
        """Store a record if `over` is still there; return its entity tag, or None."""
        return storage.put(
            self.client,
            self.bucket,
            self.record_key,
            record.body(),
            content_type="application/json",
            cache_control="no-cache",
            metadata=storage.identity(record.source),
            over=over.etag if over else None,
        ).etag

    def delete(self, objects: Mapping[str, str]) -> None:
        """Delete these objects, by key, as long as they have these entity tags."""
        run_together(
            self.requests,
            # What was replaced meanwhile is left to the delivery that replaced it.
            lambda entry: storage.delete(self.client, self.bucket.name, *entry),
            objects.items(),
        )

    def look(self, record: Record | None = None) -> Contents:
        """Look at all outputs and the rejection; what the record names costs no request more."""
        name = self.bucket.name
        prefix = self.source_settings.output_key_prefix(self.source_key)
        named = record.objects.items() if record else frozenset()
        listed = dict(storage.list_directory(self.client, name, prefix))
        listed.pop(self.record_key, None)
        looked_up = run_together(
            self.requests,
            lambda key: storage.head(self.client, name, key),
            [
                self.rejection_key,
                *(key for key, etag in listed.items() if (key, etag) not in named),
            ],
        )
        present = [stored for stored in looked_up if stored]
        tags = listed | {stored.key: stored.etag for stored in present}
        return Contents(
            is_complete=named <= tags.items(),
            others=[
                stored
                for stored in present
                # An object that names no source was not written by this worker.
                if "source-bucket" in stored.metadata
                if (stored.key, stored.etag) not in named
            ],
        )

    def delete_stale(
        self, known: StoredRecord | None = None, contents: Contents | None = None
    ) -> None:
        """Delete what no record names: of versions older than the newest, and of the record's own.

        Whoever replaces a record of the same place in the order writes all its objects after it has
        read that record. So an object that was there before the record was read, which is then
        still the same and does not name the object, is nobody's: the record is written again
        because that ends each replacement that is under way.

        Args:
            known: The record as it was lately; it saves requests.
            contents: What was there lately, beside that record.

        Raises:
            ContentionError: Others wrote records at every attempt.
        """
        for _ in range(_CLEANUP_ATTEMPTS):
            contents = contents or self.look(known.record if known else None)
            if not contents.others:
                return
            known = self.record()
            record = known.record if known else None
            others, contents = contents.others, None
            newest = max(order(one.sequencer) for one in others)
            if record:
                newest = max(newest, order(record.source.sequencer))
                named = record.objects
                others = [one for one in others if named.get(one.key) != one.etag]
            self.delete({one.key: one.etag for one in others if order(one.sequencer) < newest})
            if record is None or order(record.source.sequencer) < newest:
                return  # a newer delivery is under way
            beside = {
                one.key: one.etag
                for one in others
                # What has replaced an object that the record names will be named by another.
                if order(one.sequencer) == newest and one.key not in record.objects
            }
            if not beside:
                return
            if self.put_record(record, known) is not None:
                self.delete(beside)
                return
        raise storage.ContentionError(f"{self.record_key}: replaced {_CLEANUP_ATTEMPTS} times")


class Writer:
    """Writes the outputs of one version, each while the next is made."""

    def __init__(
        self,
        place: Destination,
        source: SourceObject,
        known: StoredRecord | None,
        *,
        first: bool,
    ) -> None:
        """Write nothing yet.

        Args:
            place: Where to.
            source: The version that they are made from.
            known: The record, read before. In a first delivery it is read where something is at an
                output's key.
            first: This is the first delivery. Any other looks at each output of the same version:
                one that died may have replaced what the record names.
        """
        self.known = known
        """The record, as it was read last."""
        self.has_read_first = not first
        """Whether it was read before anything was written."""
        self.met_others = False
        """Whether anything was there at an output's key."""
        self._place = place
        self._source = source
        self._first = first
        # Another delivery may be about to delete what this version's record does not name.
        self._replace_same = known is not None and (
            known.record is not None and known.record.is_beside(source)
        )
        self._outputs: dict[str, tuple[Output, str]] = {}
        self._futures: list[Future[Stored | None]] = []
        self._lock = Lock()

    def add(self, key: str, output: Output, *, cache_control: str) -> None:
        """Begin to write an output."""
        self._outputs[key] = output, cache_control
        self._futures.append(self._place.requests.submit(self._write, key))

    def wait(self) -> None:
        """Wait for all: what still ran after its message was returned would race the next try."""
        wait(self._futures)

    def stored(self) -> dict[str, tuple[Output, Stored | None]]:
        """Wait for all; return each output by its key, and what is there of this version."""
        self.wait()
        results = [future.result() for future in self._futures]
        return {
            key: (output, result)
            for (key, (output, _)), result in zip(self._outputs.items(), results, strict=True)
        }

    def write_again(self) -> dict[str, tuple[Output, Stored | None]]:
        """Write all of them anew, over this version's own as well."""
        before = {key: stored.etag for key, (_, stored) in self.stored().items() if stored}
        self._replace_same = True
        self._futures = [
            self._place.requests.submit(self._write, key, before.get(key)) for key in self._outputs
        ]
        return self.stored()

    def _write(self, key: str, over: str | None = None) -> Stored | None:
        output, cache_control = self._outputs[key]
        return storage.write(
            self._place.client,
            self._place.bucket,
            key=key,
            output=output,
            source=self._source,
            cache_control=cache_control,
            settings=self._place.made_with,
            known=lambda: self._known(key) if over is None else None,
            over=over,
            replace_same=self._replace_same,
        )

    def _known(self, key: str) -> Stored | None:
        """Return what the record says of a key; it is read once."""
        with self._lock:
            if self._first and not self.met_others:
                self.known = self._place.record()
            self.met_others = True
        record = self.known.record if self.known else None
        if record is None or (record.is_beside(self._source) and not self._first):
            return None
        return record.stored(key)


def run_together(
    requests: Executor, function: Callable[[Item], Value], items: Iterable[Item]
) -> list[Value]:
    """Call the function with all items at once; raise the first failure after all have ended."""
    futures = [requests.submit(function, item) for item in items]
    wait(futures)  # what still runs after its message was returned would race the next try
    return [future.result() for future in futures]
