"""Colour profiles: every image becomes sRGB, which browsers assume."""

from __future__ import annotations

import io
import struct
from functools import cache, lru_cache
from itertools import product
from typing import Final

from PIL import Image, ImageChops, ImageCms

from worker.imaging import color_space
from worker.imaging.color_space import ColorSpace, by_code_points

_RGB_OR_GREY: Final = frozenset({"L", "RGB", "RGBA"})

_HEADER_BYTES: Final = 128
_RGB_IN_FULL_RANGE: Final = b"\x00\x01"
"""The matrix of H.273, and whether values have their full range."""

_UNSPECIFIED: Final = 2
"""As primaries and as transfer function."""

_ROUNDING: Final = 1
"""The most by which two values of eight bits differ that are computed to be equal."""


def to_srgb(image: Image.Image, profile: bytes | None, *, grey: bool = False) -> Image.Image:
    """Return the image in RGB, RGBA or grey, with the values of sRGB.

    Args:
        image: The decoded image.
        profile: Its ICC profile.
        grey: Whether an image in RGB or RGBA was grey: its profile may be one of grey then.
    """
    space = _space(profile) if profile and image.mode in _RGB_OR_GREY else None
    if space == ColorSpace():
        return image
    if space:
        return color_space.to_srgb(image, space)
    if profile and (image.mode == "L" or (grey and image.mode in {"RGB", "RGBA"})):
        return _grey_to_srgb(image, profile)
    transform = _transform(profile, image.mode) if profile else None
    if transform is not None:
        return _applied(transform, image)
    return image if image.mode in _RGB_OR_GREY else image.convert("RGB")


def _space(profile: bytes) -> ColorSpace | None:
    """Return the color space that a profile names by code points, beside curves and tables.

    ICC.1:2022, 7.3 (tags) and 10.3 (cicp); these are all that can mean PQ or HLG.
    """
    head = memoryview(profile)[_HEADER_BYTES:]
    tags = head[4 : 4 + int.from_bytes(head[:4]) * 12]
    for name, start, _ in struct.iter_unpack(">4sII", tags[: len(tags) // 12 * 12]):
        body = profile[start : start + 12]
        is_usable = body[10:] == _RGB_IN_FULL_RANGE and _UNSPECIFIED not in body[8:10]
        if name == body[:4] == b"cicp" and is_usable:
            return by_code_points(body[8], body[9], video=True)
    return None


def _grey_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    tables = _grey_tables(profile)
    if not tables:
        return image
    value = image.getchannel("G") if len(image.getbands()) > 1 else image
    shown = [value.point(table) for table in tables]
    if image.mode == "L":
        return shown[0] if len(shown) == 1 else Image.merge("RGB", shown)
    alpha = [image.getchannel("A")] if image.mode == "RGBA" else []
    return Image.merge(image.mode, shown * (3 // len(shown)) + alpha)


@lru_cache(maxsize=8)
def _grey_tables(profile: bytes) -> list[list[int]]:
    """Return what is shown of each of the 256 greys: one value, three, or none where it is itself.

    The profile may be one of grey or, as cameras write it into grey pictures as well, one of RGB.
    """
    greys = Image.frombytes("L", (256, 1), bytes(range(256)))
    for mode in ("L", "RGB"):
        # Optimised, the darkest greys would be off by half of their value.
        transform = _built(profile, mode, ImageCms.Flags.NOOPTIMIZE)
        if transform is not None:
            shown = _applied(transform, greys.convert(mode))
            if _are_equal(shown, greys.convert("RGB")):
                return []
            red, green, blue = shown.split()
            is_grey = _are_equal(red, green) and _are_equal(green, blue)
            return [list(band.tobytes()) for band in ((green,) if is_grey else (red, green, blue))]
    return []


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB; None where it is not needed or not usable.

    Not needed is one that changes nothing: a profile's name says little about that. Images from one
    camera have the same profile, and building the transform takes longer than applying it.
    """
    transform = _built(profile, mode)
    if transform is not None and mode in {"RGB", "RGBA"}:
        colours = _colours().convert(mode)
        if _are_equal(_applied(transform, colours), colours):
            return None
    return transform


def _built(
    profile: bytes, mode: str, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> ImageCms.ImageCmsTransform | None:
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
            flags=flags,
        )
    except (OSError, ImageCms.PyCMSError):
        return None  # damaged, or for another kind of image: the pixels are still good


def _applied(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:  # only in-place conversion returns nothing
        raise AssertionError
    converted.info = {}  # savers would copy the new profile, with the time it was made
    return converted


def _are_equal(image: Image.Image, other: Image.Image) -> bool:
    """Return whether two images are the same within rounding."""
    return max(ImageChops.difference(image, other).convert("RGB").tobytes()) <= _ROUNDING


@cache
def _colours() -> Image.Image:
    """Return an image of all combinations of 16 values of each channel."""
    values = bytes(value for pixel in product(range(0, 256, 17), repeat=3) for value in pixel)
    return Image.frombytes("RGB", (64, 64), values)
