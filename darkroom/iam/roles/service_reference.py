"""What AWS publishes of IAM actions: which a resource type takes, and what they apply to."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

_REGION = "us-east-1"
"""Its schemas are the most complete ones; the others' are nearly all the same."""

HANDLERS = ("create", "read", "update", "delete")

_MORE_EXACT = {
    # The published patterns of buckets and objects are the same.
    ("s3", "bucket"): re.compile(r"arn:\$\{AWS::Partition\}:s3:::[^/]+"),
    ("s3", "object"): re.compile(r"arn:\$\{AWS::Partition\}:s3:::[^/]+/.+"),
}

_PLACEHOLDERS = {
    "${Partition}": "${AWS::Partition}",
    "${Region}": "${AWS::Region}",
    "${Account}": "${AWS::AccountId}",
}


def handler_actions(type_name: str, handlers: Iterable[str] = HANDLERS) -> frozenset[str]:
    """Return the actions that CloudFormation's handlers of a resource type take.

    They are those of all its properties, whichever a resource has.
    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html

    Args:
        type_name: With `AWS::`.
        handlers: Some of HANDLERS.
    """
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(_REGION, type_name).schema
    declared: Mapping[str, Any] = schema.get("handlers", {})
    return frozenset(
        action for name in handlers for action in declared.get(name, {}).get("permissions", ())
    )


def takes_arn(action: str, arn: str) -> bool:
    """Return whether an action applies to resources with this ARN, as `Fn::Sub` writes it."""
    return any(one.fullmatch(arn) for one in _arn_patterns(action) or ())


def actions_of(service: str) -> list[str]:
    """Return the names of a service's actions, in lower case, without its prefix."""
    return sorted(_reference()[service]["Actions"])


def is_for_all_resources(action: str) -> bool:
    """Return whether an action takes no resource but `*`."""
    return _arn_patterns(action) == ()


@cache
def _arn_patterns(action: str) -> tuple[re.Pattern[str], ...] | None:
    """Return the ARNs of the resources that an action applies to; None if IAM has no such action.

    https://docs.aws.amazon.com/service-authorization/latest/reference/
    """
    service, _, name = action.lower().partition(":")
    reference = _reference().get(service)
    if not reference or name not in reference["Actions"]:
        return None
    found = {kind.lower(): entry for kind, entry in reference["Resources"].items()}
    return tuple(
        pattern
        for kind in map(str.lower, reference["Actions"][name].get("Resources") or ())
        for pattern in (
            [_MORE_EXACT[service, kind]]
            if (service, kind) in _MORE_EXACT
            else map(_pattern, found.get(kind, {}).get("ARNFormats", ()))
        )
    )


def _pattern(arn_format: str) -> re.Pattern[str]:
    for short, pseudo_parameter in _PLACEHOLDERS.items():
        arn_format = arn_format.replace(short, pseudo_parameter)
    return re.compile(".*".join(map(re.escape, arn_format.split(".*"))))


@cache
def _reference() -> Mapping[str, Any]:
    file = resources.files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json")
    found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
