"""`python -m benchmarks.capacity`: compare, and write the tables and the plot of docs/capacity.md."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.capacity.concurrency import measure
from benchmarks.capacity.curve_fit import fitted, measured
from benchmarks.capacity.scenarios import SCENARIOS, rows
from darkroom.capacity import prices
from darkroom.capacity.plot import draw
from darkroom.commands import capacity
from darkroom.console.progress import Progress

DOCUMENT = Path(__file__).parents[2] / "docs" / "capacity.md"
BEGIN = "<!-- begin: written by tox -e capacity -->"
END = "<!-- end: written by tox -e capacity -->"
PLOTTED = ("--rate", "60M/month", "--burst", "20x10min")


def main() -> int:
    """Return 1 if a formula and the simulation are farther apart than they may be."""
    progress = Progress()
    compared = []
    for scenario in SCENARIOS:
        progress.update(f"simulating: {scenario.name}")
        compared += rows(scenario)
    progress.update("running the handler")
    batches = measure(SCENARIOS[0].capacity().service)
    progress.clear()
    apart = [row for row in compared if not row.agrees]
    figures = measured()
    off = [abs(figure.modelled() / figure.milliseconds - 1) for figure in figures]
    worst, mean = f"{max(off):.0%}", f"{statistics.mean(off):.0%}"
    text = "\n\n".join(
        [
            "### Formulas beside the simulation",
            _table(
                ("scenario", "what", "formula", "simulated", "may differ by", ""),
                [
                    (
                        row.scenario,
                        row.what,
                        f"{row.formula:.4g}",
                        f"{row.simulated:.4g}",
                        f"{row.allowed:.3g}",
                        "" if row.agrees else "APART",
                    )
                    for row in compared
                ],
            ),
            "### The model of the worker's time beside the bench",
            f"Milliseconds of one core. The worst is {worst} off, the mean {mean}.",
            _table(
                ("picture, workload of docs/performance.md", "measured", "modelled", "off"),
                [
                    (
                        f"{figure.picture}, {figure.workload}",
                        f"{figure.milliseconds:.0f}",
                        f"{figure.modelled():.0f}",
                        f"{figure.modelled() / figure.milliseconds - 1:+.0%}",
                    )
                    for figure in figures
                ],
            ),
            "Fitted: "
            + ", ".join(f"{name} {value:.3g}" for name, value in fitted(figures).items())
            + ".",
            "### The handler itself, a batch on one core",
            "Twelve-megapixel JPEGs, default variants, four threads, an S3 in memory that takes"
            " 0.1 s for each request; the model is given what one picture takes without that.",
            _table(
                ("messages", "measured, s", "modelled, s", "off", "measured, each"),
                [
                    (
                        str(batch.size),
                        f"{batch.measured:.2f}",
                        f"{batch.modelled:.2f}",
                        f"{batch.modelled / batch.measured - 1:+.0%}",
                        f"{batch.measured / batch.size:.2f}",
                    )
                    for batch in batches
                ],
            ),
            "### Prices",
            *map(_prices, ("us-east-1", "eu-central-1")),
        ]
    )
    document = DOCUMENT.read_text("utf-8")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
    parser = argparse.ArgumentParser()
    capacity.add_arguments(parser)
    draw(capacity.make(parser.parse_args(PLOTTED)), DOCUMENT.with_suffix(".png"))
    print(f"{len(compared)} figures of {len(SCENARIOS)} scenarios, {len(apart)} apart; {DOCUMENT}")
    return 1 if apart else 0


def _prices(region: str) -> str:
    lines = [
        (
            name,
            f"{price.usd:.10f}".rstrip("0").rstrip("."),
            price.date,
            price.read,
            price.note or price.source,
        )
        for name, price in prices.prices(region, []).items()
    ]
    return _table((region, "USD", "date", "read", "note, or source"), lines)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["--:" if name and name[0] != "n" else "---" for name in head[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


if __name__ == "__main__":
    sys.exit(main())
