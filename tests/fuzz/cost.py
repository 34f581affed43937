"""Processor time and memory as requirements: what an input takes is bounded, however it ends."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.imaging.memory import Memory

PROCESSOR_SECONDS = 10.0
"""For any file within the limit of bytes; with the fuzzer's instruments Python takes longer."""

UNRESERVED_BYTES = 64_000_000
"""What malloc keeps, and what headers take before anything is reserved."""

_STATUS = Path("/proc/self/statm")
_MAXIMUM_UNIT = 1024
"""Of ru_maxrss on Linux."""


class RecordedMemory(Memory):
    """Memory without a bound that records the most that was reserved at once."""

    def __init__(self) -> None:
        """Start with nothing reserved."""
        super().__init__()
        self.most = 0

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Hold this many bytes."""
        with super().reserved(size):
            self.most = max(self.most, self._taken)
            yield


@contextmanager
def bounded(memory: RecordedMemory) -> Iterator[None]:
    """Check what is done within: its processor time, and its memory where it raises the maximum.

    Raises:
        AssertionError: It took more than PROCESSOR_SECONDS, or than what was reserved and
            UNRESERVED_BYTES together.
    """
    started, resident, maximum = time.process_time(), _resident_bytes(), _maximum_bytes()
    try:
        yield
    finally:
        seconds = time.process_time() - started
        assert seconds <= PROCESSOR_SECONDS, f"{seconds:.1f} s of processor time"
        after = _maximum_bytes()
        taken = after - resident
        # An earlier maximum hides a lower one.
        is_known = resident > 0 and after > maximum
        assert not is_known or taken <= memory.most + UNRESERVED_BYTES, (
            f"{taken / 1e6:.0f} MB of memory, {memory.most / 1e6:.0f} MB reserved"
        )


def _resident_bytes() -> int:
    """Return the memory in use now; 0 where the system does not say."""
    if not _STATUS.exists():
        return 0
    return int(_STATUS.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _maximum_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXIMUM_UNIT
