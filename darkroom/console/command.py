"""What every command of the console script has in common: its class and its shared options."""

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

LOGGER = logging.getLogger("darkroom")

PIPELINE = Path(__file__).parents[2] / "params" / "pipeline.toml"
"""The specification that a command takes where none is given."""


class Command(click.Command):
    """A command with examples below its options, and with the options that all commands take."""

    def __init__(self, *arguments: Any, examples: str = "", **settings: Any) -> None:
        """`examples` are whole command lines, each with two spaces before it."""
        settings.setdefault("context_settings", {})["help_option_names"] = ["-h", "--help"]
        super().__init__(*arguments, **settings)
        self.examples = examples.strip("\n")
        self.params.extend(general_options())

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the whole first sentence: the list of commands wraps, and nothing is cut off."""
        return super().get_short_help_str(limit=max(limit, 1000))

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they stand: click would fill their lines."""
        if self.examples:
            formatter.write(f"\nExamples:\n{self.examples}\n")


class Group(Command, click.Group):
    """A command that has sub-commands, each of the class Command."""

    command_class = Command


def general_options() -> list[click.Parameter]:
    """Return the options that every command takes, and the console script itself."""
    return [
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_set_level(logging.INFO),
            help="Report each AWS request, if there are any.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_set_level(logging.DEBUG),
            help="Show tracebacks and botocore's debug log.",
        ),
        click.Option(
            ["--no-color"],
            is_flag=True,
            expose_value=False,
            callback=_without_color,
            help="Write no colors.",
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """The stack that a command works on, in the AWS CLI's own options."""

    name: str
    region: str | None = None
    profile: str | None = None


def combined(name: str, build: Callable[..., Any], *options: Decorator) -> Decorator:
    """Add options that the command gets as one argument, `name`.

    `build` takes the options' values by their names and returns that argument.
    """
    names = signature(build).parameters

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)  # with the options that were added before
        def collect(**values: Any) -> Any:
            values[name] = build(**{option: values.pop(option) for option in names})
            return function(**values)

        for option in reversed(options):
            option(collect)
        return collect

    return decorate


def _stack(stack_name: str, region: str | None, profile: str | None) -> StackOptions:
    return StackOptions(name=stack_name, region=region, profile=profile)


stack_options = combined(
    "stack",
    _stack,
    click.option("--stack-name", metavar="NAME", required=True, help="Name of the stack."),
    click.option(
        "--region", metavar="REGION", help="AWS Region; default: as the AWS CLI finds it."
    ),
    click.option(
        "--profile", metavar="NAME", help="Profile of ~/.aws/config; default: AWS_PROFILE."
    ),
)
"""Adds --stack-name, --region and --profile; the command gets them as `stack: StackOptions`."""


def format_option(*formats: str) -> Decorator:
    """Add --format: `table`, `json` and `formats`; the command gets `format_` as text."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["table", "json", *formats]),
        default="table",
        show_default=True,
        help="Form of the result.",
    )


def yes_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add -y, --yes; the command gets `yes` and passes it to `confirm`."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")(function)


def _set_level(level: int) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(_context: click.Context, _parameter: click.Parameter, given: bool) -> None:
        if given:
            logging.basicConfig(
                stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s"
            )
            LOGGER.setLevel(level)
            if level == logging.DEBUG:
                logging.getLogger().setLevel(level)

    return callback


def _without_color(_context: click.Context, _parameter: click.Parameter, given: bool) -> None:
    if given:
        os.environ["NO_COLOR"] = "1"  # rich and the programs that a command starts read it


def pipeline_option(summary: str = "Specification of the stack") -> Decorator:
    """Return a decorator that adds --pipeline; the command gets `pipeline`."""
    return click.option(
        "--pipeline",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        default=PIPELINE,
        help=f"{summary}; default: params/pipeline.toml.",
    )


def parameter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --parameters and KEY=VALUE; the command gets `parameter_files` and `overrides`."""
    function = click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)(function)
    return click.option(
        "--parameters",
        "parameter_files",
        metavar="FILE",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Parameter file as `aws cloudformation deploy` accepts it; repeatable, later ones"
        " win.",
    )(function)
