"""`darkroom`: how commands are found and how they end."""

import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from darkroom import cli
from darkroom.errors import UsageError, UserError

ROOT = Path(__file__).parents[3]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def command_that_raises(error: BaseException | None) -> SimpleNamespace:
    def run(_: Any) -> int:
        if error:
            raise error
        return 0

    return SimpleNamespace(add_arguments=lambda _: None, run=run)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (None, 0, ""),
        (UserError("the bucket is gone"), 1, "error: the bucket is gone\n"),
        (UsageError("no such picture: x"), 2, "error: no such picture: x\n"),
        (PermissionError(13, "Permission denied", "/build"), 1, "error: [Errno 13] "),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_each_end_has_its_status_and_sentence(
    error: BaseException | None,
    status: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "import_module", lambda _: command_that_raises(error))
    assert cli.main(["package"]) == status
    assert capsys.readouterr().err.startswith(told)


def test_a_programming_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "import_module", lambda _: command_that_raises(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["package"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "COMMAND"),
        (["pakage"], "invalid choice: 'pakage'"),
        (["package", "--architecture", "arm"], "invalid choice: 'arm'"),
        (["package", "--runtime", "python3.11"], "invalid choice: 'python3.11'"),
        (["package", "--python", "x", "--no-bytecode"], "not allowed with"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], told: str) -> None:
    done = python("-m", "darkroom", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_each_command() -> None:
    done = python("-m", "darkroom", "--help")
    assert done.returncode == 0
    for name, command in cli.COMMANDS.items():
        assert name in done.stdout
        assert command.summary.split()[0] in done.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_commands_help_shows_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = import_module(cli.COMMANDS[name].module)
    assert callable(module.run)
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    assert f"examples:\n  darkroom {name}" in capsys.readouterr().out


def test_only_the_chosen_command_is_imported() -> None:
    """A package can be built without what the others need, and help comes at once."""
    script = (
        "import sys; from darkroom.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'darkroom.commands.local', 'darkroom.commands.package', 'boto3'} & set(sys.modules)))"
    )
    assert python("-c", script).stdout.endswith("[]\n")


def test_a_missing_dependency_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def import_nothing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'elftools'", name="elftools.elf")

    monkeypatch.setattr(cli, "import_module", import_nothing)
    assert cli.main(["package"]) == 1
    told = capsys.readouterr().err
    assert "'package' needs the Python package 'elftools'" in told
    assert "pip install" in told


def test_an_interrupt_leaves_no_traceback() -> None:
    script = (
        "import signal, sys; from darkroom import cli\n"
        "cli._parse = lambda _: signal.raise_signal(signal.SIGINT)\n"
        "sys.exit(cli.main(['package']))"
    )
    done = python("-c", script)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "interrupted\n"


def test_the_workflow_is_valid() -> None:
    """D5: GitHub would refuse a workflow that its schema refuses."""
    workflow = ROOT / ".github" / "workflows" / "ci.yml"
    schema = ("--builtin-schema", "vendor.github-workflows")
    done = python("-m", "check_jsonschema", *schema, str(workflow))
    assert done.returncode == 0, done.stdout
    text = workflow.read_text()
    assert "python3 -m pip install tox" in text
    assert "contents: read" in text
