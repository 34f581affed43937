"""How much memory an image takes on its way to thumbnails, estimated before it is decoded.

Figures are peaks of whole runs, measured with Pillow 13.0 and rounded up; the tests measure again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from PIL import AvifImagePlugin, ImageFile, JpegImagePlugin, TiffImagePlugin

from worker import limits
from worker.imaging import avif, bmp, heic, jpeg, png, tiff, webp
from worker.imaging.avif_picture import AvifPicture

_BYTES_PER_BAND_PIXEL: Final = 24
"""Rows that are converted at a time: as they were, as RGBA, with their alpha multiplied in."""

_COPIES_OF_HEADER: Final = 3
"""Of what is before the pixels, or instead of them, while it is read."""

_BYTES_PER_FINISHED_PIXEL: Final = 16
"""The thumbnail as it was, its copy with transparency, the canvas, and that without."""

_BYTES_PER_CANVAS_PIXEL: Final = 20
"""Of an animated thumbnail: the encoder's three, and the frame in which it looks for changes."""

_BYTES_PER_ENCODED_PIXEL: Final = 12
"""Noise in RGBA at quality 100 has 3.7; in the end the file is there three times."""

_BYTES_PER_MARKED_PIXEL: Final = 8
"""The thumbnail without its watermark, beside that with it."""

_BYTES_BY_MODE: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Pillow's bytes per pixel where they are not 4."""

# TIFF 6.0's tags.
_BITS_PER_SAMPLE: Final = 258
_TILE_WIDTH: Final = 322
_TILE_LENGTH: Final = 323


def opening_bytes(file_bytes: int) -> int:
    """Return the bytes that opening a file of this many takes at most.

    A comment of a GIF, a field of a TIFF or EXIF data may be as long as the file: the pieces that
    are read, and what they are joined to, take nearly three times as much.
    """
    return limits.FIXED_BYTES + _COPIES_OF_HEADER * file_bytes


def decoding_bytes(picture: ImageFile.ImageFile, thumbnail: tuple[int, int], band_rows: int) -> int:
    """Return the bytes that an opened image takes until it is resized to its widest variant.

    Args:
        picture: The opened image.
        thumbnail: The size that it is resized to.
        band_rows: How many rows are converted at a time.
    """
    pixels = math.ceil(pixels_at_once(picture) * bytes_per_pixel(picture))
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        extra = len(file_content(picture))
    else:
        extra = picture.width * band_rows * _BYTES_PER_BAND_PIXEL
        if tiff.has_packed_bands(picture) or isinstance(picture, heic.HeicPicture):
            # A copy with another directory; of the items that libheif reads.
            extra += len(file_content(picture))
        elif isinstance(picture, bmp.BmpPicture) and picture.has_run_lengths:
            extra += len(file_content(picture)) + math.prod(picture.size)
    if picture.format == "WEBP":
        extra += _COPIES_OF_HEADER * len(file_content(picture))  # libwebp's, EXIF and XMP data
    elif isinstance(picture, tiff.TiffPicture):
        if picture.strips:
            # A few strips, what is left of those before, and the two together.
            extra += 4 * (2 * picture.strips.pixels + 4 * picture.width * band_rows)
        extra += sum(map(len, picture.tag_v2._tagdata.values()))
    return pixels + extra + encoding_bytes(thumbnail)


def unlikely_bytes(picture: ImageFile.ImageFile) -> int:
    """Return the bytes that decoding takes besides in a file that no encoder writes.

    They are to be reserved where they are there: without them, a picture is not refused.
    """
    return picture.table_bytes if isinstance(picture, webp.WebpPicture) else 0


def encoding_bytes(
    thumbnail: tuple[int, int], *, finished: bool = False, marked: bool = False
) -> int:
    """Return the bytes that encoding takes, one variant after the other.

    Args:
        thumbnail: The size of the widest variant.
        finished: Variants are sharpened or padded before.
        marked: Variants have a watermark, which is resized for each.
    """
    per_pixel = limits.BYTES_PER_THUMBNAIL_PIXEL + (_BYTES_PER_FINISHED_PIXEL if finished else 0)
    fixed = limits.FIXED_BYTES
    if marked:
        per_pixel += _BYTES_PER_MARKED_PIXEL
        fixed += limits.BYTES_PER_WATERMARK
    return fixed + math.prod(thumbnail) * per_pixel


def animation_bytes(
    screen_bytes: int, file_bytes: int, thumbnails: Sequence[tuple[int, int]], count: int
) -> int:
    """Return the bytes that an animation takes beside the encoding of each frame.

    Args:
        screen_bytes: Of the screen, and what a frame takes until it is shown there.
        file_bytes: Of the file.
        thumbnails: The sizes of those that are animated; all are encoded at the same time.
        count: How many frames there are.
    """
    pixels = sum(map(math.prod, thumbnails))
    return (
        _COPIES_OF_HEADER * file_bytes
        + screen_bytes
        + pixels * _BYTES_PER_CANVAS_PIXEL
        + pixels * count * _BYTES_PER_ENCODED_PIXEL
    )


def pixels_at_once(picture: ImageFile.ImageFile) -> int:
    """Return the pixels that are decoded in one piece, which may be more than the image has."""
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        tile: int = picture.tag_v2.get(_TILE_WIDTH, 1) * picture.tag_v2.get(_TILE_LENGTH, 1)
        return max(math.prod(picture.size), tile)
    if isinstance(picture, AvifImagePlugin.AvifImageFile):
        return max(math.prod(picture.size), avif.pixels_at_once(file_content(picture)))
    if isinstance(picture, heic.HeicPicture):
        return max(math.prod(picture.size), heic.pixels_at_once(file_content(picture)))
    return math.prod(picture.size)


def bytes_per_pixel(picture: ImageFile.ImageFile) -> float:
    """Return the bytes that each pixel of an image like this one takes while it is decoded.

    For a JPEG, only what does not shrink: it is decoded at about the widest variant's size.
    """
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        return limits.BYTES_BESIDE_COEFFICIENTS + _coefficient_bytes(picture)
    if isinstance(picture, AvifPicture | heic.HeicPicture | webp.WebpPicture):
        return picture.bytes_per_pixel
    if (
        png.has_strips(picture)
        or png.has_transparent_16_bit_strips(picture)
        or bmp.has_fields(picture)
        or (isinstance(picture, tiff.TiffPicture) and picture.strips)
    ):
        return 0  # only some rows are in memory at a time
    if png.has_transparent_16_bits(picture):
        return 2 * 4  # the high bytes and the low ones
    return _BYTES_BY_MODE.get(picture.mode, 4) + _strip_bytes(picture)


def file_content(picture: ImageFile.ImageFile) -> bytes:
    """Return the bytes of the file that an image is read from."""
    if picture.fp is None:
        raise ValueError("closed")
    picture.fp.seek(0)
    return picture.fp.read()


def _coefficient_bytes(picture: JpegImagePlugin.JpegImageFile) -> float:
    """Return the bytes per pixel that libjpeg keeps until the last scan; 0 for a single scan."""
    if not jpeg.has_partial_scans(file_content(picture)):
        return 0
    factors = [(across, down) for _, across, down, _ in picture.layer]
    most = max(across for across, _ in factors) * max(down for _, down in factors)
    return limits.BYTES_PER_COEFFICIENT * sum(across * down for across, down in factors) / most


def _strip_bytes(picture: ImageFile.ImageFile) -> float:
    """Return the bytes per pixel of a TIFF's compressed strip, which may be the whole file."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return 0
    bits = picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))
    # A JPEG in a strip may be progressive, with four channels.
    return sum(bits) / 8 + (
        4 * limits.BYTES_PER_COEFFICIENT if picture.info.get("compression") == "jpeg" else 0
    )
