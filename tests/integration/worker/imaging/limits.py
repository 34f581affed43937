"""Processes an image in its own process, which the system stops at its limits."""

from __future__ import annotations

import io
import multiprocessing
import re
import resource
import signal
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.workload import outputs_of
from worker.imaging import thumbnails
from worker.results import Output, Rejection
from worker.settings import Variants

_MEBIBYTE = 1 << 20
_SPARE_ADDRESSES = 512 * _MEBIBYTE
"""Reserved and never used: stacks of encoders' threads, arenas. What is used is measured."""


@dataclass(frozen=True)
class Outcome:
    """What became of an image: outputs, or a rejection's reason, or an error.

    `mebibytes` is the most memory that it took beyond what the process had before.
    """

    outputs: Sequence[Output] = ()
    reason: str | None = None
    error: str | None = None
    mebibytes: float = 0


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", __name__])


def make(data: bytes, variants: Variants, *, seconds: int, mebibytes: int) -> Outcome:
    """Make thumbnails within these limits of processor time and memory."""
    receiver, sender = _FORKS.Pipe(duplex=False)
    child = _FORKS.Process(target=_work, args=(sender, data, variants, seconds, mebibytes))
    child.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError:
        child.join()
        code = child.exitcode or 0
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Outcome(error=f"stopped by {name}; allowed: {seconds} s, {mebibytes} MiB")
    child.join()
    assert isinstance(outcome, Outcome)
    return outcome


def _work(
    results: Connection, data: bytes, variants: Variants, seconds: int, mebibytes: int
) -> None:
    warnings.simplefilter("ignore")
    source, before = io.BytesIO(data), _kibibytes("VmHWM")
    bound = _kibibytes("VmData") * 1024 + mebibytes * _MEBIBYTE + _SPARE_ADDRESSES
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    outputs: Sequence[Output] = ()
    reason = error = None
    try:
        outputs = outputs_of(thumbnails.make(source, [variants]))
    except Rejection as rejection:
        reason = rejection.reason
    except Exception as failure:  # noqa: BLE001 -- reported to the test, which fails
        error = repr(failure)
    results.send(Outcome(outputs, reason, error, (_kibibytes("VmHWM") - before) / 1024))


def _kibibytes(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found
    return int(found[1])
