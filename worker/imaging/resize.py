"""Resizing to Pillow's very bytes with vector instructions, by the compiled resize.c."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from PIL import Image

Size = tuple[int, int]
"""Width and height in pixels."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""

_library = Path(__file__).with_name("libimaging.so")
"""The compiled resize.c and unfilter.c, where the package has it."""

_BYTES_PER_PIXEL: Final = {"L": 1, "CMYK": 4, "LAB": 4, "RGB": 4, "RGBX": 4, "RGBa": 4, "YCbCr": 4}
"""Of the modes whose pixels are bytes that are resized each on its own."""

_FILTERS: Final = frozenset(
    {
        Image.Resampling.BOX,
        Image.Resampling.BILINEAR,
        Image.Resampling.HAMMING,
        Image.Resampling.BICUBIC,
        Image.Resampling.LANCZOS,
    }
)

_MOST_SCRATCH: Final = 4 << 20
"""Bytes, which limits.FIXED_BYTES covers. 100 megapixels to 1200 pixels take less than one of them;
what takes more is a line of pixels, which Pillow resizes."""

_BLOCK: Final = 1 << 30
"""Bytes. Pillow shares only images that are in one block of memory; its own limit is 16 MB."""


class _ArrowArray(ctypes.Structure):
    """Arrow's C data interface: https://arrow.apache.org/docs/format/CDataInterface.html."""


_ArrowArray._fields_ = [
    *((name, ctypes.c_int64) for name in ("length", "null_count", "offset")),
    *((name, ctypes.c_int64) for name in ("n_buffers", "n_children")),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_ArrowArray))),
    *((name, ctypes.c_void_p) for name in ("dictionary", "release", "private_data")),
]

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = ctypes.c_void_p
_pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]

_Kernel = Callable[..., int]


def resize(
    image: Image.Image,
    size: Size,
    resample: Image.Resampling = Image.Resampling.LANCZOS,
    box: Box | None = None,
) -> Image.Image:
    """Return what `image.resize(size, resample, box)` returns, in a sixth of the time.

    It takes as long as Pillow where the compiled library is missing or does not run on this
    processor, and for modes other than those with bytes.
    """
    image.load()
    if image.size == size and box in {None, (0, 0, *size)}:
        return image.copy()
    if image.mode == "RGBA":  # as Pillow: transparent pixels do not count in averages
        return resize(image.convert("RGBa"), size, resample, box).convert("RGBA")
    left, top, right, bottom = whole = box or (0, 0, *image.size)
    is_valid = 0 <= left <= right <= image.width and 0 <= top <= bottom <= image.height
    kernel = _kernel() if is_valid and min(*size, *image.size) > 0 else None
    if kernel is None or image.mode not in _BYTES_PER_PIXEL or resample not in _FILTERS:
        return image.resize(size, resample, box)
    lines, columns = image.height - size[1], image.width - size[0]
    if lines > max(0, 2 * columns) and (left, right) != (0, size[0]):
        # So does Pillow, to resize fewer pixels across. Each step is rounded: the order shows.
        image = resize(image, (image.width, size[1]), resample, (0, top, image.width, bottom))
        whole = left, 0, right, size[1]
    resized = _resized(kernel, image, size, resample, whole)
    return image.resize(size, resample, whole) if resized is None else resized


def use(library: Path) -> None:
    """Use a compiled library that is elsewhere than in the package."""
    global _library
    _library = library
    _kernel.cache_clear()


def library() -> Path:
    """Return where the compiled library is, if it is there."""
    return _library


def set_block_size() -> None:
    """Make Pillow keep an image in one block, which it can share."""
    Image.core.set_block_size(_BLOCK)  # type: ignore[attr-defined]  # documented there


def is_vectorised() -> bool:
    """Return whether the library is there and does as Pillow does."""
    return _kernel() is not None


@cache
def _kernel() -> _Kernel | None:
    """Return the library's function; None where it is missing or does not do as Pillow does."""
    try:
        kernel = ctypes.CDLL(str(_library)).darkroom_resize
        kernel.restype = ctypes.c_size_t
        numbers, pointer = ctypes.c_int, ctypes.c_void_p
        kernel.argtypes = [
            *(pointer, ctypes.POINTER(numbers), numbers, ctypes.POINTER(ctypes.c_float)),
            *(pointer, ctypes.POINTER(numbers), numbers, pointer),
        ]
        set_block_size()
        return kernel if _does_as_pillow(kernel) else None
    except (OSError, AttributeError, TypeError, ValueError):
        return None


def _does_as_pillow(kernel: _Kernel) -> bool:
    size, box, resample = (7, 5), (0.25, 1.5, 20, 13), Image.Resampling.LANCZOS
    for mode in ("L", "RGBa"):
        across = Image.linear_gradient("L").resize((21, 17))
        image = Image.merge("RGBA", (across, across.rotate(90), across, across.rotate(180)))
        image = across if mode == "L" else image.convert(mode)
        found = _resized(kernel, image, size, resample, box)
        if found is None or found.tobytes() != image.resize(size, resample, box).tobytes():
            return False
    return True


def _resized(
    kernel: _Kernel, image: Image.Image, size: Size, resample: Image.Resampling, box: Box
) -> Image.Image | None:
    """Return the resized image; None where it would take too much memory, or Pillow's is in parts.

    ctypes lets other threads run meanwhile.
    """
    target = Image.new(image.mode, size, None)  # its pixels are not set yet
    numbers, floats = ctypes.c_int * 2, ctypes.c_float * 4
    try:
        (_shared, pixels), (_written, made) = memory(image), memory(target)
    except ValueError:
        return None
    arguments = (
        *(pixels, numbers(*image.size), _BYTES_PER_PIXEL[image.mode], floats(*box)),
        *(made, numbers(*size), int(resample)),
    )
    needed = kernel(*arguments, None)
    if not 0 < needed <= _MOST_SCRATCH:
        return None
    scratch = bytearray(needed)
    kernel(*arguments, ctypes.addressof(ctypes.c_char.from_buffer(scratch)))
    return target


def memory(image: Image.Image) -> tuple[Any, int]:
    """Return the address of an image's pixels, and what keeps them there.

    Raises:
        ValueError: they are in several blocks.
    """
    capsule = image.im.__arrow_c_array__()
    array = _ArrowArray.from_address(_pointer_of(capsule, b"arrow_array"))
    if array.n_children:  # pixels of four bytes
        array = array.children[0].contents
    return capsule, array.buffers[1]
