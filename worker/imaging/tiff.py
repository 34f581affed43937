"""TIFF files: layouts that Pillow reads wrongly or not at all, and a bound on directories."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final

from PIL import Image, ImageFile, TiffImagePlugin

from worker.imaging import jpeg, packed_tiff, tiff_strips
from worker.imaging.work_limits import too_many_parts
from worker.results import Rejection

MOST_NUMBERS: Final = 200_000
"""About 10 MB as objects. An image of 65,535 rows in strips of one row needs 131,070; one of 100
megapixels in tiles of 64 pixels a side 48,828."""

# TIFF 6.0's tags of directories that Pillow reads after an image's own: Exif, GPS and, in either,
# interoperability. https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf
_INNER: Final = (0x8769, 0x8825, 0xA005)

_SINGLE_BYTES: Final = frozenset({1, 2, 6, 7})
"""BYTE, ASCII, SBYTE and UNDEFINED, of which Pillow makes one object."""

_BYTE_ORDERS: Final = {b"II": "<", b"MM": ">"}
_BIG: Final = 43
"""The version of a BigTIFF, with counts and offsets of eight bytes."""

# Tags of TIFF 6.0: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
_WIDTH: Final = 256
_LENGTH: Final = 257
_BITS_PER_SAMPLE: Final = 258
_COMPRESSION: Final = 259
_PHOTOMETRIC: Final = 262
_FILL_ORDER: Final = 266
_STRIP_OFFSETS: Final = 273
_ORIENTATION: Final = 274
_SAMPLES_PER_PIXEL: Final = 277
_ROWS_PER_STRIP: Final = 278
_STRIP_BYTES: Final = 279
_PLANAR: Final = 284
_PREDICTOR: Final = 317
_TILE_WIDTH: Final = 322
_TILE_LENGTH: Final = 323
_TILE_OFFSETS: Final = 324
_TILE_BYTES: Final = 325
_EXTRA_SAMPLES: Final = 338
_SAMPLE_FORMAT: Final = 339

# https://helpx.adobe.com/camera-raw/digital-negative.html
_DNG_VERSION: Final = 50706

_NAMES: Final = {
    **{0: "grey", 1: "grey", 2: "RGB", 3: "a palette", 4: "a transparency mask", 5: "CMYK"},
    **{6: "YCbCr", 8: "CIELAB", 9: "ICC LAB", 10: "ITU LAB", 32803: "a color filter array"},
    **{32844: "LogL", 32845: "LogLuv", 34892: "linear raw"},
}
"""By PhotometricInterpretation, with those of libtiff and DNG."""

_NUMBERS: Final = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
"""By SampleFormat."""

_COLOURS: Final = {0: 1, 1: 1, 2: 3, 5: 4}
"""Samples of grey, RGB and CMYK, by PhotometricInterpretation."""

_SEPARATE_PLANES, _TOGETHER = 2, 1
"""Values of PlanarConfiguration."""

_UNSPECIFIED, _PREMULTIPLIED, _ALPHA = 0, 1, 2
"""Values of ExtraSamples."""

_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
"""Values of PhotometricInterpretation."""

_OF_BYTES: Final = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
"""Compressions of whatever bytes: none, LZW, Deflate (two numbers), PackBits, LZMA, Zstandard."""

_JPEG: Final = 7
_WEBP: Final = 50001

_MOST_SHARED: Final = 4
"""How many times the bytes of a file its JPEGs may have together."""


class TiffPicture(TiffImagePlugin.TiffImageFile):
    """A TIFF whose tags are changed to what Pillow reads rightly, before it looks at them.

    Attributes:
        white_is_zero: Its values are still to be inverted: Pillow does that up to eight bits.
        packed_bits: The bits per sample where `packed_bands` has to read it, instead of `load`;
            else 0.
        strips: Where its strips are, where `bands` reads some of them at a time.
        orientation: The orientation, 1 to 8, that is still to be applied after decoding.
    """

    white_is_zero = False
    packed_bits = 0
    strips: tiff_strips.Strips | None = None
    orientation = 1

    def _setup(self) -> None:
        try:
            self._set_up()
        except (SyntaxError, KeyError) as error:
            if self._is_whole():
                detail = f"The layout is not supported: {_description(self.tag_v2)}."
                raise Rejection("unsupported_format", detail) from error
            raise

    def _is_whole(self) -> bool:
        """Return whether the directory is one of a picture, with its pixels in the file."""
        tags, file = self.tag_v2, self.fp
        if file is None:
            return False
        offsets = tags.get(_STRIP_OFFSETS) or tags.get(_TILE_OFFSETS) or (math.inf,)
        try:
            has_size = min(tags[_WIDTH], tags[_LENGTH]) > 0
            return has_size and max(offsets) < file.seek(0, io.SEEK_END)
        except (TypeError, KeyError):
            return False

    def _set_up(self) -> None:
        tags = self.tag_v2
        if tags.get(_COMPRESSION) == _WEBP:
            raise SyntaxError("libtiff is built without it")
        if tags.get(_PLANAR) == _SEPARATE_PLANES:
            self._set_planes()
        (bits, *others) = tags.get(_BITS_PER_SAMPLE, (1,))
        if bits > 8 and not others and tags.get(_SAMPLES_PER_PIXEL, 1) == 1:
            photometric = tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO)
            self.white_is_zero = photometric == _WHITE_IS_ZERO
            tags[_PHOTOMETRIC] = _BLACK_IS_ZERO if self.white_is_zero else photometric
            if bits < 16:
                self._check_packed(bits)
                self.packed_bits = bits
                # Only so that it opens: Pillow has 12 bits, as if they were 16.
                tags[_BITS_PER_SAMPLE] = (16,)
                tags[_FILL_ORDER] = 1
        super()._setup()
        self.strips = None if self.packed_bits else tiff_strips.find(self)
        if self.packed_bits or self.strips:
            self._size = self._tile_size
            orientation = tags.get(_ORIENTATION, 1)
            self.orientation = orientation if orientation in range(1, 9) else 1

    def _set_planes(self) -> None:
        """Have libtiff read the planes that Pillow reads wrongly.

        Pillow's own reader takes every plane for one of eight bits, in strips that are as wide as
        the colours alone. It leaves to libtiff, which reads the tags itself, what is compressed.
        """
        tags = self.tag_v2
        samples = tags.get(_SAMPLES_PER_PIXEL, 1)
        if samples == 1:
            tags[_PLANAR] = _TOGETHER
            return
        photometric = tags.get(_PHOTOMETRIC, -1)
        colours = _COLOURS.get(photometric, 0)
        depths = set(tags.get(_BITS_PER_SAMPLE, (1,)))
        extra = tags.get(_EXTRA_SAMPLES, ())
        raw = tags.get(_COMPRESSION, 1) == 1
        simple = raw and depths == {8} and tags.get(_FILL_ORDER, 1) == 1
        if simple and photometric == 2 and samples == 4 and not extra:
            extra = tags[_EXTRA_SAMPLES] = (_ALPHA,)  # as Pillow takes it where they are together
        has_alpha = photometric == 2 and extra in {(_PREMULTIPLIED,), (_ALPHA,)}
        if (
            not colours
            or depths not in ({8}, {16})
            or (colours == 1 and depths != {8})
            or samples != colours + len(extra)
            or not (has_alpha or set(extra) <= {_UNSPECIFIED})
        ):
            raise SyntaxError("unknown layout of planes")
        if raw and not (simple and extra in {(), (_ALPHA,)}):
            tags[_COMPRESSION] = 8

    def _check_packed(self, bits: int) -> None:
        tags = self.tag_v2
        if (
            _PHOTOMETRIC not in tags
            or tags.get(_SAMPLE_FORMAT, (1,)) != (1,)
            or tags.get(_COMPRESSION, 1) not in _OF_BYTES
            or (tags.get(_PREDICTOR, 1) != 1 and tags.get(_COMPRESSION, 1) != 1)
            or tags.get(_TILE_WIDTH, 8) * bits % 8
        ):
            raise SyntaxError("unknown layout of packed samples")


def _description(tags: TiffImagePlugin.ImageFileDirectory_v2) -> str:
    """Return what a TIFF holds and how, as far as its tags are known."""
    photometric, compression = tags.get(_PHOTOMETRIC, -1), tags.get(_COMPRESSION, 1)
    bits = tags.get(_BITS_PER_SAMPLE, (1,))
    samples = tags.get(_SAMPLES_PER_PIXEL, len(bits))
    numbers = _NUMBERS.get(tags.get(_SAMPLE_FORMAT, (1,))[0], "")
    return (
        ("DNG" if _DNG_VERSION in tags else "TIFF")
        + f" of {_NAMES.get(photometric, 'colors without a known name')}"
        + f" with {samples} {numbers}sample{'s' * (samples != 1)} of {max(bits)} bits"
        + (" in separate planes" if tags.get(_PLANAR) == _SEPARATE_PLANES else "")
        + ("" if compression == 1 else f", compression {compression}")
    )


def check_tiles(picture: TiffPicture, max_pixels: int) -> None:
    """Check the pixels of all tiles, which are decoded in full where they reach beyond the image.

    Raises:
        Rejection: They are more than twice as many as allowed; at the borders some are too many.
    """
    tags, (width, height) = picture.tag_v2, picture.size
    across, down = tags.get(_TILE_WIDTH, 1), tags.get(_TILE_LENGTH, 1)
    pixels = -(-width // across) * across * (-(-height // down) * down)
    if pixels > 2 * max_pixels:
        raise Rejection(
            "too_many_pixels",
            f"The tiles have {pixels:,} pixels; at most {2 * max_pixels:,} are allowed.",
        )


def check_scans(picture: TiffPicture) -> None:
    """Check the scans of the JPEGs that the strips or tiles of a TIFF are.

    Their markers are counted: within coded bits no bytes look like one (ITU-T T.81, B.1.1.5).

    Raises:
        Rejection: They have too many scans for their pixels, or share the file's bytes.
    """
    tags, file = picture.tag_v2, picture.fp
    if tags.get(_COMPRESSION) != _JPEG or file is None:
        return
    if _TILE_OFFSETS in tags:
        offsets, lengths = tags[_TILE_OFFSETS], tags.get(_TILE_BYTES, ())
        pixels = tags.get(_TILE_WIDTH, 1) * tags.get(_TILE_LENGTH, 1)
    else:
        offsets, lengths = tags.get(_STRIP_OFFSETS, ()), tags.get(_STRIP_BYTES, ())
        pixels = picture.width * min(picture.height, tags.get(_ROWS_PER_STRIP, picture.height))
    file.seek(0)
    data = memoryview(file.read())
    left, scanned = _MOST_SHARED * len(data), 0
    for start, length in zip(offsets, lengths, strict=False):
        part = bytes(data[start : start + length])
        left -= len(part)
        if left < 0:
            raise too_many_parts()
        count = part.count(jpeg.SCAN_MARKER)
        if count > jpeg.MOST_COMPONENTS:  # as many have the parts of a file that is not progressive
            scanned += count * pixels * jpeg.MOST_COMPONENTS
    if scanned > jpeg.MOST_SCANNED_PIXELS:
        raise Rejection("too_many_scans", "The TIFF's JPEGs have too many scans for their pixels.")


def white_is_zero(picture: Image.Image) -> bool:
    """Return whether a picture's values, once decoded, are those of its negative."""
    return isinstance(picture, TiffPicture) and picture.white_is_zero


def has_packed_bands(picture: Image.Image) -> bool:
    """Return whether `bands` has to read it, instead of Pillow, for its depth."""
    return isinstance(picture, TiffPicture) and picture.packed_bits > 0


def has_bands(picture: Image.Image) -> bool:
    """Return whether `bands` reads it: for its depth, or some strips at a time."""
    return isinstance(picture, TiffPicture) and bool(picture.packed_bits or picture.strips)


def bands(picture: ImageFile.ImageFile, rows: int) -> Iterator[Image.Image]:
    """Return bands of this many rows; see packed_tiff.bands and tiff_strips.bands."""
    if not isinstance(picture, TiffPicture) or picture.fp is None:
        raise TypeError(picture)
    if picture.strips:
        return tiff_strips.bands(picture, picture.strips, rows, TiffPicture)
    picture.fp.seek(0)
    return packed_tiff.bands(picture.fp.read(), picture.tag_v2, picture.packed_bits, rows)


def numbers(file: BinaryIO) -> int:
    """Return how many numbers the first directory and those within it hold; 0 if it is no TIFF.

    A directory that ends early holds what was there: Pillow says what is wrong with it. The file is
    at its start then.
    """
    total = 0
    file.seek(0)
    with suppress(struct.error, OverflowError, ValueError):
        for count in _counts(file):
            total += count
            if total > MOST_NUMBERS:
                break
    file.seek(0)
    return total


def _counts(file: BinaryIO) -> Iterator[int]:
    """Yield the number of numbers of each entry."""
    order = _BYTE_ORDERS.get(file.read(2))
    if order is None:
        return
    (version,) = struct.unpack(f"{order}H", file.read(2))
    if version == _BIG:
        head, entry, offset = f"{order}Q", f"{order}HHQQ", f"{order}Q"
        file.seek(8)
    else:
        head, entry, offset = f"{order}H", f"{order}HHII", f"{order}I"
    waiting = list(_unpack(file, offset))
    seen: set[int] = set()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        file.seek(place)
        (length,) = _unpack(file, head)
        data = file.read(length * struct.calcsize(entry))
        whole = len(data) // struct.calcsize(entry) * struct.calcsize(entry)
        for tag, kind, count, value in struct.iter_unpack(entry, data[:whole]):
            if kind not in _SINGLE_BYTES:
                yield count
            if tag in _INNER:
                waiting.append(value)


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
