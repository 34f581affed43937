"""The function's environment variables, parsed once into a frozen record."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from worker import keys
from worker.keys import DEFAULT

FORMATS = ("jpeg", "webp", "avif", "png")
_SHARE = r"\s*(0(?:\.\d{1,9})?|0?\.\d{1,9}|1(?:\.0{1,9})?)\s*"
_FOCUS = re.compile(f"{_SHARE},{_SHARE}", re.ASCII)
_MEMORY_SIZE = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
LONGEST_SIDE = 16_383
"""Pixels: the largest width or height that WebP can hold, and so the widest variant.

https://developers.google.com/speed/webp/faq#what_is_the_maximum_size_a_webp_image_can_be
"""


class SettingsError(ValueError):
    """An environment variable is missing, or its value is not allowed."""


@dataclass(frozen=True)
class Watermark:
    """What is put on each thumbnail: an object in the thumbnail bucket, and how it is placed.

    Attributes:
        key: The object's key.
        position: "center", a side or a corner, like "bottom-right".
        width: Per cent of the thumbnail's width; less where the height would not fit.
        margin: Per cent of the thumbnail's width between the watermark and the sides it is at.
        opacity: Per cent.
        min_width: Pixels of the narrowest thumbnail that has it.
        digest: Of the object's bytes; empty until it is read.
        image: What the object shows: imaging.watermark.WatermarkImage; None until it is read.
    """

    key: str
    position: str = "bottom-right"
    width: int = 25
    margin: int = 2
    opacity: int = 100
    min_width: int = 200
    digest: str = ""
    image: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Variants:
    """The thumbnails to make of an image.

    Attributes:
        widths: In pixels, widest first.
        heights: In pixels, of each width: the most that "inside" allows; empty for any height.
        formats: The quality (1 to 100) of each format of FORMATS.
        max_pixels: An image of more pixels (width times height) is rejected before decoding.
        fit: "inside": the whole image, at most as wide as the variant. "cover": cropped to
            `aspect_ratio` at `position`. "contain": the whole image in the middle of that shape.
        aspect_ratio: Width to height.
        position: Which part "cover" keeps; or the point that is in the middle of it, from the left
            and the top, as shares of width and height. "focus": the object's metadata name that.
        background: Red, green, blue behind what is transparent or empty; None keeps it so.
        sharpen: Per cent of an unsharp mask; 0 for none.
        animated: Whether the WebPs of an animation show all of its frames.
        min_widths: The width in pixels from which a format is made; without an entry, any.
        name: In the specification; part of the names of the outputs.
        watermark: What is put on the thumbnails; None for nothing.
    """

    widths: tuple[int, ...]
    formats: Mapping[str, int]
    max_pixels: int
    fit: str = "inside"
    aspect_ratio: tuple[int, int] = (1, 1)
    position: str | tuple[float, float] = "center"
    background: tuple[int, int, int] | None = None
    sharpen: int = 0
    animated: bool = False
    min_widths: Mapping[str, int] = field(default_factory=dict)
    heights: tuple[int, ...] = ()
    name: str = DEFAULT
    watermark: Watermark | None = None

    def formats_at(self, width: int) -> dict[str, int]:
        """Return the formats that the variant of this width has, with their quality."""
        return {
            name: quality
            for name, quality in self.formats.items()
            if width >= self.min_widths.get(name, 0)
        }


@dataclass(frozen=True)
class Source:
    """One bucket that objects come from, and what is made of them.

    Attributes:
        name: Its name in the specification.
        variants: The thumbnails to make: one or more sets, all of the same image.
        cache_control: The Cache-Control of its outputs.
        choose_variants: Whether an object's metadata choose among the variants.
        output_prefix: What follows `thumbnails/` and `rejected/` in the keys of its outputs: empty,
            or ending in `/`.
        hash_prefix: Whether a hash of the source's key follows it in the keys of its outputs.
        propagate_deletes: Whether a deletion deletes the outputs.
        keep_metadata: What the record has of a file's metadata: "taken", "copyright".
        copy_metadata: Names of an object's user-defined metadata that the record repeats.
        prefixes: Those that keys must begin with; empty where S3 filters.
        suffixes: Those that keys must end with, in lower case; empty where S3 filters.
    """

    name: str
    variants: tuple[Variants, ...]
    cache_control: str
    choose_variants: bool = False
    output_prefix: str = ""
    hash_prefix: bool = False
    propagate_deletes: bool = False
    keep_metadata: tuple[str, ...] = ()
    copy_metadata: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()

    def for_object(self, metadata: Mapping[str, str]) -> Source:
        """Return the settings for an object with this user-defined metadata.

        `focus` is `0.3,0.6`: the point that a crop keeps. Anything else counts as the center.
        `variants` are names of the variants to make; all are, where it names none of them.
        """
        names = {name.strip() for name in metadata.get("variants", "").split(",")}
        chosen = [one for one in self.variants if self.choose_variants and one.name in names]
        found = _FOCUS.fullmatch(metadata.get("focus", ""))
        position = (float(found[1]), float(found[2])) if found else "center"
        return replace(
            self,
            variants=tuple(
                replace(one, position=position) if one.position == "focus" else one
                for one in chosen or self.variants
            ),
        )

    def matches(self, key: str) -> bool:
        """Return whether the object at `key` is to be processed."""
        return (not self.prefixes or key.startswith(self.prefixes)) and (
            not self.suffixes or key.lower().endswith(self.suffixes)
        )

    def output_key(self, key: str, name: str) -> str:
        """Return the key of one output of the object at `key`; see `keys.output_key`."""
        return keys.output_key(key, name, self.output_prefix, hash_prefix=self.hash_prefix)

    def output_key_prefix(self, key: str) -> str:
        """Return the prefix of the keys of all outputs of the object at `key`, ending in `/`."""
        return keys.output_key_prefix(key, self.output_prefix, hash_prefix=self.hash_prefix)

    def record_key(self, key: str) -> str:
        """Return the key of the record of the object at `key`."""
        return keys.record_key(key, self.output_prefix, hash_prefix=self.hash_prefix)

    def rejection_key(self, key: str) -> str:
        """Return the key of the object that gives the reason of a rejection."""
        return keys.rejection_key(key, self.output_prefix)


@dataclass(frozen=True)
class Settings:
    """The worker's settings.

    Attributes:
        sources: By the bucket's name.
        thumbnail_bucket: The bucket of all results.
        encryption_key_arn: The KMS key of that bucket.
        work_queue_url: None where the network has no endpoint for SQS: then a message that failed
            waits its visibility timeout instead of a back-off.
        max_object_bytes: An object of more bytes is rejected before it is downloaded.
        visibility_timeout: The queue's, in seconds.
        log_level: A level of `logging`.
        memory_megabytes: The function's memory; None outside of Lambda: then it has no bound.
    """

    sources: Mapping[str, Source]
    thumbnail_bucket: str
    encryption_key_arn: str
    work_queue_url: str | None
    max_object_bytes: int
    visibility_timeout: int
    log_level: str
    memory_megabytes: int | None = None

    @property
    def watermark_keys(self) -> frozenset[str]:
        """Return the keys of all watermarks."""
        return frozenset(
            each.watermark.key
            for source in self.sources.values()
            for each in source.variants
            if each.watermark
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings from environment variables.

        Raises:
            SettingsError: A value is missing or not allowed; the sentence names the variable.
        """
        has_memory = environment.get(_MEMORY_SIZE)
        settings = cls(
            sources=_sources(environment),
            thumbnail_bucket=_text(environment, "THUMBNAIL_BUCKET"),
            encryption_key_arn=_text(environment, "ENCRYPTION_KEY_ARN"),
            work_queue_url=environment.get("WORK_QUEUE_URL") or None,
            max_object_bytes=_number(environment, "MAX_OBJECT_BYTES"),
            visibility_timeout=_number(environment, "VISIBILITY_TIMEOUT"),
            log_level=_text(environment, "LOG_LEVEL"),
            memory_megabytes=_number(environment, _MEMORY_SIZE) if has_memory else None,
        )
        if settings.thumbnail_bucket in settings.sources:
            # Each thumbnail would notify the worker as an upload does, and so on forever.
            raise SettingsError(
                f"THUMBNAIL_BUCKET, {settings.thumbnail_bucket!r}, is also among the SOURCES;"
                " it must be another bucket"
            )
        return settings


def _text(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set")
    return value


def _number(environment: Mapping[str, str], name: str) -> int:
    value = _text(environment, name)
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise SettingsError(f"{name} is {value!r}; a whole number of at least 1 is allowed")
    return int(value)


def _sources(environment: Mapping[str, str]) -> Mapping[str, Source]:
    """Read the table of buckets; a missing field has its default."""
    known = variants(environment)
    found: dict[str, Source] = {}
    table = _table(environment, "SOURCES", '{"bucket": {"name": "default"}}')
    for bucket, entry in table.items():
        try:
            made = [known[name] for name in entry.pop("variants", [DEFAULT])]
            for name in {"prefixes", "suffixes", "keep_metadata", "copy_metadata"} & entry.keys():
                entry[name] = tuple(entry[name])
            found[bucket] = Source(
                variants=tuple(one for one, _ in made), cache_control=made[0][1], **entry
            )
        except (KeyError, TypeError, IndexError) as error:
            raise SettingsError(f"SOURCES has {entry!r} for {bucket!r}: {error}") from error
    return found


def variants(environment: Mapping[str, str]) -> Mapping[str, tuple[Variants, str]]:
    """Return the variants by name, each with the Cache-Control of its outputs.

    Raises:
        SettingsError: A value is missing or not allowed; the sentence names the variable.
    """
    pixels = _number(environment, "MAX_PIXELS")
    example = '{"default": {"widths": [400], "formats": {"jpeg": 85}, "cache_control": "no-cache"}}'
    return {
        name: _variants_of(name, entry, pixels)
        for name, entry in _table(environment, "VARIANTS", example).items()
    }


def _variants_of(name: str, entry: dict[str, Any], max_pixels: int) -> tuple[Variants, str]:
    widths: Any = entry.get("widths")
    formats, cache_control = entry.get("formats"), entry.get("cache_control")
    if not _are_numbers(widths, highest=LONGEST_SIDE) or len(set(widths)) != len(widths):
        raise SettingsError(
            f"VARIANTS has the widths {widths!r}; "
            f"different whole numbers from 1 to {LONGEST_SIDE} are allowed"
        )
    if not isinstance(formats, dict) or not formats or not set(formats) <= set(FORMATS):
        raise SettingsError(
            f"VARIANTS has the formats {formats!r}; allowed are {', '.join(FORMATS)}"
        )
    if not _are_numbers(list(formats.values()), highest=100):
        raise SettingsError(f"VARIANTS has the formats {formats!r}; a quality is from 1 to 100")
    if not isinstance(cache_control, str) or not cache_control:
        raise SettingsError(f"VARIANTS has the cache_control {cache_control!r}; text is allowed")
    if not set(entry.get("min_widths", {})) <= set(formats):
        raise SettingsError(f"VARIANTS has min_widths of formats that are not in {formats!r}")
    heights = entry.get("heights", [])
    if heights and not (
        _are_numbers(heights, highest=LONGEST_SIDE) and len(heights) == len(widths)
    ):
        raise SettingsError(f"VARIANTS has the heights {heights!r}; one for each width is allowed")
    rest = {
        key: entry[key] for key in entry.keys() - {"widths", "heights", "formats", "cache_control"}
    }
    for key in {"aspect_ratio", "background"} & rest.keys():
        rest[key] = tuple(rest[key])
    try:
        if "watermark" in rest:
            rest["watermark"] = Watermark(**rest["watermark"])
        made = Variants(
            tuple(sorted(widths, reverse=True)),
            formats,
            max_pixels,
            heights=tuple(sorted(heights, reverse=True)),
            name=name,
            **rest,
        )
    except TypeError as error:
        raise SettingsError(f"VARIANTS has {rest!r}: {error}") from error
    return made, cache_control


def _table(environment: Mapping[str, str], name: str, example: str) -> dict[str, dict[str, Any]]:
    text = _text(environment, name)
    try:
        table = json.loads(text, object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}, {error}; an example: {example}") from error
    if (
        not isinstance(table, dict)
        or not table
        or not all(isinstance(entry, dict) for entry in table.values())
    ):
        raise SettingsError(f"{name} is {text!r}; an example: {example}")
    return table


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return these pairs as a dictionary; two parameters may have been given one bucket's name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("which names a key twice")
    return found


def _are_numbers(values: Any, *, highest: int) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(type(value) is int and 1 <= value <= highest for value in values)
    )
