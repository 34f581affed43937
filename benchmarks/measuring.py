"""Times, sizes and peak memory of implementations, each in its own process on one core."""

import json
import os
import re
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self

from benchmarks.implementations import Task
from benchmarks.results import ROOT, Measurement, SourceImage
from darkroom.bundle import imaging_library as bundled
from darkroom.bundle.target import host_architecture

_LIMIT = 120.0
"""Seconds per answer; an implementation that takes longer is ended and reported."""

SHARP = ("sharp-cascade", "sharp-per-size")

SLOW = ("naive", "sharp-per-size")
"""Measured in every fourth round only: they take twice to eight times as long as the others."""


class ImplementationError(Exception):
    """An implementation failed, with its own message."""


@cache
def resize_library() -> list[str]:
    """Return the path of the compiled library that the package resizes with, if there can be one.

    It is compiled here, and not by the measured process.
    """
    architecture = host_architecture()
    if sys.platform != "linux" or architecture is None or not bundled.is_available():
        return []
    return [str(bundled.compiled(architecture))]


class Process:
    """One implementation, waiting for requests; it ends when its standard input is closed."""

    def __init__(self, implementation: str, *, node_directory: Path | None) -> None:
        """`node_directory` is where sharp is installed."""
        self.implementation = implementation
        if implementation in SHARP:
            if node_directory is None:
                raise ImplementationError("sharp is not installed")
            command = ["node", str(ROOT / "benchmarks" / "sharp.mjs"), implementation]
        else:
            command = [sys.executable, "-m", "benchmarks.serve", implementation]
            if implementation == "worker":
                command += resize_library()
        self._process = subprocess.Popen(
            command,
            cwd=node_directory if implementation in SHARP else ROOT,
            env={**os.environ, "VIPS_CONCURRENCY": "1", "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for us alone; we end this one
        )

    def __enter__(self) -> Self:
        """Return the process, which runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, also in the middle of a request."""
        self._process.kill()
        self._process.communicate()

    def ask(
        self, picture: SourceImage, task: Task, *, output: Path | None = None, observe: bool = False
    ) -> dict[str, Any]:
        """Process one picture; return seconds and sizes, or with `observe` the encoder options.

        Raises:
            ImplementationError: The implementation failed, ended or took too long.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ImplementationError("its process has no standard input and output")
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
            raise ImplementationError(f"its process ended, or took more than {_LIMIT:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ImplementationError(answer["error"])
        return answer

    def peak(self) -> int | None:
        """Return the peak memory of the process in bytes; None without /proc.

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
    """Keep this process and its children on one core, where the system supports that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Processes:
    """A process of each implementation, started when it is first asked and after a failure."""

    def __init__(self, *, node_directory: Path | None) -> None:
        """`node_directory` is where sharp is installed."""
        self._node_directory = node_directory
        self._running: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Return the processes, of which none runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End them all."""
        for name in list(self._running):
            self.end(name)

    def end(self, name: str) -> None:
        """End one; the next request starts another one."""
        self._running.pop(name).__exit__()

    def ask(self, name: str, picture: SourceImage, task: Task, **options: Any) -> dict[str, Any]:
        """Process one picture, as `Process.ask` does.

        Raises:
            ImplementationError: The implementation failed, ended or took too long.
        """
        if name not in self._running:
            with one_core():  # which the process inherits
                self._running[name] = Process(name, node_directory=self._node_directory)
        try:
            return self._running[name].ask(picture, task, **options)
        except ImplementationError:
            self.end(name)
            raise


def encoders(
    processes: Processes, picture: SourceImage, task: Task
) -> dict[str, list[dict[str, Any]]]:
    """Return the options with which the worker encodes this picture's thumbnails."""
    found: dict[str, list[dict[str, Any]]] = processes.ask("worker", picture, task, observe=True)[
        "encoders"
    ]
    return found


def interleaved(
    processes: Processes,
    names: Sequence[str],
    picture: SourceImage,
    task: Task,
    *,
    rounds: int,
    output: Path | None,
) -> list[Measurement]:
    """Measure the implementations on one picture in turn (A B C A B C …), after one warm-up round.

    The files of that round go to `output`, in a directory per implementation.
    """
    seconds: dict[str, list[float]] = {name: [] for name in names}
    sizes: dict[str, Mapping[str, int]] = {}
    problems: dict[str, str] = {}
    for number in range(-1, rounds):
        for name in names:
            if name in problems or (name in SLOW and number % 4 and number >= 0):
                continue
            target = output / name if output and number < 0 else None
            if target:
                target.mkdir(parents=True, exist_ok=True)
            try:
                answer = processes.ask(name, picture, task, output=target)
            except ImplementationError as error:
                problems[name] = str(error)
                continue
            sizes[name] = answer["sizes"]
            if number >= 0:
                seconds[name].append(answer["seconds"])
    return [
        Measurement(name, picture.name, problem=problems[name])
        if name in problems
        else Measurement(name, picture.name, statistics.median(seconds[name]), sizes[name])
        for name in names
    ]


def alone(
    name: str, picture: SourceImage, task: Task, *, node_directory: Path | None
) -> Measurement:
    """Measure the peak memory, and the CPU time of the first picture, of a new process."""
    try:
        with one_core(), Process(name, node_directory=node_directory) as process:
            answer = process.ask(picture, task)
            return Measurement(
                name, picture.name, answer["seconds"], answer["sizes"], process.peak()
            )
    except ImplementationError as error:
        return Measurement(name, picture.name, problem=str(error))
