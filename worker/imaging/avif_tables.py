"""How much an AVIF or HEIC file's tables hold: some are read in time that grows by their square."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from worker.imaging.work_limits import MOST_PARTS, too_many_parts

# Boxes of ISO/IEC 14496-12 and 23008-12.
_CONTAINERS: Final = frozenset(
    {b"meta", b"iprp", b"ipco", b"iinf", b"iref", b"moov", b"trak", b"mdia", b"minf", b"stbl"}
)
_BEFORE_BOXES: Final = {b"meta": 4, b"iinf": 6, b"iref": 4}
"""Bytes of version, flags and count in a container before the boxes in it; `iinf` has a longer
count, of eight bytes with what is before it, unless its version is 0."""

_BYTES_PER_ENTRY: Final = {
    **{b"infe": 20, b"iloc": 10, b"ipma": 4, b"stsc": 12, b"stco": 4, b"co64": 8, b"grpl": 4},
    **{b"stsz": 40, b"stts": 80, b"stss": 40, b"ctts": 80},
}
"""Of tables whose entries are looked up one by one, and, ten times as many, of those that are not.

A reference (in `iref`) and a property (in `ipco`) are a box each, and count as one entry.
"""

_MOST_ENTRIES: Final = 30_000
"""A grid of 100 megapixels in cells of 512 × 512 has 400 items, each in three tables."""


def check(data: bytes) -> None:
    """Check how many entries the tables have together.

    Raises:
        Rejection: They are more than anyone writes.
    """
    entries = 0
    for number, (name, length) in enumerate(_boxes(data, 0, len(data))):
        entries += 1 + length // _BYTES_PER_ENTRY.get(name, length + 1)
        if number > MOST_PARTS or entries > _MOST_ENTRIES:
            raise too_many_parts()


def _boxes(data: bytes, start: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield name and length of the boxes between two places, and of those within them."""
    while start + 8 <= end:
        size, head = int.from_bytes(data[start : start + 4]), 8
        name = data[start + 4 : start + 8]
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16]), 16
        size = size or end - start
        if not head <= size <= end - start:
            return
        yield name, size - head
        if name in _CONTAINERS and depth < len(_CONTAINERS):
            inner = start + head + _BEFORE_BOXES.get(name, 0)
            if name == b"iinf" and data[start + head : start + head + 1] != b"\0":
                inner += 2
            yield from _boxes(data, inner, start + size, depth + 1)
        start += size
