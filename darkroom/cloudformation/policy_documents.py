"""IAM policy documents found in a template, and their statements in one shape."""

from collections.abc import Iterator
from typing import Any

Statement = dict[str, Any]


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a list, else a list of it alone: IAM accepts both."""
    return value if isinstance(value, list) else [value]


def documents(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every policy document found anywhere in `value`."""
    if isinstance(value, list):
        for item in value:
            yield from documents(item)
    elif isinstance(value, dict):
        if "Statement" in value:
            yield value
        else:
            for item in value.values():
                yield from documents(item)


def normal(statement: Statement) -> Statement:
    """Return the statement with a list wherever IAM accepts one value or several."""
    result = dict(statement)
    for element in ("Action", "NotAction", "Resource", "NotResource"):
        if element in result:
            result[element] = as_list(result[element])
    for element in ("Principal", "NotPrincipal"):
        if element in result:
            principal = result[element]
            principals = principal if isinstance(principal, dict) else {"AWS": principal}
            result[element] = {kind: as_list(names) for kind, names in principals.items()}
    if "Condition" in result:
        result["Condition"] = {
            operator: {key: as_list(values) for key, values in keys.items()}
            for operator, keys in result["Condition"].items()
        }
    return result


def is_within_account(statement: Statement, account: str) -> bool:
    """Return whether a statement applies only to this account's callers and resources.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_data-perimeters.html
    """
    equal = statement.get("Condition", {}).get("StringEquals", {})
    keys = ("aws:PrincipalAccount", "aws:ResourceAccount")
    return all(equal.get(key) == [account] for key in keys)


def condition_keys(statement: Statement) -> set[str]:
    """Return the condition keys that a statement tests, in lower case."""
    return {key.lower() for keys in statement.get("Condition", {}).values() for key in keys}
