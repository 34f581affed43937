"""`darkroom validate`: check a template and its parameter files before they are deployed."""

from pathlib import Path

import click

from darkroom.console.command import Command, format_option
from darkroom.console.option_types import OUTPUT_FILE, OptionType
from darkroom.console.progress import Progress
from darkroom.errors import UsageError

LINTERS = ("rules", "cfn-lint", "checkov")
EXAMPLES = """
  darkroom validate build/stack.json params/dev.json params/prod.json
  darkroom validate --linters rules,cfn-lint build/stack.json
  darkroom validate --format sarif --output findings.sarif build/stack.json
  darkroom validate --list-rules
"""


def linters(text: str) -> tuple[str, ...]:
    """Return the linters of a list with commas.

    Raises:
        ValueError: One of them is not known.
    """
    names = tuple(text.split(","))
    if unknown := sorted(set(names) - set(LINTERS)):
        raise ValueError(f"{', '.join(unknown)}: not a linter; allowed are {', '.join(LINTERS)}")
    return names


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("template", type=click.Path(path_type=Path), required=False)
@click.argument("parameter_files", type=click.Path(path_type=Path), nargs=-1)
@click.option(
    "--linters",
    "names",
    type=OptionType("TOOL[,TOOL]", linters),
    default=",".join(LINTERS),
    show_default=True,
    help="Linters to run.",
)
@format_option("sarif")
@click.option(
    "--output",
    type=OUTPUT_FILE,
    help="File for the result; default: standard output.",
)
@click.option("--list-rules", is_flag=True, help="List the rules instead of running them.")
def command(
    template: Path | None,
    parameter_files: tuple[Path, ...],
    names: tuple[str, ...],
    format_: str,
    output: Path | None,
    list_rules: bool,
) -> int:
    """Check TEMPLATE, JSON or YAML, and its PARAMETER_FILES.

    Parameter files have one of the forms that `aws cloudformation deploy` reads. The exit status
    is 1 if there is a finding that is not suppressed.
    """
    status = 0
    if list_rules:
        from darkroom.lint import formats

        if format_ == "sarif":
            raise UsageError("--list-rules: --format table and json are allowed")
        text = formats.list_rules(format_)
    elif template is None:
        raise UsageError("TEMPLATE is missing: the path of a JSON or YAML template")
    else:
        from darkroom.lint.installed import check_installed

        check_installed(names)  # before the imports, which need cfn-lint
        from darkroom.cloudformation.loader import load
        from darkroom.lint import engine, formats

        progress = Progress()
        report = engine.validate(
            load(template), parameter_files, linters=names, notify=progress.step
        )
        text = formats.FORMATS[format_](report)
        status = 1 if report.findings else 0
    if output:
        output.parent.mkdir(exist_ok=True)
        output.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return status
