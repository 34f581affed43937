"""An opened image to pixels at a wanted size: upright, in sRGB, without metadata."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Final, cast

from PIL import Image, ImageChops, ImageFile, JpegImagePlugin

from worker.imaging import avif, bmp, color_space, jpeg, memory_estimate, nclx, png, tiff, webp
from worker.imaging.avif_picture import AvifPicture
from worker.imaging.color_space import ColorSpace
from worker.imaging.geometry import Size
from worker.imaging.heic import HeicPicture
from worker.imaging.resize import Box, resize
from worker.imaging.srgb import to_srgb
from worker.results import Rejection

_DECODE_MARGIN: Final = 1.2
"""How much larger than the widest variant a JPEG is decoded; less costs visible sharpness."""

_LEAST_MARGIN: Final = 1.05
"""The same where it would otherwise be decoded in full: a quarter of the time for 0.001 of SSIM."""

_WEBP_MARGIN: Final = 1.5
"""The same for a WebP, where it costs little: all of it is decoded at any size."""

_REDUCING_GAP: Final = 1.4
"""See PIL.Image.Image.resize: a box filter does the first part of a large step, band by band."""

_TRANSPARENT_REDUCING_GAP: Final = 1.5
"""The same next to transparent parts, where the box filter shows where it does too much."""

_BAND_PIXELS: Final = 1 << 18
"""Pixels converted at a time: a megabyte, which fits the processor's cache."""

_TRANSPOSITIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation."""

_SWAPS_SIDES: Final = frozenset({5, 6, 7, 8})

_GREY_MODES: Final = frozenset({"1", "L", "LA", "La", "I;16", "I;16B"})


def swap_sides(size: Size, orientation: int) -> Size:
    """Return the size of an image after its EXIF orientation is applied, or before."""
    return (size[1], size[0]) if orientation in _SWAPS_SIDES else size


def decode(picture: ImageFile.ImageFile, size: Size) -> Image.Image:
    """Return an opened image at this size, in sRGB, without any metadata."""
    box = None
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        halves = min(picture.width / size[0], picture.height / size[1]) / 2
        margin = _DECODE_MARGIN if halves >= _DECODE_MARGIN else _LEAST_MARGIN
        box = _set_scale(picture, _with_margin(size, margin))
        picture.decodermaxblock = 1 << 22  # fewer, larger reads: 3 % faster
    elif isinstance(picture, webp.WebpPicture):
        picture.shrink(_with_margin(size, _WEBP_MARGIN))
    grey = png.is_grey(picture) or picture.mode in _GREY_MODES
    space = _color_space(picture)
    image = _shrink(picture, size, box)
    if space:
        return color_space.to_srgb(image, space)
    return to_srgb(image, picture.info.get("icc_profile"), grey=grey)


def _with_margin(size: Size, margin: float) -> Size:
    return math.ceil(size[0] * margin), math.ceil(size[1] * margin)


def _color_space(picture: ImageFile.ImageFile) -> ColorSpace | None:
    """Return the color space of a picture, unless a profile describes it; before it is decoded."""
    if picture.format == "PNG":
        return png.color_space(picture)
    if picture.format not in {"AVIF", "HEIC"} or "icc_profile" in picture.info:
        return None
    data = memory_estimate.file_content(picture)
    coded = picture.code_points if isinstance(picture, HeicPicture) else avif.code_points(data)
    return nclx.color_space(data, coded)


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image with its EXIF orientation applied."""
    transposition = _TRANSPOSITIONS.get(orientation)
    return image if transposition is None else image.transpose(transposition)


def reduction(full: Size, size: Size, gap: float = _REDUCING_GAP) -> tuple[Size, int]:
    """Return the divisors of a box filter for both sides, and how many rows it takes at a time.

    Args:
        full: The image's size.
        size: The size that it is resized to after the box filter.
        gap: As in PIL.Image.Image.resize.
    """
    # As Image.resize computes them from a reducing gap.
    across = int(full[0] / size[0] / gap) or 1
    down = int(full[1] / size[1] / gap) or 1
    return (across, down), min(full[1], max(_BAND_PIXELS // full[0] // down, 1) * down)


def _set_scale(picture: JpegImagePlugin.JpegImageFile, wanted: Size) -> Box | None:
    """Make a JPEG decode at 1/8, 1/4, 3/8, 1/2 or all of its size, and at least at this one.

    Decoding at a scale costs a fraction of decoding and resizing.

    Returns:
        The box that the image fills of the decoded pixels, as sides that do not divide evenly are
        rounded up; None where it fills them all.
    """
    width, height = picture.size
    draft = picture.draft(None, wanted)
    denominator = picture.decoderconfig[0] if draft else 1
    three_eighths = width * 3 / 8, height * 3 / 8
    if denominator == 8 and picture.format == "JPEG" and picture.info.get("progressive"):
        data = memory_estimate.file_content(picture)
        has_chroma = jpeg.holds_luma_and_chroma(data)
        picture.fp = io.BytesIO(jpeg.without_fine_detail(data, has_chroma=has_chroma))
    elif (
        denominator == 2
        and three_eighths[0] >= wanted[0]
        and three_eighths[1] >= wanted[1]
        and _decodes_at_three_eighths()
    ):
        _set_three_eighths(picture, (width, height))
        return (0, 0, *three_eighths)
    return draft and draft[1]


def _set_three_eighths(picture: JpegImagePlugin.JpegImageFile, size: Size) -> None:
    """Do what `draft` does, for a scale that it does not know.

    libjpeg takes the next eighth above the fraction it is given: 3/8 for Pillow's 1/3.
    """
    width, height = math.ceil(size[0] * 3 / 8), math.ceil(size[1] * 3 / 8)
    picture.tile = [picture.tile[0]._replace(extents=(0, 0, width, height))]
    picture._size = width, height
    picture.decoderconfig = (3, 0)


@cache
def _decodes_at_three_eighths() -> bool:
    """Return whether this Pillow's internals are still those that `_set_three_eighths` changes."""
    try:
        left_black = Image.new("L", (64, 64))
        left_black.paste(255, (32, 0, 64, 64))
        buffer = io.BytesIO()
        left_black.save(buffer, "JPEG", quality=95)
        with Image.open(buffer, formats=("JPEG",)) as picture:
            if not isinstance(picture, JpegImagePlugin.JpegImageFile):
                return False
            picture.draft(None, (32, 32))
            _set_three_eighths(picture, left_black.size)
            expected = left_black.resize((24, 24), Image.Resampling.BOX)
            darkest, lightest = ImageChops.difference(picture, expected).getextrema()
            return darkest == 0 and lightest in range(16)
    except Exception:  # noqa: BLE001 -- whatever has changed, there is `draft`
        return False


def _shrink(picture: ImageFile.ImageFile, size: Size, box: Box | None) -> Image.Image:
    """Return the image at this size, in a mode that has channels of eight bits.

    Where values have to be converted first, some rows are converted at a time, and most PNGs are
    decoded in the same way: a large image with its second and third copy would determine how much
    memory the function needs.
    """
    read = _band_reader(picture)
    frame = _partial_frame(picture)
    if read is _bands:
        picture.load()
    convert = _conversion(picture)
    if frame:
        read, convert = partial(_frame_bands, frame=frame), None
    if convert is None and read is _bands:
        image = resize(picture, size, box=box)
        image.info = {}  # savers would copy comments, profiles and more from here
        return image
    width, height = picture.size
    transparent = frame or picture.has_transparency_data
    gap = _TRANSPARENT_REDUCING_GAP if transparent else _REDUCING_GAP
    (across, down), rows = reduction(picture.size, size, gap)
    reduced: Image.Image | None = None
    opaque = True
    for number, band in enumerate(read(picture, rows)):
        if convert:
            band = convert(band)
        if band.mode == "RGBA":
            opaque = opaque and band.getchannel("A").getextrema() == (255, 255)
            # With alpha multiplied in, transparent pixels do not count in averages.
            band = band.convert("RGBa")
        if (across, down) != (1, 1):
            band = band.reduce((across, down))
        if reduced is None:
            reduced = Image.new(band.mode, (-(-width // across), -(-height // down)))
        reduced.paste(band, (0, number * rows // down))
    if reduced is None:
        raise ValueError("an image without rows")
    image = resize(reduced, size, box=(0, 0, width / across, height / down))
    if image.mode != "RGBa":
        return image
    # An alpha channel that hides nothing would make the thumbnail a PNG.
    return image.convert("RGBA").convert("RGB") if opaque else image.convert("RGBA")


def _band_reader(
    picture: ImageFile.ImageFile,
) -> Callable[[ImageFile.ImageFile, int], Iterator[Image.Image]]:
    """Return what yields bands of so many rows; `_bands` where Pillow decodes all of it first."""
    if png.has_strips(picture):
        return png.strips
    if png.has_transparent_16_bits(picture):
        return png.transparent_16_bit_strips
    if isinstance(picture, bmp.BmpPicture) and picture.masks:
        picture.set_transparency()
        return bmp.bands
    if isinstance(picture, AvifPicture):
        return lambda _, rows: picture.bands(rows)
    return tiff.bands if tiff.has_bands(picture) else _bands


def _bands(picture: ImageFile.ImageFile, rows: int) -> Iterator[Image.Image]:
    width, height = picture.size
    for top in range(0, height, rows):
        yield picture.crop((0, top, width, min(top + rows, height)))


def _partial_frame(picture: ImageFile.ImageFile) -> tuple[int, int, int, int] | None:
    """Return the part of a GIF's screen that its first frame covers; None for all; before loading.

    Browsers show the rest as transparent, whatever the background color. Where a color is
    transparent, Pillow fills the rest with it.
    """
    if picture.format != "GIF" or "transparency" in picture.info or not picture.tile:
        return None
    frame = picture.tile[0].extents
    return None if frame is None or frame == (0, 0, *picture.size) else frame


def _frame_bands(
    picture: ImageFile.ImageFile, rows: int, frame: tuple[int, int, int, int]
) -> Iterator[Image.Image]:
    """Yield bands in RGBA, transparent outside of a frame."""
    left, upper, right, lower = frame
    for number, band in enumerate(_bands(picture, rows)):
        top = number * rows
        shown = left, max(upper - top, 0), right, min(lower - top, band.height)
        image = Image.new("RGBA", band.size)
        if shown[1] < shown[3]:
            image.paste(band.crop(shown).convert("RGBA"), shown)
        yield image


def _conversion(picture: Image.Image) -> Callable[[Image.Image], Image.Image] | None:
    """Return the conversion to values that can be averaged; None where they are already."""
    if tiff.has_packed_bands(picture):
        return ImageChops.invert if tiff.white_is_zero(picture) else None
    if picture.mode.startswith("I;16"):
        to_eight = _sixteen_to_eight(white_is_zero=tiff.white_is_zero(picture))
        transparent = picture.info.get("transparency")
        if not isinstance(transparent, int):
            return to_eight
        return lambda band: _with_transparent_grey(band, to_eight(band), transparent)
    if picture.mode == "La":
        return lambda band: band.convert("LA").convert("RGBA")
    if picture.has_transparency_data:
        return lambda band: band.convert("RGBA")
    if picture.mode in {"I", "F"}:
        return _stretch(picture)
    if picture.mode in {"L", "RGB", "CMYK", "LAB"}:
        return None
    return lambda band: band.convert("L" if band.mode == "1" else "RGB")


def _sixteen_to_eight(*, white_is_zero: bool) -> Callable[[Image.Image], Image.Image]:
    """Return the conversion of 16 bits to eight; Pillow's own clips at 255."""
    scale, offset = (-1 / 257, 255) if white_is_zero else (1 / 257, 0)

    def convert(band: Image.Image) -> Image.Image:
        if band.mode == "I;16B":
            band = band.convert("I")  # `point` does not take it
        return band.point(lambda value: value * scale + offset).convert("L")

    return convert


def _with_transparent_grey(band: Image.Image, shown: Image.Image, grey: int) -> Image.Image:
    """Return what is shown of 16 bits, transparent where they are this grey."""
    alpha = [255] * (1 << 16)
    alpha[grey] = 0
    image = shown.convert("RGBA")
    image.putalpha(band.convert("I").point(alpha, "L"))
    return image


def _stretch(picture: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return the conversion of 32-bit numbers without a known white: the largest becomes white."""
    low, high = cast("tuple[float, float]", picture.getextrema())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Rejection("corrupt", "Some pixels are not finite numbers.")
    scale = 255 / (high - low) if high > low else 0.0
    offset = -low * scale
    if tiff.white_is_zero(picture):
        scale, offset = -scale, 255 - offset
    return lambda band: band.convert("F").point(lambda value: value * scale + offset).convert("L")
