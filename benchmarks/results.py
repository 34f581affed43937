"""What a run measures, as plain records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

BASELINE = "baseline"
SHIPPED = "as shipped"
"""The two ways to encode JPEG: plain, as all sides can; with whatever options the worker has."""


@dataclass(frozen=True)
class Picture:
    """One file to be measured with; `traits` are what the targets select pictures by."""

    name: str
    path: Path
    size: tuple[int, int]
    traits: frozenset[str]


@dataclass(frozen=True)
class Measurement:
    """What one side took for one picture: median CPU seconds, bytes by output, bytes of memory.

    `problem` is a side's own words where it gave no result; then the rest is empty. `peak` is None
    where it was not measured.
    """

    side: str
    picture: str
    seconds: float = 0.0
    sizes: Mapping[str, int] | None = None
    peak: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Startup:
    """Median CPU seconds of whole processes by what they import; sizes of zips in bytes."""

    python: str
    seconds: Mapping[str, float]
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class Series:
    """All measurements of one workload ("a" to "d") with one way to encode JPEG."""

    workload: str
    encoding: str
    measurements: Sequence[Measurement]

    def seconds(self, side: str, picture: str) -> float | None:
        """Return a side's median for a picture, None where it gave none."""
        for measurement in self.measurements:
            if (measurement.side, measurement.picture) == (side, picture):
                return None if measurement.problem else measurement.seconds
        return None


@dataclass(frozen=True)
class Run:
    """Everything that one run measured; `likenesses` is SSIM by side, picture and width."""

    pictures: Sequence[Picture]
    series: Sequence[Series]
    memory: Sequence[Measurement]
    likenesses: Mapping[str, Mapping[str, Mapping[int, float]]]
    startup: Startup | None
