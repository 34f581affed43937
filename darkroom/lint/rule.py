"""What a rule is: a function that yields problems, with its code, severity, reason and source."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from darkroom.cloudformation.model import TemplateModel

Problems = Iterator[tuple[str, str]]
"""Logical id of a resource (or name of a parameter), and what is wrong with it."""

Severity = Literal["error", "warning", "info"]
"""`error`: a deployment fails, data is lost or exposed, or processing stops. `warning`: it works,
with a safeguard missing or at a needless cost. `info`: advice."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A check with everything that is said about it.

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
        check: Yields the problems of a template.
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
    check: Callable[[TemplateModel], Problems]


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
