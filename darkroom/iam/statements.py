"""Reads policies as anybody may write them, for the evaluation of requests with a known context."""

from collections.abc import Iterable
from typing import Any

from darkroom.iam.evaluator import Request, applies, as_list

Statement = dict[str, Any]


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


def condition_keys(statement: Statement) -> set[str]:
    """Return the keys that a statement's condition looks at, in lower case."""
    return {key.lower() for test in statement.get("Condition", {}).values() for key in test}
