"""The field's own words: none of the private ones that the project once had."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PRIVATE = re.compile(
    r"\b(told|doors?|letters?|lanes?|claims?|gates?|strangers?|somebody|mend(ed|s)?|for ever)\b",
    re.IGNORECASE,
)
# The field's own use of these words, as SQS and the alphabet have it.
STANDARD = re.compile(
    r"dead[- ]letters?\b|(lower-case|ASCII|zone|hard-coded) letters?\b|starting with a letter\b"
    r"|names of four letters\b|letters of other scripts\b|no letter or digit\b|without letters\b"
    # templates/network.py: the last letter of a Subnet's logical id
    r"|letter = chr\(|\{letter\}",
    re.IGNORECASE,
)
FILES = [
    path
    for folder in ("templates", "worker", "darkroom", "docs")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".md", ".toml", ".html", ".json"}
] + [ROOT / "README.md"]


def private_words(text: str) -> list[str]:
    """Return each private word with what is around it; quotes and line ends count as a space."""
    joined = STANDARD.sub("", re.sub(r"[\s\"#]+", " ", text))
    return [joined[max(0, one.start() - 30) : one.end() + 30] for one in PRIVATE.finditer(joined)]


def test_only_standard_terms_are_used() -> None:
    """C1: templates, worker, commands and pages are read by people who know AWS, not us."""
    assert len(FILES) > 150
    found = {path: words for path in FILES if (words := private_words(path.read_text("utf-8")))}
    assert found == {}


@pytest.mark.parametrize(
    "text", ["the queue is told", "a letter", "Doors", "the dead\n# letter's lane"]
)
def test_a_private_word_is_found(text: str) -> None:
    assert private_words(text)


def test_the_command_has_one_name() -> None:
    """C1: `darkroom`; it was `python -m ops`."""
    files = [*FILES, ROOT / "CONTRIBUTING.md", ROOT / "tox.ini", ROOT / "pyproject.toml"]
    assert [path for path in files if "python -m ops" in path.read_text("utf-8")] == []
