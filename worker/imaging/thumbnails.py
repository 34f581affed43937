"""One picture to its variants, with Pillow alone."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import BinaryIO, Final, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from worker.imaging import geometry, jpeg, memory_estimate, png
from worker.imaging.memory import Memory
from worker.results import Output, Rejection
from worker.settings import Variants

# Importing a plugin registers it. Without these, Pillow would import all of its forty at the first
# WebP. MPO is what many cameras call a JPEG with a preview behind it: the JPEG plugin opens it.
_PLUGINS: Final = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
ACCEPTED: Final = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")
"""Formats, by Pillow's names, that are decoded; a file's name plays no part."""

_DECODE_MARGIN: Final = 1.2
"""How much larger than the widest variant a JPEG is decoded; less costs visible sharpness."""

_LEAST_MARGIN: Final = 1.07
"""The same where it would else be decoded in full: a third of the time for 0.005 of SSIM."""

_MOST_SCANS: Final = 100
"""Encoders make about ten; 500 in 112 kB of a small picture keep a core busy for 0.6 s."""

_FIRST: Final = Image.Resampling.BICUBIC, Image.Resampling.BOX
_LATER: Final = Image.Resampling.LANCZOS, Image.Resampling.HAMMING
"""Filters for the largest size, and for those made from it; in YCbCr for luma, and for chroma.

The first takes a fifth of the whole time: of luma a cheaper filter shows, of chroma it does not.
"""

_REDUCING_GAP: Final = 1.5
"""See PIL.Image.Image.resize: a box filter does the first part of a large step."""

_BAND_REDUCING_GAP: Final = 1.4
"""The same for a picture that is there some rows at a time: 8 megapixels to 1200 in 11 % less."""

_BAND_PIXELS: Final = 1 << 18
"""Pixels converted at a time: a megabyte, in reach of the processor's cache."""

_WEBP_METHOD: Final = 2
"""2.2 times faster than the default 4, for 4 % more bytes."""

_PNG_LEVEL: Final = 2
"""4 times faster than the default 6 on photographs, for 7-11 % more bytes; 3 saves 2 % of those."""

_AVIF_SPEED: Final = 9
"""3.8 times faster than 8, for 2-6 % more bytes at the same likeness."""

UNBOUNDED: Final = Memory()

_LONGEST_ROW: Final = 2**31 // 64
"""Pillow counts a row's bits, up to 64 a pixel, in 31 bits, and calls more a lack of memory."""

_LONGEST_EXIF: Final = 65_536
"""Bytes; a JPEG cannot hold more. Pillow makes an object of every number in it."""

_EXIF_ORIENTATION: Final = 0x0112
_TRANSPOSITIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES: Final = frozenset({5, 6, 7, 8})

_KNOWN_BY_NAME: Final = (
    # (offset, signature, name): formats that people do upload and that are not decoded here.
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF-", "PDF"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"<svg", "SVG"),
)


def make(source: BinaryIO, variants: Variants, memory: Memory = UNBOUNDED) -> Sequence[Output]:
    """Return the thumbnails of a picture: for each width one output in each format.

    Names are `w<width>` for the format every browser shows, and `w<width>.webp`, `w<width>.avif`.
    The first is JPEG, or PNG where the picture has transparency: its content type says which.
    `width` and `height` in the metadata are the output's own, in pixels: a picture narrower than
    a variant keeps its size.

    The picture is turned as its EXIF orientation says, converted to sRGB, and stripped of all
    metadata. Of an animation the first frame is used, of a file with pages the first page. What
    part of it a variant shows, and on what, `variants` says: see worker/imaging/geometry.py.

    Takes of `memory` what it needs, waiting for it. Raises Rejection when the bytes are no picture,
    or one that cannot be decoded, or not within the limits and all of `memory`.
    """
    thumbnail, frames = _widest(source, variants, memory)
    outputs: list[Output] = []
    with memory.reserved(_of_encoding(frames, variants)):
        for width, frame in zip(variants.widths, frames, strict=True):
            # Each size comes from the one above it: reading the large one again shows no gain.
            if thumbnail.size != frame.size:
                thumbnail = _resized(thumbnail, frame.size, _LATER)
            shown = geometry.finished(thumbnail, frame.canvas, variants)
            for format_name, quality in variants.formats.items():
                outputs.append(_encoded(shown, f"w{width}", format_name, quality))
    return outputs


def _widest(
    source: BinaryIO, variants: Variants, memory: Memory
) -> tuple[Image.Image, Sequence[geometry.Frame]]:
    """Return the thumbnail that all others come from, and what each of them shows.

    The decoded picture itself is let go of here, before anything is encoded.
    """
    with _rejecting_damage(variants.max_pixels), _open(source, variants.max_pixels) as picture:
        orientation = _orientation(picture)
        plan = geometry.plan(_turned(picture.size, orientation), variants)
        lying = _turned(plan.whole, orientation)
        _, rows = _reduction(picture.size, lying)
        needed = memory_estimate.of_decoding(picture, lying, rows)
        most = max(needed, _of_encoding(plan.frames, variants))
        if not memory.holds(most):
            raise _too_large_for(memory, picture, most)
        with memory.reserved(needed):
            thumbnail = _upright(_decoded(picture, lying), orientation)
            thumbnail = geometry.cut(thumbnail, plan.frames[0].size, variants)
            return geometry.on_background(thumbnail, variants), plan.frames


def _of_encoding(frames: Sequence[geometry.Frame], variants: Variants) -> int:
    framed = variants.fit == "contain" or variants.sharpen > 0
    return memory_estimate.of_encoding(frames[0].canvas, framed=framed)


@contextmanager
def _rejecting_damage(max_pixels: int) -> Iterator[None]:
    """Turn whatever the decoders raise into a rejection: their input is the only thing at fault."""
    Image.MAX_IMAGE_PIXELS = max_pixels  # a decoder that allocates early looks at this one
    try:
        yield
    except (Rejection, MemoryError, ImportError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Rejection("too_many_pixels", f"{error}") from error
    except Exception as error:
        # Decoders meet attackers' bytes with a dozen kinds of exceptions, struct.error and
        # ZeroDivisionError among them. Encoding is outside: a failure there is ours.
        raise Rejection("corrupt", f"{type(error).__name__}: {error}") from error


def _open(source: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """Identify the picture by its content and check its size, with no pixel decoded."""
    try:
        picture = Image.open(source, formats=ACCEPTED)
    except UnidentifiedImageError as error:
        source.seek(0)
        raise _unidentified(source.read(16)) from error
    width, height = picture.size
    pixels = memory_estimate.pixels_at_once(picture)
    if pixels > max_pixels or max(width, height) > _LONGEST_ROW:
        within = f", with {pixels:,} within" if pixels > width * height else ""
        raise Rejection(
            "too_many_pixels",
            f"{width} × {height} pixels{within}; at most {max_pixels:,} in all are allowed.",
        )
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        _check_scans(memory_estimate.content(picture))
    return picture


def _too_large_for(memory: Memory, picture: ImageFile.ImageFile, needed: int) -> Rejection:
    width, height = picture.size
    room = memory.capacity or 0
    detail = (
        f"{width} × {height} pixels of {picture.format} ({picture.mode}) take"
        f" {needed / 1e6:,.0f} MB to decode; this function's memory leaves {room / 1e6:,.0f} MB"
    )
    each = memory_estimate.of_a_pixel(picture)
    allowed = max(0.0, width * height - (needed - room) / each) if each else 0
    if allowed:
        detail += f", enough for {allowed / 1e6:,.1f} million such pixels"
    return Rejection("too_many_pixels", f"{detail}.")


def _check_scans(data: bytes) -> None:
    # Where the first scan holds everything, no other is decoded. The bytes of a marker can stand
    # elsewhere too: counting them is quick and a bound.
    if (
        jpeg.has_partial_scans(data)
        and data.count(jpeg.SCAN_MARKER) > _MOST_SCANS
        and jpeg.count_scans(data) > _MOST_SCANS
    ):
        raise Rejection("too_many_scans", f"At most {_MOST_SCANS} scans are allowed.")


def _unidentified(head: bytes) -> Rejection:
    """Say what is the matter with a file that starts so and that no decoder takes."""
    # Only now, because an AVIF file may start as HEIF does: both are boxes of the same kind.
    for offset, signature, name in _KNOWN_BY_NAME:
        if head.startswith(signature, offset):
            return Rejection("unsupported_format", f"{name}; allowed: {', '.join(ACCEPTED)}.")
    if any(_claims(name, head) for name in ACCEPTED):
        return Rejection("corrupt", "The file ends or breaks within its header.")
    return Rejection("not_an_image", f"None of {', '.join(ACCEPTED)}.")


def _claims(format_name: str, head: bytes) -> bool:
    """Tell whether a file that starts so says of itself that it has this format."""
    accept = Image.OPEN[format_name][1]
    return accept is not None and accept(head) is True


def _orientation(picture: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8, that is still to be applied after decoding."""
    if picture.format == "TIFF":
        return 1  # here it is no EXIF tag but part of the format, and Pillow applies it
    try:
        if isinstance(picture, PngImagePlugin.PngImageFile) and "exif" not in picture.info:
            picture.info["exif"] = png.late_exif(picture)
        if len(picture.info.get("exif") or b"") > _LONGEST_EXIF:
            return 1
        # Not the PNG plugin's own, which decodes all pixels to see what may come after them.
        value = Image.Image.getexif(picture).get(_EXIF_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 -- damaged EXIF data are no reason to refuse good pixels
        return 1
    return value if value in _TRANSPOSITIONS else 1


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return the size that a picture has after it is turned, or had before."""
    return (size[1], size[0]) if orientation in _SWAPS_SIDES else size


def _decoded(picture: ImageFile.ImageFile, size: tuple[int, int]) -> Image.Image:
    """Return the picture at this size, in sRGB, without any metadata."""
    box = None
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        halves = min(picture.width / size[0], picture.height / size[1]) / 2
        margin = _DECODE_MARGIN if halves >= _DECODE_MARGIN else _LEAST_MARGIN
        box = _set_scale(picture, (math.ceil(size[0] * margin), math.ceil(size[1] * margin)))
        picture.decodermaxblock = 1 << 22  # fewer, larger reads: 3 % faster
    return _in_srgb(_shrunk(picture, size, box), picture.info.get("icc_profile"))


def _set_scale(
    picture: JpegImagePlugin.JpegImageFile, wanted: tuple[int, int]
) -> tuple[float, float, float, float] | None:
    """Have a JPEG decoded at 1/8, 1/4, 3/8, 1/2 or all of its size, but at this one at least.

    Decoding at a scale costs a fraction of decoding and shrinking. Returns the box that the
    picture fills of the pixels to come: sides that do not divide evenly are rounded up.
    """
    width, height = picture.size
    mode = "YCbCr" if jpeg.holds_luma_and_chroma(memory_estimate.content(picture)) else None
    draft = picture.draft(mode, wanted)
    denominator = picture.decoderconfig[0] if draft else 1
    three_eighths = width * 3 / 8, height * 3 / 8
    if denominator == 8 and picture.format == "JPEG" and picture.info.get("progressive"):
        picture.fp = io.BytesIO(jpeg.without_fine_detail(memory_estimate.content(picture)))
    elif (
        denominator == 2
        and three_eighths[0] >= wanted[0]
        and three_eighths[1] >= wanted[1]
        and _decodes_at_three_eighths()
    ):
        _set_three_eighths(picture, (width, height))
        return (0, 0, *three_eighths)
    return draft and draft[1]


def _set_three_eighths(picture: JpegImagePlugin.JpegImageFile, size: tuple[int, int]) -> None:
    """Do as `draft` does for a scale that it does not know.

    libjpeg takes the next eighth above the fraction it is given: 3/8 for Pillow's 1/3.
    """
    width, height = math.ceil(size[0] * 3 / 8), math.ceil(size[1] * 3 / 8)
    picture.tile = [picture.tile[0]._replace(extents=(0, 0, width, height))]
    picture._size = width, height
    picture.decoderconfig = (3, 0)


@cache
def _decodes_at_three_eighths() -> bool:
    """Tell whether this Pillow's insides are still what `_set_three_eighths` takes them for."""
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
    except Exception:  # noqa: BLE001 -- whatever has changed: there is `draft`
        return False


def _shrunk(
    picture: ImageFile.ImageFile,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None,
) -> Image.Image:
    """Return the picture at this size, in a mode that has channels and eight bits for each.

    Where the values have to be converted first, that happens to some rows at a time, and most PNGs
    are decoded so too: a large picture, and a second copy of it, and a third, is what would decide
    how much memory the function needs.
    """
    in_strips = png.has_strips(picture)
    if not in_strips:
        picture.load()
    prepare = _preparation(picture)
    if prepare is None and not in_strips:
        image = _resized(picture, size, _FIRST, box)
        image.info = {}  # savers would copy comments, profiles and more from here
        return image
    width, height = picture.size
    # Beside what is transparent, too much of a box filter shows.
    gap = _REDUCING_GAP if picture.has_transparency_data else _BAND_REDUCING_GAP
    (across, down), rows = _reduction(picture.size, size, gap)
    reduced: Image.Image | None = None
    opaque = True
    bands = png.strips(picture, rows) if in_strips else _bands(picture, rows)
    for number, band in enumerate(bands):
        if prepare:
            band = prepare(band)
        if band.mode == "RGBA":
            opaque = opaque and band.getchannel("A").getextrema() == (255, 255)
            # With its colours multiplied by it, what is transparent has no say in an average.
            band = band.convert("RGBa")
        band = band.reduce((across, down))
        if reduced is None:
            reduced = Image.new(band.mode, (-(-width // across), -(-height // down)))
        reduced.paste(band, (0, number * rows // down))
    if reduced is None:
        raise ValueError("a picture without rows")
    within = (0, 0, width / across, height / down)
    # What a box filter has gone over is a little soft: Lanczos makes up for it.
    second = _LATER[0] if across > 1 else _FIRST[0]
    image = reduced.resize(size, second, box=within)
    if image.mode != "RGBa":
        return image
    # An alpha channel that hides nothing would cost the picture its JPEG.
    return image.convert("RGBA").convert("RGB") if opaque else image.convert("RGBA")


def _bands(picture: Image.Image, rows: int) -> Iterator[Image.Image]:
    width, height = picture.size
    for top in range(0, height, rows):
        yield picture.crop((0, top, width, min(top + rows, height)))


def _reduction(
    full: tuple[int, int], size: tuple[int, int], gap: float = _BAND_REDUCING_GAP
) -> tuple[tuple[int, int], int]:
    """Return what a box filter divides the sides by, and how many rows it is given at a time."""
    # As Image.resize does it from a reducing gap.
    across = int(full[0] / size[0] / gap) or 1
    down = int(full[1] / size[1] / gap) or 1
    return (across, down), min(full[1], max(_BAND_PIXELS // full[0] // down, 1) * down)


def _preparation(picture: Image.Image) -> Callable[[Image.Image], Image.Image] | None:
    """Return what makes a picture's values ones to average, None where they are."""
    if picture.mode.startswith("I;16"):
        # Pillow's own conversion cuts off at 255. A single transparent grey, which these may name
        # instead of having an alpha channel, is shown.
        return lambda band: band.point(lambda value: value * (1 / 257) + 0).convert("L")
    if picture.has_transparency_data:
        return lambda band: band.convert("RGBA")
    if picture.mode in {"I", "F"}:
        return _stretching(picture)
    if picture.mode in {"L", "RGB", "YCbCr", "CMYK", "LAB"}:
        return None
    return lambda band: band.convert("L" if band.mode == "1" else "RGB")


def _stretching(picture: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Map numbers that have no known white (32-bit, float) from their least to their greatest."""
    low, high = cast("tuple[float, float]", picture.getextrema())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Rejection("corrupt", "Some pixels are no finite numbers.")
    scale = 255 / (high - low) if high > low else 0.0
    offset = -low * scale
    return lambda band: band.convert("F").point(lambda value: value * scale + offset).convert("L")


def _resized(
    image: Image.Image,
    size: tuple[int, int],
    filters: tuple[Image.Resampling, Image.Resampling],
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Return a copy at this size; in YCbCr with chroma in squares of 2 × 2 pixels.

    No encoder stores more of it here (4:2:0), so that more is not computed, unless a side is odd.
    """
    if image.mode != "YCbCr":
        return image.resize(size, filters[0], box=box, reducing_gap=_REDUCING_GAP)
    halves = size[0] // (2 - size[0] % 2), size[1] // (2 - size[1] % 2)
    channels = []
    for number, (wanted, resample) in enumerate(
        ((size, filters[0]), (halves, filters[1]), (halves, filters[1]))
    ):
        channel = image.getchannel(number)
        channel = channel.resize(wanted, resample, box=box, reducing_gap=_REDUCING_GAP)
        channels.append(channel.resize(size, Image.Resampling.NEAREST))
    return Image.merge("YCbCr", channels)


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    transposition = _TRANSPOSITIONS.get(orientation)
    return image if transposition is None else image.transpose(transposition)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the image as RGB, RGBA or grey whose values mean what browsers take them for."""
    mode = "RGB" if image.mode == "YCbCr" else image.mode
    transform = _to_srgb(profile, mode) if profile else None
    if transform is not None:
        image = image.convert(mode)
        converted = ImageCms.applyTransform(image, transform)
        if converted is None:  # only in-place conversion returns nothing
            raise AssertionError
        converted.info = {}  # savers would copy the new profile, with the time it was made
        # Grey goes through the profile as RGB and comes back, with equal channels, as one.
        return converted.getchannel("G") if image.mode == "L" else converted
    if image.mode in {"L", "RGB", "YCbCr", "RGBA"}:
        return image
    return image.convert("RGB")


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from a profile to sRGB, None where none is needed or the profile is of no use.

    Pictures from one camera carry one profile, and building the way costs more than taking it.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).startswith("sRGB"):
            return None
        return ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
        )
    except (OSError, ImageCms.PyCMSError):
        return None  # damaged, or for another kind of picture: the pixels are still good


def _encoded(image: Image.Image, name: str, format_name: str, quality: int) -> Output:
    buffer = io.BytesIO()
    if format_name == "jpeg" and image.mode == "RGBA":
        content_type = "image/png"
        image.save(buffer, "PNG", compress_level=_PNG_LEVEL)
    elif format_name == "jpeg":
        content_type = "image/jpeg"
        image.save(buffer, "JPEG", quality=quality, progressive=True)
    elif format_name == "webp":
        content_type, name = "image/webp", f"{name}.webp"
        image.save(buffer, "WEBP", quality=quality, method=_WEBP_METHOD)
    else:
        content_type, name = "image/avif", f"{name}.avif"
        image.save(buffer, "AVIF", quality=quality, speed=_AVIF_SPEED)
    width, height = image.size
    return Output(
        name=name,
        body=buffer.getvalue(),
        content_type=content_type,
        metadata={"width": str(width), "height": str(height)},
    )
