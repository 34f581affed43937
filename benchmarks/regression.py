"""Whether the worker lost speed: its time relative to libvips, against the stored ratios.

The measured pictures are made from the samples, so that they are the same on every machine and
need no network. Both sides take turns in one run on one core, and a ratio is the median over the
rounds, so that a busy machine slows both alike.
"""

import json
import platform
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks import measuring, pictures
from benchmarks.implementations import Task
from benchmarks.results import ROOT, SourceImage

STORED: Final = ROOT / "benchmarks" / "regression.json"
PEER: Final = "pyvips-cascade"
PICTURES: Final = ("phone-12mp", "progressive-8mp", "png-3mp", "webp-12mp")
ROUNDS: Final = 11

MARGIN: Final = 1.12
"""A ratio above this multiple of the stored one is a loss.

Runs on a busy machine were within 5 % of each other, and a loss of 20 % must be noticed.
"""

_PLAIN: Final = {"progressive": False, "optimize": False}
_TASK: Final = Task((1200, 400, 128), {"jpeg": 85}, {"jpeg": [_PLAIN] * 3})


def losses(measured: Mapping[str, float], stored: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each picture that takes longer than stored, or that has no stored ratio."""
    for picture, ratio in measured.items():
        if picture not in stored:
            yield f"{picture}: {ratio:.2f}, and no ratio is stored"
        elif ratio > stored[picture] * MARGIN:
            more = ratio / stored[picture] - 1
            yield f"{picture}: {ratio:.2f} instead of {stored[picture]:.2f}, {more:.0%} more"


def check(directory: Path, *, store: bool) -> int:
    """Measure, print and compare, or with `store` write the ratios; return the exit status.

    A loss is measured a second time, in twice the rounds, before it counts.
    """
    made, _ = pictures.make(directory, PICTURES, fetch=False)
    architecture = platform.machine()
    every = json.loads(STORED.read_text("utf-8")) if STORED.exists() else {}
    stored = every.get(architecture, {})
    measured = {}
    for picture in made:
        ratio = _ratio(picture, ROUNDS)
        if not store and any(losses({picture.name: ratio}, stored)):
            ratio = min(ratio, _ratio(picture, 2 * ROUNDS))
        measured[picture.name] = round(ratio, 3)
        was = f", stored {stored[picture.name]:.2f}" if picture.name in stored else ""
        print(f"{picture.name}: {ratio:.2f} of the CPU time of {PEER}{was}", flush=True)
    if store:
        STORED.write_text(json.dumps(every | {architecture: measured}, indent=2) + "\n", "utf-8")
        return 0
    if not stored:
        print(f"no ratios are stored for {architecture}: nothing to compare with")
        return 0
    lost = list(losses(measured, stored))
    for line in lost:
        print(f"slower: {line}", file=sys.stderr)
    return 1 if lost else 0


def _ratio(picture: SourceImage, rounds: int) -> float:
    """Return the median of the worker's CPU time relative to the peer's."""
    with (
        measuring.one_core(),
        measuring.Process("worker", node_directory=None) as worker,
        measuring.Process(PEER, node_directory=None) as peer,
    ):
        worker.ask(picture, _TASK)
        peer.ask(picture, _TASK)
        return statistics.median(
            float(worker.ask(picture, _TASK)["seconds"] / peer.ask(picture, _TASK)["seconds"])
            for _ in range(rounds)
        )
