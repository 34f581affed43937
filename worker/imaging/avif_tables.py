"""How much an AVIF or HEIC file's tables hold: some are read in time that grows by their square."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from worker.imaging.isobmff import Container
from worker.imaging.work_limits import too_many_parts

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
    container = Container(memoryview(data))
    entries = 0
    for name, length in _boxes(container, container.file):
        entries += 1 + length // _BYTES_PER_ENTRY.get(name, length + 1)
        if entries > _MOST_ENTRIES:
            raise too_many_parts()


def _boxes(container: Container, data: memoryview, depth: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield name and length of the boxes in data, and of those within them."""
    for name, body in container.children(data):
        yield name, len(body)
        if name in _CONTAINERS and depth < len(_CONTAINERS):
            inner = _BEFORE_BOXES.get(name, 0)
            if name == b"iinf" and bytes(body[:1]) != b"\0":
                inner += 2
            yield from _boxes(container, body[inner:], depth + 1)
