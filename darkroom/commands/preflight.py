"""`darkroom preflight`: what would prevent a deployment, found before it starts."""

from pathlib import Path

import click

from darkroom.checks.names import PREFLIGHT
from darkroom.console.command import (
    Command,
    StackOptions,
    format_option,
    parameter_options,
    stack_options,
)
from darkroom.console.option_types import OUTPUT_FILE

EXAMPLES = """
  darkroom preflight --stack-name darkroom-prod --parameters params/prod.json \\
      $(cat build/code) CriticalAlarmEmail=you@example.com --output build/prod.json
  darkroom preflight --stack-name darkroom-prod --parameters build/prod.json --format junit
"""


@click.command(cls=Command, examples=EXAMPLES)
@stack_options
@click.option(
    "--template",
    "template_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("build/stack.json"),
    show_default=True,
    help="Template to deploy, as JSON.",
)
@parameter_options
@click.option(
    "--output",
    "output_file",
    type=OUTPUT_FILE,
    help="Write the given and the discovered values to a parameter file, unless a check fails.",
)
@click.option("-y", "--yes", is_flag=True, help="Replace an existing --output file without asking.")
@click.option(
    "--skip",
    metavar="CHECK",
    type=click.Choice(PREFLIGHT),
    multiple=True,
    help=f"Skip a check; repeatable. Checks: {', '.join(PREFLIGHT)}.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings as well.")
@format_option("junit")
def command(
    *,
    stack: StackOptions,
    template_file: Path,
    parameter_files: tuple[Path, ...],
    overrides: tuple[str, ...],
    output_file: Path | None,
    yes: bool,
    skip: tuple[str, ...],
    strict: bool,
    format_: str,
) -> int:
    """Check whether a stack could be deployed, and write its parameter file.

    KEY=VALUE is a parameter's value, such as the ones that `darkroom package --upload` prints; it
    overrides the files. Nothing in the account is changed.
    """
    from darkroom.checks.deployment_plan import open_plan
    from darkroom.checks.framework import exit_status
    from darkroom.checks.prerequisites import check_prerequisites
    from darkroom.checks.report import render
    from darkroom.console.progress import Progress

    progress = Progress()
    plan = open_plan(stack, template_file, parameter_files, overrides)
    results, plan = check_prerequisites(plan, skip=skip, progress=progress)
    status = exit_status(results, strict=strict)
    facts = {"stack": plan.name, "region": plan.account.region, "parameters": plan.chosen}
    print(render(results, title=f"preflight {plan.name}", format_=format_, facts=facts))
    if output_file and status:
        progress.step(f"{output_file} was not written: fix the problems above first")
    elif output_file:
        _write(output_file, plan.parameter_file, yes=yes)
        progress.step(f"Wrote {output_file}; deploy with")
        progress.step(f"  {plan.deploy_command(template_file, output_file)}")
    return status


def _write(file: Path, content: str, *, yes: bool) -> None:
    """Write a parameter file; ask before other content is replaced."""
    from darkroom.console.confirm import confirm

    if file.exists() and file.read_text(encoding="utf-8") != content:
        confirm(f"{file} exists with other content", word="yes", yes=yes)
    file.parent.mkdir(exist_ok=True)
    file.write_text(content, encoding="utf-8")
