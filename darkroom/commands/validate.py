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
  darkroom validate build/web.json build/api.json
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
@click.argument(
    "files",
    metavar="[TEMPLATE [PARAMETER_FILE]...]...",
    type=click.Path(path_type=Path),
    nargs=-1,
)
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
    files: tuple[Path, ...],
    names: tuple[str, ...],
    format_: str,
    output: Path | None,
    list_rules: bool,
) -> int:
    """Check each TEMPLATE, JSON or YAML, with the parameter files that follow it.

    Parameter files have one of the forms that `aws cloudformation deploy` reads. Several templates
    in one call take less time, because each linter starts once. The exit status is 1 if there is a
    finding that is not suppressed.
    """
    status = 0
    if list_rules:
        from darkroom.lint import formats

        if format_ == "sarif":
            raise UsageError("--list-rules: --format table and json are allowed")
        text = formats.list_rules(format_)
    elif not files:
        raise UsageError("TEMPLATE is missing: the path of a JSON or YAML template")
    else:
        from darkroom.lint.installed import check_installed

        check_installed(names)  # before the imports, which need cfn-lint
        from darkroom.cloudformation.loader import with_parameter_files
        from darkroom.lint import engine, formats

        progress = Progress()
        reports = engine.validate_all(
            with_parameter_files(files), linters=names, notify=progress.step
        )
        text = formats.FORMATS[format_](reports)
        status = 1 if any(report.findings for report in reports) else 0
    if output:
        output.parent.mkdir(exist_ok=True)
        output.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return status
