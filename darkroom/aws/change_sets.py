"""Change sets of a stack: what CloudFormation would do, shown before it is done."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.cloudformation.changes import UNSAFE, Action, Change, fate, order
from darkroom.errors import UserError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

POLL_SECONDS = 2.0
CREATION_SECONDS = 900.0
"""A change set of the largest template takes a minute or two."""

EMPTY = ("didn't contain changes", "No updates are to be performed")
"""Parts of the reason of a change set that has no changes; it is FAILED like any other."""

RETAINING = ("Retain", "ReplaceAndRetain")
"""Policy actions that keep the old resource.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a stack is to become."""

    stack_name: str
    is_creation: bool
    template: Mapping[str, Any]
    """`TemplateBody`, `TemplateURL` or `UsePreviousTemplate`."""

    parameters: Mapping[str, str | None]
    """Values by name; None for the one that the stack has."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further members of CreateChangeSet, such as `Tags`; the stack keeps what is not given."""


@dataclass(frozen=True, kw_only=True)
class ChangeSet:
    """A change set that can be executed."""

    id: str
    """Its ARN."""

    stack_name: str
    stack_id: str
    is_creation: bool
    changes: tuple[Change, ...]
    """The most destructive first."""


def create(
    client: "CloudFormationClient",
    request: Request,
    *,
    poll: float = POLL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ChangeSet | None:
    """Create a change set, and wait for it; None where nothing would change.

    What cannot be executed is deleted again.

    Raises:
        UserError: CloudFormation cannot create it, with its reason, or takes too long.
        ClientError: CloudFormation refuses the request.
    """
    created = client.create_change_set(
        StackName=request.stack_name,
        ChangeSetName=f"darkroom-{time.time_ns()}",
        ChangeSetType="CREATE" if request.is_creation else "UPDATE",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": key, "UsePreviousValue": True}
            if value is None
            else {"ParameterKey": key, "ParameterValue": value}
            for key, value in request.parameters.items()
        ],
        **request.template,
        **request.settings,
    )
    name, end = created["Id"], clock() + CREATION_SECONDS
    while True:
        found = client.describe_change_set(ChangeSetName=name)
        if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        if clock() >= end:
            raise UserError(f"the change set {name} is in {found['Status']} for too long")
        sleep(poll)
    if found["Status"] != "CREATE_COMPLETE":
        reason = found.get("StatusReason", "")
        client.delete_change_set(ChangeSetName=name)
        if any(words in reason for words in EMPTY):
            return None
        raise UserError(f"CloudFormation cannot create the change set: {reason or found['Status']}")
    pages = client.get_paginator("describe_change_set").paginate(ChangeSetName=name)
    changes = [
        _change(one["ResourceChange"])
        for page in pages
        for one in page["Changes"]
        if "ResourceChange" in one
    ]
    return ChangeSet(
        id=name,
        stack_name=request.stack_name,
        stack_id=created["StackId"],
        is_creation=request.is_creation,
        changes=tuple(sorted(changes, key=order)),
    )


def discard(client: "CloudFormationClient", change_set: ChangeSet) -> None:
    """Delete a change set that is not executed, and the empty stack that was made for it.

    Another change set of a stack that does not exist yet keeps that stack.
    """
    client.delete_change_set(ChangeSetName=change_set.id)
    if change_set.is_creation:
        listed = client.list_change_sets(StackName=change_set.stack_name)["Summaries"]
        if all(one["ChangeSetId"] == change_set.id for one in listed):
            client.delete_stack(StackName=change_set.stack_id)


def _change(found: Mapping[str, Any]) -> Change:
    """Return a change as CloudFormation describes it."""
    kind, action = found["ResourceType"], _action(found)
    consequence = ""
    if action in UNSAFE:
        consequence = fate(kind, is_retained=found.get("PolicyAction") in RETAINING)
        if action == "may replace":
            consequence = f"if so, {consequence}"
    return Change(
        resource=found["LogicalResourceId"],
        type=kind,
        action=action,
        properties=_properties(found.get("Details", ())) if action != "delete" else (),
        consequence=consequence,
    )


def _action(found: Mapping[str, Any]) -> Action:
    match found["Action"], found.get("Replacement"):
        case (("Add" | "Import"), _):
            return "create"
        case "Remove", _:
            return "delete"
        case _, "True":
            return "replace"
        case _, "Conditional":
            return "may replace"
    return "update"


def _properties(details: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the properties that change, and the attributes beside `Properties`."""
    targets = [detail.get("Target", {}) for detail in details]
    return tuple(sorted({one.get("Name") or one.get("Attribute", "") for one in targets} - {""}))
