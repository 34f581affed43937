"""The results of a run, as plain records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

BASELINE = "baseline"
SHIPPED = "as shipped"
"""The two ways to encode JPEG: plain, as all implementations can, and with the worker's options."""


@dataclass(frozen=True)
class SourceImage:
    """One file to measure with; the targets select files by `traits`.

    `origin` says from which package it came, or of what it was made.
    """

    name: str
    path: Path
    size: tuple[int, int]
    traits: frozenset[str]
    origin: str = ""

    @property
    def bytes(self) -> int:
        """Return the size of the file."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Measurement:
    """One implementation on one picture: median CPU seconds, bytes by output, bytes of memory.

    `problem` is the implementation's message where it failed; then the rest is empty. `peak` is
    None where it was not measured.
    """

    implementation: str
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

    def seconds(self, implementation: str, picture: str) -> float | None:
        """Return an implementation's median for a picture, None where there is none."""
        for measurement in self.measurements:
            if (measurement.implementation, measurement.picture) == (implementation, picture):
                return None if measurement.problem else measurement.seconds
        return None


@dataclass(frozen=True)
class Run:
    """All results of a run; `similarities` are SSIM by implementation, picture and width."""

    pictures: Sequence[SourceImage]
    series: Sequence[Series]
    memory: Sequence[Measurement]
    similarities: Mapping[str, Mapping[str, Mapping[int, float]]]
    startup: Startup | None
