"""Decides a request as IAM would, over the policies of one template."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, Literal

Statement = Mapping[str, Any]
Policies = Mapping[str, Sequence[Statement]]
"""Logical id of the resource that carries a policy → its statements, resolved."""

Kind = Literal["identity", "resource", "guard"]


@dataclass(frozen=True)
class Gate:
    """One policy that a request must pass.

    An `identity` policy and a `resource` policy must allow it; a `guard` must only not refuse it,
    because what is asked for is allowed elsewhere.
    """

    title: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asks for what, with the condition keys that AWS would send along."""

    principal: str
    """A role's or user's ARN, a service's name, or `*` for somebody unknown."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def is_allowed(policies: Policies, request: Request, gates: Sequence[Gate]) -> bool:
    """Return whether `request` passes every gate: none refuses it, each that must allows it.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    for gate in gates:
        # A role's trust policy stands beside its rights in the template: it names a principal.
        matching = [
            statement["Effect"]
            for statement in policies[gate.title]
            if ("Principal" in statement) is (gate.kind != "identity")
            and _matches(statement, request)
        ]
        if "Deny" in matching or (gate.kind != "guard" and "Allow" not in matching):
            return False
    return True


def _matches(statement: Statement, request: Request) -> bool:
    return (
        _is_named(statement.get("Principal", "*"), request)
        and any(like(action, request.action, ignore_case=True) for action in statement["Action"])
        and any(like(name, request.resource) for name in statement.get("Resource", ["*"]))
        and all(
            holds(operator, request.context.get(key.lower()), expected)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _is_named(principal: Any, request: Request) -> bool:
    if principal == "*":
        return True
    if request.principal in principal.get("Service", []):
        return True
    account = request.context.get("aws:principalaccount")
    return any(
        name in ("*", request.principal) or name.endswith(f"::{account}:root")
        for name in principal.get("AWS", [])
    )


@cache
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def like(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """Return whether `value` matches a pattern with IAM's `*` and `?`."""
    return _pattern(pattern, ignore_case).fullmatch(value) is not None


def _equals(expected: str, actual: str) -> bool:
    return expected == actual


OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _equals,
    "StringLike": like,
    "ArnEquals": like,  # IAM treats both ARN operators alike
    "ArnLike": like,
    "Bool": lambda expected, actual: expected.lower() == actual.lower(),
    "IpAddress": lambda expected, actual: ip_address(actual) in ip_network(expected),
}


def holds(operator: str, actual: str | None, expected: Any) -> bool:
    """Return whether a condition's operator holds for a key's value, None when it is not sent."""
    values = [str(value) for value in (expected if isinstance(expected, list) else [expected])]
    if operator == "Null":
        return (actual is None) is (values == ["true"])
    name, optional, _ = operator.partition("IfExists")
    positive = name.replace("Not", "")
    if actual is None:  # only a negation, and what is optional, holds for a key that is not sent
        return bool(optional) or positive != name
    return any(OPERATORS[positive](value, actual) for value in values) is (positive == name)
