"""TIFF files of any byte order, depth, layout and compression that no encoder at hand writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Plane = Sequence[Sequence[int]]
"""Rows of one sample per pixel."""


def _packbits(data: bytes) -> bytes:
    runs = (data[place : place + 128] for place in range(0, len(data), 128))
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def _lzw(data: bytes) -> bytes:
    """Return literals alone, with the table cleared before codes have ten bits."""
    codes: list[int] = []
    for place in range(0, len(data), 200):
        codes += [256, *data[place : place + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))


COMPRESSIONS: Mapping[int, Callable[[bytes], bytes]] = {
    1: bytes,
    5: _lzw,
    8: zlib.compress,
    32773: _packbits,
    32946: zlib.compress,
}
"""By TIFF's number."""


@dataclass(frozen=True)
class Layout:
    """How the samples of a file are stored."""

    bits: int = 8
    photometric: int = 1
    order: str = "<"
    compression: int = 1
    planar: int = 1
    fill_order: int = 1
    rows_per_strip: int | None = None
    tile: tuple[int, int] | None = None
    orientation: int = 1
    extra: Sequence[int] = ()
    sample_format: int = 1
    big: bool = False
    without: Sequence[int] = ()


def tiff_of(planes: Sequence[Plane], layout: Layout) -> bytes:
    """Return a file with these samples."""
    size = len(planes[0][0]), len(planes[0])
    wide, tall = layout.tile or (size[0], layout.rows_per_strip or size[1])
    groups = [planes] if layout.planar == 1 else [[plane] for plane in planes]
    blocks = [
        _block(
            group, left, top, (wide, min(tall, size[1] - top) if not layout.tile else tall), layout
        )
        for group in groups
        for top in range(0, size[1], tall)
        for left in range(0, size[0], wide)
    ]
    count = len(planes)
    entries = {
        256: [size[0]],
        257: [size[1]],
        258: [layout.bits] * count,
        259: [layout.compression],
        262: [layout.photometric],
        266: [layout.fill_order],
        274: [layout.orientation],
        277: [count],
        284: [layout.planar],
        338: list(layout.extra),
        339: [layout.sample_format] * count,
    }
    if layout.tile:
        entries |= {322: [wide], 323: [tall], 325: [len(block) for block in blocks]}
    else:
        entries |= {278: [tall], 279: [len(block) for block in blocks]}
    used = {tag: values for tag, values in entries.items() if values and tag not in layout.without}
    return _file(used, blocks, 324 if layout.tile else 273, layout)


def _block(
    planes: Sequence[Plane], left: int, top: int, size: tuple[int, int], layout: Layout
) -> bytes:
    rows = b""
    for y in range(top, top + size[1]):
        samples: list[int] = []
        for x in range(left, left + size[0]):
            within = y < len(planes[0]) and x < len(planes[0][0])
            samples += [plane[y][x] if within else 0 for plane in planes]
        rows += _packed(samples, layout)
    data = COMPRESSIONS[layout.compression](rows)
    if layout.fill_order == 2:
        data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    return data


def _packed(samples: Sequence[int], layout: Layout) -> bytes:
    kind = {8: "B", 16: "H", 32: "I"}.get(layout.bits)
    if layout.sample_format == 3:
        return struct.pack(f"{layout.order}{len(samples)}f", *samples)
    if kind:
        return struct.pack(f"{layout.order}{len(samples)}{kind}", *samples)
    # TIFF 6.0, BitsPerSample: other depths are packed without a gap, a row is whole bytes.
    bits = "".join(f"{sample:0{layout.bits}b}" for sample in samples)
    length = -(-len(bits) // 8)
    return int(bits.ljust(length * 8, "0"), 2).to_bytes(length)


def _file(
    entries: Mapping[int, Sequence[int]], blocks: Sequence[bytes], places: int, layout: Layout
) -> bytes:
    """Return a classic TIFF, or a BigTIFF, with the directory before the blocks."""
    order = layout.order
    head = b"II" if order == "<" else b"MM"
    count, entry, width = ("Q", "HHQ", 8) if layout.big else ("H", "HHI", 4)
    start = 16 if layout.big else 8
    with_places = {**entries, places: [0] * len(blocks)}
    behind = start + struct.calcsize(f"{order}{count}")
    behind += len(with_places) * (struct.calcsize(f"{order}{entry}") + width) + width
    pixels = behind + sum(4 * len(values) for values in with_places.values())
    offsets = [pixels + sum(map(len, blocks[:number])) for number in range(len(blocks))]
    table, body = b"", b""
    for tag, values in sorted({**with_places, places: offsets}.items()):
        # Offsets and lengths as LONG, everything else as SHORT.
        kind = 4 if tag in {273, 279, 324, 325} else 3
        value = struct.pack(f"{order}{len(values)}{'I' if kind == 4 else 'H'}", *values)
        if len(value) > width:
            place = struct.pack(f"{order}{'Q' if layout.big else 'I'}", behind + len(body))
            body += value
        else:
            place = value.ljust(width, b"\x00")
        table += struct.pack(f"{order}{entry}", tag, kind, len(values)) + place
    if layout.big:
        head += struct.pack(f"{order}HHHQ", 43, 8, 0, start)
    else:
        head += struct.pack(f"{order}HI", 42, start)
    head += struct.pack(f"{order}{count}", len(with_places)) + table + bytes(width)
    return (head + body).ljust(pixels, b"\x00") + b"".join(blocks)
