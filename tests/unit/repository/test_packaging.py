"""pyproject.toml: what is installed, under which name, with which extras."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from darkroom import cli

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


def test_the_console_script_is_installed() -> None:
    """D9: `pip install -e .` gives the command, with the project's version."""
    (script,) = metadata.entry_points(group="console_scripts", name="darkroom")
    assert script.load() is cli.main
    assert metadata.version("darkroom") == PROJECT["project"]["version"]


def test_a_missing_package_is_installed_by_an_extra_that_exists() -> None:
    """D9: the advice that a person is given works."""
    assert set(cli.EXTRAS.values()) <= set(PROJECT["project"]["optional-dependencies"])


def test_no_advice_needs_a_newer_pip() -> None:
    """D9: dependency groups need pip 25.1; Python 3.11 and 3.12 bring an older one."""
    pages = {path.name: path.read_text("utf-8") for path in PAGES}
    assert [name for name, text in pages.items() if re.search(r"pip install .*--group", text)] == []
    sources = [*(ROOT / "darkroom").rglob("*.py"), ROOT / "generate.py"]
    assert [path for path in sources if "--group" in path.read_text("utf-8")] == []


def test_every_dependency_says_why() -> None:
    """C1: one line beside each."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.findall(r'^    "[^"]+",?(.*)$', text.partition("[tool.ruff]")[0], re.MULTILINE)
    explained = re.findall(r"^    # .+\n    \"", text, re.MULTILINE)
    assert len([one for one in listed if "#" not in one]) <= len(explained) + 4


def test_what_ships_is_pinned() -> None:
    """C1: the template follows from these, and the package from the worker's lock file."""
    needed = PROJECT["project"]["dependencies"]
    for name in ("troposphere", "awacs", "pydantic"):
        (line,) = [one for one in needed if one.startswith(name)]
        assert "==" in line
    extra = PROJECT["project"]["optional-dependencies"]["local"]
    (pillow,) = [one for one in extra if one.startswith("pillow")]
    locked = (ROOT / "worker" / "requirements.txt").read_text("utf-8")
    assert pillow in locked
