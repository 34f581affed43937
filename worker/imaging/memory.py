"""The function's memory, shared by the images that are processed at the same time."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MEGABYTE = 1 << 20

_BASE = 160 * _MEGABYTE
"""Interpreter, libraries, clients, threads (100 MB measured), and what malloc does not return."""

# glibc's mallopt(3): block sizes from which memory comes from the system and goes back to it, and
# how much may stay free at the end of the heap. By default glibc raises both with each large block
# that is freed, and 635 MB were in use where 304 are now. With blocks from 1 MB on and 16 MB free,
# each picture's pages were new to the process: 20 % more time for a JPEG, and 5 MB less in use.
_ARENA_MAX, _ONE_ARENA = -8, 1
_MMAP_THRESHOLD, _LARGE_BLOCK = -3, 8_000_000
_TRIM_THRESHOLD, _KEPT_FREE = -1, 32_000_000

_FILES_DIVISOR = 3
"""Share of memory for downloaded files that wait to be processed: one third."""


class Memory:
    """Memory that images take while they are decoded; callers wait until enough is free."""

    def __init__(self, capacity: int | None = None) -> None:
        """Set the capacity in bytes; None for no bound."""
        self.capacity = capacity
        self._taken = 0
        self._changed = threading.Condition()

    def holds(self, size: int) -> bool:
        """Return whether this many bytes would fit if all were free."""
        return self.capacity is None or size <= self.capacity

    def at_most(self, size: int) -> int:
        """Return this many bytes, or as many as there are."""
        return size if self.capacity is None else min(size, self.capacity)

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Hold this many bytes, once they are free.

        A caller that holds some must not ask for more: two such callers would wait for each other.

        Raises:
            ValueError: There will never be as many.
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


def configure_malloc() -> None:
    """Make glibc return freed memory to the system; do nothing with another C library."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_ARENA_MAX, _ONE_ARENA)
        mallopt(_MMAP_THRESHOLD, _LARGE_BLOCK)
        mallopt(_TRIM_THRESHOLD, _KEPT_FREE)


def divide_memory(
    megabytes: int | None, *, threads: int, file_bytes: int, kept_bytes: int = 0
) -> tuple[int, Memory]:
    """Return how many threads a function of this size can have, and the memory left for decoding.

    Each thread may hold a file: these come out of the function's memory before anything is decoded.

    Args:
        megabytes: The function's memory; None for no bound, as outside of Lambda.
        threads: The most threads.
        file_bytes: The largest file.
        kept_bytes: What stays in memory besides, such as watermarks.
    """
    if megabytes is None:
        return threads, Memory()
    free = megabytes * _MEGABYTE - _BASE - kept_bytes
    threads = max(1, min(threads, free // _FILES_DIVISOR // file_bytes))
    return threads, Memory(max(0, free - threads * file_bytes))
