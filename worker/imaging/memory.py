"""The function's memory, shared by the pictures that are worked on at the same time."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MEGABYTE = 1 << 20

_BASE = 160 * _MEGABYTE
"""Interpreter, libraries, clients, threads (100 MB measured), and what malloc does not return."""

# glibc's mallopt(3): block sizes from which memory comes from the system and goes back to it, and
# how much may stay free at the end of the heap. Left alone, glibc raises both with each large block
# that is freed, and 635 MB were in use where 304 are now; these also cost 3 % less time.
_ARENA_MAX, _ONE_ARENA = -8, 1
_MMAP_THRESHOLD, _LARGE_BLOCK = -3, 1_000_000
_TRIM_THRESHOLD, _KEPT_FREE = -1, 16_000_000

_PART_FOR_FILES = 3
"""One part in so many may go to downloaded files that wait for their turn."""


class Memory:
    """Bytes that pictures take while they are decoded; whoever finds too few left, waits."""

    def __init__(self, capacity: int | None = None) -> None:
        """`capacity` in bytes; None: as much as anybody asks for."""
        self.capacity = capacity
        self._taken = 0
        self._changed = threading.Condition()

    def holds(self, size: int) -> bool:
        """Tell whether so many bytes would fit if nobody else had any."""
        return self.capacity is None or size <= self.capacity

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Hold so many bytes, once they are free; ValueError if they never will be.

        Whoever holds some must not ask for more: two who did would wait for each other.
        """
        if not self.holds(size):
            raise ValueError(f"{size} bytes of {self.capacity}")
        with self._changed:
            self._changed.wait_for(lambda: self.holds(self._taken + size))
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


def return_what_is_freed() -> None:
    """Have the C library give memory back to the system, where it is one that can be told to."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_ARENA_MAX, _ONE_ARENA)
        mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_TRIM_THRESHOLD, _KEPT_FREE)


def divided(megabytes: int | None, *, threads: int, file_bytes: int) -> tuple[int, Memory]:
    """Return how many of these threads a function of this size can have, and what is left for them.

    Each thread may hold a file of `file_bytes`: that comes out of the function's memory before
    anything is decoded. None megabytes are no bound, as outside of Lambda.
    """
    if megabytes is None:
        return threads, Memory()
    free = megabytes * _MEGABYTE - _BASE
    threads = max(1, min(threads, free // _PART_FOR_FILES // file_bytes))
    return threads, Memory(max(0, free - threads * file_bytes))
