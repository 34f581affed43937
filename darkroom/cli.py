"""The console script `darkroom`: which commands there are, and how each of them may end."""

import errno
import io
import logging
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from darkroom.console import progress
from darkroom.console.command import LOGGER, general_options
from darkroom.errors import UsageError, UserError
from templates.specification_file import SpecificationError

# Each module has a click command named `command`. Modules of commands import nothing that an extra
# installs, nor botocore, before they run: help comes at once, whatever is installed.
COMMANDS = {
    "local": "darkroom.commands.local",
    "load": "darkroom.commands.load",
    "package": "darkroom.commands.package",
    "validate": "darkroom.commands.validate",
    "diff": "darkroom.commands.diff",
    "iam": "darkroom.commands.iam",
    "capacity": "darkroom.commands.capacity",
    "preflight": "darkroom.commands.preflight",
    "deploy": "darkroom.commands.deploy",
    "rollback": "darkroom.commands.rollback",
    "verify": "darkroom.commands.verify",
    "upload": "darkroom.commands.upload",
    "logs": "darkroom.commands.logs",
    "dlq": "darkroom.commands.dlq",
    "rejections": "darkroom.commands.rejections",
    "backfill": "darkroom.commands.backfill",
    "delete": "darkroom.commands.delete",
}

# The extra that installs a package which only some commands need.
EXTRAS = {
    "ministack": "local",
    "hypercorn": "local",
    "jinja2": "local",
    "trustme": "local",
    "PIL": "local",
    "cfnlint": "rules",
    "checkov": "validate",
    "simpy": "capacity",
    "matplotlib": "capacity",
}
STANDARD_OUTPUT = "standard output"
OWN_PACKAGES = {"darkroom", "templates", "worker", "generate"}


class Commands(click.Group):
    """The commands of COMMANDS, each imported when it is called or listed."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of use: try, deploy, operate."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(COMMANDS[cmd_name]).command
        return found


@click.command(
    cls=Commands,
    params=general_options(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="darkroom", prog_name="darkroom")
def group() -> None:
    """Try, check, deploy and operate a Darkroom pipeline.

    `darkroom COMMAND --help` shows a command's options, with examples.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status.

    0: done. 1: failed. 2: wrong usage. 130: interrupted.
    """
    _prepare_streams()
    try:
        status = group.main(
            None if arguments is None else list(arguments),
            prog_name="darkroom",
            standalone_mode=False,
        )
        sys.stdout.flush()  # here, where a full disk is an error with a sentence
    except click.ClickException as error:
        progress.clear()
        text = io.StringIO()
        error.show(file=text)
        # Click begins its sentences with a capital, all others have none.
        sys.stderr.write(re.sub("^Error: ", "error: ", text.getvalue(), flags=re.MULTILINE))
        return error.exit_code
    except click.Abort as abort:  # click's name for Ctrl-C and for the end of standard input
        # A command says what is done and how to continue in the KeyboardInterrupt's argument.
        cause = abort.__cause__
        reasons = cause.args if isinstance(cause, KeyboardInterrupt) else ()
        return _failed(": ".join(["interrupted", *map(str, reasons)]), 130)  # 128 + SIGINT
    except (UserError, SpecificationError) as error:
        is_usage = isinstance(error, UsageError | SpecificationError)
        return _failed(f"error: {error}", 2 if is_usage else 1)
    except OSError as error:  # a full disk, a directory without permission
        return _failed_output(error)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OWN_PACKAGES:
            raise  # a defect of this project, so with its traceback
        project = f"'.[{EXTRAS[missing]}]'" if missing in EXTRAS else "."
        return _failed(
            f"error: this command needs the Python package {missing!r}, which is not installed for"
            f" {sys.executable}; in the project's folder: python -m pip install -e {project}",
            1,
        )
    except Exception as error:
        if not type(error).__module__.startswith("botocore."):
            raise
        from darkroom.aws.errors import sentence

        return _failed(f"error: {sentence(error)}", 1)
    finally:
        progress.clear()
    return int(status or 0)


class _StandardOutput(io.FileIO):
    """File descriptor 1, whose errors name it: those of Python do not."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


def _prepare_streams() -> None:
    """Open what the caller closed, and let no character be an error."""
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper) and not isinstance(stdout.buffer, io.BytesIO):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_StandardOutput(stdout.fileno(), "w", closefd=False)),
            encoding=stdout.encoding,
            errors="backslashreplace",  # for a terminal without UTF-8
            line_buffering=stdout.line_buffering or stdout.write_through,
        )
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed, as by >&-: a file would be opened in its place
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 -- stays open


def _failed(text: str, status: int) -> int:
    progress.clear()
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug("traceback", exc_info=True)
    print(text, file=sys.stderr)
    return status


def _failed_output(error: OSError) -> int:
    if error.filename == STANDARD_OUTPUT:
        with suppress(OSError):  # what is left in the buffer cannot be written at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return 1  # the reader, such as `head`, has what it wanted
    where = f"{error.filename}: " if error.filename else ""
    return _failed(f"error: {where}{error.strerror or error}", 1)


if __name__ == "__main__":
    sys.exit(main())
