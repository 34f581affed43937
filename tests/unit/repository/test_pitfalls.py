"""docs/pitfalls.md: every pitfall is there with its rules, and a rule or a test names it."""

import re
from pathlib import Path

import pytest

from darkroom.lint.catalogue import ALL_RULES

ROOT = Path(__file__).parents[3]
ROWS = re.findall(
    r"^\| (\d+) \|.*\| ([^|]+) \|$", (ROOT / "docs" / "pitfalls.md").read_text(), re.MULTILINE
)
# A test's docstring names pitfalls alone or in a list: "Pitfall 8: ...", "P1, pitfalls 11, 13: ..."
NAMED = {
    int(number)
    for path in (ROOT / "tests").rglob("*.py")
    for named in re.findall(r"[Pp]itfalls? (\d+(?:(?:,| and) (?:pitfall )?\d+)*)", path.read_text())
    for number in re.findall(r"\d+", named)
}


def test_the_table_has_every_pitfall_once() -> None:
    """C1: the numbers that docstrings and comments name are found there."""
    numbers = [int(number) for number, _ in ROWS]
    assert len(numbers) == len(set(numbers))
    assert set(numbers) >= NAMED


@pytest.mark.parametrize(("number", "rules"), ROWS, ids=[row[0] for row in ROWS])
def test_a_pitfall_has_its_rules_or_a_test(number: str, rules: str) -> None:
    """D4: the row lists every rule that names the pitfall, and each rule has a seeded defect."""
    enforcing = {one.name for one in ALL_RULES.values() if int(number) in one.pitfalls}
    assert set(re.findall(r"`([^`]+)`", rules)) == enforcing
    assert enforcing or int(number) in NAMED
