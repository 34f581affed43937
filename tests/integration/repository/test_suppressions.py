"""Every suppression of a linter says why, and is needed."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("generate.py", "templates", "worker", "darkroom", "benchmarks", "tests")
MARKS = re.compile(r"# (?:noqa|nosec|type: ignore|pragma|pyright|mypy:)")
# What to suppress, one reason after all of it.
EXPLAINED = re.compile(
    r"# (?:noqa: [A-Z]+\d+|type: ignore\[[a-z-]+\])(?:  # nosec B\d+)? ?(?:--?|#| #) \w+.*"
    r"|# nosec B\d+ # \w+.*"
)


def lines() -> list[tuple[str, int, str]]:
    files = [
        file
        for name in FOLDERS
        for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
        if file != Path(__file__)
    ]
    return [
        (file.relative_to(ROOT).as_posix(), number, line)
        for file in files
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
    ]


def test_every_suppression_says_which_rule_and_why() -> None:
    """C1: beside the line, for ruff, bandit and mypy; the templates' are in tests/ops."""
    marked = [
        (file, number, line[mark.start() :])
        for file, number, line in lines()
        if (mark := MARKS.search(line))
    ]
    assert marked
    assert [one for one in marked if not EXPLAINED.fullmatch(one[2])] == []


def test_every_nosec_is_needed() -> None:
    """C1: bandit without them finds just these; ruff (RUF100) and mypy (strict) look themselves."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bandit", "--quiet", "--ignore-nosec", "--format", "json"),
            *("--configfile", "pyproject.toml", "--recursive", *FOLDERS),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    needed = {
        (one["filename"].removeprefix("./"), one["line_number"], one["test_id"])
        for one in json.loads(done.stdout)["results"]
    }
    written = {
        (file, number, rule)
        for file, number, line in lines()
        for rule in re.findall(r"# nosec (B\d+)", line)
    }
    assert written == needed


def test_an_unneeded_noqa_or_ignore_fails(tmp_path: Path) -> None:
    """C1: ruff shows it; mypy, which is not installed here, is strict and told nothing else."""
    path = tmp_path / "module.py"
    path.write_text('"""A module."""\n\nvalue = 1  # noqa: S105 -- not needed\n')
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", "pyproject.toml", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "RUF100" in done.stdout
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert mypy["strict"] is True
    assert "warn_unused_ignores" not in mypy
