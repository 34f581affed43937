"""Types of options: times, durations, rates and sizes, in one grammar.

A number may have a decimal part and end in k, M or G (thousand, million, billion). Units of time
are s, min, h, d and w; m is a minute as well, so that a million is always a capital M.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

MONTH_SECONDS = 730 * 3600.0
"""AWS's pricing calculator, https://calculator.aws, counts a month as 730 hours."""

YEAR_SECONDS = 366 * 86_400.0
NUMBER = r"(\d+(?:\.\d+)?(?:e\d+)?)"
"""A number without its multiple, for the types of single commands."""

_MULTIPLES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "day": 86_400.0}
_UNITS["w"] = 7 * 86_400.0
_PERIODS = {**_UNITS, "month": MONTH_SECONDS}


class OptionType(click.ParamType[Any]):
    """An option's type made of a function from text to a value.

    The function raises ValueError with a sentence that says what is allowed.
    """

    def __init__(self, metavar: str, parse: Callable[[str], Any]) -> None:
        """`metavar` stands for the value in the help."""
        self.name = metavar
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, which a default may be already."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True)
class Timestamp:
    """A time in UTC, and the text that gave it."""

    text: str
    time: datetime


def timestamp(text: str) -> Timestamp:
    """Return the time of `2026-11-01`, `2026-11-01T12:00` (UTC), or of an age: `36h`, `7d`.

    Raises:
        ValueError: The text is neither.
    """
    try:
        if re.fullmatch(rf"{NUMBER}[a-z]+", text):
            return Timestamp(text, datetime.now(UTC) - timedelta(seconds=_duration(text)))
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time; examples: 2026-11-01, 2026-11-01T12:00 (UTC), 90m, 36h, 7d"
        ) from None
    return Timestamp(text, found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC))


def duration(text: str) -> float:
    """Return the seconds of `90s`, `10min`, `2h` or `1d`, up to a year.

    Raises:
        ValueError: The text is not a duration.
    """
    try:
        seconds = _duration(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= YEAR_SECONDS:
        raise ValueError(f"{text!r} is not a duration up to a year; examples: 90s, 10min, 2h, 1d")
    return seconds


def rate(text: str) -> float:
    """Return how many per second: `50`, `12/s`, `300/min`, `5k/h`, `2M/day`, `1M/month`.

    Raises:
        ValueError: The text is not a rate above 0 and up to 1e9 per second.
    """
    found = re.fullmatch(rf"{NUMBER}([kKMG]?)(?:/([a-z]+))?", text.strip())
    if found and (found[3] or "s") in _PERIODS:
        per_second = float(found[1]) * _MULTIPLES[found[2]] / _PERIODS[found[3] or "s"]
        if 0 < per_second <= 1e9:
            return per_second
    raise ValueError(f"{text!r} is not a rate; examples: 50/s, 300/min, 5k/h, 2M/day, 1M/month")


def size(text: str) -> int:
    """Return the bytes of `500`, `20k`, `1.5MB`; k, M and G are powers of 1,000.

    Raises:
        ValueError: The text is not a size.
    """
    found = re.fullmatch(rf"{NUMBER}\s*([kKMG]?)B?", text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a size; examples: 500, 20k, 1.5MB")
    return int(float(found[1]) * _MULTIPLES[found[2]])


def directory(text: str) -> Path:
    """Return the path of a directory, which need not exist yet.

    Raises:
        ValueError: The text is empty, or names something else, such as a file or a device.
    """
    if not text:
        raise ValueError("the name is empty: is a variable not set?")
    path = Path(text)
    for one in (path, *path.parents):
        if one.exists():
            if not one.is_dir():
                raise ValueError(f"must be a directory, and {one} is something else")
            break
    return path


def output_file(text: str) -> Path:
    """Return the path of a file to write, whose folder is there or new in the current one.

    Raises:
        ValueError: The text is empty or names a directory, or a folder is missing elsewhere.
    """
    if not text:
        raise ValueError("the name is empty: is a variable not set?")
    path = Path(text)
    if path.is_dir():
        raise ValueError(f"{path} is a directory")
    missing = [one for one in path.parents if not one.exists()]
    if len(missing) > (0 if path.is_absolute() else 1):
        raise ValueError(f"there is no folder {missing[-1]}")
    return path


def key_value(text: str) -> tuple[str, str]:
    """Return key and value of `KEY=VALUE`; the value may be empty.

    Raises:
        ValueError: There is no key, or no equals sign.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, value


def _duration(text: str) -> float:
    found = re.fullmatch(rf"{NUMBER}([a-z]+)", text.strip())
    if not found or found[2] not in _UNITS:
        raise ValueError(text)
    return float(found[1]) * _UNITS[found[2]]


TIMESTAMP = OptionType("TIME", timestamp)
DURATION = OptionType("DURATION", duration)
RATE = OptionType("RATE", rate)
SIZE = OptionType("SIZE", size)
KEY_VALUE = OptionType("KEY=VALUE", key_value)
DIRECTORY = OptionType("DIR", directory)
OUTPUT_FILE = OptionType("FILE", output_file)
"""The command creates the file's folder, with `mkdir(exist_ok=True)`."""
