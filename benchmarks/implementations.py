"""The compared implementations, each a function from a file's bytes to encoded thumbnails."""

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from PIL import (
    AvifImagePlugin,
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

_PLUGINS: Final = (
    AvifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
"""Imported so that their savers can be overridden before the first picture."""

Image.MAX_IMAGE_PIXELS = None  # the files are our own

Outputs = Mapping[str, bytes]
"""Encoded thumbnails by file name: `w1200.jpeg`, also for PNG in a JPEG's place."""

Encoders = Mapping[str, Sequence[Mapping[str, Any]]]
"""Options of each encoder (jpeg, png, webp, avif) by Pillow's names, one per width."""


@dataclass(frozen=True)
class Task:
    """The requested thumbnails: `widths` from the widest, `formats` with the quality of each.

    `encoders` are options for every implementation, so that none wins by an easier encoding.
    """

    widths: tuple[int, ...]
    formats: Mapping[str, int]
    encoders: Encoders

    def options(self, format_name: str, place: int) -> Mapping[str, Any]:
        """Return the encoder's options for the width at this place."""
        return self.encoders.get(format_name, [{}] * len(self.widths))[place]


Job = Callable[[], Outputs]
"""The part that is timed."""

Implementation = Callable[[bytes, Task], Job]
"""Takes a file; its time until it returns the job is not measured."""

_KEPT_OPTIONS: Final = {
    "JPEG": ("progressive", "optimize"),
    "PNG": ("compress_level", "optimize"),
    "WEBP": ("method",),
    "AVIF": ("speed",),
}


def worker(data: bytes, task: Task) -> Job:
    """Return the job of Darkroom's image core, with its memory allocator's settings."""
    from worker import settings
    from worker.imaging import memory, thumbnails
    from worker.results import Output  # others of these processes should not pay for it

    memory.configure_malloc()
    variants = settings.Variants(widths=task.widths, formats=task.formats, max_pixels=10**9)

    def job() -> Outputs:
        made = thumbnails.make(io.BytesIO(data), [variants])
        outputs = [one for one in made if isinstance(one, Output)]
        names = (o.name if "." in o.name else f"{o.name}.jpeg" for o in outputs)
        return dict(zip(names, (output.body for output in outputs), strict=True))

    return job


def naive(data: bytes, task: Task) -> Job:
    """Return the job of Pillow as in most tutorials: each size from the fully decoded picture."""

    def job() -> Outputs:
        with Image.open(io.BytesIO(data)) as picture:
            profile = picture.info.get("icc_profile")
            upright = ImageOps.exif_transpose(picture)
        outputs: dict[str, bytes] = {}
        for place, width in enumerate(task.widths):
            size = width, max(1, round(upright.height * width / upright.width))
            image = _in_srgb(upright.resize(size, Image.Resampling.LANCZOS), profile)
            outputs |= _encoded(image, task, place)
        return outputs

    return job


def pyvips_cascade(data: bytes, task: Task) -> Job:
    """Shrink on load to the widest, the rest from there."""

    def job() -> Outputs:
        largest = _vips_thumbnail(data, task.widths[0]).copy_memory()
        outputs: dict[str, bytes] = {}
        for place, width in enumerate(task.widths):
            image = largest if place == 0 else largest.thumbnail_image(width, height=10**7)
            outputs |= _vips_encoded(image.copy_memory(), task, place)
        return outputs

    return job


def floor(data: bytes, task: Task) -> Job:
    """What no shortcut in shrinking could go below: libjpeg-turbo's decoding and the encoding.

    Decodes at the least M/8 that has the widest thumbnail's pixels, with the libjpeg-turbo that
    Pillow brings, and encodes thumbnails that were made before.
    """
    ready = []
    with Image.open(io.BytesIO(data)) as picture:
        upright = ImageOps.exif_transpose(picture)
        needed = task.widths[0] / upright.width
        for width in task.widths:
            size = width, max(1, round(upright.height * width / upright.width))
            shrunk = upright.resize(size, Image.Resampling.LANCZOS)
            ready.append(_in_srgb(shrunk, picture.info.get("icc_profile")))

    def job() -> Outputs:
        decode_scaled(data, needed)
        outputs: dict[str, bytes] = {}
        for place, image in enumerate(ready):
            outputs |= _encoded(image, task, place)
        return outputs

    return job


def decode_scaled(data: bytes, needed: float) -> Image.Image:
    """Decode a JPEG at the least of 1/8, 2/8, 3/8, 4/8, 8/8 that is `needed` or more.

    libjpeg takes the next M/8 above the fraction it is asked for, and Pillow can ask for 1/n.
    """
    numerators = {8: 1, 4: 2, 3: 3, 2: 4, 1: 8}
    denominator = max((n for n, m in numerators.items() if m / 8 >= needed), default=1)
    picture = Image.open(io.BytesIO(data))
    if not isinstance(picture, JpegImagePlugin.JpegImageFile):
        raise TypeError("no JPEG")
    eighths = numerators[denominator]
    size = math.ceil(picture.width * eighths / 8), math.ceil(picture.height * eighths / 8)
    picture.tile = [picture.tile[0]._replace(extents=(0, 0, *size))]
    picture._size = size
    picture.decoderconfig = (denominator, 0)
    picture.decodermaxblock = len(data)
    picture.load()
    return picture


IMPLEMENTATIONS: Final[Mapping[str, Implementation]] = {
    "worker": worker,
    "naive": naive,
    "pyvips-cascade": pyvips_cascade,
    "floor": floor,
}


@contextmanager
def overridden_encoders(task: Task) -> Iterator[None]:
    """Have Pillow follow the task's encoders whoever saves: the worker has its own idea of them."""
    ours = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "AVIF": "avif"}
    before = dict(Image.SAVE)

    def following(format_name: str) -> Callable[..., None]:
        def save(image: Image.Image, target: Any, name: str | bytes) -> None:
            if image.width in task.widths:
                options = task.options(ours[format_name], task.widths.index(image.width))
                image.encoderinfo = {**image.encoderinfo, **options}
            before[format_name](image, target, name)

        return save

    Image.SAVE.update({name: following(name) for name in ours})
    try:
        yield
    finally:
        Image.SAVE.update(before)


def observed_encoders(data: bytes, task: Task) -> dict[str, list[dict[str, Any]]]:
    """Return the options with which the worker itself encodes this file for this task."""
    seen: dict[str, dict[int, dict[str, Any]]] = {}
    job = worker(data, task)
    before = dict(Image.SAVE)

    def noting(format_name: str) -> Callable[..., None]:
        def save(image: Image.Image, target: Any, name: str | bytes) -> None:
            options = {
                option: image.encoderinfo[option]
                for option in _KEPT_OPTIONS[format_name]
                if option in image.encoderinfo
            }
            seen.setdefault(format_name.lower(), {})[image.width] = options
            before[format_name](image, target, name)

        return save

    Image.SAVE.update({name: noting(name) for name in _KEPT_OPTIONS})
    try:
        job()
    finally:
        Image.SAVE.update(before)
    return {
        name: [by_width.get(width, {}) for width in task.widths] for name, by_width in seen.items()
    }


def _encoded(image: Image.Image, task: Task, place: int) -> dict[str, bytes]:
    outputs = {}
    for name, quality in task.formats.items():
        buffer = io.BytesIO()
        if name == "jpeg" and image.mode == "RGBA":
            image.save(buffer, "PNG")
        else:
            image.save(buffer, name.upper(), quality=quality)
        outputs[f"w{task.widths[place]}.{name}"] = buffer.getvalue()
    return outputs


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert what is shrunk already; at full size it would only take longer."""
    if profile is not None:
        converted = ImageCms.applyTransform(image, _transform(profile, image.mode))
        if converted is None:
            raise AssertionError  # only conversion in place returns nothing
        image = converted
        image.info.pop("icc_profile", None)
    return image if image.mode in {"L", "RGB", "RGBA"} else image.convert("RGB")


@cache
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGBA" if mode == "RGBA" else "RGB",
    )


def _vips_thumbnail(data: bytes, width: int) -> Any:
    import pyvips

    pyvips.cache_set_max(0)  # otherwise the second round would be free
    header = pyvips.Image.new_from_buffer(data, "")
    # Without a profile to convert from, asking for one would only take longer.
    has_profile = header.get_typeof("icc-profile-data") != 0
    # Pillow's and sharp's default intent, so that similarity compares the same conversion.
    profile = {"output_profile": "srgb", "intent": "perceptual"} if has_profile else {}
    return pyvips.Image.thumbnail_buffer(data, width, height=10**7, size="down", **profile)


def _vips_encoded(image: Any, task: Task, place: int) -> dict[str, bytes]:
    outputs = {}
    for name, quality in task.formats.items():
        if name == "jpeg" and image.hasalpha():
            level = task.options("png", place).get("compress_level", 6)
            body = image.pngsave_buffer(keep="none", compression=level)
        elif name == "jpeg":
            options = task.options("jpeg", place)
            interlace = bool(options.get("progressive"))
            body = image.jpegsave_buffer(
                Q=quality,
                keep="none",
                subsample_mode="on",
                interlace=interlace,
                optimize_coding=interlace or bool(options.get("optimize")),
            )
        elif name == "webp":
            effort = task.options("webp", place).get("method", 4)
            body = image.webpsave_buffer(Q=quality, keep="none", effort=effort)
        else:
            speed = task.options("avif", place).get("speed", 6)
            body = image.heifsave_buffer(
                Q=quality,
                keep="none",
                compression="av1",
                effort=9 - min(9, speed),  # libvips counts from the other end
                subsample_mode="on",
            )
        outputs[f"w{task.widths[place]}.{name}"] = body
    return outputs
