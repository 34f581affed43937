import re
import shlex
import tomllib
from pathlib import Path
from typing import get_args, get_origin

import pytest

from darkroom import cli
from templates import specification

ROOT = Path(__file__).parents[3]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
}


def links(page: str) -> list[Path]:
    """Return where the links of a page lead within the repository."""
    found = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", PAGES[page])
    return [(ROOT / page).parent / link for link in found]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_points_to_is_there(page: str) -> None:
    """C1: links within the repository, and the names of tests in backquotes."""
    assert [link for link in links(page) if not link.exists()] == []
    named = re.findall(
        r"`((?:tests|templates|worker|darkroom|params|benchmarks)/[\w./-]+\.\w+)`", PAGES[page]
    )
    at = (ROOT, ROOT / "tests")
    assert [name for name in named if not any((root / name).exists() for root in at)] == []


def test_every_page_can_be_found() -> None:
    """C1: from the README, over links."""
    seen: set[str] = set()
    waiting = ["README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            led = [path.resolve().relative_to(ROOT).as_posix() for path in links(page)]
            waiting += [path for path in led if path in PAGES]
    assert seen == set(PAGES)


def commands() -> list[str]:
    """Return each line of a console that calls an operators' command, also those in --help."""
    helped = "\n".join(command.examples for command in cli.COMMANDS.values())
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join([*PAGES.values(), helped]))
    called = re.findall(r"^(?:\$ |  )(darkroom .+)$", joined, re.MULTILINE)
    return sorted({re.split(r"\s+#\s|\s{2,}| > ", line)[0] for line in called})


@pytest.mark.parametrize("command", commands())
def test_a_command_that_is_told_is_understood(command: str) -> None:
    """C1: its name, options and values are those that there are."""
    written = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "CodeBucket=code CodeKey=a.zip", command)
    cli._parse(shlex.split(written)[3:])


def test_every_command_is_told() -> None:
    """C1: by a page, not by --help alone."""
    told = set(re.findall(r"(?:\\$ darkroom|darkroom|tox run -e) ([a-z-]+)", "\n".join(PAGES.values())))
    assert set(cli.COMMANDS) - told == set()


@pytest.mark.parametrize("page", [page for page in PAGES if "```toml" in PAGES[page]])
def test_a_specification_that_is_told_is_valid(page: str) -> None:
    """C1: each block of TOML, as it stands."""
    for block in re.findall(r"^```toml\n(.+?)^```", PAGES[page], re.MULTILINE | re.DOTALL):
        specification.parse(tomllib.loads(block), origin=page)


@pytest.mark.parametrize("page", PAGES)
def test_a_setting_that_is_told_is_there(page: str) -> None:
    """C1: no key of the specification that is gone, or never was."""
    known = set()
    for table, field in specification.Specification.model_fields.items():
        lead = f"{table}.*." if get_origin(field.annotation) is dict else f"{table}."
        kinds = (field.annotation, *get_args(field.annotation))
        model = next(kind for kind in kinds if hasattr(kind, "model_fields"))
        known |= {lead + key for key in model.model_fields}
    tables = "|".join(specification.Specification.model_fields)
    told = set(re.findall(rf"`((?:{tables})\.[a-z_.*]+)", PAGES[page]))
    told = {re.sub(r"^(sources|queues|variants)\.[^.]+", r"\1.*", setting) for setting in told}
    assert told - known == set()
