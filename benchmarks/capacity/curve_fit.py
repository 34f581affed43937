"""The worker's times in docs/measurements/performance.md, and the constants that fit them best."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from darkroom.capacity import service

PERFORMANCE = Path(__file__).parents[2] / "docs" / "measurements" / "performance.md"

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
    text = PERFORMANCE.read_text("utf-8")
    sizes = {
        name: (int(width), int(height))
        for name, width, height in re.findall(r"([a-z0-9-]+) \((\d+) × (\d+), ", text)
    }
    times = []
    for workload, encoding, table in re.findall(
        r"## CPU time in ms, workload (\w) .*?, JPEG ([a-z ]+); [^\n]*\n\n(.*?)\n\n",
        text,
        re.DOTALL,
    ):
        if encoding == "as shipped" or workload == "a":
            for name, value in re.findall(r"^\| ([a-z0-9-]+) +\| +(\d+) \|", table, re.MULTILINE):
                times.append((name, workload, encoding, float(value)))
    huge = text.split("## Peak memory")[1]
    jpeg, png = re.findall(r"^\| Darkroom .*$", huge, re.MULTILINE)[0].split("|")[5:8:2]
    times.append(("jpeg-100mp", "b", "as shipped", float(jpeg) * 1000))
    times.append(("png-100mp", "b", "as shipped", float(png) * 1000))
    return tuple(_figure(*time, size=sizes[time[0]]) for time in times)


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
