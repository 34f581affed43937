"""A run as tables and as a plot."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # a file, no window
from matplotlib import pyplot as plt

from benchmarks.encoders import EncoderResult
from benchmarks.results import Run, Series
from benchmarks.targets import beyond_file, geometric_mean, verdicts

_NAMES = {
    "worker": "Darkroom",
    "naive": "Pillow, naive",
    "pyvips-cascade": "libvips, cascade",
    "floor": "floor",
    "sharp-cascade": "sharp, cascade",
    "sharp-per-size": "sharp, per size",
}
# Okabe and Ito's palette, which color-blind people can distinguish.
_COLORS = {
    "worker": "#000000",
    "naive": "#D55E00",
    "pyvips-cascade": "#0072B2",
    "floor": "#999999",
    "sharp-cascade": "#009E73",
    "sharp-per-size": "#CC79A7",
}

_USD_PER_CORE_SECOND = 1769 / 1024 * 0.0000133334
"""Lambda on arm64 in us-east-1: a core's share of memory, and a gigabyte-second's price
(darkroom/capacity/prices.toml)."""

HEAD = """# Performance: measurements

Written by `python -m benchmarks`. [Performance](../performance.md) has the results in short, and
[Method and analysis](performance-analysis.md) explains workloads, pictures and results.
The targets are goals of this project; "ours" is Darkroom.
"""


def tables(
    run: Run, encoders: Sequence[EncoderResult], *, heading: str, problems: Sequence[str]
) -> str:
    """Return all results of a run as Markdown; `problems` say why camera files are missing."""
    parts = [heading, "## Targets", _targets(run), "## Pictures", _pictures(run)]
    parts += [f"Missing, and replaced by pictures made of samples: {each}." for each in problems]
    for series in run.series:
        parts += [f"## {_title(series)}", _times(run, series)]
        parts += list(_problems(series))
    parts += [
        "## A million JPEGs without CMYK, workload c: hours of a core, USD on Lambda",
        _cost(run),
    ]
    if run.similarities:
        parts += [
            "## Similarity and size of opaque pictures, workload b, JPEG baseline",
            _similarities(run),
        ]
    if run.memory:
        parts += ["## Peak memory of one process beyond the file, MB", _memory(run)]
    if run.startup:
        parts += [f"## Cold start, Python {run.startup.python}, and package", _startup(run)]
    if encoders:
        parts += ["## Encoder settings, one thumbnail 1200 pixels wide", _encoders(encoders)]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an aligned Markdown table; all columns but the first are numbers."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = [
        "| "
        + " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    ]
    rule = "|".join(
        "-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths)
    )
    return "\n".join([texts[0], f"|{rule}|", *texts[1:]])


def _targets(run: Run) -> str:
    rows = []
    for verdict in verdicts(run):
        result = "-" if verdict.value is None else f"{verdict.value:.{verdict.digits}f}"
        outcome = "hit" if verdict.is_hit else "miss"
        worst = f" ({verdict.worst})" if verdict.worst else ""
        rows.append(
            (
                f"{verdict.name}{worst}",
                f"{verdict.sign} {verdict.target:g}",
                result,
                "not measured" if verdict.value is None else outcome,
            )
        )
    return _table(("name", "target", "result", ""), rows)


def _pictures(run: Run) -> str:
    rows = [
        (p.name, f"{p.size[0]} × {p.size[1]}", f"{p.bytes / 1e6:.1f}", p.origin)
        for p in run.pictures
    ]
    return _table(("picture", "pixels", "MB", "origin"), rows)


def _title(series: Series) -> str:
    what = {
        "a": "one JPEG, 400 pixels wide",
        "b": "JPEGs, 1200, 400 and 128 pixels wide",
        "c": "b, and the same in WebP",
        "d": "c, and the same in AVIF",
    }[series.workload]
    return (
        f"CPU time in ms, workload {series.workload} ({what}), JPEG {series.encoding};"
        " × is the ratio to Darkroom"
    )


def _implementations(series: Series) -> list[str]:
    return list(dict.fromkeys(m.implementation for m in series.measurements))


def _times(run: Run, series: Series) -> str:
    implementations = _implementations(series)
    rows = []
    for picture in run.pictures:
        ours = series.seconds("worker", picture.name)
        if ours is None:
            continue
        cells = [f"{ours * 1000:.0f}"]
        for implementation in implementations[1:]:
            seconds = series.seconds(implementation, picture.name)
            cells.append(
                "-" if seconds is None else f"{seconds * 1000:.0f} ({seconds / ours:.2f}×)"
            )
        rows.append((picture.name, *cells))
    jpegs = [p.name for p in run.pictures if {"jpeg"} <= p.traits and "huge" not in p.traits]
    means = []
    for implementation in implementations[1:]:
        pairs = [
            (series.seconds(implementation, name), series.seconds("worker", name)) for name in jpegs
        ]
        ratios = [theirs / ours for theirs, ours in pairs if theirs and ours]
        means.append(f"{geometric_mean(ratios):.2f}×" if ratios else "-")
    rows.append(("JPEGs, geometric mean", "", *means))
    return _table(
        ("picture", *(_NAMES[implementation] for implementation in implementations)), rows
    )


def _cost(run: Run) -> str:
    """Return the mean over the JPEGs without CMYK, on which sharp takes three times as long."""
    series = next(series for series in run.series if series.workload == "c")
    jpegs = [p.name for p in run.pictures if "jpeg" in p.traits and not p.traits & {"huge", "cmyk"}]
    rows = []
    for implementation in _implementations(series):
        seconds = [series.seconds(implementation, name) for name in jpegs]
        known = [each for each in seconds if each is not None]
        if len(known) == len(jpegs):
            mean = statistics.fmean(known)
            hours, dollars = mean * 1e6 / 3600, mean * 1e6 * _USD_PER_CORE_SECOND
            rows.append((_NAMES[implementation], f"{hours:.0f}", f"{dollars:.2f}"))
    return _table(("implementation", "hours", "USD"), rows)


def _problems(series: Series) -> Iterator[str]:
    seen: dict[tuple[str, str], list[str]] = {}
    for measurement in series.measurements:
        if measurement.problem:
            key = measurement.implementation, measurement.problem
            seen.setdefault(key, []).append(measurement.picture)
    for (implementation, problem), pictures in seen.items():
        yield f"{_NAMES[implementation]}: not measured on {', '.join(pictures)}: {problem}."


def _similarities(run: Run) -> str:
    series = next(s for s in run.series if s.workload == "b")
    rows = []
    for implementation, every in run.similarities.items():
        by_picture = {
            name: by for name, by in every.items() if "transparent" not in _traits(run, name)
        }
        widths = sorted({width for by in by_picture.values() for width in by}, reverse=True)
        cells = [_NAMES[implementation]]
        for width in widths:
            values = [by[width] for by in by_picture.values()]
            sizes = [
                m.sizes[f"w{width}.jpeg"]
                for m in series.measurements
                if m.implementation == implementation
                and m.sizes
                and "jpeg" in _traits(run, m.picture)
            ]
            cells += [f"{statistics.fmean(values):.4f}", f"{min(values):.4f}"]
            cells += [f"{statistics.fmean(sizes) / 1000:.1f}" if sizes else "-"]
        rows.append(cells)
    head = ["implementation"]
    for width in widths:
        head += [f"SSIM {width}", "worst", "JPEG kB"]
    return _table(head, rows)


def _traits(run: Run, name: str) -> frozenset[str]:
    return next(picture.traits for picture in run.pictures if picture.name == name)


def _memory(run: Run) -> str:
    pictures = list(dict.fromkeys(m.picture for m in run.memory))
    implementations = list(dict.fromkeys(m.implementation for m in run.memory))
    found = {(m.implementation, m.picture): m for m in run.memory}
    rows = []
    for implementation in implementations:
        cells = []
        for picture in pictures:
            peak = beyond_file(run, implementation, picture)
            cells.append("-" if peak is None else f"{peak / 1e6:.0f}")
            seconds = found[implementation, picture].seconds
            cells.append("-" if peak is None else f"{seconds:.2f}")
        rows.append((_NAMES[implementation], *cells))
    head = [cell for picture in pictures for cell in (picture, "CPU s")]
    return _table(("implementation", *head), rows)


def _startup(run: Run) -> str:
    if run.startup is None:
        return ""
    rows = [
        (name, f"{taken * 1000:.0f} ms CPU", "") for name, taken in run.startup.seconds.items()
    ] + [(name, "", f"{size / 1e6:.2f} MB zip") for name, size in run.startup.sizes.items()]
    return _table(("name", "time", "size"), rows)


def _encoders(rows: Sequence[EncoderResult]) -> str:
    cells = []
    first: dict[str, EncoderResult] = {}
    for row in rows:
        reference = first.setdefault(row.encoder, row)
        options = ", ".join(
            f"{name} {value}" if value is not True else name
            for name, value in row.options.items()
            if value is not False
        )
        cells.append(
            (
                f"{row.encoder}, {options}",
                f"{row.seconds * 1000:.1f}",
                f"{row.size / 1000:.1f}",
                f"{row.size / reference.size - 1:+.1%}",
                f"{row.similarity:.4f}",
            )
        )
    return _table(("encoder", "CPU ms", "kB", "to the first", "SSIM"), cells)


def plot(run: Run, path: Path) -> None:
    """Draw each picture's time in workload b relative to sharp's cascade; PNG."""
    series = next(series for series in run.series if series.workload == "b")
    names = [p.name for p in run.pictures if series.seconds("sharp-cascade", p.name) is not None]
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    for implementation in ("worker", "sharp-cascade", "pyvips-cascade", "sharp-per-size", "naive"):
        points = [
            (seconds / sharp, place)
            for place, name in enumerate(names)
            if (seconds := series.seconds(implementation, name))
            and (sharp := series.seconds("sharp-cascade", name))
        ]
        axes.scatter(
            [ratio for ratio, _ in points],
            [place for _, place in points],
            label=_NAMES[implementation],
            color=_COLORS[implementation],
            marker="D" if implementation == "worker" else "o",
            s=70 if implementation == "worker" else 30,
            zorder=4 if implementation == "worker" else 3,
        )
    axes.set_xscale("log")
    ticks = (0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 8)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(visible=True, color="#dddddd")
    axes.set_title("CPU time for thumbnails of 1200, 400 and 128 pixels; 1 is sharp's cascade")
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=5)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
