"""`darkroom iam`: least privilege, of a stack's own policies and of those who work on it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darkroom.console.command import Group, format_option, pipeline_option
from darkroom.console.tables import table
from darkroom.console.text import plural

if TYPE_CHECKING:
    from darkroom.iam.least_privilege import Result

TEST_EXAMPLES = """
  darkroom iam test
  darkroom iam test --pipeline mine.toml --format json
"""
DEPLOY_ROLE_EXAMPLES = """
  darkroom iam deploy-role --output build/deploy-role.json
  darkroom iam deploy-role --pipeline mine.toml --test
"""
READ_ONLY_ROLE_EXAMPLES = """
  darkroom iam read-only-role --output build/read-only-role.json
"""
OPERATOR_ROLE_EXAMPLES = """
  darkroom iam operator-role --output build/operator-role.json
"""
EXAMPLES = TEST_EXAMPLES + DEPLOY_ROLE_EXAMPLES.lstrip("\n")


def role_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the commands that print a role; they get `output` and `test`."""
    function = click.option(
        "--test",
        is_flag=True,
        help="Test the role for least privilege, and print the result instead of the template.",
    )(function)
    function = click.option(
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="File for the template; default: standard output.",
    )(function)
    return pipeline_option()(function)


@click.group(cls=Group, examples=EXAMPLES)
def command() -> None:
    """Test policies for least privilege; print the roles of those who deploy and operate."""


@command.command("test", examples=TEST_EXAMPLES)
@pipeline_option()
@format_option()
def test_policies(pipeline: Path, format_: str) -> int:
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


@command.command("deploy-role", examples=DEPLOY_ROLE_EXAMPLES)
@role_options
def deploy_role(pipeline: Path, output: Path | None, test: bool) -> int:
    """Print a CloudFormation template with the role that deploys a specification.

    It may package, deploy, verify and delete exactly this stack. CloudFormation alone may change
    the stack's resources, in the role's name. Its parameters say who may assume it: a subject of
    GitHub Actions or another role.
    """
    return _role("deploy", pipeline, output, test=test)


@command.command("read-only-role", examples=READ_ONLY_ROLE_EXAMPLES)
@role_options
def read_only_role(pipeline: Path, output: Path | None, test: bool) -> int:
    """Print a CloudFormation template with a role for `verify --skip canary` and `logs`."""
    return _role("read-only", pipeline, output, test=test)


@command.command("operator-role", examples=OPERATOR_ROLE_EXAMPLES)
@role_options
def operator_role(pipeline: Path, output: Path | None, test: bool) -> int:
    """Print a CloudFormation template with a role for `dlq`, `rejections`, `backfill`, `logs`."""
    return _role("operator", pipeline, output, test=test)


def _role(kind: str, pipeline: Path, output: Path | None, *, test: bool) -> int:
    from darkroom.iam.roles import proof, roles
    from templates import specification
    from templates.pipeline import build

    stack = json.loads(build(specification.load(pipeline)).to_json())
    text = roles.role(kind, stack).to_json()
    if test:
        result = proof.verify(kind, stack, json.loads(text))
        print(_render_text(result, "the role grants what its commands need"))
        return 0 if result.is_passed else 1
    if output is None:
        print(text)
    else:
        output.write_text(f"{text}\n", encoding="utf-8")
    return 0


def _render_text(
    result: "Result", statement: str = "the policies grant what the stack needs"
) -> str:
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
        f"PASSED: {statement}, and nothing that was tested beyond it."
        if result.is_passed
        else f"{plural(len(result.failures), 'wrong decision')} and"
        f" {plural(len(result.surviving_mutants), 'undetected mutant')}: the test failed."
    )
    return "\n".join(lines)
