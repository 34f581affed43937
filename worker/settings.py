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
    """

    widths: tuple[int, ...]
    formats: Mapping[str, int]
    max_pixels: int


@dataclass(frozen=True)
class Settings:
    """What the worker is told; sizes in bytes unless named otherwise, times in seconds.

    `work_queue_url` is None where the network has no way to the queue's API: then a message that
    failed waits its visibility timeout instead of a back-off of its own. `memory_megabytes` is
    None outside of Lambda, which sets it: then memory has no bound.
    """

    upload_bucket: str
    thumbnail_bucket: str
    encryption_key_arn: str
    work_queue_url: str | None
    variants: Variants
    cache_control: str
    max_object_bytes: int
    visibility_timeout: int
    log_level: str
    follow_deletes: bool = False
    memory_megabytes: int | None = None


def parse(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingsError with a sentence that names the variable."""
    settings = Settings(
        upload_bucket=_text(environment, "UPLOAD_BUCKET"),
        thumbnail_bucket=_text(environment, "THUMBNAIL_BUCKET"),
        encryption_key_arn=_text(environment, "ENCRYPTION_KEY_ARN"),
        work_queue_url=environment.get("WORK_QUEUE_URL") or None,
        variants=_variants(environment),
        cache_control=_text(environment, "CACHE_CONTROL"),
        max_object_bytes=_number(environment, "MAX_OBJECT_BYTES"),
        visibility_timeout=_number(environment, "VISIBILITY_TIMEOUT"),
        log_level=_text(environment, "LOG_LEVEL"),
        follow_deletes=_flag(environment, "FOLLOW_DELETES"),
        memory_megabytes=(
            _number(environment, _MEMORY_SIZE) if environment.get(_MEMORY_SIZE) else None
        ),
    )
    if settings.upload_bucket == settings.thumbnail_bucket:
        # Each thumbnail would announce itself as an upload and be thumbnailed, for ever.
        raise SettingsError(
            "UPLOAD_BUCKET and THUMBNAIL_BUCKET are both "
            f"{settings.upload_bucket!r}; they must be two buckets"
        )
    return settings


def _text(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set")
    return value


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name) or "false"
    if value not in ("true", "false"):
        raise SettingsError(f"{name} is {value!r}; true or false is allowed")
    return value == "true"


def _number(environment: Mapping[str, str], name: str) -> int:
    value = _text(environment, name)
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise SettingsError(f"{name} is {value!r}; a whole number of at least 1 is allowed")
    return int(value)


def _variants(environment: Mapping[str, str]) -> Variants:
    text = _text(environment, "VARIANTS")
    try:
        value: Any = json.loads(text)
        widths, formats = value["widths"], value["formats"]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f'VARIANTS is {text!r}; {{"widths": [400], "formats": {{"jpeg": 85}}}} is its shape'
        ) from error
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
    return Variants(
        widths=tuple(sorted(widths, reverse=True)),
        formats=formats,
        max_pixels=_number(environment, "MAX_PIXELS"),
    )


def _is_numbers(values: object, *, highest: int) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(type(value) is int and 1 <= value <= highest for value in values)
    )
