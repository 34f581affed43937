"""GIFs written byte by byte, and what each of their frames shows by the format's definition."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

Color = tuple[int, int, int]
Indices = Sequence[Sequence[int]]
"""Rows of places in a palette."""

CLEAR, RESTORE = 2, 3


@dataclass(frozen=True)
class GifFrame:
    """One frame: GIF89a, sections 20, 22 and 23."""

    rows: Indices
    left: int = 0
    top: int = 0
    colors: Sequence[Color] = ()
    hundredths: int = 4
    disposal: int = 0
    transparent: int | None = None
    interlaced: bool = False


def gif_of(
    screen: tuple[int, int],
    frames: Sequence[GifFrame],
    colors: Sequence[Color] = (),
    repetitions: int | None = None,
    background: int = 0,
) -> bytes:
    """Return a GIF; palettes have 2, 4, 8, … or 256 colors."""
    flags = _palette_flags(colors)
    file = b"GIF89a" + struct.pack("<HHBBB", *screen, flags, background, 0) + _bytes(colors)
    if repetitions is not None:
        file += b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", repetitions, 0)
    for frame in frames:
        packed = frame.disposal << 2 | (frame.transparent is not None)
        file += b"!\xf9\x04" + struct.pack(
            "<BHBB", packed, frame.hundredths, frame.transparent or 0, 0
        )
        height, width = len(frame.rows), len(frame.rows[0])
        flags = _palette_flags(frame.colors) | (0x40 if frame.interlaced else 0)
        file += b"," + struct.pack("<4HB", frame.left, frame.top, width, height, flags)
        rows = [frame.rows[row] for row in _order(height)] if frame.interlaced else frame.rows
        file += _bytes(frame.colors) + _compressed([index for row in rows for index in row])
    return file + b";"


def screens(
    screen: tuple[int, int], frames: Sequence[GifFrame], colors: Sequence[Color] = ()
) -> list[Image.Image]:
    """Return what is seen with each frame, pixel by pixel; in RGBA."""
    shown = [[(0, 0, 0, 0)] * screen[0] for _ in range(screen[1])]
    found = []
    for frame in frames:
        before = [list(row) for row in shown]
        for y, row in enumerate(frame.rows, frame.top):
            for x, index in enumerate(row, frame.left):
                if index != frame.transparent and x < screen[0] and y < screen[1]:
                    shown[y][x] = (*(frame.colors or colors)[index], 255)
        image = Image.new("RGBA", screen)
        image.putdata([pixel for line in shown for pixel in line])
        found.append(image)
        if frame.disposal == RESTORE:
            shown = before
        elif frame.disposal == CLEAR:
            for y in range(frame.top, min(frame.top + len(frame.rows), screen[1])):
                for x in range(frame.left, min(frame.left + len(frame.rows[0]), screen[0])):
                    shown[y][x] = (0, 0, 0, 0)
    return found


def _order(height: int) -> list[int]:
    """Return the rows in the order of an interlaced frame: appendix E."""
    return [
        *range(0, height, 8),
        *range(4, height, 8),
        *range(2, height, 4),
        *range(1, height, 2),
    ]


def _palette_flags(colors: Sequence[Color]) -> int:
    return 0x80 | len(colors).bit_length() - 2 if colors else 0


def _bytes(colors: Sequence[Color]) -> bytes:
    return bytes(value for color in colors for value in color)


def _compressed(indices: Sequence[int]) -> bytes:
    """Return LZW data that never refer back: a clear code comes before codes grow (appendix F)."""
    size = max(2, max(indices).bit_length())
    clear, width = 1 << size, size + 1
    codes = [clear]
    for number, index in enumerate(indices):
        if number and number % (clear - 2) == 0:
            codes.append(clear)
        codes.append(index)
    codes.append(clear + 1)
    data = b"".join(  # eight codes of any width are whole bytes
        sum(code << place * width for place, code in enumerate(codes[start : start + 8])).to_bytes(
            width, "little"
        )
        for start in range(0, len(codes), 8)
    )
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return bytes([size]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
