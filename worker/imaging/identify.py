"""What an uploaded file is: its format, size and orientation, before any pixel is decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from worker.imaging import avif, avif_tables, bmp, heic, jpeg, memory_estimate, tiff, webp
from worker.imaging.work_limits import MOST_READS, CountedFile
from worker.results import Rejection

# Importing a plugin registers it. Without these, Pillow would import all of its forty at the first
# WebP.
_PLUGINS: Final = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
ACCEPTED: Final = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIC", "TIFF", "BMP")
"""Formats, by Pillow's and our names, that are decoded; a file's name does not matter."""

_MOST_SCANS: Final = 100
"""Encoders make about ten; 500 in 112 kB of a small image keep a core busy for 0.6 s."""

_LONGEST_ROW: Final = 2**31 // 64
"""Pillow counts a row's bits, up to 64 per pixel, in 31 bits, and calls more a lack of memory."""

_BYTES: Final = re.compile(r"""\bb(['"])(.*?)\1""")
"""Python's notation of bytes, such as the name of a chunk, in a decoder's message."""

_NOT_DECODED: Final = (
    # (offset, signature, name): formats that people do upload and that are not decoded here.
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF-", "PDF"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"MM\x00\x2b", "big-endian BigTIFF"),
    (4, b"ftypavci", "HEIF (H.264)"),
    (4, b"ftypj2ki", "HEIF (JPEG 2000)"),
    (4, b"ftypjpeg", "HEIF (JPEG)"),
    (4, b"ftypmif3", "HEIF (low overhead)"),
)

_HEAD_BYTES: Final = 4_096
"""What signatures are looked for in; an SVG may have declarations and comments before it."""

_SVG: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s[^\[>]*(?:\[.*?\]\s*)?>)*+<(?:svg:)?svg\b",
    re.DOTALL | re.IGNORECASE,
)
"""A prolog (https://www.w3.org/TR/xml/#sec-prolog-dtd) and the root element; no backtracking."""

_MOST_AVIF_PIXELS: Final = 16_384 * 16_384
_LONGEST_AVIF_SIDE: Final = 32_768
"""libavif's own limits, AVIF_DEFAULT_IMAGE_SIZE_LIMIT and AVIF_DEFAULT_IMAGE_DIMENSION_LIMIT:
https://github.com/AOMediaCodec/libavif/blob/main/include/avif/avif.h"""


@contextmanager
def rejecting_damage(max_pixels: int) -> Iterator[None]:
    """Turn whatever the decoders raise into a rejection: only their input can be at fault.

    Args:
        max_pixels: The limit at which Pillow itself refuses an image.
    """
    Image.MAX_IMAGE_PIXELS = max_pixels  # a decoder that allocates early checks this one
    try:
        yield
    except (Rejection, MemoryError, ImportError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        detail = f"The image has more than {max_pixels:,} pixels, the most that are allowed."
        raise Rejection("too_many_pixels", detail) from error
    except Exception as error:
        # Decoders meet attackers' bytes with a dozen kinds of exceptions, struct.error and
        # ZeroDivisionError among them. Encoding is outside: a failure there is ours.
        message = _BYTES.sub(r"\2", str(error)).rstrip(".\n")
        reason = f": {message}" if message else ""
        raise Rejection("corrupt", f"The image cannot be decoded{reason}.") from error


def open_picture(source: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """Identify an image by its content and check its size, without decoding a pixel.

    Raises:
        Rejection: It is not an image of an accepted format, or not within the limits.
    """
    file = CountedFile(source.read())
    picture = _opened(file, max_pixels)
    file.most_reads = MOST_READS
    picture.info.pop("comment", None)  # of a GIF, as long as the file
    width, height = picture.size
    pixels = memory_estimate.pixels_at_once(picture)
    if pixels > max_pixels or max(width, height) > _LONGEST_ROW:
        within = f", and a part of {pixels:,} pixels" if pixels > width * height else ""
        raise Rejection(
            "too_many_pixels",
            f"The image has {width} × {height} pixels{within};"
            f" at most {max_pixels:,} in all are allowed.",
        )
    if isinstance(picture, jpeg.JpegPicture):
        data = memory_estimate.file_content(picture)
        if name := jpeg.unsupported(data):
            raise _unsupported(name)
        _check_scans(data, width * height, picture.scan_weight)
    if isinstance(picture, tiff.TiffPicture):
        tiff.check_tiles(picture, max_pixels)
        tiff.check_scans(picture)
    return picture


def _opened(source: CountedFile, max_pixels: int) -> ImageFile.ImageFile:
    if (numbers := tiff.numbers(source)) > tiff.MOST_NUMBERS:
        raise Rejection(
            "unsupported_format",
            f"The directories hold more than {tiff.MOST_NUMBERS:,} numbers, such as places of"
            f" strips: {numbers:,} or more.",
        )
    data = source.read()
    source.seek(0)
    head = data[:_HEAD_BYTES]
    try:
        if _has_signature("TIFF", head):
            return tiff.TiffPicture(source)
        if _has_signature("JPEG", head):
            return jpeg.JpegPicture(source)
        if _has_signature("BMP", head):
            return bmp.BmpPicture(source)
        if _has_signature("WEBP", head):
            webp.check_parts(data)
            return webp.WebpPicture(source)
        if _has_signature("AVIF", head) or _has_signature("HEIC", head):
            avif_tables.check(data)
        return Image.open(source, formats=ACCEPTED)
    except (UnidentifiedImageError, SyntaxError) as error:
        raise _unidentified(data, max_pixels) from error


def _check_scans(data: bytes, pixels: int, weight: int) -> None:
    # Where the first scan holds everything, no other is decoded. The bytes of a marker can also
    # occur elsewhere: counting them first is quick, and an upper bound.
    if not jpeg.has_partial_scans(data):
        return
    most = data.count(jpeg.SCAN_MARKER)
    pixels *= weight
    if most <= _MOST_SCANS and most * pixels * jpeg.MOST_COMPONENTS <= jpeg.MOST_SCANNED_PIXELS:
        return
    scans = jpeg.scan_components(data)
    if len(scans) > _MOST_SCANS:
        detail = f"The image has {len(scans)} scans; at most {_MOST_SCANS} are allowed."
    elif sum(scans) * pixels > jpeg.MOST_SCANNED_PIXELS:
        detail = f"The image has {len(scans)} scans, too many for its {pixels // weight:,} pixels."
    else:
        return
    raise Rejection("too_many_scans", detail)


def _unidentified(data: bytes, max_pixels: int) -> Rejection:
    """Return why no decoder takes a file."""
    head = data[:_HEAD_BYTES]
    for offset, signature, name in _NOT_DECODED:
        if head.startswith(signature, offset):
            return _unsupported(name)
    if _SVG.match(head):
        return _unsupported("SVG")
    if _has_signature("JPEG", head) and (reason := jpeg.unsupported(data)):
        return _unsupported(reason)
    if _has_signature("HEIC", head) and (reason := heic.unsupported(data)):
        return _unsupported(reason)
    if _has_signature("AVIF", head):
        width, height = avif.stated_size(data)
        most = min(max_pixels, _MOST_AVIF_PIXELS)
        if width * height > most or max(width, height) > _LONGEST_AVIF_SIDE:
            return Rejection(
                "too_many_pixels",
                f"The image has {width} × {height} pixels; at most {most:,} in all and"
                f" {_LONGEST_AVIF_SIDE:,} on a side are allowed.",
            )
    if any(_has_signature(name, head) for name in ACCEPTED):
        return Rejection("corrupt", "The file ends or breaks within its header.")
    return Rejection(
        "not_an_image",
        f"The file is not an image of a supported format; allowed: {', '.join(ACCEPTED)}.",
    )


def _unsupported(name: str) -> Rejection:
    return Rejection(
        "unsupported_format",
        f"The format {name} is not supported; allowed: {', '.join(ACCEPTED)}.",
    )


def _has_signature(format_name: str, head: bytes) -> bool:
    """Return whether a file that starts like this has the signature of a format."""
    accept = Image.OPEN[format_name][1]
    return accept is not None and accept(head) is True
