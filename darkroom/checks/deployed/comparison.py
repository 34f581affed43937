"""What a stack's template says, what AWS has, and the findings from their differences."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from darkroom.aws.errors import is_not_found
from darkroom.aws.stack import Stack
from darkroom.checks.framework import Finding, failed, passed
from darkroom.checks.stack_inputs import StackInputs, with_defaults
from darkroom.cloudformation.policy_documents import documents, normal
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console.progress import Progress
from darkroom.emulator.limitations import Limitation

RESTORE = (
    "restore it by hand, for CloudFormation changes nothing while the template is unchanged;"
    " then run darkroom verify again"
)

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A deployed stack with its own template; immutable."""

    stack: Stack
    template: ResolvedTemplate
    progress: Progress
    timeout: float
    """Seconds to wait for the canary."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the checks began."""

    canaries: frozenset[str] = frozenset()
    """Keys of the canaries that the worker processed in these checks."""

    limitations: Mapping[tuple[str, str], Limitation] = field(default_factory=dict)
    """What the endpoint cannot show, by check and property; nothing on AWS."""

    def resources(self, kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield logical id, physical id and properties of each resource of type AWS::`kind`."""
        for title, properties in self.template.resources_of_type(kind).items():
            yield title, self.stack.resources.get(title, f"<{title}>"), properties

    @property
    def inputs(self) -> StackInputs:
        """The stack's parameters, for the checks that `preflight` has as well."""
        return StackInputs(
            account=self.stack,
            template=self.template,
            values=with_defaults(self.template.parameters, self.stack.parameters),
            resources=self.stack.resources,
        )


@dataclass(frozen=True)
class Difference:
    """A property of a resource that is not as its template says."""

    property: str
    message: str
    """A clause for people."""

    actual: str = ""
    """The value that AWS has, as text; nothing for none."""


def differ(name: str, expected: object, actual: object) -> list[Difference]:
    """Return the difference of one property, or nothing; sets are compared member by member."""
    if expected == actual:
        return []
    text = _text(actual)
    if isinstance(expected, set | frozenset) and isinstance(actual, set | frozenset):
        missing, additional = _text(expected - actual), _text(actual - expected)
        if missing and additional:
            message = f"{name}: {additional} instead of {missing}"
        else:
            message = f"{name}: {missing or additional} "
            message += "missing" if missing else "not in the template"
    elif actual is None:
        message = f"{name} is not set, but {_text(expected)} in the template"
    elif expected is None:
        message = f"{name} is {text}, but not set in the template"
    else:
        message = f"{name} is {text}, not {_text(expected)}"
    return [Difference(name, message, text)]


def differ_policies(expected: object, actual: str | None) -> list[Difference]:
    """Return how two policies differ, statement by statement; they are matched by their Sid.

    Args:
        expected: A policy document from the template, or None.
        actual: The JSON text that AWS returns, or None for no policy.
    """
    ours, theirs = _statements(expected), _statements(json.loads(actual or "{}"))
    if ours and not theirs:
        return [Difference("policy", "there is no policy")]
    found = []
    for sid in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(sid, {}), theirs.get(sid, {})
        elements = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
        if not other:
            clause = f"the policy lacks the statement {sid}"
        elif not one:
            clause = f"the policy has the additional statement {sid}"
        else:
            clause = f"{' and '.join(elements)} of the policy statement {sid} changed"
        found += [Difference(f"policy statement {sid}", clause, _text(other))] if elements else []
    return found


def judge(
    target: Target,
    check: str,
    resource: tuple[str, str],
    differences: list[Difference],
    remediation: str = RESTORE,
) -> Iterator[Finding]:
    """Yield whether a resource is as its template says.

    Args:
        target: The stack.
        check: Name of the check.
        resource: Logical id, and the physical name.
        differences: Differences of all its properties.
        remediation: What to do about them.
    """
    label = f"{resource[0]} ({resource[1]})"
    real, hidden = [], []
    for difference in differences:
        limitation = target.limitations.get((check, difference.property))
        if limitation and limitation.explains(difference.actual):
            hidden.append(f"{difference.property} ({limitation.reason})")
        else:
            real.append(difference.message)
    if real:
        yield failed(f"{label}: {'; '.join(real)}", remediation)
    if hidden:
        yield Finding("skip", f"{label}: not shown by the emulator: {', '.join(hidden)}")
    if not differences:
        yield passed(f"{label} is as in the template")


def configured(read: Callable[[], Value]) -> Value | None:
    """Return what `read` does, or None where AWS answers that nothing is configured."""
    try:
        return read()
    except ClientError as error:
        if is_not_found(error):
            return None
        raise


def plain(value: Any) -> Any:
    """Return a value in which order, and one value or a list of it alone, make no difference."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    items = value if isinstance(value, list) else [value]
    texts = sorted({str(item).lower() if isinstance(item, bool) else str(item) for item in items})
    return texts[0] if len(texts) == 1 else texts


def number(value: Any) -> int | None:
    """Return a number that a template may hold as text, or None."""
    return None if value is None else int(value)


def _statements(policy: object) -> dict[str, Any]:
    return {
        statement.get("Sid") or json.dumps(statement, sort_keys=True): plain(normal(statement))
        for document in documents(policy)
        for statement in document["Statement"]
    }


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(map(_text, value)))
    return value if isinstance(value, str) else json.dumps(value)
