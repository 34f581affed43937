"""The table of traps is true: what keeps each is there, and speaks of it."""

import re
from pathlib import Path

import pytest

from darkroom.lint.catalogue import ALL_RULES

ROOT = Path(__file__).parents[3]
ROWS = re.findall(
    r"^\| (\d+) \|.*\| ([^|]+) \| ([^|]+) \|$",
    (ROOT / "docs" / "pitfalls.md").read_text(),
    re.MULTILINE,
)


def speaks_of(number: str, text: str) -> bool:
    named = re.findall(r"(?:[Tt]rap|[Pp]itfall)s? \d+(?:(?:,| and) (?:trap |pitfall )?\d+)*", text)
    return any(number in re.findall(r"\d+", one) for one in named)


def test_the_table_has_every_trap_once() -> None:
    """C1: the numbers that docstrings and comments name are found there."""
    assert [int(number) for number, *_ in ROWS] == list(range(1, 53))


@pytest.mark.parametrize(("number", "rules", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_what_keeps_a_trap_closed_is_there(number: str, rules: str, tests: str) -> None:
    """D4: every rule that speaks of it is in the row, and every test in the row speaks of it."""
    keeping = {one.name for one in ALL_RULES.values() if int(number) in one.pitfalls}
    assert set(re.findall(r"`([^`]+)`", rules)) == keeping
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for name in named:
        path = ROOT / "tests" / name
        assert path.is_file()
        assert "seeded defects" in tests or speaks_of(number, path.read_text())
    assert keeping or "seeded defects" not in tests
