"""The packages that a stack was deployed with, as its events tell."""

import json
from typing import TYPE_CHECKING, Any

from darkroom.aws.stack import Stack
from darkroom.errors import UserError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

CODE = ("CodeBucket", "CodeKey")
"""The parameters that name a package."""

FUNCTION = "AWS::Lambda::Function"


def previous(stack: Stack) -> dict[str, str]:
    """Return the parameters of the package that a stack had before the present one.

    CloudFormation keeps events for 90 days, and each has the properties that its resource has got.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackEvent.html

    Raises:
        UserError: The events name no other package.
    """
    present = tuple(stack.parameters.get(name, "") for name in CODE)
    for package in _deployed(stack.client("cloudformation"), stack.id):
        if package != present:
            return dict(zip(CODE, package, strict=True))
    raise UserError(
        f"the events of {stack.name} in the last 90 days name no other package than"
        f" s3://{'/'.join(present)}: pass --code-key"
    )


def _deployed(client: "CloudFormationClient", stack_id: str) -> list[tuple[str, str]]:
    """Return bucket and key of the packages of operations that succeeded, the newest first."""
    found: list[tuple[str, str]] = []
    succeeded = False
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    for event in (event for page in pages for event in page["StackEvents"]):
        status = event.get("ResourceStatus", "")
        if event.get("PhysicalResourceId") == stack_id:
            if status.endswith(("_COMPLETE", "_FAILED")):
                succeeded = status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        elif succeeded and event.get("ResourceType") == FUNCTION:
            found += _package(event.get("ResourceProperties"))
    return list(dict.fromkeys(found))


def _package(properties: str | None) -> list[tuple[str, str]]:
    code: Any = json.loads(properties).get("Code", {}) if properties else {}
    return [(code["S3Bucket"], code["S3Key"])] if {"S3Bucket", "S3Key"} <= code.keys() else []
