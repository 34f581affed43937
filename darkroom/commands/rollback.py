"""`darkroom rollback`: back to the worker's package of before."""

import click

from darkroom.console.command import (
    Command,
    StackOptions,
    format_option,
    stack_options,
    yes_option,
)
from darkroom.console.option_types import DURATION

EXAMPLES = """
  darkroom rollback --stack-name darkroom-prod --dry-run
  darkroom rollback --stack-name darkroom-prod
  darkroom rollback --stack-name darkroom-prod --code-key MY-PACKAGE.zip
"""


@click.command(cls=Command, examples=EXAMPLES)
@stack_options
@click.option(
    "--code-key",
    metavar="KEY",
    help="Package in the stack's code bucket; default: the last one that the stack was deployed"
    " with before the present one.",
)
@click.option("--dry-run", is_flag=True, help="Show the change set, and delete it again.")
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Try the worker before messages reach it, check the stack afterwards, and send a picture"
    " through it.",
)
@click.option(
    "--timeout",
    type=DURATION,
    default="2h",
    show_default=True,
    help="How long to wait for CloudFormation, which goes on after that.",
)
@yes_option
@format_option()
def command(
    *,
    stack: StackOptions,
    code_key: str | None,
    dry_run: bool,
    verify: bool,
    timeout: float,
    yes: bool,
    format_: str,
) -> int:
    """Deploy the worker's package of before; template and parameters stay as they are."""
    from darkroom.console.output import print_result
    from darkroom.console.progress import Progress
    from darkroom.deploy import report
    from darkroom.deploy.consent import Consent
    from darkroom.deploy.deployment import Deployment
    from darkroom.deploy.preparation import Inputs

    work = Deployment(
        stack,
        Inputs(overrides=[f"CodeKey={code_key}"] if code_key else []),
        Progress(),
        timeout=timeout,
        goes_back=True,
        verifies=verify,
        dry_run=dry_run,
    )
    result = work.run(Consent(yes=yes))
    print_result(report.data(result), report.text(result), format_)
    return result.status
