"""Files in which one part is repeated thousands of times, as an attacker would."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.unit.worker.imaging.attacks import ATTACKS

REPEATED_BYTES = 30_000
"""What a part is repeated up to; the fuzzer's instruments make Python fifty times slower."""

_HEAD = struct.Struct(">HH")
_CONTAINERS = frozenset(
    {b"meta", b"iprp", b"ipco", b"iinf", b"iref", b"moov", b"trak", b"mdia", b"minf", b"stbl"}
)


def repeated(data: bytes) -> bytes:
    """Return a file with a part repeated; the sizes of what is around it grow with it.

    Args:
        data: Where the part starts and how long it is, two bytes each, and the file.
    """
    if len(data) <= _HEAD.size:
        return data
    start, length = _HEAD.unpack_from(data)
    file = data[_HEAD.size :]
    part = file[start : start + length]
    added = part * (REPEATED_BYTES // len(part)) if part else b""
    grown = bytearray(file)
    if file.startswith(b"RIFF"):
        grown[4:8] = struct.pack("<I", len(file) + len(added) - 8)
    elif file[4:8] == b"ftyp":
        for place in _boxes_around(file, start):
            size = int.from_bytes(file[place : place + 4])
            grown[place : place + 4] = min(size + len(added), 0xFFFFFFFF).to_bytes(4)
    return bytes(grown[:start]) + added + bytes(grown[start:])


def _boxes_around(file: bytes, position: int) -> Iterator[int]:
    """Yield the places of the boxes of an AVIF that a position is in, outermost first."""
    start, end = 0, len(file)
    while start + 8 <= end:
        size = int.from_bytes(file[start : start + 4])
        if size < 8:
            return
        name = file[start + 4 : start + 8]
        # What is at the end of a box belongs to it, except behind the pixels.
        if start + 8 <= position <= start + size - (name == b"mdat"):
            yield start
            if name not in _CONTAINERS:
                return
            end = start + size
            start += {b"meta": 12, b"iinf": 14, b"iref": 12}.get(name, 8)
        else:
            start += size


def with_head(start: int, length: int, file: bytes) -> bytes:
    """Return what `repeated` takes."""
    return _HEAD.pack(start, length) + file


def attacks() -> Iterator[bytes]:
    """Yield each attack with one part, which is to be repeated: what differs from two parts."""
    for make, _, _ in ATTACKS.values():
        one, two = make(1), make(2)
        length = len(two) - len(one)
        if 0 < length < 1 << 16 and len(one) < 1 << 16:
            # From its start on, a part and what follows are the same in both.
            pairs = enumerate(zip(reversed(one), reversed(two), strict=False))
            same = next((place for place, (left, right) in pairs if left != right), len(one))
            yield with_head(len(one) - same, length, one)


def file_of(data: bytes) -> bytes:
    """Return the file in what `repeated` takes."""
    return data[_HEAD.size :]
