"""What arrives: how many pictures, how large, of which kinds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

MONTH = 730 * 3600.0
"""Seconds: AWS counts 730 hours a month."""

_UNITS = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "day": 86_400.0, "d": 86_400.0}
_PERIODS = {**_UNITS, "month": MONTH}
_MULTIPLES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_NUMBER = r"(\d+(?:\.\d*)?(?:e\d+)?)"

# Bytes for a pixel in a file, from the bench's pictures: docs/performance.md names size and pixels.
FILE_BYTES = {
    "jpeg": 0.28,
    "progressive": 0.26,
    "cmyk": 0.78,
    "png": 1.81,
    "rgba": 2.0,
    "webp": 0.2,
}
KINDS = tuple(FILE_BYTES)

_QUANTILES = 100


@dataclass(frozen=True)
class Picture:
    """A picture that stands for a share of all; `share` of all pictures together is 1."""

    kind: str
    megapixels: float
    share: float

    @property
    def file_bytes(self) -> float:
        """Return how large its file is."""
        return self.megapixels * 1e6 * FILE_BYTES[self.kind]


@dataclass(frozen=True)
class Part:
    """Pictures of one kind, log-normal in megapixels with this median and 95th percentile."""

    kind: str
    share: float
    median: float
    p95: float

    def pictures(self) -> list[Picture]:
        """Return pictures of equal share, at the middle of each hundredth."""
        sigma = math.log(self.p95 / self.median) / NormalDist().inv_cdf(0.95)
        return [
            Picture(
                self.kind,
                self.median * math.exp(sigma * NormalDist().inv_cdf((place + 0.5) / _QUANTILES)),
                self.share / _QUANTILES,
            )
            for place in range(_QUANTILES)
        ]


# Assumptions about who uploads, no measurements: `--megapixels` and `--kind` say it better.
PROFILES: dict[str, Sequence[Part]] = {
    "phone": (Part("jpeg", 0.95, 12, 24), Part("png", 0.05, 2.5, 4)),
    "camera": (Part("jpeg", 1.0, 24, 46),),
    "web": (
        Part("progressive", 0.5, 2, 8),
        Part("jpeg", 0.2, 2, 8),
        Part("webp", 0.2, 2, 6),
        Part("png", 0.1, 1, 4),
    ),
    "mixed": (
        Part("jpeg", 0.6, 12, 24),
        Part("progressive", 0.15, 3, 12),
        Part("png", 0.15, 2, 8),
        Part("rgba", 0.05, 1, 6),
        Part("webp", 0.05, 2, 8),
    ),
}


def pictures(parts: Sequence[Part]) -> list[Picture]:
    """Return what stands for all pictures of these parts."""
    return [picture for part in parts for picture in part.pictures()]


def megapixels(text: str) -> tuple[float, float]:
    """Return median and 95th percentile from `12` or `12:24`; ValueError says what is allowed."""
    match = re.fullmatch(rf"{_NUMBER}(?::{_NUMBER})?", text.strip().lower())
    if match:
        median, p95 = float(match[1]), float(match[2] or match[1])
        if 0.0001 <= median <= p95 <= 1e5:
            return median, p95
    raise ValueError(
        f"{text!r} is no size: give MEDIAN or MEDIAN:P95 in megapixels, like 12 or 12:24"
    )


def rate(text: str) -> float:
    """Return pictures a second from `12/s`, `300/min`, `5k/h`, `2M/day`, `1M/month`."""
    match = re.fullmatch(rf"{_NUMBER}([kmgb]?)/([a-z]+)", text.strip().lower())
    if match and match[3] in _PERIODS:
        found = float(match[1]) * _MULTIPLES[match[2]] / _PERIODS[match[3]]
        if 0 < found <= 1e9:
            return found
    raise ValueError(f"{text!r} is no rate: give one like 12/s, 300/min, 5k/h, 2M/day or 1M/month")


def duration(text: str) -> float:
    """Return seconds from `90s`, `10min`, `2h`, `1d`; ValueError says what is allowed."""
    match = re.fullmatch(rf"{_NUMBER}([a-z]+)", text.strip().lower())
    if match and match[2] in _UNITS:
        found = float(match[1]) * _UNITS[match[2]]
        if 0 < found <= 366 * 86_400:
            return found
    raise ValueError(f"{text!r} is no duration up to a year: give one like 90s, 10min, 2h or 1d")


def burst(text: str) -> tuple[float, float]:
    """Return factor and seconds from `10x10min`; ValueError says what is allowed."""
    match = re.fullmatch(rf"{_NUMBER}x(.+)", text.strip().lower())
    if not match or not 1 <= float(match[1]) <= 1e6:
        raise ValueError(f"{text!r} is no burst: give FACTORxDURATION, like 10x10min")
    return float(match[1]), duration(match[2])
