"""The deployed stack that an operator's command works on."""

from collections.abc import Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from darkroom.aws.errors import explained, is_not_found
from darkroom.aws.session import Account, open_account
from darkroom.console.command import StackOptions
from darkroom.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Stack(Account):
    """A deployed stack as CloudFormation describes it, with clients for its account and region."""

    name: str
    id: str
    """Its ARN, which finds a deleted stack for another 90 days."""

    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    resources: Mapping[str, str]
    """Logical id to physical id."""

    def output(self, name: str) -> str:
        """Return an output's value.

        Raises:
            UserError: the stack has no such output.
        """
        try:
            return self.outputs[name]
        except KeyError:
            raise UserError(
                f"the stack {self.name} in {self.region} ({self.status}) has no output {name}:"
                " is it a stack of this project, and of this version?"
            ) from None


def open_stack(options: StackOptions) -> Stack:
    """Return the stack of the options --stack-name, --region and --profile.

    Raises:
        UserError: it does not exist; credentials or the region are missing; AWS refuses the caller
            or cannot be reached.
    """
    account = open_account(region=options.region, profile=options.profile)
    stack = find_stack(account, options.name)
    if not stack:
        raise UserError(
            f"there is no stack {options.name!r} in {account.region}:"
            " check --stack-name, --region and --profile"
        )
    return stack


def find_stack(account: Account, name: str) -> Stack | None:
    """Return the stack of this name or ARN, or None; only its ARN finds a deleted one.

    Raises:
        UserError: AWS refuses the caller or cannot be reached.
    """
    with explained():
        cloudformation = account.client("cloudformation")
        try:
            (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        # Not DescribeStackResources: that ends at 100.
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        return Stack(
            name=found["StackName"],
            id=found["StackId"],
            status=found["StackStatus"],
            outputs={item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])},
            parameters={
                item["ParameterKey"]: item["ParameterValue"] for item in found.get("Parameters", [])
            },
            resources={
                item["LogicalResourceId"]: item["PhysicalResourceId"]
                for page in pages
                for item in page["StackResourceSummaries"]
                if item.get("PhysicalResourceId")
            },
            session=account.session,
        )
