"""Bounds on the work that a file may ask for, however few bytes and pixels it has."""

from __future__ import annotations

import io
from typing import Final

from worker.results import Rejection

MOST_PARTS: Final = 200_000
"""Reads of a file until it is opened, segments of a JPEG and bytes between them, chunks of a WebP.

Each takes a microsecond or two. Encoders write some twenty parts before the pixels; XMP data of
1 MB in a GIF, which are read in pieces of about 100 bytes, take 20,000 reads.
"""

MOST_READS: Final = 1_000_000
"""Reads of a file in all. A PNG of 50 MB in chunks of 1 KiB, smaller than encoders', takes 150,000.
"""


def too_many_parts() -> Rejection:
    """Return the rejection of a file that is in more parts than are read."""
    return Rejection(
        "unsupported_format",
        "The file has too many parts, such as comments, chunks or fill bytes:"
        f" more than {MOST_PARTS:,} before the pixels, or {MOST_READS:,} in all.",
    )


class CountedFile(io.BytesIO):
    """A file in memory that may be read only so many times.

    Pillow reads headers, and whatever is between them, in pieces of a few bytes.

    Attributes:
        most_reads: How many times; MOST_PARTS until it is opened, then MOST_READS.
    """

    most_reads = MOST_PARTS
    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file does.

        Raises:
            Rejection: It was read too many times.
        """
        self._reads += 1
        if self._reads > self.most_reads:
            raise too_many_parts()
        return super().read(size)
