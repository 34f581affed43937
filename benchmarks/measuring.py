"""Sides in processes of their own, asked in turn on one core: times, sizes, peak memory."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from benchmarks.results import ROOT, Measurement, Picture
from benchmarks.sides import Task

_LIMIT = 120.0
"""Seconds for one answer; a side that takes longer is ended and its row says so."""

SHARP_SIDES = ("sharp-cascade", "sharp-per-size")


class SideError(Exception):
    """A side could not do it, with its own words."""


class Process:
    """One side, waiting for requests; ends with its standard input, also when we are killed."""

    def __init__(self, side: str, *, node_directory: Path | None) -> None:
        """`node_directory` is where sharp is installed."""
        self.side = side
        if side in SHARP_SIDES:
            if node_directory is None:
                raise SideError("sharp is not installed")
            command = ["node", str(ROOT / "bench" / "sharp.mjs"), side]
        else:
            command = [sys.executable, "-m", "benchmarks.serve", side]
        self._process = subprocess.Popen(
            command,
            cwd=node_directory if side in SHARP_SIDES else ROOT,
            env={**os.environ, "VIPS_CONCURRENCY": "1", "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for us alone; we end this one
        )

    def __enter__(self) -> Self:
        """Return the side itself: it runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.communicate()

    def ask(
        self, picture: Picture, task: Task, *, output: Path | None = None, observe: bool = False
    ) -> dict[str, Any]:
        """Have one picture done; raises SideError with the reason if that did not work."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        request = {
            "picture": str(picture.path.absolute()),
            "task": {
                "widths": task.widths,
                "formats": dict(task.formats),
                "encoders": {name: list(options) for name, options in task.encoders.items()},
            },
            "output": output and str(output.absolute()),
            "observe": observe,
        }
        watchdog = threading.Timer(_LIMIT, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            raise SideError(f"its process ended, or took more than {_LIMIT:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SideError(answer["error"])
        return answer

    def peak(self) -> int | None:
        """Return the most bytes of memory the process has had so far; None without /proc.

        Not ru_maxrss: a new process inherits that from the one that started it.
        """
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return None
        match = re.search(r"VmHWM:\s*(\d+) kB", status)
        return int(match[1]) * 1024 if match else None


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and those it starts, on one core where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def encoders(picture: Picture, task: Task) -> dict[str, list[dict[str, Any]]]:
    """Return the options with which the worker encodes this picture's thumbnails."""
    with Process("worker", node_directory=None) as process:
        found: dict[str, list[dict[str, Any]]] = process.ask(picture, task, observe=True)[
            "encoders"
        ]
        return found


def interleaved(
    names: Sequence[str],
    picture: Picture,
    task: Task,
    *,
    rounds: int,
    output: Path | None,
    node_directory: Path | None,
) -> list[Measurement]:
    """Measure the sides on one picture in turn (A B C A B C …), each warmed up by one round.

    With `output`, each side's files of the first round go to a directory of its name there.
    """
    seconds: dict[str, list[float]] = {name: [] for name in names}
    sizes: dict[str, Mapping[str, int]] = {}
    problems: dict[str, str] = {}
    with ExitStack() as stack, one_core():
        processes = {}
        for name in names:
            try:
                process = stack.enter_context(Process(name, node_directory=node_directory))
                target = output and output / name
                if target:
                    target.mkdir(parents=True, exist_ok=True)
                sizes[name] = process.ask(picture, task, output=target)["sizes"]
                processes[name] = process
            except SideError as error:
                problems[name] = str(error)
        for _ in range(rounds):
            for name, process in processes.items():
                if name not in problems:
                    try:
                        seconds[name].append(process.ask(picture, task)["seconds"])
                    except SideError as error:
                        problems[name] = str(error)
    return [
        Measurement(name, picture.name, problem=problems[name])
        if name in problems
        else Measurement(name, picture.name, statistics.median(seconds[name]), sizes[name])
        for name in names
    ]


def alone(name: str, picture: Picture, task: Task, *, node_directory: Path | None) -> Measurement:
    """Measure a side that does nothing but this one picture: its memory, its first time's CPU."""
    try:
        with one_core(), Process(name, node_directory=node_directory) as process:
            answer = process.ask(picture, task)
            return Measurement(
                name, picture.name, answer["seconds"], answer["sizes"], process.peak()
            )
    except SideError as error:
        return Measurement(name, picture.name, problem=str(error))
