"""docs/requirements.md: every code has a row, and every requirement that is met has a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "requirements.md").read_text("utf-8")
STATUS = "met|met, by option|in part|planned"
ROWS = dict(re.findall(rf"^\| ([TPSRODAC]\d) \| .+ \| ({STATUS}) \|$", PAGE, re.MULTILINE))
TESTS = {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py")}
# A test's docstring begins with codes and pitfalls: `"""S5, T2: ..."""`, `"""Pitfall 8: ..."""`.
LEAD = re.compile(r'"""((?:(?:[TPSRODAC]\d|[Pp]itfalls? \d+|and|\d+)[ ,]*)+):')
NAMED = {
    code
    for text in TESTS.values()
    for lead in LEAD.findall(text)
    for code in re.findall(r"\b[TPSRODAC]\d\b", lead)
}


def test_every_code_has_one_row() -> None:
    """C1: a reader of a docstring or a rule finds what its code means."""
    listed = re.findall(r"^\| ([A-Z]\d) \|", PAGE, re.MULTILINE)
    assert len(listed) == len(set(listed)) == len(ROWS)
    assert NAMED - set(ROWS) == set()


@pytest.mark.parametrize("code", [code for code, status in ROWS.items() if status != "planned"])
def test_a_requirement_that_is_met_has_a_test(code: str) -> None:
    """C1: at least one test says that it proves the requirement."""
    assert code in NAMED


@pytest.mark.parametrize("code", [code for code, status in ROWS.items() if status == "planned"])
def test_a_planned_requirement_has_no_test(code: str) -> None:
    """C1: the page does not call planned what is there."""
    assert code not in NAMED


def test_the_glossary_is_short() -> None:
    """C1: at most twenty terms, so that somebody reads them."""
    glossary = PAGE.partition("## Glossary")[2]
    terms = re.findall(r"^\| ([a-z].+?) \|", glossary, re.MULTILINE)
    assert 10 < len(set(terms) - {"term"}) <= 20
