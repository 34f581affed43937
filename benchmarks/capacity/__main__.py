"""`python -m benchmarks.capacity`: write docs/measurements/capacity.md and docs/capacity.png."""

import contextlib
import io
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.capacity.concurrency import Batch, measure
from benchmarks.capacity.curve_fit import Figure, fitted, measured
from benchmarks.capacity.scenarios import SCENARIOS, Comparison, rows
from darkroom.capacity import prices
from darkroom.capacity.service import MEGABYTES_PER_CORE
from darkroom.commands import capacity
from darkroom.console.progress import Progress

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = DOCS / "measurements" / "capacity.md"
PICTURE = DOCS / "capacity.png"
PLOTTED = ("--rate", "60M/month", "--burst", "20x10min")
HEAD = """# Capacity: measurements

Written by `python -m benchmarks.capacity`.
[Capacity and cost](../capacity.md) has the results and the method.
"""


def main() -> int:
    """Compare, measure and write; return 1 if a formula and the simulation differ too much."""
    progress = Progress()
    compared: list[Comparison] = []
    for scenario in SCENARIOS:
        progress.update(f"simulating: {scenario.name}")
        compared += rows(scenario)
    progress.update("running the handler")
    service = SCENARIOS[0].capacity().service
    one_core = replace(service.stack, memory_megabytes=MEGABYTES_PER_CORE)
    batches = measure(replace(service, stack=one_core, _known={}))
    progress.clear()
    parts = [
        HEAD.rstrip(),
        *_simulations(compared),
        *_fit(measured()),
        *_handler(batches),
        "## Prices",
        *map(_prices, ("us-east-1", "eu-central-1")),
    ]
    DOCUMENT.write_text("\n\n".join(parts) + "\n", "utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        capacity.command.main([*PLOTTED, "--plot", str(PICTURE)], standalone_mode=False)
    different = [row for row in compared if not row.agrees]
    print(
        f"{len(compared)} figures of {len(SCENARIOS)} scenarios, {len(different)} too different;"
        f" {DOCUMENT}"
    )
    return 1 if different else 0


def _simulations(compared: Sequence[Comparison]) -> list[str]:
    lines = [
        (
            row.scenario,
            row.name,
            f"{row.formula:.4g}",
            f"{row.simulated:.4g}",
            f"{row.allowed:.3g}",
            "" if row.agrees else "DIFFERENT",
        )
        for row in compared
    ]
    head = ("scenario", "figure", "formula", "simulated", "allowed difference", "")
    return ["## Formulas and simulation", _table(head, lines)]


def _fit(figures: Sequence[Figure]) -> list[str]:
    errors = [figure.modelled() / figure.milliseconds - 1 for figure in figures]
    worst, mean = max(map(abs, errors)), statistics.mean(map(abs, errors))
    lines = [
        (
            f"{figure.picture}, {figure.workload}",
            f"{figure.milliseconds:.0f}",
            f"{figure.modelled():.0f}",
            f"{error:+.0%}",
        )
        for figure, error in zip(figures, errors, strict=True)
    ]
    head = ("picture, workload", "measured", "modeled", "error")
    constants = ", ".join(f"{name} {value:.3g}" for name, value in fitted(figures).items())
    return [
        "## Model and benchmark: CPU time of a picture",
        "Milliseconds of one core, for the pictures and workloads of"
        " [these figures](capacity-figures.md)."
        f" The largest error is {worst:.0%}, the average {mean:.0%}.",
        _table(head, lines),
        f"Fitted: {constants}.",
    ]


def _handler(batches: Sequence[Batch]) -> list[str]:
    lines = [
        (
            str(batch.size),
            f"{batch.measured:.2f}",
            f"{batch.modelled:.2f}",
            f"{batch.modelled / batch.measured - 1:+.0%}",
            f"{batch.measured / batch.size:.2f}",
        )
        for batch in batches
    ]
    head = ("messages", "measured, s", "modeled, s", "error", "measured, s per message")
    return [
        "## Model and handler: a batch on one core",
        "Twelve-megapixel JPEGs, default variants, four threads, an S3 in memory that takes 0.1 s"
        " per request. The model's input is the time of one picture without these waits.",
        _table(head, lines),
    ]


def _prices(region: str) -> str:
    lines = [
        (
            name,
            f"{price.usd:.10f}".rstrip("0").rstrip("."),
            price.date.isoformat(),
            price.read,
            price.note or price.source,
        )
        for name, price in prices.prices(region, []).items()
    ]
    return _table((region, "USD", "date", "read", "note or source"), lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["--:" if name and name[0] != "n" else "---" for name in head[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


if __name__ == "__main__":
    sys.exit(main())
