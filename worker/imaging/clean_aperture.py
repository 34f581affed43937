"""The part of a HEIC picture that is shown, where its container crops it: a "clap" property.

libheif 1.23.0 crops, too, but takes the size that is left for the largest that it may decode.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction

from worker.imaging.isobmff import Container, number

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""

_PROPERTY = struct.Struct(">IIIIiIiI")
"""ISO/IEC 14496-12, 12.1.4: width, height and offsets of the middles, as fractions."""


def without(data: bytes) -> tuple[bytes, Box | None]:
    """Return a file whose primary item is not cropped, and the part of it to show; None for all.

    The part is one of the turned picture.

    Raises:
        ValueError: The file is damaged, or the part is not within the picture.
        ZeroDivisionError: A fraction is none.
    """
    container = Container(memoryview(data))
    primary = container.primary_item()
    properties = container.properties().get(-1 if primary is None else primary, ())
    if not any(name == b"clap" for name, _ in properties):
        return data, None
    stated = next(body for name, body in properties if name == b"ispe")
    size = number(stated, 4, 4), number(stated, 8, 4)
    whole = b"clap" + _PROPERTY.pack(size[0], 1, size[1], 1, 0, 1, 0, 1)
    box = (0, 0, *size)
    for name, body in properties:
        if name == b"clap":
            box = _cropped(box, bytes(body[: _PROPERTY.size]))
            data = data.replace(name + body[: _PROPERTY.size], whole)
        elif name == b"irot":
            for _ in range(number(body, 0, 1) & 3):
                box, size = (box[1], size[0] - box[2], box[3], size[0] - box[0]), size[::-1]
        elif name == b"imir":
            left, top, right, bottom = box
            if number(body, 0, 1) & 1:
                box = size[0] - right, top, size[0] - left, bottom
            else:
                box = left, size[1] - bottom, right, size[1] - top
    return data, box


def _cropped(box: Box, body: bytes) -> Box:
    values = _PROPERTY.unpack(body)
    width, height, across, down = map(Fraction, values[::2], values[1::2])
    left = box[0] + math.floor(across + (box[2] - box[0] - width + 1) / 2)
    top = box[1] + math.floor(down + (box[3] - box[1] - height + 1) / 2)
    right, bottom = left + round(width), top + round(height)
    if not (box[0] <= left < right <= box[2] and box[1] <= top < bottom <= box[3]):
        raise ValueError("a part that is not within the picture")
    return left, top, right, bottom
