"""What the thumbnail bucket has already, found beside a source's listing in one pass over both."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from darkroom.aws.objects import Existing
from worker import keys, storage, versions
from worker.settings import Source, Variants


def variant_names(made: Variants) -> dict[str, int]:
    """Return the names of the outputs that these variants give, and the width each is named for."""
    return {
        f"w{width}" + ("" if name == "jpeg" else f".{name}"): width
        for width in made.widths
        for name in made.formats
    }


@dataclass
class Finished:
    """Tells of each object, in the order of keys, whether its thumbnails or rejection are there.

    A listing tells names and times only: what is younger than the upload counts as made from it.
    With `checked`, one HEAD request for each makes sure. In doubt the answer is no: then the
    object is announced, and the worker leaves alone what is there.
    """

    s3: Any
    bucket: str
    source: Source
    checked: bool = False
    _outputs: "_Cursor" = field(init=False)
    _records: "_Cursor" = field(init=False)

    def __post_init__(self) -> None:
        """Begin both listings; nothing is asked before it is needed."""
        self._outputs = _Cursor(self.s3, self.bucket, f"thumbnails/{self.source.output_prefix}")
        self._records = _Cursor(self.s3, self.bucket, f"rejected/{self.source.output_prefix}")

    def has(self, existing: Existing, following: str | None) -> bool:
        """Tell it of `existing`, where `following` is the next key of the source's listing.

        It is needed because `a/w400` sorts behind `a b/w400`, though `a` comes before `a b`. Who
        looks for the first has passed the second; so nothing is looked for behind the next key.
        """
        key = existing.source.key
        record = keys.rejection_key(key, self.source.output_prefix)
        if self._records.is_younger(record, existing.modified, following):
            return self._is_of(record, existing)
        made = sorted(variant_names(self.source.variants))
        names = [keys.output_key(key, name, self.source.output_prefix) for name in made]
        return all(
            self._outputs.is_younger(name, existing.modified, following) for name in names
        ) and self._is_of(names[0], existing)

    def _is_of(self, key: str, existing: Existing) -> bool:
        if not self.checked:
            return True
        stored = storage.head(self.s3, self.bucket, key)
        if stored is None:
            return False
        if existing.source.version_id is None:
            return stored.metadata.get("source-etag") == existing.source.etag
        return versions.is_of(stored.metadata, existing.source)


@dataclass
class _Cursor:
    """A listing that is only read forwards, and jumps ahead where nothing is wanted."""

    s3: Any
    bucket: str
    base: str
    _page: deque[tuple[str, datetime]] = field(default_factory=deque)
    _last: str = ""
    _ended: bool = False

    def is_younger(self, key: str, moment: datetime, following: str | None) -> bool:
        """Tell whether there is an object at `key`, written after `moment`."""
        if following is not None and key > self.base + following:
            return False
        while not self._ended and key > self._last:
            self._page.clear()
            self._turn(key)
        while self._page and self._page[0][0] < key:
            self._page.popleft()
        # Times are whole seconds: within the same one, either may have been first.
        return bool(self._page) and self._page[0][0] == key and self._page[0][1] > moment

    def _turn(self, key: str) -> None:
        """Read the page with `key` in it, or with what would be after it."""
        # Without its last character it is before itself, and nearly nothing is in between.
        after = max(self._last, key[:-1])
        answer = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=self.base, StartAfter=after)
        self._page.extend(
            (item["Key"], item["LastModified"]) for item in answer.get("Contents", ())
        )
        self._ended = not answer["IsTruncated"]
        if self._page:
            self._last = self._page[-1][0]
