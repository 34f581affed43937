"""`python -m benchmarks`: measure the image core, print the tables, and write them to docs/."""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import PIL
import pyvips
from PIL import features

from benchmarks import encoders, measuring, pictures, regression, report, startup
from benchmarks.implementations import Task
from benchmarks.results import (
    BASELINE,
    ROOT,
    SHIPPED,
    Measurement,
    Run,
    Series,
    SourceImage,
    Startup,
)
from benchmarks.similarity import Reference
from darkroom.errors import UserError

WORK = ROOT / "build" / "benchmarks"
DOCUMENT = ROOT / "docs" / "measurements" / "performance.md"
PLOT = ROOT / "docs" / "performance.png"

IMPLEMENTATIONS = ("worker", "naive", "pyvips-cascade", *measuring.SHARP, "floor")
FOR_ONE_WIDTH = ("worker", "pyvips-cascade", "sharp-per-size", "floor")
ALL_FORMATS = ("worker", "pyvips-cascade", "sharp-cascade", "floor")
FOR_MEMORY = ("worker", "naive", "pyvips-cascade", *measuring.SHARP)

TASKS = {
    "a": Task((400,), {"jpeg": 85}, {}),
    "b": Task((1200, 400, 128), {"jpeg": 85}, {}),
    "c": Task((1200, 400, 128), {"jpeg": 85, "webp": 80}, {}),
    "d": Task((1200, 400, 128), {"jpeg": 85, "webp": 80, "avif": 60}, {}),
}
PLAN = (
    ("b", BASELINE, IMPLEMENTATIONS, 9),
    ("a", BASELINE, FOR_ONE_WIDTH, 9),
    ("c", SHIPPED, ALL_FORMATS, 3),
    ("d", SHIPPED, ALL_FORMATS, 3),
)
"""Workload, way to encode JPEG, implementations and rounds of each series."""


def main() -> int:
    """Run the command; return 130 after Ctrl-C, when all of its processes have ended."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only compare with the ratios in benchmarks/regression.json; 1 if one is lost",
    )
    parser.add_argument(
        "--store", action="store_true", help="with --quick: write the ratios to that file"
    )
    arguments = parser.parse_args()
    try:
        if arguments.quick:
            return regression.check(WORK / "pictures", store=arguments.store)
        measure()
    except (UserError, measuring.ImplementationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; nothing was written to docs/", file=sys.stderr)
        return 130
    return 0


def measure() -> None:
    """Measure, print, and write the document.

    Raises:
        UserError: A measurement failed.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def progress(text: str) -> None:
        print(f"[{time.monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)

    progress("sharp, from npm")
    node_directory, sharp = _install_sharp()
    if node_directory is None:
        progress(f"no sharp: {sharp}")
    progress("pictures")
    corpus, problems = pictures.make(WORK / "pictures")
    for problem in problems:
        progress(f"made of samples in place of camera files: {problem}")
    ordinary = [picture for picture in corpus if "huge" not in picture.traits]

    outputs = WORK / "outputs"
    shutil.rmtree(outputs, ignore_errors=True)
    series = []
    with measuring.Processes(node_directory=node_directory) as processes:
        for workload, encoding, implementations, rounds in PLAN:
            measurements: list[Measurement] = []
            for picture in ordinary:
                if workload == "a" and "jpeg" not in picture.traits:
                    continue
                progress(f"workload {workload}, JPEG {encoding}, {picture.name}")
                task = _task(processes, TASKS[workload], encoding, picture)
                measurements += measuring.interleaved(
                    processes,
                    [
                        name
                        for name in implementations
                        if name != "floor" or "jpeg" in picture.traits
                    ],
                    picture,
                    task,
                    rounds=rounds,
                    output=outputs / picture.name if workload == "b" else None,
                )
            series.append(Series(workload, encoding, measurements))
        huge = [picture for picture in corpus if "huge" in picture.traits]
        tasks = [_task(processes, TASKS["b"], BASELINE, picture) for picture in huge]

    memory = []
    for picture, task in zip(huge, tasks, strict=True):
        progress(f"memory, {picture.name}")
        memory += [
            measuring.alone(name, picture, task, node_directory=node_directory)
            for name in FOR_MEMORY
        ]
    progress("cold start")
    starts: Startup | None = None
    try:
        starts = startup.measure(WORK / "startup", rounds=11, node_directory=node_directory)
    except UserError as error:
        progress(f"no cold start: {error}")
    progress("encoder settings")
    rows = _encoder_rows(ordinary[0], rounds=5)
    progress("similarity")
    similarities = _similarities(ordinary, outputs)

    run = Run(corpus, series, memory, similarities, starts)
    text = report.tables(run, rows, heading=_heading(sharp), problems=problems)
    (WORK / "results.json").write_text(json.dumps(asdict(run), default=_plain, indent=1))
    print(text)
    report.plot(run, PLOT)
    DOCUMENT.write_text(f"{report.HEAD}\n{text}", encoding="utf-8")
    progress("done")


def _task(processes: measuring.Processes, task: Task, encoding: str, picture: SourceImage) -> Task:
    """Return the task with the encoder options that every implementation follows.

    WebP, AVIF and PNG are encoded as by the worker. JPEG is either too, or baseline without
    optimized Huffman tables, which is what the encoders of all implementations have in common.
    """
    options: dict[str, Sequence[Mapping[str, Any]]] = dict(
        measuring.encoders(processes, picture, task)
    )
    if encoding == BASELINE:
        options["jpeg"] = [{"progressive": False, "optimize": False}] * len(task.widths)
    return replace(task, encoders=options)


def _similarities(
    corpus: Sequence[SourceImage], outputs: Path
) -> dict[str, dict[str, dict[int, float]]]:
    """Return the SSIM of the files in `outputs`, by implementation, picture and width."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for picture in corpus:
        reference = Reference(picture.path)
        for directory in sorted((outputs / picture.name).iterdir()):
            if directory.name == "floor":
                continue  # its thumbnails are the reference's own
            for width in TASKS["b"].widths:
                file = directory / f"w{width}.jpeg"
                if file.exists():
                    by_width = found.setdefault(directory.name, {}).setdefault(picture.name, {})
                    by_width[width] = reference.similarity(file)
    order = {implementation: place for place, implementation in enumerate(IMPLEMENTATIONS)}
    return dict(sorted(found.items(), key=lambda item: order[item[0]]))


def _encoder_rows(picture: SourceImage, *, rounds: int) -> list[encoders.EncoderResult]:
    with measuring.one_core():
        done = subprocess.run(
            encoders.command(picture.path, rounds=rounds),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
    return [encoders.EncoderResult(**fields) for fields in json.loads(done.stdout)]


def _install_sharp() -> tuple[Path | None, str]:
    """Install what package-lock.json pins; return directory and version, or None and the reason."""
    source, target = ROOT / "benchmarks", WORK / "node"
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None, "node or npm is not on this machine"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(source / name, target / name)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, f"npm ci failed: {done.stderr.strip()[-300:]}"
    version = json.loads((target / "node_modules/sharp/package.json").read_text())["version"]
    return target, f"{version} on node {_output('node', '--version')}"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _heading(sharp: str) -> str:
    vips = ".".join(str(pyvips.version(part)) for part in range(3))
    versions = ", ".join(
        (
            f"Python {platform.python_version()}",
            f"Pillow {PIL.__version__} with libjpeg-turbo {features.version('libjpeg_turbo')}",
            f"pyvips {pyvips.__version__} with libvips {vips}",
            f"sharp {sharp}",
            f"NumPy {numpy.__version__}",
        )
    )
    commit = _output("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--match=-")
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {platform.system()} on"
        f" {platform.machine()}, one core. {versions}."
    )


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


if __name__ == "__main__":
    sys.exit(main())
