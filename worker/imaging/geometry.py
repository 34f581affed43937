"""Which part of an image a variant shows, and on what: fit, position, background, sharpening."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFilter

from worker.settings import LONGEST_SIDE, Variants

Size = tuple[int, int]
"""Width and height in pixels."""

_CROP_SHARES: Final = {
    "center": (0.5, 0.5),
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
}
"""By position, the share of what is cropped that comes off the left, and off the top."""

_UNSHARP_RADIUS: Final = 0.8
"""Pixels: the width of an edge in a thumbnail."""

_UNSHARP_THRESHOLD: Final = 2
"""Differences up to this one, of 255, are noise and not an edge."""


@dataclass(frozen=True)
class VariantGeometry:
    """The sizes of one variant.

    Attributes:
        image_size: Of the image, or the part of it, that the variant shows.
        canvas_size: Of the whole variant: larger where the image is padded.
    """

    image_size: Size
    canvas_size: Size


@dataclass(frozen=True)
class ResizePlan:
    """How all variants are made from one decoded image.

    Attributes:
        full_size: What the whole image is resized to; every variant is made from that.
        variants: Widest first.
    """

    full_size: Size
    variants: tuple[VariantGeometry, ...]


def resize_plan(size: Size, variants: Variants) -> ResizePlan:
    """Return how the variants of an upright image of this size are made; nothing is enlarged."""
    if variants.fit == "cover":
        return _cover_plan(size, variants)
    found = []
    for index, width in enumerate(variants.widths):
        height_scale = 1.0
        height = _variant_height(width, variants)
        if variants.fit == "contain":
            height_scale = height / size[1]
        elif variants.heights:
            height_scale = variants.heights[index] / size[1]
        scale = min(1.0, width / size[0], height_scale, LONGEST_SIDE / max(size))
        image = _scaled(size, scale)
        found.append(
            VariantGeometry(image, (width, height) if variants.fit == "contain" else image)
        )
    return ResizePlan(found[0].image_size, tuple(found))


def _cover_plan(size: Size, variants: Variants) -> ResizePlan:
    across, down = variants.aspect_ratio
    part = min(size[0], size[1] * across / down), min(size[1], size[0] * down / across)
    found = []
    for width in variants.widths:
        if width < part[0]:
            shown = width, _variant_height(width, variants)
        else:
            shown = max(1, round(part[0])), max(1, round(part[1]))
        found.append(VariantGeometry(shown, shown))
    # Rounded up, so that the first variant can be cropped from it.
    widest = found[0].image_size
    scale = max(widest[0] / part[0], widest[1] / part[1])
    full = (
        max(widest[0], min(size[0], math.ceil(size[0] * scale))),
        max(widest[1], min(size[1], math.ceil(size[1] * scale))),
    )
    return ResizePlan(full, tuple(found))


def _variant_height(width: int, variants: Variants) -> int:
    across, down = variants.aspect_ratio
    return max(1, round(width * down / across))


def _scaled(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def crop(image: Image.Image, size: Size, variants: Variants) -> Image.Image:
    """Return the part of this size of a whole image, at the position that the variants name."""
    spare = image.width - size[0], image.height - size[1]
    if spare == (0, 0):
        return image
    if isinstance(variants.position, tuple):
        left, top = (
            max(0, min(most, round(length * share - part / 2)))
            for most, length, share, part in zip(
                spare, image.size, variants.position, size, strict=True
            )
        )
    else:
        left_share, top_share = _CROP_SHARES[variants.position]
        left, top = round(spare[0] * left_share), round(spare[1] * top_share)
    return image.crop((left, top, left + size[0], top + size[1]))


def flatten(image: Image.Image, variants: Variants) -> Image.Image:
    """Return the image on the variants' background; with its transparency where there is none."""
    if image.mode != "RGBA" or variants.background is None:
        return image
    background = Image.new("RGBA", image.size, (*variants.background, 255))
    return Image.alpha_composite(background, image).convert("RGB")


def sharpen(image: Image.Image, variants: Variants) -> Image.Image:
    """Return the image with the variants' unsharp mask applied."""
    return _sharpen(image, variants.sharpen) if variants.sharpen else image


def pad(image: Image.Image, canvas_size: Size, variants: Variants) -> Image.Image:
    """Return an image in the middle of its canvas."""
    if image.size == canvas_size:
        return image
    background = (0, 0, 0, 0) if variants.background is None else (*variants.background, 255)
    canvas = Image.new("RGBA", canvas_size, background)
    left, top = (canvas_size[0] - image.width) // 2, (canvas_size[1] - image.height) // 2
    canvas.paste(image.convert("RGBA"), (left, top))
    return canvas if variants.background is None else canvas.convert("RGB")


def _sharpen(image: Image.Image, percent: int) -> Image.Image:
    mask = ImageFilter.UnsharpMask(_UNSHARP_RADIUS, percent, _UNSHARP_THRESHOLD)
    return image.filter(mask)
