"""D9: the console script `darkroom`: its commands, their help, and how each of them may end."""

import logging
import os
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from darkroom import cli
from darkroom.console.command import LOGGER, Command, Group
from darkroom.errors import UsageError, UserError
from templates.specification_file import SpecificationError

ROOT = Path(__file__).parents[3]


LEAVES = [
    (name, *rest)
    for name, module in cli.COMMANDS.items()
    for rest in [
        (),
        *((action,) for action in getattr(import_module(module).command, "commands", ())),
    ]
]


def having(name: str) -> list[str]:
    """Return the commands with an option of this name."""
    return [
        command
        for command, module in cli.COMMANDS.items()
        for one in import_module(module).command.params
        if name in one.opts
    ]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a command that does this and no more."""

    def run(action: Callable[[], int | None], *options: str) -> int:
        command = Command("package", callback=action)
        monkeypatch.setattr(cli, "import_module", lambda _: SimpleNamespace(command=command))
        return cli.main(["package", *options])

    return run


def fail(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (UserError("the bucket does not exist"), 1, "error: the bucket does not exist\n"),
        (UsageError("no such picture: x"), 2, "error: no such picture: x\n"),
        (SpecificationError("my.toml: not TOML"), 2, "error: my.toml: not TOML\n"),
        (click.UsageError("--since and --key exclude each other"), 2, "\nerror: --since and"),
        (
            PermissionError(13, "Permission denied", "/build"),
            1,
            "error: /build: Permission denied\n",
        ),
        (OSError(28, "No space left on device"), 1, "error: No space left on device\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
        (
            KeyboardInterrupt("3 are sent; the same command continues"),
            130,
            "\ninterrupted: 3 are sent; the same command continues\n",
        ),
        (
            ModuleNotFoundError("No module named 'cfnlint.x'", name="cfnlint.x"),
            1,
            "error: this command needs the Python package 'cfnlint', which is not installed for",
        ),
    ],
)
def test_each_end_has_its_status_and_sentence(
    error: BaseException,
    status: int,
    sentence: str,
    runs: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert runs(fail(error)) == status
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoCredentialsError(), "error: no AWS credentials are found: use --profile"),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListQueues"),
            "error: AWS refuses ListQueues to these credentials: no\n",
        ),
    ],
)
def test_an_error_of_aws_is_a_sentence_in_every_command(
    error: Exception, sentence: str, runs: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs(fail(error)) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_returns_its_status(
    returned: int | None, status: int, runs: Callable[..., int]
) -> None:
    assert runs(lambda: returned) == status


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), ModuleNotFoundError("moved", name="darkroom.moved")]
)
def test_a_programming_error_keeps_its_traceback(
    error: Exception, runs: Callable[..., int]
) -> None:
    with pytest.raises(type(error)):
        runs(fail(error))


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    runs: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Stock pip 23 has no --group, so the advice is an extra."""
    runs(fail(ModuleNotFoundError("no", name="simpy")))
    assert "python -m pip install -e '.[capacity]'" in capsys.readouterr().err
    runs(fail(ModuleNotFoundError("no", name="elftools.elf")))
    assert "python -m pip install -e .\n" in capsys.readouterr().err


def test_every_extra_of_the_advice_exists() -> None:
    provided = set(metadata.metadata("darkroom").get_all("Provides-Extra") or ())
    assert set(cli.EXTRAS.values()) <= provided


def test_debug_shows_the_traceback_of_an_error_for_people(
    runs: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    try:
        assert runs(fail(UserError("the bucket does not exist")), "--debug") == 1
        assert LOGGER.level == logging.DEBUG
        assert "Traceback" in caplog.text
    finally:
        LOGGER.setLevel(logging.NOTSET)
        logging.getLogger().setLevel(logging.WARNING)


def test_verbose_is_taken_before_and_behind_the_command(runs: Callable[..., int]) -> None:
    try:
        assert runs(lambda: LOGGER.level, "--verbose") == logging.INFO
        LOGGER.setLevel(logging.NOTSET)
        assert cli.main(["-v", "package"]) == logging.INFO
    finally:
        LOGGER.setLevel(logging.NOTSET)


def test_no_color_reaches_tables_and_programs(
    runs: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    assert runs(lambda: int(os.environ["NO_COLOR"] or 0), "--no-color") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Commands:"),
        (["pakage"], "No such command 'pakage'"),
        (["--colour"], "No such option"),
        (["dlq", "lst"], "No such command 'lst'"),
        (["dlq", "list"], "Missing option '--stack-name'"),
        (["dlq", "list", "--stack-name", "x", "--format", "xml"], "'xml' is not one of"),
        (["logs", "x", "--stack-name", "x", "--since", "soon"], "'soon' is not a time"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("command", having("--pipeline"))
def test_a_wrong_specification_is_usage_in_every_command(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C1: status 2, with file and key: a file that is not there, or has a wrong setting."""
    path = tmp_path / "mine.toml"
    words = [command, *(["--stack-name", "x"] if command in having("--stack-name") else [])]
    assert cli.main([*words, "--pipeline", str(path)]) == 2
    assert capsys.readouterr().err == f"error: {path}: there is no such file\n"
    path.write_text('[sources.default]\ntype = "ftp"\n')
    assert cli.main([*words, "--pipeline", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {path}: sources.default.type: ")
    assert captured.out == ""


@pytest.mark.parametrize("command", ["local", "package"])
@pytest.mark.parametrize("output", ["/dev/null", f"{__file__}/build", ""])
def test_a_directory_that_cannot_be_one_is_usage(
    command: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """D9: the sentence names the option and what it needs."""
    assert cli.main([command, "--output", output]) == 2
    assert "error: Invalid value for '--output': " in capsys.readouterr().err


@pytest.mark.parametrize("command", ["preflight", "validate"])
def test_a_folder_that_is_likely_a_mistake_is_usage(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """D9: before the command runs, and no folder is created."""
    monkeypatch.chdir(tmp_path)
    for output, problem in (
        (f"{tmp_path}/new/x.json", f"there is no folder {tmp_path}/new"),
        ("a/b/x.json", "there is no folder a"),
        (str(tmp_path), f"{tmp_path} is a directory"),
        ("", "the name is empty: is a variable not set?"),
    ):
        assert cli.main([command, "--output", output]) == 2
        error = f"error: Invalid value for '--output': {problem}\n"
        assert capsys.readouterr().err.endswith(error)
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_a_flag_does_in_this_command(capsys: pytest.CaptureFixture[str]) -> None:
    """D9: `preflight` asks before it replaces a file, and some commands make no AWS request."""
    assert cli.main(["preflight", "--help"]) == 0
    text = capsys.readouterr().out
    assert "Replace an existing --output file without asking." in " ".join(text.split())
    assert "Report each AWS request, if there are any." in text


def test_help_lists_each_command_with_a_whole_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out.partition("Commands:")[2]
    for name in cli.COMMANDS:
        assert f"\n  {name} " in text
    assert "..." not in text


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_each_command_has_help_with_examples(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Sub-commands as well; each begins with a sentence and gives every option a meaning."""
    assert cli.main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: darkroom {' '.join(path)} ")
    assert f"Examples:\n  darkroom {' '.join(path)}" in text
    command: click.Command = import_module(cli.COMMANDS[path[0]]).command
    for name in path[1:]:
        assert isinstance(command, Group)
        command = command.commands[name]
    assert isinstance(command, Command)
    sentence = (command.help or "").partition("\n")[0]
    assert sentence[0].isupper()
    assert sentence.endswith("."), "the list of commands shows the first line"
    for option in command.params:
        if isinstance(option, click.Option):
            assert (option.help or "").rstrip(")").endswith("."), option.name
            assert (option.help or "")[0].isupper(), option.name
