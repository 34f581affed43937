"""A watermark: decoded once, then placed on each thumbnail in proportion to its width."""

from __future__ import annotations

import io
import math
from typing import Final

from PIL import Image

from worker.imaging import exif, memory_estimate
from worker.imaging.decoding import decode, reduction, upright
from worker.imaging.geometry import Size
from worker.imaging.identify import open_picture, rejecting_damage
from worker.imaging.memory import Memory
from worker.limits import KEPT_SIZES, MOST_KEPT_PIXELS, MOST_WATERMARK_PIXELS
from worker.results import Rejection, WatermarkError
from worker.settings import Watermark

_REDUCING_GAP: Final = 2.0
"""See PIL.Image.Image.resize: most watermarks are several times larger than they are shown."""


class WatermarkImage:
    """What a watermark's file shows, and the sizes in which it was shown lately."""

    def __init__(self, image: Image.Image) -> None:
        """Take an image upright, in sRGB, with its alpha multiplied in (RGBa)."""
        self.image = image
        self._resized: dict[Size, Image.Image] = {}

    def at(self, size: Size) -> Image.Image:
        """Return it at this size in RGBA, which others may be using as well."""
        found = self._resized.get(size)
        if found is None:
            resized = self.image.resize(size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
            found = resized.convert("RGBA")
            if math.prod(size) <= MOST_KEPT_PIXELS:
                if len(self._resized) >= KEPT_SIZES:
                    self._resized = {}
                self._resized[size] = found
        return found


def decoded(content: bytes, max_pixels: int, memory: Memory) -> WatermarkImage:
    """Return what a file shows, upright and in sRGB.

    It goes through the decoder and the limits of pictures.

    Args:
        content: The file.
        max_pixels: The limit of pictures, which one of watermarks is beside.
        memory: Where the memory that this takes is reserved; waits until enough is free.

    Raises:
        WatermarkError: It is not an image that can be decoded within the limits.
    """
    try:
        # This limit of Pillow's is one for all threads: the pictures' own.
        with rejecting_damage(max_pixels):
            with memory.reserved(_at_most(memory, memory_estimate.opening_bytes(len(content)))):
                picture = open_picture(io.BytesIO(content), max_pixels)
            with picture:
                if memory_estimate.pixels_at_once(picture) > MOST_WATERMARK_PIXELS:
                    raise WatermarkError(
                        f"it has {picture.width} × {picture.height} pixels; at most"
                        f" {MOST_WATERMARK_PIXELS:,} in all are allowed"
                    )
                _, rows = reduction(picture.size, picture.size)
                needed = memory_estimate.decoding_bytes(picture, picture.size, rows)
                with memory.reserved(_at_most(memory, needed)):
                    orientation = exif.orientation(picture)
                    image = upright(decode(picture, picture.size), orientation)
                    return WatermarkImage(image.convert("RGBA").convert("RGBa"))
    except Rejection as rejection:
        raise WatermarkError(rejection.detail.rstrip(".")) from rejection


def _at_most(memory: Memory, size: int) -> int:
    return size if memory.capacity is None else min(size, memory.capacity)


def place(image: Image.Image, mark: Watermark) -> Image.Image:
    """Return a thumbnail with its watermark; the same thumbnail where it is narrower than allowed.

    It is composited over the thumbnail, channel by channel with the values of sRGB, as CSS and
    image editors do: https://www.w3.org/TR/compositing-1/#simplealphacompositing
    """
    if image.width < mark.min_width:
        return image
    if mark.image is None:
        raise ValueError(f"{mark.key} was not read")
    size, corner = box(image.size, mark.image.image.size, mark)
    stamp = mark.image.at(size)
    alpha = stamp.getchannel("A")
    if mark.opacity < 100:
        alpha = alpha.point([round(value * mark.opacity / 100) for value in range(256)])
        stamp = stamp.copy()
        stamp.putalpha(alpha)
    marked = image.convert("RGB") if image.mode == "L" else image.copy()
    if marked.mode == "RGBA":
        marked.alpha_composite(stamp, corner)
        return marked
    marked.paste(stamp.convert("RGB"), corner, alpha)
    return marked


def box(thumbnail: Size, image: Size, mark: Watermark) -> tuple[Size, tuple[int, int]]:
    """Return a watermark's size on a thumbnail, and the place of its upper left corner.

    It is as wide as its options say, enlarged if need be, in its own ratio; narrower where it would
    be higher than the thumbnail without its margins.
    """
    vertical, horizontal = _sides(mark.position)
    margin = round(thumbnail[0] * mark.margin / 100)
    across = thumbnail[0] - (2 * margin if horizontal else 0)
    down = thumbnail[1] - (2 * margin if vertical else 0)
    scale = min(
        thumbnail[0] * mark.width / 100 / image[0],
        across / image[0],
        max(down, 1) / image[1],
    )
    width, height = (max(1, math.floor(side * scale + 0.5)) for side in image)
    return (width, height), (
        _start(horizontal, thumbnail[0] - width, margin, ends=("left", "right")),
        _start(vertical, thumbnail[1] - height, margin, ends=("top", "bottom")),
    )


def _sides(position: str) -> tuple[str, str]:
    """Return which of "top" and "bottom" a position names, and which of "left" and "right"."""
    parts = position.split("-")
    vertical, horizontal = (
        next((part for part in parts if part in ends), "")
        for ends in (("top", "bottom"), ("left", "right"))
    )
    return vertical, horizontal


def _start(side: str, spare: int, margin: int, *, ends: tuple[str, str]) -> int:
    """Return where it begins, if `spare` pixels are left beside it."""
    offset = {ends[0]: margin, ends[1]: spare - margin}.get(side, spare // 2)
    return max(0, min(spare, offset))
