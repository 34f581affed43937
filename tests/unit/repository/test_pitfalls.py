"""docs/pitfalls.md: the rules and tests of each row exist, and name the pitfall."""

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


def names(number: str, text: str) -> bool:
    """Return whether a text names the pitfall, alone or in a list."""
    named = re.findall(r"[Pp]itfalls? \d+(?:(?:,| and) (?:pitfall )?\d+)*", text)
    return any(number in re.findall(r"\d+", one) for one in named)


def test_the_table_has_every_pitfall_once() -> None:
    """C1: the numbers that docstrings and comments name are found there."""
    assert [int(number) for number, *_ in ROWS] == list(range(1, 53))


@pytest.mark.parametrize(("number", "rules", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_the_rules_and_tests_of_a_pitfall_exist(number: str, rules: str, tests: str) -> None:
    """D4: every rule that names it is in the row, and every test in the row names it."""
    enforcing = {one.name for one in ALL_RULES.values() if int(number) in one.pitfalls}
    assert set(re.findall(r"`([^`]+)`", rules)) == enforcing
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for name in named:
        path = ROOT / "tests" / name
        assert path.is_file()
        assert "seeded defects" in tests or names(number, path.read_text())
    assert enforcing or "seeded defects" not in tests
