"""TIFF files: layouts that Pillow reads wrongly or not at all, and a bound on directories."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final

from PIL import Image, TiffImagePlugin

MOST_NUMBERS: Final = 200_000
"""About 10 MB as objects. An image of 65,535 rows in strips of one row needs 131,070; one of 100
megapixels in tiles of 64 pixels a side 48,828."""

# TIFF 6.0's tags of directories that Pillow reads after an image's own: Exif, GPS and, in either,
# interoperability. https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf
_INNER: Final = (0x8769, 0x8825, 0xA005)

_SINGLE_BYTES: Final = frozenset({1, 2, 6, 7})
"""BYTE, ASCII, SBYTE and UNDEFINED, of which Pillow makes one object."""

_BYTE_ORDERS: Final = {b"II": "<", b"MM": ">"}
_BIG: Final = 43
"""The version of a BigTIFF, with counts and offsets of eight bytes."""

# Tags of the samples' layout, TIFF 6.0: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
_BITS_PER_SAMPLE: Final = 258
_PHOTOMETRIC: Final = 262
_SAMPLES_PER_PIXEL: Final = 277

_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
"""Values of PhotometricInterpretation."""


class TiffPicture(TiffImagePlugin.TiffImageFile):
    """A TIFF whose tags are changed to what Pillow reads rightly, before it looks at them.

    Attributes:
        white_is_zero: Its values are still to be inverted: Pillow does that up to eight bits.
    """

    white_is_zero = False

    def _setup(self) -> None:
        tags = self.tag_v2
        deep = max(tags.get(_BITS_PER_SAMPLE, (1,))) > 8
        if deep and tags.get(_SAMPLES_PER_PIXEL, 1) == 1:
            self.white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
            tags[_PHOTOMETRIC] = _BLACK_IS_ZERO if self.white_is_zero else tags.get(_PHOTOMETRIC, 1)
        super()._setup()


def white_is_zero(picture: Image.Image) -> bool:
    """Return whether a picture's values, once decoded, are those of its negative."""
    return isinstance(picture, TiffPicture) and picture.white_is_zero


def numbers(file: BinaryIO) -> int:
    """Return how many numbers the first directory and those within it hold; 0 if it is no TIFF.

    A directory that ends early holds what was there: Pillow says what is wrong with it. The file is
    at its start then.
    """
    total = 0
    file.seek(0)
    with suppress(struct.error, OverflowError, ValueError):
        for count in _counts(file):
            total += count
            if total > MOST_NUMBERS:
                break
    file.seek(0)
    return total


def _counts(file: BinaryIO) -> Iterator[int]:
    """Yield the number of numbers of each entry."""
    order = _BYTE_ORDERS.get(file.read(2))
    if order is None:
        return
    (version,) = struct.unpack(f"{order}H", file.read(2))
    if version == _BIG:
        head, entry, offset = f"{order}Q", f"{order}HHQQ", f"{order}Q"
        file.seek(8)
    else:
        head, entry, offset = f"{order}H", f"{order}HHII", f"{order}I"
    waiting = list(_unpack(file, offset))
    seen: set[int] = set()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        file.seek(place)
        (length,) = _unpack(file, head)
        data = file.read(length * struct.calcsize(entry))
        whole = len(data) // struct.calcsize(entry) * struct.calcsize(entry)
        for tag, kind, count, value in struct.iter_unpack(entry, data[:whole]):
            if kind not in _SINGLE_BYTES:
                yield count
            if tag in _INNER:
                waiting.append(value)


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
