"""The specification's table of variants: the thumbnails to make of a picture."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from templates.specification_values import TABLE_CONFIG, AspectRatio, Color, WatermarkKey

MAX_PIXELS_PER_SIDE = 8192
"""Limit of a variant's height."""


class _Table(BaseModel):
    model_config = TABLE_CONFIG


Quality = Annotated[int, Field(ge=1, le=100)]


class Format(_Table):
    """A format of thumbnails."""

    quality: Quality
    """From 1 to 100, as the format's encoder understands it."""

    min_width: Annotated[int, Field(ge=1, le=8192)] = 1
    """Narrowest width in pixels that is made in this format: where a format saves few bytes, its
    PUT costs more than the bytes."""


def _with_quality(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"quality": value}
    if isinstance(value, dict) and "quality" in value:
        return value
    if not isinstance(value, Format):
        raise ValueError(  # noqa: TRY004 -- what pydantic turns into an error of the key
            "must be a quality from 1 to 100, or a table with one: { quality = 80 }"
        )
    return value


class Watermark(_Table):
    """A picture that is put on each thumbnail, in proportion to the thumbnail's width."""

    key: Annotated[WatermarkKey, Field(max_length=200)] = "watermarks/watermark.png"
    """Key of the object in the thumbnail bucket, below `watermarks/`; a picture of at most 1 MB and
    four megapixels, in any format that is accepted, mostly a PNG with transparency."""

    position: Literal[
        "center",
        "top",
        "bottom",
        "left",
        "right",
        "top-left",
        "top-right",
        "bottom-left",
        "bottom-right",
    ] = "bottom-right"
    """Where it is on the picture: in the middle, at a side, or in a corner."""

    width: Annotated[int, Field(ge=1, le=100)] = 25
    """Its width in percent of the thumbnail's; less where it would be too high."""

    margin: Annotated[int, Field(ge=0, le=25)] = 2
    """Distance from the sides that it is at, in percent of the thumbnail's width; none for
    `center`."""

    opacity: Annotated[int, Field(ge=1, le=100)] = 100
    """Percent; 100 leaves its own transparency as it is."""

    min_width: Annotated[int, Field(ge=1, le=8192)] = 200
    """Narrowest thumbnail in pixels that has it: on a narrower one nobody could read it."""

    def worker_config(self) -> dict[str, object]:
        """Return the worker's settings of the watermark; a default value is left out."""
        return {"key": self.key, **self.model_dump(exclude_defaults=True)}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.position == "center":
            if "margin" in self.model_fields_set:
                raise ValueError('position = "center" takes no margin')
        elif self.position.endswith(("left", "right")) and self.width + 2 * self.margin > 100:
            raise ValueError(
                f"a width of {self.width} percent does not fit between two margins of"
                f" {self.margin}; set margin to at most {(100 - self.width) // 2}"
            )
        return self


class Variants(_Table):
    """The thumbnails of a picture: one for each width and format."""

    widths: Annotated[
        tuple[Annotated[int, Field(ge=16, le=8192)], ...], Field(min_length=1, max_length=8)
    ] = (1200, 400, 128)
    """At most eight widths in pixels; a narrower picture is not enlarged."""

    heights: Annotated[tuple[Annotated[int, Field(ge=16, le=8192)], ...], Field(max_length=8)] = ()
    """With `inside`, one for each width: the thumbnail is at most this high as well, so that a
    portrait is narrower than its width."""

    formats: Annotated[
        dict[
            Literal["jpeg", "webp", "avif", "png"],
            Annotated[
                Format, BeforeValidator(_with_quality, json_schema_input_type=Quality | Format)
            ],
        ],
        Field(min_length=1),
    ] = {"jpeg": Format(quality=85), "webp": Format(quality=80, min_width=200)}
    """Quality of each format, from 1 to 100, or a table with `quality` and `min_width`. With
    `jpeg`, a picture with transparency becomes a PNG. `png` loses nothing and takes 100 only."""

    cache_control: Annotated[str, Field(min_length=1, max_length=200)] = (
        "public, max-age=31536000, immutable"
    )
    """The outputs' `Cache-Control`, for browsers and CDNs."""

    fit: Literal["inside", "cover", "contain"] = "inside"
    """`inside`: the whole picture in its own ratio. `cover`: cut to `aspect_ratio`. `contain`: the
    whole picture, centered in a frame of `aspect_ratio`."""

    aspect_ratio: AspectRatio | None = None
    """Width to height, like `4:3`; required with `cover` and `contain`."""

    position: Literal["center", "top", "bottom", "left", "right", "focus"] = "center"
    """Part of the picture that `cover` keeps. `focus`: the part around the point that the upload's
    metadata `x-amz-meta-focus` name, like `0.3,0.6`: shares of the width from the left and of the
    height from the top; the center without it."""

    background: Color | None = None
    """Color, like `#ffffff`, behind transparent parts and around a `contain` picture; without it
    they are transparent."""

    sharpen: Annotated[int, Field(ge=0, le=200)] = 0
    """Strength of the unsharp mask of each thumbnail, in percent; 0 for none."""

    animated: bool = False
    """The WebPs of an animated GIF or WebP show all of its frames, within limits; other formats
    show the first."""

    watermark: Watermark | None = None
    """What is put on the thumbnails; without it, nothing."""

    def worker_config(self) -> dict[str, object]:
        """Return the worker's settings of the variants; a default value is left out."""
        config: dict[str, object] = {
            "widths": self.widths,
            "formats": {name: one.quality for name, one in self.formats.items()},
            "cache_control": self.cache_control,
        }
        if min_widths := {
            name: one.min_width for name, one in self.formats.items() if one.min_width > 1
        }:
            config["min_widths"] = min_widths
        if self.heights:
            config["heights"] = self.heights
        if self.fit != "inside":
            config["fit"] = self.fit
        if self.aspect_ratio:
            config["aspect_ratio"] = [int(side) for side in self.aspect_ratio.split(":")]
        if self.position != "center":
            config["position"] = self.position
        if self.background:
            config["background"] = list(bytes.fromhex(self.background[1:]))
        if self.sharpen:
            config["sharpen"] = self.sharpen
        if self.animated:
            config["animated"] = True
        if self.watermark:
            config["watermark"] = self.watermark.worker_config()
        return config

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.aspect_ratio is None) is not (self.fit == "inside"):
            raise ValueError(
                f'fit = "{self.fit}" '
                + (
                    'takes no aspect_ratio; use "cover" or "contain"'
                    if self.aspect_ratio
                    else 'needs an aspect_ratio, like "4:3"'
                )
            )
        self._check_heights()
        if "png" in self.formats and self.formats["png"].quality != 100:
            raise ValueError(
                "formats.png loses nothing, so that its only quality is 100"
                f" (given: {self.formats['png'].quality})"
            )
        if "formats" in self.model_fields_set:  # the default's may be for wider variants
            for name, one in self.formats.items():
                if one.min_width > max(self.widths):
                    raise ValueError(
                        f"formats.{name} is never made: its min_width of {one.min_width} is above"
                        f" the widest width, {max(self.widths)}"
                    )
        if self.animated and not any(
            name == "webp" and one.min_width <= max(self.widths)
            for name, one in self.formats.items()
        ):
            raise ValueError(
                "animated = true needs a WebP, the only format of an animation: webp among the"
                f" formats, with a min_width of at most {max(self.widths)}"
            )
        narrowest = min(self.widths)
        if narrowest < min(one.min_width for one in self.formats.values()):
            raise ValueError(
                f"no format is made at a width of {narrowest}; give one a min_width of at most that"
            )
        if self.watermark and self.watermark.min_width > max(self.widths):
            raise ValueError(
                f"watermark is on no thumbnail: its min_width of {self.watermark.min_width} is"
                f" above the widest width, {max(self.widths)}"
            )
        if self.position != "center" and self.fit != "cover":
            raise ValueError(f'position needs fit = "cover", not "{self.fit}"')
        if self.aspect_ratio:
            across, down = (int(side) for side in self.aspect_ratio.split(":"))
            tallest = max(self.widths) * down / across
            if tallest > MAX_PIXELS_PER_SIDE:
                raise ValueError(
                    f"a width of {max(self.widths)} with aspect_ratio {self.aspect_ratio} is"
                    f" {tallest:.0f} pixels high; at most {MAX_PIXELS_PER_SIDE} are allowed"
                )
        return self

    def _check_heights(self) -> None:
        """Check that each thumbnail can be made from the one of the next greater width."""
        if not self.heights:
            return
        if self.fit != "inside":
            raise ValueError(f'fit = "{self.fit}" takes no heights; aspect_ratio gives them')
        if len(self.heights) != len(self.widths):
            raise ValueError(
                f"heights has {len(self.heights)} for {len(self.widths)} widths; give one to each"
            )
        boxes = sorted(zip(self.widths, self.heights, strict=True))
        for (width, height), (wider, lower) in pairwise(boxes):
            if height > lower:
                raise ValueError(
                    f"width {width} has the height {height}, and width {wider} only {lower};"
                    " a greater width may not have a smaller height"
                )

    @field_validator("widths")
    @classmethod
    def _each_once(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(widths)) != len(widths):
            raise ValueError("has a width twice; keep one of each")
        return widths
