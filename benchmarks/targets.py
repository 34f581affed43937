"""The targets as data, and the result of each."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.results import Run, Series, Startup


@dataclass(frozen=True)
class Verdict:
    """One target and its result; `value` is None where nothing was measured."""

    name: str
    sign: str
    target: float
    value: float | None
    digits: int = 2

    @property
    def is_hit(self) -> bool:
        """Return whether the value, unrounded, meets the target."""
        if self.value is None:
            return False
        return self.value >= self.target if self.sign == "≥" else self.value <= self.target


def verdicts(run: Run) -> Iterator[Verdict]:
    """Yield each target with its result."""
    for series in run.series:
        if series.workload == "b":
            yield from _b(run, series)
        elif series.workload == "a":
            yield from _a(run, series)
    yield from _similarity(run)
    yield from _memory(run)
    for series in run.series:
        if series.workload == "b":
            for picture in _named(run, {"png"}):
                yield Verdict(
                    f"b, {picture}, JPEG {series.encoding}: ours / pyvips cascade",
                    "≤",
                    1.5,
                    _ratio(series, "worker", "pyvips-cascade", [picture], geometric_mean),
                )
    yield from _startup(run.startup)


def _b(run: Run, series: Series) -> Iterator[Verdict]:
    jpegs = _named(run, {"jpeg"})
    plain = _named(run, {"plain"})
    head = f"b, {len(jpegs)} JPEGs, {series.encoding}"
    for what, other, target, summary in (
        ("sharp per size / ours", "sharp-per-size", 2.4, geometric_mean),
        ("sharp cascade / ours", "sharp-cascade", 1.25, geometric_mean),
        ("sharp cascade / ours, worst picture", "sharp-cascade", 1.0, min),
        ("naive Pillow / ours", "naive", 2.5, geometric_mean),
    ):
        value = _ratio(series, other, "worker", jpegs, summary)
        yield Verdict(f"{head}: {what}", "≥", target, value)
    value = _ratio(series, "worker", "floor", plain, geometric_mean)
    yield Verdict(f"b, {len(plain)} plain JPEGs, {series.encoding}: ours / floor", "≤", 1.2, value)


def _a(run: Run, series: Series) -> Iterator[Verdict]:
    for kind, target in (("baseline", 1.1), ("progressive", 0.45)):
        chosen = _named(run, {"plain", kind})
        value = _ratio(series, "worker", "floor", chosen, geometric_mean)
        what = f"a, {len(chosen)} {kind} sources, {series.encoding}: ours / floor"
        yield Verdict(what, "≤", target, value)


def _similarity(run: Run) -> Iterator[Verdict]:
    ours, theirs = (
        run.similarities.get(implementation, {}) for implementation in ("worker", "sharp-cascade")
    )
    both = sorted(ours.keys() & theirs.keys())
    widths = sorted({width for picture in both for width in ours[picture]}, reverse=True)
    for width in widths or [1200]:
        value = None
        if both:
            value = statistics.fmean(ours[name][width] - theirs[name][width] for name in both)
        yield Verdict(f"mean SSIM at {width}: ours - sharp cascade", "≥", -0.0015, value, digits=4)


def _memory(run: Run) -> Iterator[Verdict]:
    peaks = {(m.picture, m.implementation): m.peak for m in run.memory if m.peak is not None}
    for picture, what, target, peers in (
        ("jpeg-100mp", "sharp's", 0.35, ("sharp-cascade", "sharp-per-size")),
        (
            "png-100mp",
            "the best peer's",
            0.15,
            ("sharp-cascade", "sharp-per-size", "pyvips-cascade", "pyvips-loop", "thumbnail"),
        ),
    ):
        ours = peaks.get((picture, "worker"))
        others = [
            peaks[picture, implementation]
            for implementation in peers
            if (picture, implementation) in peaks
        ]
        value = ours / min(others) if ours and others else None
        yield Verdict(f"{picture}: our peak memory / {what}", "≤", target, value)


def _startup(startup: Startup | None) -> Iterator[Verdict]:
    seconds = startup.seconds if startup else {}
    sizes = startup.sizes if startup else {}
    for what, target, values, above, below in (
        (
            "init: ours / boto3 + PIL, no bytecode",
            0.5,
            seconds,
            "the built package",
            "stock, no bytecode",
        ),
        (
            "init: ours / boto3 + PIL, with bytecode",
            0.5,
            seconds,
            "the built package",
            "stock, with bytecode",
        ),
        (
            "package size / untrimmed, bytecode in both",
            0.27,
            sizes,
            "the built package",
            "untrimmed, with bytecode",
        ),
        (
            "package size / untrimmed, bytecode in neither",
            0.27,
            sizes,
            "the built package, no bytecode",
            "untrimmed, no bytecode",
        ),
    ):
        yield Verdict(what, "≤", target, values[above] / values[below] if values else None)


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean, in which ratios of 2 and 1/2 cancel out."""
    return math.exp(statistics.fmean(math.log(value) for value in values))


def _ratio(
    series: Series,
    above: str,
    below: str,
    pictures: Sequence[str],
    summary: Callable[[Iterable[float]], float],
) -> float | None:
    """Return a summary of the ratios of two implementations; None unless all were measured."""
    ratios = []
    for picture in pictures:
        first, second = series.seconds(above, picture), series.seconds(below, picture)
        if first is None or not second:
            return None
        ratios.append(first / second)
    return summary(ratios) if ratios else None


def _named(run: Run, traits: set[str]) -> list[str]:
    """Return the names of pictures with all these traits; huge ones are only for memory."""
    return [
        picture.name
        for picture in run.pictures
        if "huge" not in picture.traits and traits <= picture.traits
    ]
