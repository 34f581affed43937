"""Values of options as people write them: moments, sizes, counts."""

import argparse
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


@dataclass(frozen=True)
class Moment:
    """A time in UTC, and how it was written."""

    text: str
    at: datetime


def moment(text: str) -> Moment:
    """Return a time: `2026-11-01`, `2026-11-01T12:00` (UTC), or so long ago: `36h`, `7d`."""
    try:
        if ago := re.fullmatch(r"(\d+)([smhdw])", text):
            return Moment(text, datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; like 2026-11-01, 2026-11-01T12:00 (UTC), 90m, 36h or 7d"
        ) from None
    return Moment(text, found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC))


def size(text: str) -> int:
    """Return bytes: `500`, `20k`, `1.5MB`; k, M and G are thousands."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)b?", text.lower())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; like 500, 20k or 1.5MB")
    return int(float(found[1]) * _SIZES[found[2]])


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a whole number of at least 1 is allowed")
    return int(text)
