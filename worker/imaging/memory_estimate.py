"""How much memory a picture takes on its way to thumbnails, known before it is decoded.

Figures are peaks of whole runs, measured with Pillow 13.0 and rounded up; the tests measure again.
"""

from __future__ import annotations

import math
from typing import Final

from PIL import AvifImagePlugin, ImageFile, JpegImagePlugin, TiffImagePlugin

from worker import limits
from worker.imaging import avif, jpeg, png

_FOR_A_PIXEL_OF_A_BAND: Final = 24
"""Rows that are converted at a time: as they were, as RGBA, with their alpha multiplied in …"""

_FOR_A_FRAMED_PIXEL: Final = 16
"""The thumbnail as it was, its copy with transparency, the canvas, and that without."""

_SMALL_MODES: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Pillow's bytes for a pixel where they are not 4."""

_BITS_PER_SAMPLE: Final = 258
_TILE_WIDTH: Final = 322
_TILE_LENGTH: Final = 323
"""TIFF's tags."""


def of_decoding(picture: ImageFile.ImageFile, thumbnail: tuple[int, int], band_rows: int) -> int:
    """Return the bytes that an opened picture takes until it has shrunk to its widest variant."""
    pixels = math.ceil(pixels_at_once(picture) * of_a_pixel(picture))
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        besides = len(content(picture))
    else:
        besides = picture.width * band_rows * _FOR_A_PIXEL_OF_A_BAND
    return pixels + besides + of_encoding(thumbnail)


def pixels_at_once(picture: ImageFile.ImageFile) -> int:
    """Return the pixels that are decoded in one piece: what is in a file may be larger than it."""
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        tile: int = picture.tag_v2.get(_TILE_WIDTH, 1) * picture.tag_v2.get(_TILE_LENGTH, 1)
        return max(math.prod(picture.size), tile)
    if isinstance(picture, AvifImagePlugin.AvifImageFile):
        return max(math.prod(picture.size), avif.pixels_at_once(content(picture)))
    return math.prod(picture.size)


def content(picture: ImageFile.ImageFile) -> bytes:
    """Return the file that a picture is being read from."""
    if picture.fp is None:
        raise ValueError("closed")
    picture.fp.seek(0)
    return picture.fp.read()


def of_encoding(thumbnail: tuple[int, int], *, framed: bool = False) -> int:
    """Return the bytes that encoding takes, one variant after the other, this one the widest.

    `framed` are those that are sharpened or put on a canvas before.
    """
    each = limits.BYTES_PER_THUMBNAIL_PIXEL + (_FOR_A_FRAMED_PIXEL if framed else 0)
    return limits.FIXED_BYTES + math.prod(thumbnail) * each


def of_a_pixel(picture: ImageFile.ImageFile) -> float:
    """Return the bytes that each pixel of a picture like this one takes while it is decoded.

    Of a JPEG only what does not shrink: its pixels are as many as the widest variant asks for.
    """
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        return limits.BYTES_BESIDE_COEFFICIENTS + _coefficients(picture)
    if png.has_strips(picture):
        return 0  # it is there some rows at a time only
    if picture.format in limits.BYTES_PER_PIXEL:
        return limits.BYTES_PER_PIXEL[picture.format]
    return _SMALL_MODES.get(picture.mode, 4) + _strip(picture)


def _coefficients(picture: JpegImagePlugin.JpegImageFile) -> float:
    """Return bytes for each pixel that libjpeg keeps until the last scan: none if there is one."""
    if not jpeg.has_partial_scans(content(picture)):
        return 0
    factors = [(across, down) for _, across, down, _ in picture.layer]
    most = max(across for across, _ in factors) * max(down for _, down in factors)
    return limits.BYTES_PER_COEFFICIENT * sum(across * down for across, down in factors) / most


def _strip(picture: ImageFile.ImageFile) -> float:
    """Return bytes for each pixel that a TIFF takes besides, as it may be one single strip."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return 0
    bits = picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))
    # A JPEG inside of it may be progressive, with four channels.
    return sum(bits) / 8 + (
        4 * limits.BYTES_PER_COEFFICIENT if picture.info.get("compression") == "jpeg" else 0
    )
