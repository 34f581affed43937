"""BMP files that Pillow does not write: bit fields and run lengths."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def bit_fields(
    size: tuple[int, int],
    values: Sequence[int],
    bits: int,
    masks: Sequence[int],
    *,
    header: int = 56,
    compression: int = 3,
    top_down: bool = False,
    gap: int = 0,
) -> bytes:
    """Return a BMP of these pixels, each a number of so many bits, rows from the top."""
    width, height = size
    layout = f"<{width}{'H' if bits == 16 else 'I'}"
    rows = [struct.pack(layout, *values[row * width : (row + 1) * width]) for row in range(height)]
    padded = [row + bytes(-len(row) % 4) for row in rows]
    body = b"".join(padded if top_down else reversed(padded))
    count = {40: 4 if compression == 6 else 3, 52: 3}.get(header, 4)
    info = struct.pack(
        "<IiiHHIIiiII",
        *(header, width, -height if top_down else height, 1, bits, compression, len(body)),
        *(0, 0, 0, 0),
    ) + struct.pack(f"<{count}I", *masks[:count])
    info += bytes(max(header, 40 + 4 * count) - len(info) + gap)
    return (
        b"BM" + struct.pack("<IHHI", 14 + len(info) + len(body), 0, 0, 14 + len(info)) + info + body
    )


def run_lengths(size: tuple[int, int], body: bytes, *, nibbles: bool = False) -> bytes:
    """Return a BMP of this body, with a palette whose colors count down."""
    colours = 16 if nibbles else 256
    palette = b"".join(bytes([255 - value, value, 9, 0]) for value in range(colours))
    info = struct.pack(
        "<IiiHHIIiiII",
        *(40, *size, 1, 4 if nibbles else 8, 2 if nibbles else 1, len(body), 0, 0, colours, 0),
    )
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + palette + body
