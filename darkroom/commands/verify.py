"""`darkroom verify`: whether a deployed stack matches its template and processes a picture."""

import click

from darkroom.checks.names import VERIFY
from darkroom.console.command import Command, StackOptions, format_option, stack_options

EXAMPLES = """
  darkroom verify --stack-name darkroom-prod
  darkroom verify --stack-name darkroom-prod --skip drift --skip canary   # seconds, reads only
  darkroom verify --stack-name darkroom-prod --format junit > verify.xml
"""


@click.command(cls=Command, examples=EXAMPLES)
@stack_options
@click.option(
    "--skip",
    metavar="CHECK",
    type=click.Choice(VERIFY),
    multiple=True,
    help=f"Skip a check; repeatable. Checks: {', '.join(VERIFY)}.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings as well.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.IntRange(min=1),
    default=180,
    show_default=True,
    help="How long to wait for the canary's thumbnails, a first cold start included.",
)
@format_option("junit")
def command(
    *, stack: StackOptions, skip: tuple[str, ...], strict: bool, timeout: int, format_: str
) -> int:
    """Verify a deployed stack against its template, and send a picture through it.

    With a log archive it also waits for the picture's line there, which Firehose delivers after
    five minutes; drift detection takes some of them. --skip archived-canary does not wait.
    """
    from darkroom.checks.deployed.suite import check_deployed
    from darkroom.checks.framework import exit_status
    from darkroom.checks.report import render
    from darkroom.console.progress import Progress

    target, results = check_deployed(stack, skip=skip, timeout=timeout, progress=Progress())
    facts = {"stack": target.stack.name, "region": target.stack.region}
    print(render(results, title=f"verify {target.stack.name}", format_=format_, facts=facts))
    return exit_status(results, strict=strict)
