from pathlib import Path

from darkroom.lint import reference

PAGE = Path(__file__).parents[4] / "docs" / "rules.md"


def test_the_page_of_rules_is_current() -> None:
    """C1: `tox run -e docs` writes it."""
    assert PAGE.read_text("utf-8") == reference.render()
