"""What keeps a stack's data: its stack policy, and termination protection."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from darkroom.aws.stack import Stack
from darkroom.cloudformation.changes import Change

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

PROTECTED = ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SQS::Queue")
"""Types of the resources that no update replaces or deletes without consent."""

_RESOURCE = "LogicalResourceId/"


def stack_policy(titles: Iterable[str]) -> str:
    """Return the policy that keeps resources, by logical id, from replacement and deletion.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
    """
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"}
    ]
    if resources := [f"{_RESOURCE}{title}" for title in sorted(titles)]:
        actions = ["Update:Replace", "Update:Delete"]
        denied = {"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": resources}
        statements.append(denied)
    return json.dumps({"Statement": statements}, separators=(",", ":"))


def protected(policy: str) -> frozenset[str] | None:
    """Return what a policy of `stack_policy` keeps; None for another policy."""
    if not policy:
        return frozenset()
    try:
        *_, last = json.loads(policy)["Statement"]
        named = last["Resource"]
        titles = [one.removeprefix(_RESOURCE) for one in named if isinstance(named, list)]
        is_own = json.loads(stack_policy(titles)) == json.loads(policy)
    except (KeyError, TypeError, ValueError):
        return None
    return frozenset(titles) if is_own else None


def allow(client: "CloudFormationClient", stack_id: str, changes: Sequence[Change]) -> str | None:
    """Take what is replaced or deleted with consent out of the stack's policy.

    A change set has no policy of its own: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html

    Returns:
        The policy until now, if it is another one afterwards.
    """
    taken = {change.resource for change in changes if change.takes_data}
    before = _policy(client, stack_id)
    kept = protected(before)
    if not kept or not taken & kept:
        return None
    client.set_stack_policy(StackName=stack_id, StackPolicyBody=stack_policy(kept - taken))
    return before


def restore(client: "CloudFormationClient", stack_id: str, policy: str) -> None:
    """Set the policy that `allow` has returned: the update failed."""
    client.set_stack_policy(StackName=stack_id, StackPolicyBody=policy)


def protect(stack: Stack, template: Mapping[str, Any], *, from_termination: bool | None) -> str:
    """Set the stack's policy and its termination protection, where they differ.

    Args:
        stack: The deployed stack.
        template: What it was deployed from.
        from_termination: Whether the stack cannot be deleted; None to leave that as it is.

    Returns:
        A sentence about another policy, which is kept; else empty.
    """
    client = stack.client("cloudformation")
    if from_termination is not None:
        client.update_termination_protection(
            StackName=stack.id, EnableTerminationProtection=from_termination
        )
    titles = _titles(template, stack.resources)
    kept = protected(_policy(client, stack.id))
    if kept is None:
        return f"{stack.name} has a stack policy of its own, which is kept"
    if kept != titles:
        client.set_stack_policy(StackName=stack.id, StackPolicyBody=stack_policy(titles))
    return ""


def _titles(template: Mapping[str, Any], existing: Collection[str]) -> frozenset[str]:
    return frozenset(
        title
        for title, resource in template["Resources"].items()
        if resource["Type"] in PROTECTED and title in existing
    )


def _policy(client: "CloudFormationClient", stack_id: str) -> str:
    return client.get_stack_policy(StackName=stack_id).get("StackPolicyBody", "")
