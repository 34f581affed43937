"""What a rule is: a function that finds what is wrong, with its reason, its source and its fix."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from darkroom.cloudformation.model import Stack

Problems = Iterator[tuple[str, str]]
"""Logical id of the resource (or name of the parameter), and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A named check; `keeps` are the ids of the promises and traps that it stands for."""

    name: str
    why: str
    fix: str
    source: str
    keeps: str
    check: Callable[[Stack], Problems]


def rule(fix: str, *, source: str, keeps: str) -> Callable[[Callable[[Stack], Problems]], Rule]:
    """Make a rule of a function: its name is the rule's name, its docstring the reason."""

    def make(check: Callable[[Stack], Problems]) -> Rule:
        return Rule(
            name=check.__name__.replace("_", "-"),
            why=" ".join((check.__doc__ or "").split()),
            fix=fix,
            source=source,
            keeps=keeps,
            check=check,
        )

    return make
