"""The environment, parsed once into a frozen record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORMATS = ("jpeg", "webp", "avif")
_MEMORY_SIZE = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
WIDEST = 16_383
"""Pixels: the widest picture that WebP can hold, and so the widest variant."""


class SettingsError(ValueError):
    """The function is deployed with an environment that cannot work."""


@dataclass(frozen=True)
class Variants:
    """Which thumbnails to make of a picture.

    `widths` in pixels, widest first; `formats` maps each format of FORMATS to its quality (1-100);
    a picture of more than `max_pixels` (width times height) is refused before it is decoded.

    `fit` is "inside": the whole picture, as wide as the variant at most; "cover": cut to
    `aspect_ratio` (width to height) at `position`; or "contain": the whole picture in the middle of that.
    `background` (red, green, blue) goes behind what is transparent or empty; None keeps it so.
    `sharpen` is the percentage of an unsharp mask.
    """

    widths: tuple[int, ...]
    formats: Mapping[str, int]
    max_pixels: int
    fit: str = "inside"
    aspect_ratio: tuple[int, int] = (1, 1)
    position: str = "center"
    background: tuple[int, int, int] | None = None
    sharpen: int = 0


@dataclass(frozen=True)
class Source:
    """One bucket that pictures come from, and what is made of them.

    `output_prefix` is where below `thumbnails/` and `rejected/` its outputs lie: empty, or ending in `/`.
    `prefixes` and `suffixes` (in lower case) are those of the keys that are meant; empty for a
    source that announces no others.
    """

    name: str
    variants: Variants
    cache_control: str
    output_prefix: str = ""
    propagate_deletes: bool = False
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()

    def means(self, key: str) -> bool:
        """Tell whether the object at `key` is to be worked on."""
        return (not self.prefixes or key.startswith(self.prefixes)) and (
            not self.suffixes or key.lower().endswith(self.suffixes)
        )


@dataclass(frozen=True)
class Settings:
    """What the worker is told; sizes in bytes unless named otherwise, times in seconds.

    `sources` has what is known of each bucket by its name. `work_queue_url` is None where the
    network has no way to the queue's API: then a message that failed waits its visibility timeout
    instead of a back-off of its own. `memory_megabytes` is None outside of Lambda, which sets it:
    then memory has no bound.
    """

    sources: Mapping[str, Source]
    thumbnail_bucket: str
    encryption_key_arn: str
    work_queue_url: str | None
    max_object_bytes: int
    visibility_timeout: int
    log_level: str
    memory_megabytes: int | None = None


def parse(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingsError with a sentence that names the variable."""
    settings = Settings(
        sources=_sources(environment, _variants(environment)),
        thumbnail_bucket=_text(environment, "THUMBNAIL_BUCKET"),
        encryption_key_arn=_text(environment, "ENCRYPTION_KEY_ARN"),
        work_queue_url=environment.get("WORK_QUEUE_URL") or None,
        max_object_bytes=_number(environment, "MAX_OBJECT_BYTES"),
        visibility_timeout=_number(environment, "VISIBILITY_TIMEOUT"),
        log_level=_text(environment, "LOG_LEVEL"),
        memory_megabytes=(
            _number(environment, _MEMORY_SIZE) if environment.get(_MEMORY_SIZE) else None
        ),
    )
    if settings.thumbnail_bucket in settings.sources:
        # Each thumbnail would announce itself as an upload and be thumbnailed, for ever.
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


def _sources(
    environment: Mapping[str, str], variants: Mapping[str, tuple[Variants, str]]
) -> Mapping[str, Source]:
    """Read the table of buckets; what one leaves out has the default of its field."""
    found: dict[str, Source] = {}
    table = _table(environment, "SOURCES", '{"bucket": {"name": "default"}}')
    for bucket, about in table.items():
        try:
            made, cache_control = variants[about.pop("variants", "default")]
            for lists in {"prefixes", "suffixes"} & about.keys():
                about[lists] = tuple(about[lists])
            found[bucket] = Source(variants=made, cache_control=cache_control, **about)
        except (KeyError, TypeError) as error:
            raise SettingsError(f"SOURCES has {about!r} for {bucket!r}: {error}") from error
    return found


def _variants(environment: Mapping[str, str]) -> Mapping[str, tuple[Variants, str]]:
    """Read the table of variants, each with the Cache-Control of what is made."""
    pixels = _number(environment, "MAX_PIXELS")
    shape = '{"default": {"widths": [400], "formats": {"jpeg": 85}, "cache_control": "no-cache"}}'
    return {
        name: _these(about, pixels)
        for name, about in _table(environment, "VARIANTS", shape).items()
    }


def _these(about: dict[str, Any], max_pixels: int) -> tuple[Variants, str]:
    widths: Any = about.get("widths")
    formats, cache_control = about.get("formats"), about.get("cache_control")
    if not _is_numbers(widths, highest=WIDEST) or len(set(widths)) != len(widths):
        raise SettingsError(
            f"VARIANTS has the widths {widths!r}; "
            f"different whole numbers from 1 to {WIDEST} are allowed"
        )
    if not isinstance(formats, dict) or not formats or not set(formats) <= set(FORMATS):
        raise SettingsError(
            f"VARIANTS has the formats {formats!r}; allowed are {', '.join(FORMATS)}"
        )
    if not _is_numbers(list(formats.values()), highest=100):
        raise SettingsError(f"VARIANTS has the formats {formats!r}; a quality is from 1 to 100")
    if not isinstance(cache_control, str) or not cache_control:
        raise SettingsError(f"VARIANTS has the cache_control {cache_control!r}; text is allowed")
    rest = {key: about[key] for key in about.keys() - {"widths", "formats", "cache_control"}}
    for lists in {"aspect_ratio", "background"} & rest.keys():
        rest[lists] = tuple(rest[lists])
    try:
        made = Variants(tuple(sorted(widths, reverse=True)), formats, max_pixels, **rest)
    except TypeError as error:
        raise SettingsError(f"VARIANTS has {rest!r}: {error}") from error
    return made, cache_control


def _table(environment: Mapping[str, str], name: str, shape: str) -> dict[str, dict[str, Any]]:
    text = _text(environment, name)
    try:
        table = json.loads(text, object_pairs_hook=_each_once)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}, {error}; {shape} is its shape") from error
    if (
        not isinstance(table, dict)
        or not table
        or not all(isinstance(about, dict) for about in table.values())
    ):
        raise SettingsError(f"{name} is {text!r}; {shape} is its shape")
    return table


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs; two parameters may have been given one bucket's name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("which names a key twice")
    return found


def _is_numbers(values: Any, *, highest: int) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(type(value) is int and 1 <= value <= highest for value in values)
    )
