"""The frames of an animated GIF, each composed with those before it as browsers do."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image

from worker.imaging.geometry import Size
from worker.imaging.work_limits import MOST_READS, too_many_parts

_PALETTE: Final = 0x80
"""The flag of a palette; the three lowest bits are its size."""

_INTERLACED: Final = 0x40
_TRANSPARENT: Final = 0x01
_LOOPS: Final = b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0"
_CLEAR: Final = 2
_RESTORE: Final = frozenset({3, 4})
"""Some encoders write 4, the third bit, where the specification says 3."""

_ENDLESS: Final = 0
_MOST_LOOPS: Final = 0xFFFF


@dataclass(frozen=True)
class Frame:
    """One frame, as the file has it.

    Attributes:
        box: The part of the screen that it covers: left, top, right and bottom in pixels.
        colors: Its palette, or the file's: three bytes for each color.
        data: Where its compressed pixels start and end in the file.
        interlaced: Whether its rows are in four passes.
        duration: In milliseconds, as stated.
        disposal: What becomes of it before the next one is drawn.
        transparent: The index of what it does not draw; None for none.
    """

    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    colors: bytes = b""
    data: tuple[int, int] = (0, 0)
    interlaced: bool = False
    duration: int = 0
    disposal: int = 0
    transparent: int | None = None

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        left, top, right, bottom = self.box
        return right - left, bottom - top


def frames(data: bytes) -> Iterator[Frame]:
    """Yield the frames of a file.

    The specification: https://www.w3.org/Graphics/GIF/spec-gif89a.txt

    Raises:
        Rejection: The file is in too many parts.
    """
    colors, position = _palette(data, data[10], 13)
    control, parts = Frame(), 0
    while position + 10 <= len(data) and parts < MOST_READS:
        parts += 1
        if data[position] == ord(","):
            left, top, width, height, flags = struct.unpack_from("<4HB", data, position + 1)
            own, start = _palette(data, flags, position + 10)
            position, parts = _after_blocks(data, start + 1, parts)
            yield replace(
                control,
                box=(left, top, left + width, top + height),
                colors=own or colors,
                data=(start, position),
                interlaced=bool(flags & _INTERLACED),
            )
            control = Frame()
        elif data[position] == ord("!"):
            if data[position + 1] == 0xF9:
                flags, hundredths, index = struct.unpack_from("<BHB", data, position + 3)
                transparent = index if flags & _TRANSPARENT else None
                control = Frame(
                    duration=hundredths * 10, disposal=flags >> 2 & 7, transparent=transparent
                )
            position, parts = _after_blocks(data, position + 2, parts)
        elif data[position] == 0:
            position += 1  # one end of blocks too many
        else:
            return
    if parts >= MOST_READS:
        raise too_many_parts()


def plays(data: bytes) -> int:
    """Return how often the whole animation is shown; 0 for without end.

    A file counts repetitions, and without a count is shown once:
    https://chromium.googlesource.com/chromium/src/+/main/cc/paint/image_animation_count.h
    """
    for name in _LOOPS:
        start = data.find(b"!\xff" + name) + 2 + len(name)
        block = data[start : start + 4]
        if start > 2 + len(name) and block[:2] == b"\x03\x01" and len(block) == 4:
            repetitions = int.from_bytes(block[2:], "little")
            return min(repetitions + 1, _MOST_LOOPS) if repetitions else _ENDLESS
    return 1


def composed(data: bytes, shown: Sequence[Frame], screen: Size) -> Iterator[Image.Image]:
    """Yield the screen as it is with each frame; in RGBA, one image that changes.

    What no frame has drawn, or is cleared, is transparent, whatever the background color.
    """
    canvas = Image.new("RGBA", screen)
    for frame in shown:
        image = _decoded(data, frame)
        left, top, right, bottom = frame.box
        box = (
            min(left, screen[0]),
            min(top, screen[1]),
            min(right, screen[0]),
            min(bottom, screen[1]),
        )
        before = canvas.crop(box) if frame.disposal in _RESTORE else None
        canvas.paste(image, frame.box, image)
        yield canvas
        if frame.disposal == _CLEAR:
            canvas.paste((0, 0, 0, 0), box)
        elif before:
            canvas.paste(before, box)


def _decoded(data: bytes, frame: Frame) -> Image.Image:
    """Return the pixels of one frame, decoded as a file of its own."""
    size_bits = (len(frame.colors) // 3).bit_length() - 2
    flags = _PALETTE | size_bits if frame.colors else 0
    file = b"".join(
        (
            b"GIF89a" + struct.pack("<HHBBB", *frame.size, flags, 0, 0) + frame.colors,
            b"," + struct.pack("<4HB", 0, 0, *frame.size, frame.interlaced * _INTERLACED),
            data[slice(*frame.data)] + b";",
        )
    )
    with Image.open(io.BytesIO(file), formats=("GIF",)) as image:
        if frame.transparent is not None:
            image.info["transparency"] = frame.transparent
        return image.convert("RGBA")


def _palette(data: bytes, flags: int, position: int) -> tuple[bytes, int]:
    """Return the palette at a position, and the position after it."""
    end = position + (3 << (flags & 7) + 1 if flags & _PALETTE else 0)
    return data[position:end], end


def _after_blocks(data: bytes, position: int, parts: int) -> tuple[int, int]:
    """Return the position after a series of blocks, and how many parts there are with them."""
    end = len(data)
    while position < end and parts < MOST_READS:
        parts += 1
        size = data[position]
        position += size + 1
        if not size:
            break
    return position, parts
