"""`darkroom deploy`: a specification becomes a running stack, with one command."""

from pathlib import Path

import click

from darkroom.checks.names import PREFLIGHT
from darkroom.console.command import (
    Command,
    StackOptions,
    format_option,
    parameter_options,
    pipeline_option,
    stack_options,
    yes_option,
)
from darkroom.console.option_types import DIRECTORY, DURATION, KEY_VALUE, OptionType, duration

MOST_MONITORING_SECONDS = 180 * 60
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackConfiguration.html"""


def _monitoring_time(text: str) -> float:
    seconds = 0.0 if text == "0" else duration(text)
    if seconds > MOST_MONITORING_SECONDS:
        raise ValueError(f"{text!r} is longer than 3h, which CloudFormation allows")
    return seconds


EXAMPLES = """
  darkroom deploy --stack-name darkroom-dev --parameters params/dev.json --s3-bucket MY-CODE-BUCKET
  darkroom deploy --stack-name darkroom-prod --parameters params/prod.json \\
      CriticalAlarmEmail=you@example.com --dry-run
  darkroom deploy --stack-name darkroom-prod --code-only
"""


@click.command(cls=Command, examples=EXAMPLES)
@stack_options
@pipeline_option()
@parameter_options
@click.option(
    "--s3-bucket",
    "bucket",
    metavar="BUCKET",
    help="Bucket in the stack's Region for the function's package and a large template; default:"
    " the parameter CodeBucket that is given, or that the stack has.",
)
@click.option(
    "--output",
    type=DIRECTORY,
    default=Path("build"),
    show_default=True,
    help="Directory for the package and its SBOM.",
)
@click.option(
    "--code-only",
    is_flag=True,
    help="Deploy the worker of this checkout and nothing else: template and parameters stay as the"
    " stack has them, whatever --pipeline says.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show the change set, and delete it again: no package is uploaded, and nothing changes.",
)
@click.option(
    "--skip",
    metavar="CHECK",
    type=click.Choice(PREFLIGHT),
    multiple=True,
    help="Skip a check of `darkroom preflight`; repeatable.",
)
@click.option(
    "--tags",
    metavar="KEY=VALUE",
    type=KEY_VALUE,
    multiple=True,
    help="Tag of the stack and its resources; repeatable. All together replace the stack's tags.",
)
@click.option(
    "--role-arn",
    metavar="ARN",
    help="Role with which CloudFormation works on the stack, from now on.",
)
@click.option(
    "--notification-arns",
    metavar="ARN",
    multiple=True,
    help="SNS topic for the stack's events; repeatable.",
)
@click.option(
    "--termination-protection/--no-termination-protection",
    default=None,
    help="Keep the stack from being deleted; default: on if Environment is prod, else unchanged.",
)
@click.option(
    "--monitoring-time",
    type=OptionType("DURATION", _monitoring_time),
    help="How long after an update the stack's alarms still take it back: 0 to 3h; default: 20min"
    " if Environment is prod, else 0.",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Try a changed worker before messages reach it, check the stack afterwards, and send a"
    " picture through it.",
)
@click.option(
    "--timeout",
    type=DURATION,
    default="2h",
    show_default=True,
    help="How long to wait for CloudFormation, which goes on after that.",
)
@click.option(
    "--replace-data",
    is_flag=True,
    help="Do not ask before what holds data is replaced or deleted; --yes does not cover that.",
)
@yes_option
@format_option()
def command(
    *,
    stack: StackOptions,
    pipeline: Path,
    parameter_files: tuple[Path, ...],
    overrides: tuple[str, ...],
    bucket: str | None,
    output: Path,
    code_only: bool,
    dry_run: bool,
    skip: tuple[str, ...],
    tags: tuple[tuple[str, str], ...],
    role_arn: str | None,
    notification_arns: tuple[str, ...],
    termination_protection: bool | None,
    monitoring_time: float | None,
    verify: bool,
    timeout: float,
    replace_data: bool,
    yes: bool,
    format_: str,
) -> int:
    """Deploy a specification: package, check, show the changes, execute and verify.

    KEY=VALUE is a parameter's value; it overrides the files. A parameter that is not given keeps
    the value that the stack has. An interrupted command continues when it is given again.
    """
    from darkroom.console.output import print_result
    from darkroom.console.progress import Progress
    from darkroom.deploy import report
    from darkroom.deploy.consent import Consent
    from darkroom.deploy.deployment import Deployment
    from darkroom.deploy.preparation import Inputs
    from darkroom.deploy.settings import Settings
    from templates import specification

    inputs = Inputs(
        specification=None if code_only else specification.load(pipeline),
        parameter_files=parameter_files,
        overrides=overrides,
        bucket=bucket,
        output=output,
        skip=skip,
    )
    settings = Settings(
        tags=dict(tags),
        role_arn=role_arn,
        notification_arns=notification_arns,
        monitoring_seconds=monitoring_time,
        termination_protection=termination_protection,
    )
    work = Deployment(
        stack,
        inputs,
        Progress(),
        timeout=timeout,
        settings=settings,
        verifies=verify,
        dry_run=dry_run,
    )
    result = work.run(Consent(yes=yes, replace_data=replace_data))
    print_result(report.data(result), report.text(result), format_)
    return result.status
