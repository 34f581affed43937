"""Reads policies as anybody may write them, for the evaluation of requests with a known context."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.privilege import evaluation
from ops.privilege.evaluation import like

Statement = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A call: `principal` is an ARN or a service, empty for the identity that holds the policy."""

    action: str
    resource: str = "*"
    principal: str = ""
    context: Mapping[str, str] = field(default_factory=dict)


def normal(statement: Statement) -> Statement:
    """Return the statement with lists wherever IAM takes one value or several."""
    result = dict(statement)
    for element in ("Action", "NotAction", "Resource", "NotResource"):
        if element in result:
            result[element] = as_list(result[element])
    for element in ("Principal", "NotPrincipal"):
        if element in result:
            given = result[element]
            given = given if isinstance(given, dict) else {"AWS": given}
            result[element] = {kind: as_list(names) for kind, names in given.items()}
    if "Condition" in result:
        result["Condition"] = {
            operator: {key: as_list(values) for key, values in test.items()}
            for operator, test in result["Condition"].items()
        }
    return result


def is_within_account(statement: Statement, account: str) -> bool:
    """Return whether a statement speaks of this account's callers and resources alone.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_data-perimeters.html
    """
    equal = statement.get("Condition", {}).get("StringEquals", {})
    keys = ("aws:PrincipalAccount", "aws:ResourceAccount")
    return all(equal.get(key) == [account] for key in keys)


def allowed(statements: Iterable[Statement], request: Request) -> bool:
    """Return whether a statement allows the request and none denies it."""
    effects = {one.get("Effect") for one in statements if applies(one, request)}
    return effects == {"Allow"}


def applies(statement: Statement, request: Request) -> bool:
    """Return whether a normal statement speaks of the request, whatever its effect."""
    actions: list[Any] = statement.get("Action") or statement.get("NotAction") or []
    resources: list[Any] = statement.get("Resource") or statement.get("NotResource") or ["*"]
    return (
        any(like(str(one), request.action, ignore_case=True) for one in actions)
        != ("NotAction" in statement)
        and any(like(str(one), request.resource) for one in resources)
        != ("NotResource" in statement)
        and _is_principal(statement, request.principal)
        and all(
            _holds(operator, key, values, request.context)
            for operator, test in statement.get("Condition", {}).items()
            for key, values in test.items()
        )
    )


def condition_keys(statement: Statement) -> set[str]:
    """Return the keys that a statement's condition looks at, in lower case."""
    return {key.lower() for test in statement.get("Condition", {}).values() for key in test}


def as_list(value: Any) -> list[Any]:
    """Return the list that a value or a list of values stands for."""
    return value if isinstance(value, list) else [value]


def _is_principal(statement: Statement, principal: str) -> bool:
    if "NotPrincipal" in statement:
        return principal not in _names(statement["NotPrincipal"])
    if "Principal" not in statement:
        return True
    return bool({"*", principal} & _names(statement["Principal"]))


def _names(principal: Mapping[str, list[Any]]) -> set[str]:
    return {str(name) for names in principal.values() for name in names}


def _holds(operator: str, key: str, values: list[Any], context: Mapping[str, str]) -> bool:
    known = {one.lower(): value for one, value in context.items()}.get(key.lower())
    name = operator.rpartition(":")[2]  # without ForAnyValue: and ForAllValues:
    positive = name.removesuffix("IfExists").replace("Not", "")
    if name != "Null" and positive not in evaluation.OPERATORS:
        return False  # numbers and dates: no rule asks about requests that have them
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    return evaluation.holds(name, known, texts)
