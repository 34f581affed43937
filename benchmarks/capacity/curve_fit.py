"""The worker's times in docs/measurements/capacity-figures.md, and the constants that fit them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from darkroom.capacity import service

FIGURES = Path(__file__).parents[2] / "docs" / "measurements" / "capacity-figures.md"

FIGURES_OFF = (0.45, 0.15)
"""Allowed error of the model: of the worst figure, and on average."""

FORMAT_OF_NAME = {
    "progressive": "progressive",
    "cmyk": "cmyk",
    "rgb": "png",
    "rgba": "rgba",
    "webp": "webp",
}
FORMAT_OF_NAME |= {"png": "png"}
"""The first word of a picture's name in the benchmark, to its format; all others are JPEGs."""

WORKLOADS = {
    "a": ((400,), ("jpeg",)),
    "b": ((1200, 400, 128), ("jpeg",)),
    "c": ((1200, 400, 128), ("jpeg", "webp")),
    "d": ((1200, 400, 128), ("jpeg", "webp", "avif")),
}
"""Widths and formats: benchmarks/report.py."""

BASELINE_SAVES = service.ENCODING["jpeg"] - 3.1
"""Milliseconds per megapixel that baseline JPEG saves, from the table of encoders."""


@dataclass(frozen=True)
class Figure:
    """One time that the benchmark measured."""

    picture: str
    workload: str
    encoding: str
    image_format: str
    megapixels: float
    area: float
    milliseconds: float

    def modelled(self) -> float:
        """Return the milliseconds of the model."""
        encoded = dict.fromkeys(WORKLOADS[self.workload][1], self.area)
        found = service.modelled(self.image_format, self.megapixels, self.area, encoded)
        return found - (BASELINE_SAVES * self.area if self.encoding == "baseline" else 0)


@cache
def measured() -> tuple[Figure, ...]:
    """Return the times with JPEG as shipped, those of one width, and those of huge pictures."""
    rows = re.findall(
        r"^\| ([a-z0-9-]+) \| (\d+) × (\d+) \| (\w) \| ([a-z ]+) \| (\d+) \|$",
        FIGURES.read_text("utf-8"),
        re.MULTILINE,
    )
    return tuple(
        _figure(name, workload, encoding, float(value), size=(int(width), int(height)))
        for name, width, height, workload, encoding, value in rows
    )


def _figure(
    name: str, workload: str, encoding: str, milliseconds: float, *, size: tuple[int, int]
) -> Figure:
    width, height = reversed(size) if name.startswith("rotated") else size
    area = sum(min(wide, width) ** 2 * height / width for wide in WORKLOADS[workload][0]) / 1e6
    image_format = FORMAT_OF_NAME.get(name.split("-")[0], "jpeg")
    return Figure(name, workload, encoding, image_format, width * height / 1e6, area, milliseconds)


def fitted(figures: Sequence[Figure]) -> dict[str, float]:
    """Return the constants with the least squares of the relative errors."""
    sources = [f"{kind} source" for kind in service.PER_SOURCE_MEGAPIXEL]
    names = ["fixed", "shrinking", *sources, "webp", "avif"]
    lines, values = [], []
    for figure in figures:
        factors = dict.fromkeys(names, 0.0)
        factors["fixed"] = 1.0
        factors["shrinking"] = figure.area
        factors[f"{figure.image_format} source"] = figure.megapixels
        known = 0.0
        for encoder in WORKLOADS[figure.workload][1]:
            if encoder in factors:
                factors[encoder] = figure.area
            else:
                name = "png" if figure.image_format == "rgba" else encoder
                known += service.ENCODING[name] * figure.area
        if figure.encoding == "baseline":
            known -= BASELINE_SAVES * figure.area
        lines.append([factors[name] / figure.milliseconds for name in names])
        values.append((figure.milliseconds - known) / figure.milliseconds)
    solution, *_ = np.linalg.lstsq(np.array(lines), np.array(values), rcond=None)
    return {name: float(value) for name, value in zip(names, solution, strict=True)}
