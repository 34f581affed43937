"""Grey TIFFs of 9 to 15 bits per sample, which follow each other without a gap, as eight bits.

Pillow reads their packed bytes as a grey picture of eight bits, in strips and tiles and whatever
compression, from a copy of the file whose directory says so; the samples are taken out here.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Mapping

from PIL import Image, TiffImagePlugin

_DIRECTORIES = {42: ("H", "HHII", 12), 43: ("Q", "HHQI", 20)}
"""By version: a directory's count; tag, type, count and value of an entry with one LONG; size."""

_LONG = 4

# TIFF 6.0's tags.
_IMAGE_WIDTH, _BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _TILE_WIDTH = 256, 258, 262, 274, 322


def bands(
    data: bytes, tags: TiffImagePlugin.ImageFileDirectory_v2, bits: int, rows: int
) -> Iterator[Image.Image]:
    """Yield bands of this many rows, the last one of fewer, with the highest eight bits.

    A band's values are those of the file, its rows not turned by an orientation.

    Args:
        data: The file.
        tags: Its first directory.
        bits: The bits per sample.
        rows: The rows of a band.
    """
    width = tags[_IMAGE_WIDTH]
    as_bytes = {
        _IMAGE_WIDTH: -(-width * bits // 8),
        _BITS_PER_SAMPLE: 8,
        _PHOTOMETRIC: 1,
        _ORIENTATION: 1,
        _TILE_WIDTH: tags.get(_TILE_WIDTH, 0) * bits // 8,
    }
    group_bytes = math.lcm(bits, 8) // 8
    groups = -(-as_bytes[_IMAGE_WIDTH] // group_bytes)
    samples = groups * (group_bytes * 8 // bits)
    file = io.BytesIO(_with_values(data, tags.offset, as_bytes))
    with TiffImagePlugin.TiffImageFile(file) as packed:
        packed.load()
        for top in range(0, packed.height, rows):
            height = min(rows, packed.height - top)
            # Each row is filled up to whole groups.
            band = packed.crop((0, top, groups * group_bytes, top + height))
            highest = _highest_bytes(band.tobytes(), bits)
            unpacked = Image.frombytes("L", (samples, height), highest)
            yield unpacked.crop((0, 0, width, height))


def _highest_bytes(data: bytes, bits: int) -> bytes:
    """Return the highest eight bits of each sample, of whole groups that fill whole bytes."""
    group_bytes = math.lcm(bits, 8) // 8
    in_group = group_bytes * 8 // bits
    highest = bytearray(len(data) // group_bytes * in_group)
    for number in range(in_group):
        place, shift = divmod(number * bits, 8)
        part = data[place::group_bytes]
        if shift:
            part = part.translate(bytes(byte << shift & 0xFF for byte in range(256)))
            next_part = data[place + 1 :: group_bytes]
            next_part = next_part.translate(bytes(byte >> 8 - shift for byte in range(256)))
            both = int.from_bytes(part, "little") | int.from_bytes(next_part, "little")
            part = both.to_bytes(len(part), "little")
        highest[number::in_group] = part
    return bytes(highest)


def _with_values(data: bytes, directory: int, values: Mapping[int, int]) -> bytes:
    """Return a copy of a file whose directory has these values where it has these tags."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    (version,) = struct.unpack_from(f"{order}H", data, 2)
    count, entry, size = _DIRECTORIES[version]
    (entries,) = struct.unpack_from(f"{order}{count}", data, directory)
    start = directory + struct.calcsize(f"{order}{count}")
    table = bytearray(data[start : start + size * entries])
    for place in range(0, len(table), size):
        (tag,) = struct.unpack_from(f"{order}H", table, place)
        if tag in values:
            struct.pack_into(f"{order}{entry}", table, place, tag, _LONG, 1, values[tag])
    whole = memoryview(data)
    return b"".join((whole[:start], table, whole[start + len(table) :]))
