"""Animated WebPs put together from their parts, and what each frame shows by definition."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

_HAS_ANIMATION, _HAS_ALPHA, _HAS_PROFILE = 0x02, 0x10, 0x20
_NO_BLENDING, _CLEARED = 0x02, 0x01


@dataclass(frozen=True)
class WebpFrame:
    """One frame; its place is even.

    https://developers.google.com/speed/webp/docs/riff_container#animation
    """

    image: Image.Image
    left: int = 0
    top: int = 0
    duration: int = 40
    blended: bool = True
    cleared: bool = False


def webp_of(
    size: tuple[int, int],
    frames: Sequence[WebpFrame],
    plays: int = 0,
    profile: bytes = b"",
    exif: bytes = b"",
) -> bytes:
    """Return a WebP whose frames lose nothing."""
    flags = _HAS_ANIMATION | _HAS_ALPHA | (_HAS_PROFILE if profile else 0) | (8 if exif else 0)
    body = _chunk(b"VP8X", struct.pack("<I", flags) + _three(size[0] - 1) + _three(size[1] - 1))
    if profile:
        body += _chunk(b"ICCP", profile)
    body += _chunk(b"ANIM", struct.pack("<IH", 0xFF0000FF, plays))
    for frame in frames:
        numbers = frame.left // 2, frame.top // 2, frame.image.width - 1, frame.image.height - 1
        head = b"".join(map(_three, (*numbers, frame.duration)))
        drawn = (0 if frame.blended else _NO_BLENDING) | (_CLEARED if frame.cleared else 0)
        body += _chunk(b"ANMF", head + bytes([drawn]) + _lossless(frame.image))
    if exif:
        body += _chunk(b"EXIF", exif)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def screens(size: tuple[int, int], frames: Sequence[WebpFrame]) -> list[Image.Image]:
    """Return what is seen with each frame; in RGBA, of frames whose alpha is all or nothing."""
    shown = Image.new("RGBA", size)
    found = []
    for frame in frames:
        place = (frame.left, frame.top)
        shown.paste(frame.image, place, frame.image if frame.blended else None)
        found.append(shown.copy())
        if frame.cleared:
            shown.paste(
                (0, 0, 0, 0),
                (*place, frame.left + frame.image.width, frame.top + frame.image.height),
            )
    return found


def _lossless(image: Image.Image) -> bytes:
    """Return the chunk of a still picture."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, exact=True, quality=0, method=0)
    data = buffer.getvalue()
    return data[data.index(b"VP8L") :]


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")
