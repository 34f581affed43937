"""What part of a picture a variant shows, and on what: fit, position, background, sharpening."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFilter

from worker.settings import LONGEST_SIDE, Variants

Size = tuple[int, int]

_PLACES: Final = {
    "center": (0.5, 0.5),
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
}
"""How much of what is cut off goes from the left, and from the top."""

_RADIUS: Final = 0.8
_THRESHOLD: Final = 2
"""Of the unsharp mask: what an edge of a thumbnail is wide, and what is noise and no edge."""


@dataclass(frozen=True)
class Frame:
    """One variant: the size of the picture's part in it, and of all of it where that is more."""

    size: Size
    canvas: Size


@dataclass(frozen=True)
class Plan:
    """The size that the whole picture shrinks to, and the variants made from that, widest first."""

    whole: Size
    frames: tuple[Frame, ...]


def plan(size: Size, variants: Variants) -> Plan:
    """Return how the variants of an upright picture of this size are made; nothing is enlarged."""
    if variants.fit == "cover":
        return _covering(size, variants)
    frames = []
    for width in variants.widths:
        height = _height(width, variants)
        room = height / size[1] if variants.fit == "contain" else 1.0
        scale = min(1.0, width / size[0], room, LONGEST_SIDE / max(size))
        part = _scaled(size, scale)
        frames.append(Frame(part, (width, height) if variants.fit == "contain" else part))
    return Plan(frames[0].size, tuple(frames))


def _covering(size: Size, variants: Variants) -> Plan:
    across, down = variants.aspect_ratio
    part = min(size[0], size[1] * across / down), min(size[1], size[0] * down / across)
    frames = []
    for width in variants.widths:
        if width < part[0]:
            shown = width, _height(width, variants)
        else:
            shown = max(1, round(part[0])), max(1, round(part[1]))
        frames.append(Frame(shown, shown))
    # Rounded up, so that the first variant can be cut from it.
    scale = max(frames[0].size[0] / part[0], frames[0].size[1] / part[1])
    whole = (
        max(frames[0].size[0], min(size[0], math.ceil(size[0] * scale))),
        max(frames[0].size[1], min(size[1], math.ceil(size[1] * scale))),
    )
    return Plan(whole, tuple(frames))


def _height(width: int, variants: Variants) -> int:
    across, down = variants.aspect_ratio
    return max(1, round(width * down / across))


def _scaled(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def cut(image: Image.Image, size: Size, variants: Variants) -> Image.Image:
    """Return the part of this size of a whole picture, at the place that the variants name."""
    spare = image.width - size[0], image.height - size[1]
    if spare == (0, 0):
        return image
    from_left, from_top = _PLACES[variants.position]
    left, top = round(spare[0] * from_left), round(spare[1] * from_top)
    return image.crop((left, top, left + size[0], top + size[1]))


def on_background(image: Image.Image, variants: Variants) -> Image.Image:
    """Return the image without transparency where the variants name a colour to put behind it."""
    if image.mode != "RGBA" or variants.background is None:
        return image
    behind = Image.new("RGBA", image.size, (*variants.background, 255))
    return Image.alpha_composite(behind, image).convert("RGB")


def finished(image: Image.Image, canvas: Size, variants: Variants) -> Image.Image:
    """Return an image as it is stored: sharpened, and in the middle of its canvas."""
    if variants.sharpen:
        image = _sharpened(image, variants.sharpen)
    if image.size == canvas:
        return image
    behind = (0, 0, 0, 0) if variants.background is None else (*variants.background, 255)
    whole = Image.new("RGBA", canvas, behind)
    whole.paste(image.convert("RGBA"), _middle(image.size, canvas))
    return whole if variants.background is None else whole.convert("RGB")


def _middle(size: Size, canvas: Size) -> Size:
    return (canvas[0] - size[0]) // 2, (canvas[1] - size[1]) // 2


def _sharpened(image: Image.Image, percent: int) -> Image.Image:
    mask = ImageFilter.UnsharpMask(_RADIUS, percent, _THRESHOLD)
    if image.mode != "YCbCr":
        return image.filter(mask)
    # Chroma is stored at half the size: there is nothing in it to sharpen.
    luma, *chroma = image.split()
    return Image.merge("YCbCr", (luma.filter(mask), *chroma))
