"""The console script `darkroom` in a process of its own: streams, signals, completion."""

import os
import shlex
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.unit.darkroom.test_cli import LEAVES

ROOT = Path(__file__).parents[3]
# What an extra installs, and botocore, which takes 0.3 s to import.
HEAVY = {"PIL", "awscli", "boto3", "botocore", "cfnlint", "checkov", "jinja2", "matplotlib"}
HEAVY |= {"ministack", "pydantic", "rich", "simpy", "troposphere", "trustme"}


def darkroom(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "darkroom", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `darkroom` is the console script."""
    python = shlex.quote(sys.executable)  # its path may have spaces
    return subprocess.run(
        [
            "/bin/bash",
            "-c",
            f'set -o pipefail; darkroom() {{ {python} -m darkroom "$@"; }}; {line}',
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    """It comes at once, and whatever is installed: without any extra, and without botocore."""
    paths = repr([[*path, "--help"] for path in [(), *LEAVES]])
    script = f"""
import sys
class Blocked:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Blocked())
from darkroom.cli import main
for arguments in {paths}:
    assert main(arguments) == 0, arguments
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_packages() -> None:
    done = darkroom("--version")
    assert done.stdout == f"darkroom, version {metadata.version('darkroom')}\n"
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(name: str) -> None:
    """`eval "$(_DARKROOM_COMPLETE=bash_source darkroom)"` in a shell's start file."""
    assert "_DARKROOM_COMPLETE=" in darkroom(_DARKROOM_COMPLETE=f"{name}_source").stdout
    words = {"COMP_WORDS": "darkroom reje", "COMP_CWORD": "reje" if name == "fish" else "1"}
    done = darkroom(_DARKROOM_COMPLETE=f"{name}_complete", **words)
    assert "rejections" in done.stdout


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    """`darkroom --help | head -1`, and the end of the pipe already closed."""
    done = shell("darkroom --help | head -1")
    assert done.stdout == "Usage: darkroom [OPTIONS] COMMAND [ARGS]...\n"
    assert done.stderr == ""
    done = shell("darkroom --help | true; echo ${PIPESTATUS[0]}")
    assert done.stderr == ""
    assert done.stdout in ("0\n", "1\n")


def test_a_full_disk_is_one_sentence() -> None:
    done = shell("darkroom --help > /dev/full")
    assert done.stderr == "error: standard output: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_error(closed: str) -> None:
    done = shell(f"darkroom --help {closed}")
    assert done.returncode == 0
    assert done.stderr == ""
    assert shell(f"darkroom pakage {closed}").returncode == 2


def test_a_terminal_without_unicode_gets_every_character(tmp_path: Path) -> None:
    script = "from darkroom import cli; cli._prepare_streams(); print('写')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\\u5199\n"


def test_an_interrupt_leaves_no_traceback() -> None:
    script = (
        "import signal, sys; from darkroom import cli\n"
        "cli.import_module = lambda _: signal.raise_signal(signal.SIGINT)\n"
        "sys.exit(cli.main(['package']))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.strip() == "interrupted"
