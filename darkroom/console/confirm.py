"""Consent before anything is deleted, moved or paid for."""

import argparse
import sys

from darkroom.errors import UsageError, UserError


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add the option that gives consent beforehand."""
    parser.add_argument("--yes", action="store_true", help="do not ask first")


def confirm(question: str, *, word: str, given: bool) -> None:
    """Return when somebody types `word`, or consented beforehand (`given`).

    Raises UsageError where nobody is there to type, UserError when something else is typed.
    """
    if given:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question}\nNobody can be asked here (no terminal): give --yes")
    print(f"{question}\nType {word} to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != word:
        raise UserError("not confirmed; nothing was done")
