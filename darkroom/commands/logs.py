"""`darkroom logs`: the lines of the stack's logs about one object, message or invocation."""

import click

from darkroom.console.command import Command, StackOptions, format_option, stack_options
from darkroom.console.option_types import TIMESTAMP, Timestamp
from darkroom.console.output import print_result
from darkroom.errors import UsageError

EXAMPLES = """
  darkroom logs uploads/cat.jpg --stack-name darkroom-dev
  darkroom logs uploads/cat.jpg --stack-name darkroom-prod --archive --since 30d --until 28d
  darkroom logs 6f0a3c1e-5b1c-4c1e-9d0a-000000000000 --stack-name darkroom-prod --format json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("wanted", metavar="KEY-OR-ID")
@click.option(
    "--since",
    type=TIMESTAMP,
    default="1d",
    show_default=True,
    help="Start of the period, an age or a time (UTC): 90m, 6h, 2d, 2026-05-01T12:00.",
)
@click.option(
    "--until",
    type=TIMESTAMP,
    default="0s",
    help="End of the period, in the same form; default: now.",
)
@click.option(
    "--archive", is_flag=True, help="Read the log archive's bucket instead of CloudWatch Logs."
)
@format_option()
@stack_options
def command(
    stack: StackOptions,
    wanted: str,
    since: Timestamp,
    until: Timestamp,
    archive: bool,
    format_: str,
) -> None:
    """Show the log lines about an object key, upload id, message id or request id.

    Prints the worker's lines, the upload API's with its access log, and Lambda's own about the same
    invocations, oldest first.
    """
    from darkroom.aws.stack import open_stack
    from darkroom.operations import log_search

    if since.time >= until.time:
        raise UsageError(f"--since {since.text} is not before --until {until.text}")
    lines = log_search.search(
        open_stack(stack), wanted, since=since.time, until=until.time, archive=archive
    )
    print_result([line.data() for line in lines], log_search.render(lines), format_)
