"""The status line: rewritten on a terminal, a line now and then in a file, never with a result."""

import io
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkroom.console import progress as module
from darkroom.console.output import print_result
from darkroom.console.progress import Progress

ROOT = Path(__file__).parents[4]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    yield
    module.clear()


def screen(text: str) -> list[str]:
    """What is seen of it: each line as it was written over last."""
    lines: list[str] = [""]
    for part in re.split(r"(\r|\n|\x1b\[\d*[A-Za-z]|\x1b\[\?25[hl])", text):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[1A":
            lines.pop()
        elif part in ("\r", "\x1b[2K"):
            lines[-1] = ""
        elif not part.startswith("\x1b"):
            lines[-1] += part
    return [line for line in lines if line]


def test_a_terminal_has_one_line_that_changes() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.update("1 of 2")
    time.sleep(0.2)
    progress.update("2 of 2")
    time.sleep(0.2)
    (line,) = screen(stream.getvalue())
    assert line.endswith(" 2 of 2")
    progress.step("done")
    assert screen(stream.getvalue()) == ["done"]


def test_the_line_is_gone_before_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is on the changing line when standard output is used; the cursor is seen again."""
    stream = Terminal()
    Progress(stream).update("1 of 2")
    print_result({}, "the table", "table")
    assert screen(stream.getvalue()) == []
    assert stream.getvalue().endswith("\x1b[2K")
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
    assert capsys.readouterr().out == "the table\n"


def test_a_long_line_does_not_wrap() -> None:
    """A wrapped line cannot be rewritten: the terminal would fill with its halves."""
    stream = Terminal()
    Progress(stream).update("写" * 500)
    time.sleep(0.2)
    (line,) = screen(stream.getvalue())
    assert 15 <= line.count("写") <= 18
    assert line.endswith("…")


def test_a_key_cannot_move_the_cursor() -> None:
    stream = io.StringIO()
    Progress(stream).step("uploads/\x1b[2J\n.jpg")
    assert stream.getvalue() == "uploads/�[2J�.jpg\n"


def test_a_log_file_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps at once; the current one every few seconds: a sign of life, not a flood."""
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


def test_two_terminals_are_not_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under tox each stream has a terminal of its own: a result could land behind the status."""
    pairs = [os.openpty() for _ in range(2)]
    files = [os.fdopen(slave, "w") for _, slave in pairs]
    monkeypatch.setattr("sys.stdout", files[0])
    assert module._rewrites(files[0])
    assert not module._rewrites(files[1])
    for (master, _), file in zip(pairs, files, strict=True):
        file.close()
        os.close(master)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    Progress(stream).step("done")
    assert stream.getvalue() == "done\n"
