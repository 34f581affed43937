"""What a command is doing, on standard error, so that standard output holds only the result."""

import io
import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from darkroom.console.text import printable

if TYPE_CHECKING:
    from rich.live import Live
    from rich.spinner import Spinner

QUIET_SECONDS = 5.0
"""In a log file the current step is reported at most this often."""

_status: "tuple[Live, Spinner] | None" = None
"""The status line of the terminal, of which there is one, and its content."""


class Progress:
    """Finished steps, each on a line of its own, and below them a status line of the current one.

    A terminal rewrites the status line. A pipe or a file gets a new line every QUIET_SECONDS.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, or to standard error."""
        self._stream = stream or sys.stderr or io.StringIO()
        self._rewrites = _rewrites(self._stream)
        self._last = time.monotonic()

    def step(self, text: str) -> None:
        """Report a finished step."""
        clear()
        print(printable(text), file=self._stream, flush=True)
        self._last = time.monotonic()

    def update(self, text: str) -> None:
        """Report how far the current step has come."""
        text = printable(text)
        if self._rewrites:
            _show(text, self._stream)
        elif time.monotonic() - self._last >= QUIET_SECONDS:
            self.step(text)

    def clear(self) -> None:
        """Remove the status line. What prints results or errors does so itself."""
        clear()


def clear() -> None:
    """Remove the status line, if there is one, before other text is written."""
    global _status
    if _status:
        _status[0].stop()
        _status = None


def _show(text: str, stream: TextIO) -> None:
    global _status
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    if _status is None or _status[0].console.file is not stream:
        clear()
        console = Console(file=stream, force_terminal=True)
        spinner = Spinner("dots" if console.encoding.startswith("utf") else "line")
        live = Live(
            spinner,
            console=console,
            refresh_per_second=10,
            transient=True,
            redirect_stdout=False,  # results stay on standard output
            redirect_stderr=False,
        )
        live.start()
        _status = live, spinner
    live, spinner = _status
    line = Text(text)
    # A status that wraps would be two lines high. The spinner takes two columns.
    line.truncate(max(1, live.console.width - 3), overflow="ellipsis")
    spinner.update(text=line)


def _rewrites(stream: TextIO) -> bool:
    """Return whether a line written to the stream can be written over.

    Where standard output is another terminal, as under tox, something passes both on to a third
    one, and in any order: a result could land behind the status.
    """
    if not stream.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    if sys.stdout is None or not sys.stdout.isatty():
        return True
    try:
        return os.ttyname(stream.fileno()) == os.ttyname(sys.stdout.fileno())
    except OSError:
        return True
