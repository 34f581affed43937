"""Colour profiles: every image becomes sRGB, which browsers assume."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms


def to_srgb(image: Image.Image, profile: bytes | None, *, grey: bool = False) -> Image.Image:
    """Return the image in RGB, RGBA, YCbCr or grey, with the values of sRGB.

    Args:
        image: The decoded image.
        profile: Its ICC profile.
        grey: Whether an image in RGB or RGBA was grey: its profile may be one of grey then.
    """
    if profile and grey and image.mode in {"RGB", "RGBA"} and _transform(profile, "L"):
        shown = to_srgb(image.getchannel("G"), profile)
        alpha = [image.getchannel("A")] if image.mode == "RGBA" else []
        return Image.merge(image.mode, [shown] * 3 + alpha)
    mode = "RGB" if image.mode == "YCbCr" else image.mode
    transform = _transform(profile, mode) if profile else None
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
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB; None where it is not needed or not usable.

    Images from one camera have the same profile, and building the transform takes longer than
    applying it.
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
        return None  # damaged, or for another kind of image: the pixels are still good
