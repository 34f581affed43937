"""The console script `darkroom`: which commands there are, and how each of them may end."""

import argparse
import errno
import logging
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Any

import click

from darkroom.console.command import LOGGER, general_options
from darkroom.errors import UsageError, UserError

# Each module has a click command named `command`. Modules of commands import nothing that an extra
# installs, nor botocore, before they run: help comes at once, whatever is installed.
COMMANDS = {
    "local": "darkroom.commands.local",
    "package": "darkroom.commands.package",
    "validate": "darkroom.commands.validate",
    "diff": "darkroom.commands.diff",
    "iam-test": "darkroom.commands.iam_test",
    "capacity": "darkroom.commands.capacity",
    "preflight": "darkroom.commands.preflight",
    "verify": "darkroom.commands.verify",
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
    "cfnlint": "validate",
    "checkov": "validate",
    "simpy": "capacity",
    "matplotlib": "capacity",
}
OWN_PACKAGES = {"darkroom", "templates", "worker", "generate"}


class Commands(click.Group):
    """The commands of COMMANDS, each imported when it is called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use: try, deploy, operate."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name])
        found: click.Command = getattr(module, "command", None) or _of_argparse(cmd_name, module)
        return found


@click.command(
    cls=Commands,
    params=general_options(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(metadata.version("darkroom"), prog_name="darkroom")
def group() -> None:
    """Try, check, deploy and operate a Darkroom pipeline.

    `darkroom COMMAND --help` shows a command's options, with examples.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status.

    0: done. 1: failed. 2: wrong usage. 130: interrupted.
    """
    try:
        status = group.main(
            None if arguments is None else list(arguments),
            prog_name="darkroom",
            standalone_mode=False,
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as abort:  # what click makes of Ctrl-C, and of the end of standard input
        # A command says what is done and how to go on by raising KeyboardInterrupt with a sentence.
        words = abort.__cause__.args if isinstance(abort.__cause__, KeyboardInterrupt) else ()
        print(": ".join(["interrupted", *words]), file=sys.stderr)
        return 130  # as shells report it: 128 + SIGINT
    except UserError as error:
        return _failed(str(error), 2 if isinstance(error, UsageError) else 1)
    except OSError as error:  # a full disk, a directory without permission
        where = f"{error.filename}: " if error.filename else ""
        if error.errno == errno.ENOSPC and not where:
            where = "standard output: "
        return _failed(f"{where}{error.strerror or error}", 1)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OWN_PACKAGES:
            raise  # a defect of this project, so with its traceback
        extra = f"[{EXTRAS[missing]}]" if missing in EXTRAS else ""
        return _failed(
            f"this command needs the Python package {missing!r}, which is not installed for"
            f" {sys.executable}; in the project's folder: python -m pip install -e '.{extra}'",
            1,
        )
    return int(status or 0)


def _failed(text: str, status: int) -> int:
    if LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug("traceback", exc_info=True)
    print(f"error: {text}", file=sys.stderr)
    return status


def _of_argparse(name: str, module: Any) -> click.Command:
    """Return a command that is still written for argparse."""

    def run(arguments: tuple[str, ...]) -> int:
        parser = argparse.ArgumentParser(prog=f"darkroom {name}")
        module.add_arguments(parser)
        try:
            status: int = module.run(parser.parse_args(arguments))
        except SystemExit as stop:
            return int(stop.code or 0)
        return status

    return click.Command(
        name,
        callback=run,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
        short_help=(module.__doc__ or "").strip(),
    )


if __name__ == "__main__":
    sys.exit(main())
