"""`darkroom delete`: delete a stack without losing messages."""

import click

from darkroom.console.command import (
    Command,
    StackOptions,
    format_option,
    stack_options,
    yes_option,
)
from darkroom.console.confirm import confirm
from darkroom.console.option_types import DURATION
from darkroom.console.output import print_result
from darkroom.console.progress import Progress

EXAMPLES = """
  darkroom delete --stack-name darkroom-dev --dry-run
  darkroom delete --stack-name darkroom-dev
  darkroom delete --stack-name darkroom-dev --delete-data
"""


@click.command(cls=Command, examples=EXAMPLES)
@stack_options
@click.option("--dry-run", is_flag=True, help="Only report the steps.")
@click.option(
    "--delete-data",
    is_flag=True,
    help="Also empty and delete the stack's buckets: all versions, permanently.",
)
@click.option(
    "--discard-messages",
    is_flag=True,
    help="Do not wait for the queues; the messages in them are lost.",
)
@click.option(
    "--timeout",
    type=DURATION,
    default="15min",
    show_default=True,
    help="Time for the worker to empty the queues; the wait for late messages comes on top.",
)
@yes_option
@format_option()
def command(
    stack: StackOptions,
    dry_run: bool,
    delete_data: bool,
    discard_messages: bool,
    timeout: float,
    yes: bool,
    format_: str,
) -> None:
    """Delete a stack without losing messages, and report what is retained and its cost."""
    from darkroom.aws.session import open_account
    from darkroom.operations import deletion

    run = deletion.Deletion.of(
        open_account(region=stack.region, profile=stack.profile),
        stack.name,
        timeout=timeout,
        discard_messages=discard_messages,
        delete_data=delete_data,
        progress=Progress(),
    )
    name = run.stack.name
    if dry_run:
        steps = list(run.steps())
        data = {"stack": name, "status": run.stack.status, "dry_run": True, "steps": steps}
        text = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
        print_result(data, text, format_)
        return
    run.check()
    if run.needs_consent:
        lost = ", with ALL DATA in its buckets" if delete_data else ""
        confirm(
            f"The stack {name} in {run.stack.region} ({run.stack.status}) will be deleted{lost}.",
            word=name,
            yes=yes,
        )
    discarded = run.run()
    retained = run.retained()
    print_result(
        deletion.report(name, discarded, retained), deletion.render(name, retained), format_
    )
