"""The documents: links lead somewhere, commands and settings exist, specifications are valid."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import get_args, get_origin

import awscli
import botocore.session
import click
import pytest
from awscli import clidriver
from botocore.loaders import create_loader

from darkroom import cli
from darkroom.console.command import Command
from templates import specification

ROOT = Path(__file__).parents[3]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *sorted(ROOT.glob("docs/**/*.md")),
    )
}


def links(page: str) -> list[Path]:
    """Return where the links of a page lead within the repository."""
    text = re.sub(r"`[^`]*`", "", PAGES[page])  # a pattern may look like a link
    found = re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text)
    return [(ROOT / page).parent / link for link in found]


@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_exist(page: str) -> None:
    """C1: links within the repository, and the names of files in backquotes."""
    assert [link for link in links(page) if not link.exists()] == []
    named = re.findall(
        r"`((?:tests|templates|worker|darkroom|params|benchmarks|unit|integration|e2e|property)"
        r"/[\w./-]+\.\w+)`",
        PAGES[page],
    )
    at = (ROOT, ROOT / "tests")
    assert [name for name in named if not any((root / name).exists() for root in at)] == []


def test_every_page_is_linked() -> None:
    """C1: every page is found from the README."""
    seen: set[str] = set()
    waiting = ["README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            led = [path.resolve().relative_to(ROOT).as_posix() for path in links(page)]
            waiting += [path for path in led if path in PAGES]
    assert seen == set(PAGES)


def examples(command: click.Command) -> str:
    """Return the examples in the help of a command and of its sub-commands."""
    own = command.examples if isinstance(command, Command) else ""
    nested = command.commands.values() if isinstance(command, click.Group) else ()
    return "\n".join([own, *map(examples, nested)])


def command_lines() -> list[str]:
    """Return each line of a document or of a command's help that calls `darkroom`."""
    context = click.Context(cli.group)
    helped = [examples(cli.group.get_command(context, name)) for name in cli.COMMANDS]  # type: ignore[arg-type] # each is there
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join([*PAGES.values(), *helped]))
    called = re.findall(r"^(?:\$ |  )(darkroom .+)$", joined, re.MULTILINE)
    return sorted({re.split(r"\s+#\s|\s{2,}| > | \| ", line)[0] for line in called})


@pytest.mark.parametrize("line", command_lines())
def test_a_documented_command_line_is_valid(line: str) -> None:
    """C1: its name, options and values exist."""
    written = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", "CodeBucket=code CodeKey=a.zip", line)
    name, *words = shlex.split(written)
    command: click.Command | None = cli.group
    context: click.Context | None = None
    if "--help" in words or "--version" in words:
        return
    while isinstance(command, click.Group):
        context = command.make_context(name, words, parent=context)
        rest = [*context._protected_args, *context.args]
        name, command, words = command.resolve_command(context, rest)  # type: ignore[assignment] # fails for an unknown one
    assert command is not None
    command.make_context(name, words, parent=context)


def aws_command_lines() -> list[str]:
    """Return each call of the AWS CLI in a document, up to the end of the call or a call in it."""
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(PAGES.values()))
    joined = re.sub(r"\$\((?!aws )[^()]*\)", "VALUE", joined)
    called = r"\baws (?:s3api wait|[a-z0-9]+) [a-z0-9-]+(?: (?:(?!\$\()[^`;|)\n])*)?"
    return sorted(set(re.findall(called, joined)))


@pytest.mark.parametrize("line", aws_command_lines())
def test_a_documented_aws_command_line_is_valid(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """O2: also for version 1 of the CLI, which has no `aws logs tail`."""
    own = Path(awscli.__file__).with_name("data")
    monkeypatch.setattr(botocore.session, "create_loader", lambda _=None: create_loader(str(own)))
    driver = clidriver.create_clidriver()
    _, service, name, *_ = line.replace(" wait ", " ").split()
    top = driver.create_help_command()
    commands = top.command_table[service].create_help_command().command_table
    if " wait " in line:
        commands = commands["wait"].create_help_command().command_table
    assert name in commands
    given = set(re.findall(r"(?<=\s)--([a-z][a-z0-9-]+)", line))
    known = {*commands[name].arg_table, *top.arg_table} if given else set()
    assert given <= known


def test_every_command_is_documented() -> None:
    """C1: on a page, not only in --help."""
    found = set(re.findall(r"(?:darkroom|tox run -e) ([a-z-]+)", "\n".join(PAGES.values())))
    assert set(cli.COMMANDS) - found == set()


def test_a_documented_tox_environment_exists() -> None:
    """C1: and no other name of one."""
    called = re.findall(r"tox (?:run|devenv) -e ([a-z0-9-]+)", "\n".join(PAGES.values()))
    defined = re.findall(r"^\[testenv:([a-z0-9-]+)\]", (ROOT / "tox.ini").read_text(), re.MULTILINE)
    assert set(called) - set(defined) == set()


@pytest.mark.parametrize("page", [page for page in PAGES if "```toml" in PAGES[page]])
def test_a_documented_specification_is_valid(page: str) -> None:
    """C1: each block of TOML, as it stands."""
    for block in re.findall(r"^```toml\n(.+?)^```", PAGES[page], re.MULTILINE | re.DOTALL):
        specification.parse(tomllib.loads(block), origin=page)


@pytest.mark.parametrize("page", PAGES)
def test_a_documented_setting_exists(page: str) -> None:
    """C1: no key of the specification that is gone, or never was."""
    known = set()
    for table, field in specification.Specification.model_fields.items():
        lead = f"{table}.*." if get_origin(field.annotation) is dict else f"{table}."
        kinds = (field.annotation, *get_args(field.annotation))
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        known |= {lead + key for key in model.model_fields} if model else {table}
    tables = "|".join(specification.Specification.model_fields)
    found = set(re.findall(rf"`((?:{tables})\.[a-z_.*0-9]+)", PAGES[page]))
    found = {re.sub(r"^(sources|queues|variants)\.[^.]+", r"\1.*", setting) for setting in found}
    services = {one for one in found if one.endswith(".amazonaws.com")}
    assert found - known - services == set()
