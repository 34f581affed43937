import io
import time

import pytest

from darkroom.console.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_rewritten() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.update("1 of 2")
    progress.update("2 of 2")
    progress.step("done")
    assert stream.getvalue() == "\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[Kdone\n"


def test_a_terminal_is_clean_before_other_output() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.update("1 of 2")
    progress.clear()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_long_line_does_not_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapped line cannot be rewritten: the terminal would fill with its halves."""
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    Progress(stream).update("x" * 500)
    assert stream.getvalue().count("x") == 39


def test_a_log_file_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps at once; how far one is, every few seconds: a sign of life, not a flood."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = Progress(stream)
    for second in range(12):
        now[0] = 100.0 + second
        progress.update(f"{second} of 12")
    progress.step("done")
    progress.clear()
    assert stream.getvalue().splitlines() == ["5 of 12", "10 of 12", "done"]
