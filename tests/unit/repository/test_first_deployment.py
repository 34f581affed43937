"""docs/first-deployment.md: every check that it names exists, and none for accounts is left out."""

import re
from pathlib import Path

from darkroom.checks.names import VERIFY
from darkroom.emulator.limitations import LIMITATIONS

PAGE = (Path(__file__).parents[3] / "docs" / "first-deployment.md").read_text(encoding="utf-8")
_, _, SECTION = PAGE.partition("## What only an account can show\n")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in SECTION.partition("\n## ")[0].splitlines()
    if line.startswith("| ")
][1:]

UNSUPPORTED = {"archive", "denied-requests", "dns-firewall"}
"""Checks whose services the emulator does not have, or whose resources stay empty there."""


def test_every_row_says_what_tells() -> None:
    """C1: a check of `darkroom verify`, or where to look; its symptom is never left out."""
    assert len(ROWS) > 20
    for statement, _, symptom, check in ROWS:
        assert statement
        assert symptom
        named = set(re.findall(r"`([a-z-]+)`", check)) - {"curl"}
        assert named <= set(VERIFY), statement
        assert named or check.startswith("none; "), statement


def test_every_check_that_needs_an_account_is_in_the_table() -> None:
    """D4: what the emulator cannot show is shown on AWS, and its row says what is seen."""
    named = {name for row in ROWS for name in re.findall(r"`([a-z-]+)`", row[-1])}
    assert {check for check, _ in LIMITATIONS} | UNSUPPORTED | {"canary"} <= named
