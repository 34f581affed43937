"""Columns that line up on a terminal and in a file."""

import io

import pytest

from darkroom.console.tables import table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_aligned_whatever_the_script() -> None:
    """A wide letter takes two columns and a combining accent none."""
    rows = [("name", "size", "end"), ("写真", "5", "x"), ("e\u0301", "12,000", "a long one")]
    assert table(rows, right=(1,)).splitlines() == [
        "name    size  end",
        "写真       5  x",
        "e\u0301     12,000  a long one",
    ]


def test_a_pipe_gets_whole_rows_without_styles() -> None:
    """`grep` finds a row by any of its words."""
    rows = [("verdict", "message"), ("fail", "word " * 200 + "end")]
    _, row = table(rows, styles={"fail": "red"}).splitlines()
    assert row.startswith("fail")
    assert row.endswith("end")


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cut off: a long key goes on in the next line, and numbers stay whole."""
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    key = "uploads/" + "x" * 60 + ".jpg"
    text = table([("size", "object", "tries"), ("12,345,678", key, "6")], right=(0, 2))
    for sequence in ("\x1b[1m", "\x1b[0m"):
        text = text.replace(sequence, "")
    header, *lines = text.splitlines()
    assert header.split() == ["size", "object", "tries"]
    assert all(len(line) <= 40 for line in (header, *lines))
    assert lines[0].split()[0] == "12,345,678"
    assert "".join(line[12:33].strip() for line in lines) == key


def test_a_given_width_is_kept_without_styles() -> None:
    rows = [("key", "n"), ("x" * 60, "12")]
    lines = table(rows, right=(1,), width=40).splitlines()
    assert all(len(line) <= 40 for line in lines)
    assert "".join(lines).count("x") == 60
    assert "\x1b" not in "".join(lines)


def test_a_terminal_shows_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [("verdict", "message"), ("fail", "fail or pass")]
    header, row = table(rows, styles={"fail": "red"}).splitlines()
    assert header.startswith("\x1b[1mverdict")
    assert row.startswith("\x1b[31mfail")
    assert "fail or pass" in row
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in table(rows, styles={"fail": "red"})
    assert "\x1b" not in table(rows, width=80), "what goes into a document has no styles"


def test_a_title_stands_above_its_rows() -> None:
    assert table([("a", "b"), ("1", "2")], title="Quotas") == "Quotas\n  a  b\n  1  2"


def test_no_cell_is_read_as_markup_or_upsets_the_terminal() -> None:
    assert table([("key",), ("[red]a[/red] :smile: \x1b[2J\n",)]).endswith(
        "[red]a[/red] :smile: �[2J�"
    )


def test_a_terminal_that_is_too_narrow_for_columns_gets_lines() -> None:
    """No word is broken into columns of a few letters: each cell is a line after its header."""
    rows = [
        ("action", "resource", "type", "properties", ""),
        ("replace", "WorkerEventSourceMapping", "Lambda::EventSourceMapping", "", "→ stop it"),
        ("delete", "WorkQueue", "SQS::Queue", "QueueName, KmsMasterKeyId", ""),
    ]
    assert table(rows, width=40).splitlines() == [
        "action: replace",
        "resource: WorkerEventSourceMapping",
        "type: Lambda::EventSourceMapping",
        "→ stop it",
        "",
        "action: delete",
        "resource: WorkQueue",
        "type: SQS::Queue",
        "properties: QueueName, KmsMasterKeyId",
    ]
    widths = [max(map(len, line.split())) for line in table(rows, width=64).splitlines()]
    assert "action: replace" not in table(rows, width=64)
    assert max(widths) >= 12
