"""What is going on, for the person who waits: on standard error, so that results can be piped."""

import shutil
import sys
import time
from typing import TextIO

QUIET_SECONDS = 5.0  # where lines cannot be rewritten, one this often says that work goes on


class Progress:
    """Steps that stay and, below them, one line about the current one that changes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """`stream` is where to write; a terminal gets a line rewritten, a log file new lines."""
        self._stream = stream or sys.stderr
        self._rewrites = self._stream.isatty()
        self._last = time.monotonic()

    def step(self, text: str) -> None:
        """Say that something is done; the line stays."""
        self._write(text, end="\n")

    def update(self, text: str) -> None:
        """Say how far the current step is."""
        if self._rewrites:
            self._write(text[: shutil.get_terminal_size().columns - 1], end="")
        elif time.monotonic() - self._last >= QUIET_SECONDS:
            self._write(text, end="\n")

    def clear(self) -> None:
        """Remove the line that changes, before something else is written."""
        if self._rewrites:
            self._write("", end="")

    def _write(self, text: str, *, end: str) -> None:
        start = "\r\x1b[K" if self._rewrites else ""  # to the line's start and erase it
        print(start + text, end=end, file=self._stream, flush=True)
        self._last = time.monotonic()
