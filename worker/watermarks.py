"""The watermarks in the thumbnail bucket, read once in an invocation and kept while unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any

from worker import storage
from worker.limits import MOST_WATERMARK_BYTES
from worker.results import WatermarkError
from worker.settings import Source, Variants

if TYPE_CHECKING:
    from worker.imaging.watermark import WatermarkImage


@dataclass(frozen=True)
class Content:
    """A watermark as it was read.

    Attributes:
        etag: Its entity tag.
        digest: Of its bytes: under SSE-KMS an entity tag belongs to one write.
        image: What it shows; None where nobody draws it.
    """

    etag: str
    digest: str
    image: WatermarkImage | None


class Watermarks:
    """The watermarks as they are now, and how they were when they were last read."""

    def __init__(
        self,
        client: Any,
        bucket: str,
        decode: Callable[[bytes, int], WatermarkImage | None] = lambda *_: None,
    ) -> None:
        """Read nothing yet.

        Args:
            client: An S3 client.
            bucket: The thumbnail bucket.
            decode: Turns a file into what it shows, or raises WatermarkError; the number is the
                limit of pixels.
        """
        self._client = client
        self._bucket = bucket
        self._decode = decode
        self._known: dict[str, Content] = {}

    def of_invocation(self) -> Callable[[Source], Source]:
        """Return what reads the watermarks of sources, each at most once.

        All messages of an invocation were sent before it began. So what is uploaded after a
        watermark was replaced comes in a later one, which asks S3 again, with the entity tag: a
        request for each invocation, and no bytes unless the watermark has changed. No clock decides
        for how long one is kept.
        """
        current: dict[str, Content] = {}
        lock = Lock()

        def with_content(source: Source) -> Source:
            return replace(source, variants=tuple(each(one) for one in source.variants))

        def each(variants: Variants) -> Variants:
            mark = variants.watermark
            if mark is None:
                return variants
            with lock:
                if mark.key not in current:
                    current[mark.key] = self._read(mark.key, variants.max_pixels)
                content = current[mark.key]
            read = replace(mark, digest=content.digest, image=content.image)
            return replace(variants, watermark=read)

        return with_content

    def _read(self, key: str, max_pixels: int) -> Content:
        known = self._known.get(key)
        found = storage.get_watermark(
            self._client,
            self._bucket,
            key,
            etag=known.etag if known else None,
            limit=MOST_WATERMARK_BYTES,
        )
        if found is None and known:
            return known
        if found is None:
            raise AssertionError  # without an entity tag there is always an answer
        etag, body = found
        try:
            image = self._decode(body, max_pixels)
        except WatermarkError as error:
            raise WatermarkError(
                f"the watermark s3://{self._bucket}/{key} cannot be used: {error}"
            ) from error
        content = self._known[key] = Content(etag, sha256(body).hexdigest()[:16], image)
        return content
