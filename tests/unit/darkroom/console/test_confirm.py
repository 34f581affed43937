"""Consent: typed by somebody at a terminal, or given beforehand."""

import io

import pytest

from darkroom.console.confirm import confirm
from darkroom.errors import UsageError, UserError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_word_is_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("darkroom-prod\n"))
    confirm("Delete?", word="darkroom-prod", given=False)


@pytest.mark.parametrize("typed", ["", "\n", "y\n", "yes\n", "darkroom-dev\n"])
def test_anything_else_is_none(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    """D6: the end of the input as well."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    with pytest.raises(UserError, match="nothing was done"):
        confirm("Delete?", word="darkroom-prod", given=False)


def test_where_nobody_can_be_asked_it_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: a script that pipes `yes` has not read the question."""
    monkeypatch.setattr("sys.stdin", io.StringIO("darkroom-prod\n"))
    with pytest.raises(UsageError, match=r"Delete.*\n.*--yes"):
        confirm("Delete?", word="darkroom-prod", given=False)
    confirm("Delete?", word="darkroom-prod", given=True)
