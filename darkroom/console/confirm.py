"""Consent before a command deletes, moves or pays for something."""

import sys

from darkroom.console import progress
from darkroom.errors import UsageError, UserError


def confirm(question: str, *, word: str, yes: bool, option: str = "--yes") -> None:
    """Return when `word` is typed, or at once where the option is given (`yes`).

    Raises:
        UsageError: Standard input is not a terminal, so nobody has read the question.
        UserError: Something else was typed.
    """
    if yes:
        return
    progress.clear()
    if sys.stdin is None or not sys.stdin.isatty():
        print(question, file=sys.stderr, flush=True)
        raise UsageError(f"stdin is not a terminal; pass {option}")
    print(f"{question}\nType {word} to continue: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != word:
        raise UserError("not confirmed; nothing was changed")
