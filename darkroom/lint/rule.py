"""A rule: a function that yields problems, with its code, severity, reason and source."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.lint.finding import Finding, Severity

Problems = Iterator[tuple[str, str]]
"""Logical id of a resource (or name of a parameter), and what is wrong with it."""


# The first number of each service's rules in cfn-lint, which leaves E9000 to E9999 to rules of its
# users; a file of --custom-rules takes the first ones. A number is never given again.
CFN_LINT_NUMBERS = {
    "CFN": 9100,
    "CLOUDWATCH": 9150,
    "EVENTS": 9200,
    "FIREHOSE": 9250,
    "IAM": 9300,
    "KMS": 9350,
    "LAMBDA": 9400,
    "LOGS": 9450,
    "S3": 9500,
    "SNS": 9550,
    "SQS": 9600,
    "VPC": 9650,
    "VPCE": 9700,
    "API": 9750,
}
CFN_LINT_LETTERS: dict[Severity, str] = {"error": "E", "warning": "W", "info": "I"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A check with its description.

    Attributes:
        code: Stable and never reused: `DR-SQS-001`.
        name: The same for people: `sqs-visibility-timeout`.
        severity: How bad a finding is.
        title: The state that the rule requires, one sentence.
        why: What happens otherwise.
        remediation: What to do about a finding.
        source: Address of the AWS documentation that says so.
        requirements: Codes of docs/requirements.md.
        pitfalls: Numbers of docs/pitfalls.md.
        check: Yields the problems of a template; nothing for a rule that reads something else.
    """

    code: str
    name: str
    severity: Severity
    title: str
    why: str
    remediation: str
    source: str
    requirements: tuple[str, ...] = ()
    pitfalls: tuple[int, ...] = ()
    check: Callable[[TemplateModel], Problems] = lambda _: iter(())

    @property
    def service(self) -> str:
        """The code's middle part: `SQS` of `DR-SQS-001`."""
        return self.code.split("-")[1]

    @property
    def cfn_lint_id(self) -> str:
        """The rule's id in cfn-lint: `E9601`."""
        number = CFN_LINT_NUMBERS[self.service] + int(self.code.rpartition("-")[2])
        return f"{CFN_LINT_LETTERS[self.severity]}{number}"

    def finding(self, resource: str, message: str, **place: Any) -> Finding:
        """Return a finding of this rule; `place` are `parameters`, `path` and `line`."""
        return Finding(
            linter="rules",
            code=self.code,
            rule=self.name,
            severity=self.severity,
            resource=resource,
            message=message,
            title=self.title,
            why=self.why,
            remediation=self.remediation,
            source=self.source,
            requirements=self.requirements,
            **place,
        )


def rule(
    code: str,
    severity: Severity,
    *,
    remediation: str,
    source: str,
    requirements: tuple[str, ...] = (),
    pitfalls: tuple[int, ...] = (),
) -> Callable[[Callable[[TemplateModel], Problems]], Rule]:
    """Make a rule of a function.

    The function's name is the rule's name, its docstring's first paragraph the title, and the
    second one the reason.
    """

    def make(check: Callable[[TemplateModel], Problems]) -> Rule:
        title, _, why = inspect.cleandoc(check.__doc__ or "").partition("\n\n")
        return Rule(
            code=code,
            name=check.__name__.replace("_", "-"),
            severity=severity,
            title=" ".join(title.split()),
            why=" ".join(why.split()),
            remediation=remediation,
            source=source,
            requirements=requirements,
            pitfalls=pitfalls,
            check=check,
        )

    return make
