"""One image to its thumbnails, with Pillow alone."""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from PIL import Image, ImageFile

from worker.imaging import animation, exif, geometry, memory_estimate, watermark
from worker.imaging.animation import Animation
from worker.imaging.decoding import decode, reduction, swap_sides, upright
from worker.imaging.geometry import ResizePlan, Size, VariantGeometry
from worker.imaging.identify import open_picture, rejecting_damage
from worker.imaging.memory import Memory
from worker.imaging.resize import resize
from worker.keys import output_name
from worker.results import Output, Properties, Rejection
from worker.settings import Variants

_WEBP_METHOD: Final = 2
"""2.2 times faster than the default 4, for 4 % more bytes."""

_PNG_LEVEL: Final = 2
"""4 times faster than the default 6 on photographs, for 7-11 % more bytes; 3 saves 2 % of those."""

_AVIF_SPEED: Final = 9
"""3.8 times faster than 8, for 2-6 % more bytes at the same SSIM."""

_ICON_SIDE: Final = 64
"""Pixels: below it a JPEG keeps the color of each pixel, because lines of one or two are much of
what it shows. From a JPEG there is nothing to keep: its colors are in squares of 2 × 2 already."""

_PLACEHOLDER_SIDE: Final = 16
_PLACEHOLDER_QUALITY: Final = 20
"""A photograph of 16 by 12 pixels then has about 100 bytes."""

UNBOUNDED: Final = Memory()


@dataclass
class _Widest:
    """The widest thumbnail of some variants, that the others are made from."""

    variants: Variants
    planned: Sequence[VariantGeometry]
    image: Image.Image

    def thumbnails(self) -> Iterator[tuple[int, Image.Image]]:
        """Yield each width with the thumbnail to encode."""
        for width, variant in zip(self.variants.widths, self.planned, strict=True):
            # Each size comes from the one above it: reading the large one again shows no gain.
            if self.image.size != variant.image_size:
                self.image = resize(self.image, variant.image_size)
            yield width, finish(self.image, variant.canvas_size, self.variants)


def finish(image: Image.Image, canvas_size: Size, variants: Variants) -> Image.Image:
    """Return a resized image as it is stored: sharpened, with its watermark, on its canvas."""
    image = geometry.sharpen(image, variants)
    if variants.watermark:
        image = watermark.place(image, variants.watermark)
    return geometry.pad(image, canvas_size, variants)


@dataclass(frozen=True)
class _Plan:
    """How the thumbnails of some variants are made from one decoded image.

    Attributes:
        variants: The thumbnails to make.
        resizes: How, for each of the variants.
        orientation: The EXIF orientation of the image as it is stored.
    """

    variants: Sequence[Variants]
    resizes: Sequence[ResizePlan]
    orientation: int

    @classmethod
    def of(cls, stored: Size, variants: Sequence[Variants], orientation: int) -> _Plan:
        """Return the plan for an image of this size before its orientation is applied."""
        shown = swap_sides(stored, orientation)
        return cls(variants, [geometry.resize_plan(shown, one) for one in variants], orientation)

    @property
    def stored_size(self) -> Size:
        """The size at which the image is decoded, before its orientation is applied."""
        largest = max((plan.full_size for plan in self.resizes), key=math.prod)
        return swap_sides(largest, self.orientation)

    def encoding_bytes(self) -> list[int]:
        """Return the bytes that encoding takes for each of the variants."""
        return [
            _encoding_bytes(plan.variants, one)
            for one, plan in zip(self.variants, self.resizes, strict=True)
        ]

    def canvas_sizes(self, format_name: str) -> list[Size]:
        """Return the sizes of all thumbnails in a format."""
        return [
            variant.canvas_size
            for one, plan in zip(self.variants, self.resizes, strict=True)
            for width, variant in zip(one.widths, plan.variants, strict=True)
            if format_name in one.formats_at(width)
        ]

    def decoded(self, picture: ImageFile.ImageFile) -> list[_Widest]:
        """Decode an opened image, and return the widest thumbnail of each of the variants."""
        decoded = upright(decode(picture, self.stored_size), self.orientation)
        widest = []
        for each, plan in zip(self.variants, self.resizes, strict=True):
            full = decoded
            if plan.full_size != decoded.size:
                full = resize(decoded, plan.full_size)
            part = geometry.crop(full, plan.variants[0].image_size, each)
            widest.append(_Widest(each, plan.variants, geometry.flatten(part, each)))
        return widest


@dataclass(frozen=True)
class _Decoded:
    """A decoded image.

    Attributes:
        facts: Its properties but those of `_summary`.
        widest: The widest thumbnail of each variants.
        animation: All of its frames, and the plan for variants that show them; None for a still.
        still: Why variants that would show all frames show the first; None where they do not.
    """

    facts: Properties
    widest: Sequence[_Widest]
    animation: tuple[Animation, _Plan] | None = None
    still: str | None = None


def make(
    source: BinaryIO,
    variants: Sequence[Variants],
    memory: Memory = UNBOUNDED,
    keep_metadata: Collection[str] = (),
) -> Iterator[Output | Properties]:
    """Yield the thumbnails of an image, and then its properties.

    For each width there is one output in each format that is made at this width. The image is
    decoded once, whatever the number of variants.

    Names are `w<width>` for the format that every browser shows, and `w<width>.webp`,
    `w<width>.avif` and `w<width>.png`, after `<name>-` for variants with a name of their own. The
    first is JPEG, or PNG where the image has transparency: its content type says which. `width` and
    `height` in the metadata are the output's own, in pixels: an image narrower than a variant keeps
    its size.

    The image is turned as its EXIF orientation says, converted to sRGB, and stripped of all
    metadata. Of an animation the first frame is used, of a file with pages the first page. But the
    WebPs of variants that are `animated` show all frames of a GIF or WebP, unless there are too
    many: see `_animated`. The variants' watermark, if any, is on each thumbnail that is wide
    enough, and on each of its frames.

    The properties are the image's media type, and width and height in pixels as it is shown; a
    placeholder of at most 16 by 16 pixels as a data URL, and the mean color as `#rrggbb`, None
    where all is transparent; and the metadata to keep.

    Args:
        source: The file, at its start.
        variants: The thumbnails to make, and which part of the image they show; one or more sets
            with the same `max_pixels`. The placeholder and the color are of the first.
        memory: Where the memory that this takes is reserved; waits until enough is free.
        keep_metadata: What is in the properties of the file's own; see exif.metadata.

    Raises:
        Rejection: The bytes are not an image, or one that cannot be decoded, or not within the
            limits and all of the memory.
    """
    decoded = _decoded(source, variants, memory, keep_metadata)
    summary: dict[str, Any] = {}
    with memory.reserved(
        sum(_encoding_bytes(each.planned, each.variants) for each in decoded.widest)
    ):
        for each in decoded.widest:
            for width, thumbnail in each.thumbnails():
                for format_name, quality in each.variants.formats_at(width).items():
                    is_animated = each.variants.animated and format_name == "webp"
                    if is_animated and decoded.animation:
                        continue
                    still = {"still": decoded.still} if is_animated and decoded.still else {}
                    name = output_name(width, format_name, each.variants.name)
                    yield _encode(thumbnail, name, format_name, quality, still)
            summary = summary or _summary(thumbnail)
    if decoded.animation:
        found, plan = decoded.animation
        with memory.reserved(_animation_bytes(found, plan)):
            yield from _animated(source, found, plan)
    yield Properties(decoded.facts.source, {**summary, **decoded.facts.record})


def _decoded(
    source: BinaryIO,
    variants: Sequence[Variants],
    memory: Memory,
    keep_metadata: Collection[str],
) -> _Decoded:
    """Return the image's facts, and the widest thumbnail of each variants.

    The decoded image itself is freed here, before anything is encoded.
    """
    pixels = variants[0].max_pixels
    with rejecting_damage(pixels), _opened(source, pixels, memory) as picture:
        plan = _Plan.of(picture.size, variants, exif.orientation(picture))
        width, height = swap_sides(picture.size, plan.orientation)
        image = {
            "type": Image.MIME.get(picture.format or ""),
            "width": width,
            "height": height,
        }
        facts = Properties(image, exif.metadata(picture, keep_metadata))
        moving, still = _examined(picture, plan, memory)
        _, rows = reduction(picture.size, plan.stored_size)
        needed = memory_estimate.decoding_bytes(picture, plan.stored_size, rows)
        encoding = plan.encoding_bytes()
        needed += sum(encoding[1:])
        most = max(needed, sum(encoding))
        if not memory.holds(most):
            raise _too_large_for(memory, picture, most)
        with memory.reserved(memory.at_most(needed + memory_estimate.unlikely_bytes(picture))):
            return _Decoded(facts, plan.decoded(picture), moving, still)


def _examined(
    picture: ImageFile.ImageFile, plan: _Plan, memory: Memory
) -> tuple[tuple[Animation, _Plan] | None, str | None]:
    """Return the animation and its plan, or why only its first frame is shown; None for a still."""
    animated = [one for one in plan.variants if one.animated]
    plan = _Plan.of(picture.size, animated, plan.orientation)
    sizes = plan.canvas_sizes("webp")
    found = animation.examine(picture) if sizes else None
    if found is None:
        return None, None
    still = found.obstacle(sum(map(math.prod, sizes)))
    if still is None and not memory.holds(_animation_bytes(found, plan)):
        still = "too_many_pixels"
    return (None, still) if still else ((found, plan), None)


def _animated(source: BinaryIO, moving: Animation, plan: _Plan) -> Iterator[Output]:
    """Yield the WebPs that show all frames of an animation.

    The metadata have how many `frames` are shown, and `duration_ms` for once through all of them.
    As in browsers, damage ends an animation: `frames_left_out` are those from the first damaged on.

    Raises:
        Rejection: The first frame is damaged.
    """
    max_pixels = plan.variants[0].max_pixels
    encoders: dict[str, animation.Encoder] = {}
    frames = moving.frames(source, max_pixels)
    for number in range(moving.count):
        try:
            with rejecting_damage(max_pixels):
                picture, duration = next(frames)
                widest = plan.decoded(picture)
        except Rejection:
            if not number:
                raise
            break
        for each in widest:
            for width, thumbnail in each.thumbnails():
                if quality := each.variants.formats_at(width).get("webp"):
                    name = output_name(width, "webp", each.variants.name)
                    if name not in encoders:
                        encoders[name] = animation.Encoder(
                            thumbnail.size, moving.plays, quality, _WEBP_METHOD
                        )
                    encoders[name].add(thumbnail, duration)
    while encoders:
        name, encoder = next(iter(encoders.items()))
        del encoders[name]
        yield encoder.output(name, moving.count)


def _opened(source: BinaryIO, max_pixels: int, memory: Memory) -> ImageFile.ImageFile:
    """Open an image while memory is reserved for its header, which may be all of the file."""
    needed = memory_estimate.opening_bytes(source.seek(0, io.SEEK_END))
    source.seek(0)
    with memory.reserved(memory.at_most(needed)):
        return open_picture(source, max_pixels)


def _encoding_bytes(planned: Sequence[VariantGeometry], variants: Variants) -> int:
    return memory_estimate.encoding_bytes(
        planned[0].canvas_size,
        finished=variants.fit == "contain" or variants.sharpen > 0,
        marked=variants.watermark is not None,
    )


def _too_large_for(memory: Memory, picture: ImageFile.ImageFile, needed: int) -> Rejection:
    """Return a rejection that says how many pixels the function's memory is enough for."""
    width, height = picture.size
    capacity = memory.capacity or 0
    detail = (
        f"The {width} × {height} pixels of {picture.format} ({picture.mode}) take"
        f" {needed / 1e6:,.0f} MB to decode; this function's memory leaves {capacity / 1e6:,.0f} MB"
    )
    per_pixel = memory_estimate.bytes_per_pixel(picture)
    allowed = max(0.0, width * height - (needed - capacity) / per_pixel) if per_pixel else 0
    if allowed:
        detail += f", enough for {allowed // 1e5 / 10:,.1f} million such pixels"
    return Rejection("too_many_pixels", f"{detail}.")


def _animation_bytes(moving: Animation, plan: _Plan) -> int:
    return sum(plan.encoding_bytes()) + memory_estimate.animation_bytes(
        moving.screen_bytes, moving.file_bytes, plan.canvas_sizes("webp"), moving.count
    )


def _encode(
    image: Image.Image, name: str, format_name: str, quality: int, about: Mapping[str, str]
) -> Output:
    buffer = io.BytesIO()
    if format_name == "png" or (format_name == "jpeg" and image.mode == "RGBA"):
        content_type = "image/png"
        image.save(buffer, "PNG", compress_level=_PNG_LEVEL)
    elif format_name == "jpeg":
        content_type = "image/jpeg"
        is_icon = image.mode == "RGB" and max(image.size) < _ICON_SIDE
        subsampling = "4:4:4" if is_icon else "4:2:0"
        image.save(buffer, "JPEG", quality=quality, progressive=True, subsampling=subsampling)
    elif format_name == "webp":
        content_type = "image/webp"
        image.save(buffer, "WEBP", quality=quality, method=_WEBP_METHOD)
    else:
        content_type = "image/avif"
        image.save(buffer, "AVIF", quality=quality, speed=_AVIF_SPEED)
    width, height = image.size
    return Output(
        name=name,
        body=buffer.getvalue(),
        content_type=content_type,
        metadata={"width": width, "height": height, **about},
    )


def _summary(thumbnail: Image.Image) -> dict[str, Any]:
    """Return a placeholder of the image and its mean color, from its smallest thumbnail."""
    has_alpha = thumbnail.mode == "RGBA"
    # Premultiplied, what is transparent has no part in a mean.
    small = thumbnail.convert("RGBa" if has_alpha else "RGB")
    small.thumbnail((_PLACEHOLDER_SIDE, _PLACEHOLDER_SIDE), Image.Resampling.BOX)
    mean = small.resize((1, 1), Image.Resampling.BOX)
    if has_alpha:
        small, mean = small.convert("RGBA"), mean.convert("RGBA")
    red, green, blue, *alpha = mean.tobytes()
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_PLACEHOLDER_QUALITY)
    return {
        "placeholder": f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}",
        "color": None if alpha == [0] else f"#{red:02x}{green:02x}{blue:02x}",
    }
