"""Decides requests as IAM does, by the policies of one template."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from darkroom.cloudformation.policy_documents import as_list

Statement = Mapping[str, Any]
Policies = Mapping[str, Sequence[Statement]]
"""Logical id of the resource that has a policy → its resolved statements."""

Kind = Literal["identity-based", "resource-based", "deny-only"]


@dataclass(frozen=True)
class PolicyCheck:
    """One policy that takes part in the decision on a request.

    An `identity-based` and a `resource-based` policy must allow the request. A `deny-only` policy,
    of either type, must only not deny it, because another policy allows it.
    """

    title: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request with the condition keys that AWS sends with it.

    Attributes:
        principal: The ARN of a role or user, the name of a service, `*` for an anonymous caller,
            or empty for the identity that holds the policy.
        context: Condition keys in any case, and their values.
    """

    action: str
    resource: str = "*"
    principal: str = ""
    context: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def sent(self) -> Mapping[str, str]:
        """The context, its keys in lower case."""
        return {key.lower(): value for key, value in self.context.items()}


def is_allowed(policies: Policies, request: Request, checks: Sequence[PolicyCheck]) -> bool:
    """Return whether every policy of `checks` lets the request pass.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    for check in checks:
        # A role's trust policy is in the same resource as its own policies: it names a principal.
        effects = {
            statement["Effect"]
            for statement in policies[check.title]
            if (
                check.kind == "deny-only"
                or ("Principal" in statement) is (check.kind == "resource-based")
            )
            and applies(statement, request)
        }
        if "Deny" in effects or (check.kind != "deny-only" and "Allow" not in effects):
            return False
    return True


def allowed(statements: Iterable[Statement], request: Request) -> bool:
    """Return whether a statement allows the request and none denies it."""
    effects = {one.get("Effect") for one in statements if applies(one, request)}
    return effects == {"Allow"}


def applies(statement: Statement, request: Request) -> bool:
    """Return whether a statement applies to the request, whatever its effect.

    A condition with an unknown operator (numbers, dates) never holds.
    """
    return (
        _matches(statement, "Action", request.action, ignore_case=True)
        and _matches(statement, "Resource", request.resource)
        and _is_named(statement, request)
        and all(
            holds(operator, request.sent.get(key.lower()), expected)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _matches(statement: Statement, part: str, value: str, *, ignore_case: bool = False) -> bool:
    negated = f"Not{part}" in statement
    patterns = as_list(statement.get(f"Not{part}" if negated else part, "*"))
    return any(like(str(one), value, ignore_case=ignore_case) for one in patterns) is not negated


def _is_named(statement: Statement, request: Request) -> bool:
    if "NotPrincipal" in statement:
        return request.principal not in _names(statement["NotPrincipal"])
    names = _names(statement.get("Principal", "*"))
    account = request.sent.get("aws:principalaccount")
    return bool({"*", request.principal, account} & names) or any(
        name.endswith(f"::{account}:root") for name in names
    )


def _names(principal: Any) -> set[str]:
    kinds = principal.values() if isinstance(principal, Mapping) else [principal]
    return {str(name) for names in kinds for name in as_list(names)}


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
    "NumericGreaterThan": lambda expected, actual: float(actual) > float(expected),
    "IpAddress": lambda expected, actual: ip_address(actual) in ip_network(expected),
}


def holds(operator: str, actual: str | None, expected: Any) -> bool:
    """Return whether a condition's operator holds for a key's value, None if it is not sent."""
    values = [str(one).lower() if isinstance(one, bool) else str(one) for one in as_list(expected)]
    operator = operator.rpartition(":")[2]  # without ForAnyValue: and ForAllValues:
    if operator == "Null":
        return (actual is None) is (values[0].lower() == "true")
    name, optional, _ = operator.partition("IfExists")
    positive = name.replace("Not", "")
    if positive not in OPERATORS:
        return False
    if actual is None:  # only negations and ...IfExists hold for a key that is not sent
        return bool(optional) or positive != name
    return any(OPERATORS[positive](value, actual) for value in values) is (positive == name)
