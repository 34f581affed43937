"""Consent: typed at a terminal, or given by --yes."""

import io

import pytest

from darkroom.console.confirm import confirm
from darkroom.errors import UsageError, UserError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_word_is_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("darkroom-prod\n"))
    confirm("Delete?", word="darkroom-prod", yes=False)


@pytest.mark.parametrize("typed", ["", "\n", "y\n", "yes\n", "darkroom-dev\n"])
def test_anything_else_is_not(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    """D6: the end of the input as well."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    with pytest.raises(UserError, match="nothing was changed"):
        confirm("Delete?", word="darkroom-prod", yes=False)


@pytest.mark.parametrize("stdin", [io.StringIO("darkroom-prod\n"), None])
def test_without_a_terminal_it_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """D6: a script that pipes the word has not read the question, which is not the error."""
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(UsageError, match=r"^stdin is not a terminal; pass --yes"):
        confirm("Delete?", word="darkroom-prod", yes=False)
    assert capsys.readouterr().err == "Delete?\n"
    confirm("Delete?", word="darkroom-prod", yes=True)
