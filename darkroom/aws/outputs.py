"""Which objects have outputs already, found in one pass over the listings of both buckets."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from darkroom.aws.objects import ExistingObject
from worker import keys, storage, versions
from worker.settings import Source, Variants

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def output_names(variants: Variants) -> dict[str, int]:
    """Return the names of the outputs of these variants, with the width in each name."""
    return {
        keys.output_name(width, format_name): width
        for width in variants.widths
        for format_name in variants.formats
    }


def is_thumbnail_name(name: str) -> bool:
    """Return whether `keys.output_name` could give this name, for these variants or former ones."""
    return re.fullmatch(r"w\d+(\.\w+)?", name) is not None


def output_count(metadata: Mapping[str, str]) -> int | None:
    """Return how many outputs belong to an object, as each of them says; None if it does not."""
    text = metadata.get("outputs", "")
    return int(text) if text.isascii() and text.isdigit() else None


@dataclass
class ProcessedObjects:
    """Finds, for objects in the order of their keys, whether outputs or a rejection exist.

    A listing has names and times only: outputs younger than the upload count as its own. With
    `verify_versions`, a HEAD request per object confirms it. Outputs of another workload than
    thumbnails need one in any case. In doubt the answer is no: the object is sent again, and the
    worker keeps existing outputs.
    """

    s3: "S3Client"
    bucket: str
    source: Source
    verify_versions: bool = False
    _outputs: "_Cursor" = field(init=False)
    _records: "_Cursor" = field(init=False)

    def __post_init__(self) -> None:
        """Create both listings; they send no request before the first use."""
        self._outputs = _Cursor(self.s3, self.bucket, f"thumbnails/{self.source.output_prefix}")
        self._records = _Cursor(self.s3, self.bucket, f"rejected/{self.source.output_prefix}")

    def contains(self, existing: ExistingObject, following: str | None) -> bool:
        """Return whether `existing` has outputs; `following` is the next key of the listing.

        `a/w400` sorts after `a b/w400`, though `a` sorts before `a b`: a cursor that looked for the
        first would pass the second. So no cursor goes beyond the outputs of the next key.
        """
        key = existing.source.key
        record = keys.rejection_key(key, self.source.output_prefix)
        if self._records.is_younger(record, existing.modified, following):
            return self._is_of(record, existing)
        prefix = keys.output_key_prefix(key, self.source.output_prefix)
        found = self._outputs.names_below(prefix, existing.modified, following)
        if all(map(is_thumbnail_name, found)):
            expected = output_names(self.source.variants)
            return expected.keys() <= set(found) and self._is_of(prefix + min(expected), existing)
        # Another workload's names: only the outputs' metadata say how many belong together.
        stored = storage.head(self.s3, self.bucket, prefix + found[0])
        count = output_count(stored.metadata) if stored else None
        return (
            count is not None and len(found) >= count and self._is_of(prefix + found[0], existing)
        )

    def _is_of(self, key: str, existing: ExistingObject) -> bool:
        if not self.verify_versions:
            return True
        stored = storage.head(self.s3, self.bucket, key)
        if stored is None:
            return False
        if existing.source.version_id is None:
            return stored.metadata.get("source-etag") == existing.source.etag
        return versions.is_of(stored.metadata, existing.source)


@dataclass
class _Cursor:
    """A listing that is read forwards only, and skips pages without wanted keys."""

    s3: "S3Client"
    bucket: str
    base: str
    _page: deque[tuple[str, datetime]] = field(default_factory=deque)
    _last: str = ""
    _ended: bool = False

    def is_younger(self, key: str, moment: datetime, following: str | None) -> bool:
        """Return whether there is an object at `key` that was written after `moment`."""
        if following is not None and key > self.base + following:
            return False
        while not self._ended and key > self._last:
            self._page.clear()
            self._read_page(key)
        while self._page and self._page[0][0] < key:
            self._page.popleft()
        # Times have a resolution of one second: within the same one, either may have been first.
        return bool(self._page) and self._page[0][0] == key and self._page[0][1] > moment

    def names_below(self, prefix: str, moment: datetime, following: str | None) -> list[str]:
        """Return what follows `prefix`, which ends in `/`, in the keys written after `moment`.

        Keys with another `/` behind it belong to another object. The cursor stops before the keys
        that sort after `following`: the outputs of the next object are among those.
        """
        limit = None if following is None else self.base + following
        found: list[str] = []
        if limit is not None and prefix > limit:
            return found
        while key := self._next(prefix):
            if not key.startswith(prefix) or (limit is not None and key > limit):
                break
            _, written = self._page.popleft()
            name = key.removeprefix(prefix)
            if "/" not in name and written > moment:
                found.append(name)
        return found

    def _next(self, start: str) -> str | None:
        """Return the next key that is not before `start`; None at the end of the listing."""
        while not self._ended and start > self._last:
            self._page.clear()
            self._read_page(start)
        while True:
            while self._page and self._page[0][0] < start:
                self._page.popleft()
            if self._page or self._ended:
                return self._page[0][0] if self._page else None
            self._read_page(start)

    def _read_page(self, key: str) -> None:
        """Read the page that contains `key`, or the place where it would be."""
        # The key without its last character sorts just before it.
        after = max(self._last, key[:-1])
        response = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=self.base, StartAfter=after)
        self._page.extend(
            (item["Key"], item["LastModified"]) for item in response.get("Contents", ())
        )
        self._ended = not response["IsTruncated"]
        if self._page:
            self._last = self._page[-1][0]
