"""Undoing the filters of a PNG's rows with vector instructions, by the compiled unfilter.c."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image

from worker.imaging import resize
from worker.imaging.inflate import Inflated

_BYTES_PER_PIXEL: Final = {"L": 1, "P": 1, "RGB": 3, "RGBA": 4}
"""In a file of eight bits per sample, by Pillow's mode."""

_Function = Callable[..., int]


def is_vectorised(mode: str) -> bool:
    """Return whether `strips` takes pictures of this mode: whether the library is there, too."""
    return mode in _BYTES_PER_PIXEL and _function(resize.library()) is not None


def strips(image_data: Inflated, mode: str, size: resize.Size, rows: int) -> Iterator[Image.Image]:
    """Yield strips of this many rows, the last one of fewer, without a palette.

    Their pixels must stay as they are until the next one is there, which depends on them.

    Raises:
        ValueError: The file is damaged or ends early.
        zlib.error: The same.
    """
    function = _function(resize.library())
    if function is None:
        raise ValueError("there is no library")
    width, height = size
    depth = _BYTES_PER_PIXEL[mode]
    last_row, above = resize.memory(Image.new(mode, (width, 1)))
    for top in range(0, height, rows):
        count = min(rows, height - top)
        filtered = image_data.read(count * (1 + width * depth))
        strip = Image.new(mode, (width, count), None)  # its pixels are not set yet
        shared, pixels = resize.memory(strip)
        if not function(filtered, width, count, depth, pixels, above):
            raise ValueError("cannot decode image data")  # Pillow's words for an unknown filter
        yield strip
        last_row, above = shared, pixels + (count - 1) * width * (1 if depth == 1 else 4)
    del last_row  # which is used by its address alone


@cache
def _function(library: Path) -> _Function | None:
    """Return the library's function; None where it is missing, or Pillow's memory is another."""
    try:
        function = ctypes.CDLL(str(library)).darkroom_unfilter
        long, pointer = ctypes.c_long, ctypes.c_void_p
        function.argtypes = [ctypes.c_char_p, long, long, ctypes.c_int, pointer, pointer]
        resize.set_block_size()
        for mode, depth in _BYTES_PER_PIXEL.items():
            image, above = Image.new(mode, (2, 2), None), Image.new(mode, (2, 1))
            (_written, pixels), (_read, before) = resize.memory(image), resize.memory(above)
            row = bytes(range(2 * depth))
            if not function(b"\x00" + row + b"\x02" + row, 2, 2, depth, pixels, before):
                return None
            if image.tobytes() != row + bytes(2 * value for value in row):
                return None
    except (OSError, AttributeError, TypeError, ValueError):
        return None
    return function
