"""`darkroom iam-test`: test that a specification's policies grant least privilege."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darkroom.console.command import Command, format_option
from darkroom.console.tables import table
from darkroom.console.text import plural

if TYPE_CHECKING:
    from darkroom.iam.least_privilege import Result

PIPELINE = Path(__file__).parents[2] / "params" / "pipeline.toml"
EXAMPLES = """
  darkroom iam-test
  darkroom iam-test --pipeline mine.toml --format json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "--pipeline",
    type=click.Path(path_type=Path),
    default=PIPELINE,
    metavar="FILE",
    help="Specification of the stack to test; default: params/pipeline.toml.",
)
@format_option()
def command(pipeline: Path, format_: str) -> int:
    """Test the policies of a specification's stack for least privilege, without AWS.

    The requests that the stack needs must be allowed, and wider ones denied. Then each permission
    is removed or widened, one at a time: such a changed policy, a mutant, fails the test if no
    request detects it. The exit status is 1 if the test fails.
    """
    from darkroom.iam.least_privilege import verify
    from darkroom.iam.model import model_of
    from templates import specification

    result = verify(model_of(specification.load(pipeline)))
    if format_ == "json":
        print(json.dumps({"passed": result.is_passed, **asdict(result)}, indent=2))
    else:
        print(_render_text(result))
    return 0 if result.is_passed else 1


def _render_text(result: "Result") -> str:
    failed = [one.expected for one in result.failures]
    rows = [("test", "total", "passed")]
    for name, total, failures in (
        ("requests allowed", result.allowed, failed.count("allowed")),
        ("requests denied", result.denied, failed.count("denied")),
        ("mutants detected", result.mutants, len(result.surviving_mutants)),
    ):
        rows.append((name, str(total), str(total - failures)))
    lines = [table(rows, right=(1, 2))]
    lines.append("A mutant is the policies with one permission removed or widened.")
    lines += [f"FAILED: {one}" for one in result.failures]
    lines += [f"SURVIVED: {one}" for one in result.surviving_mutants]
    lines.append(
        "PASSED: the policies grant what the stack needs, and nothing that was tested beyond it."
        if result.is_passed
        else f"{plural(len(result.failures), 'wrong decision')} and"
        f" {plural(len(result.surviving_mutants), 'undetected mutant')}: the test failed."
    )
    return "\n".join(lines)
