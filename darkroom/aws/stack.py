"""The deployed stack that an operator's command works on, and AWS's errors as sentences."""

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import botocore.session
from botocore import exceptions as failures
from botocore.config import Config

from darkroom.errors import UserError

CONFIG = Config(
    connect_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
)

# Codes by which AWS's services say that the credentials themselves are no good.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
INVALID_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
REFUSALS = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
}


@dataclass(frozen=True, kw_only=True)
class Account:
    """Clients for the account and region that a caller means."""

    session: botocore.session.Session = field(repr=False)
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def region(self) -> str:
        """Region that the clients are for."""
        region: str = self.session.get_config_variable("region")
        return region

    def client(self, service: str) -> Any:
        """Return the client for `service`, the same each time; it may be used by many threads."""
        if service not in self._clients:
            self._clients[service] = self.session.create_client(service, config=CONFIG)
        return self._clients[service]

    @cached_property
    def caller(self) -> Mapping[str, str]:
        """Account, Arn and UserId of whoever asks."""
        found: Mapping[str, str] = self.client("sts").get_caller_identity()
        return found

    def pseudo(self, stack_name: str) -> dict[str, str]:
        """Return what CloudFormation itself puts into a template here."""
        partition = self.caller["Arn"].split(":")[1]
        return {
            "AWS::AccountId": self.caller["Account"],
            "AWS::Partition": partition,
            "AWS::Region": self.region,
            "AWS::StackName": stack_name,
            "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
        }


@dataclass(frozen=True, kw_only=True)
class Stack(Account):
    """A deployed stack: what CloudFormation says of it, and clients for its account and region."""

    name: str
    id: str
    """Its ARN, by which a deleted stack is still known for 90 days."""

    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    resources: Mapping[str, str]
    """Logical id to physical id."""

    def output(self, name: str) -> str:
        """Return an output's value. Raises UserError where the stack has no such output."""
        return self._named("output", name, self.outputs)

    def resource(self, logical_id: str) -> str:
        """Return a resource's physical id. Raises UserError where the stack has no such one."""
        return self._named("resource", logical_id, self.resources)

    def _named(self, kind: str, name: str, values: Mapping[str, str]) -> str:
        try:
            return values[name]
        except KeyError:
            raise UserError(
                f"the stack {self.name} in {self.region} ({self.status}) has no {kind} {name}:"
                " is it a stack of this project, and of this version?"
            ) from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which stack is meant; they are the AWS CLI's own."""
    group = parser.add_argument_group("the stack")
    group.add_argument("--stack-name", metavar="NAME", required=True, help="its name")
    group.add_argument("--region", metavar="REGION", help="(default: as the AWS CLI finds it)")
    group.add_argument("--profile", metavar="NAME", help="of ~/.aws/config (default: AWS_PROFILE)")


def open_account(arguments: argparse.Namespace) -> Account:
    """Return the account and region that the options of `add_arguments` mean; asks nobody yet.

    Raises UserError when the profile is not there or no region is given.
    """
    with explained():
        session = botocore.session.Session(profile=arguments.profile)
        # Version 2 of the AWS CLI reads AWS_REGION first; botocore does not read it.
        region = arguments.region or os.environ.get("AWS_REGION")
        if region:
            session.set_config_variable("region", region)
        if not session.get_config_variable("region"):
            raise failures.NoRegionError
        return Account(session=session)


def open_stack(arguments: argparse.Namespace) -> Stack:
    """Return the stack that the options of `add_arguments` name.

    Raises UserError when it is not there, when credentials or the region are missing, when AWS
    refuses the caller and when it cannot be reached.
    """
    account = open_account(arguments)
    stack = find_stack(account, arguments.stack_name)
    if not stack:
        raise UserError(
            f"there is no stack {arguments.stack_name!r} in {account.region}:"
            " check --stack-name, --region and --profile"
        )
    return stack


def find_stack(account: Account, name: str) -> Stack | None:
    """Return the stack of this name, or of this ARN also after it was deleted; None for none.

    Raises UserError when AWS refuses the caller or cannot be reached.
    """
    with explained():
        cloudformation = account.client("cloudformation")
        try:
            (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except failures.ClientError as error:
            if "does not exist" not in error.response["Error"].get("Message", ""):
                raise
            return None
        # Not DescribeStackResources: that ends at a hundred.
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


@contextmanager
def explained() -> Iterator[None]:
    """Turn AWS's and botocore's errors into UserErrors; a `with` block or a decorator."""
    try:
        yield
    except (failures.BotoCoreError, failures.ClientError) as error:
        raise UserError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    match error:
        case failures.NoRegionError():
            return "no region is given: use --region, AWS_REGION, or the profile's `region`"
        case failures.NoCredentialsError():
            return (
                "no AWS credentials are found: use --profile, or set them up as for the AWS CLI"
                " (`aws sts get-caller-identity` must work)"
            )
        case failures.ProfileNotFound():
            return f"{error}; `aws configure list-profiles` shows those there are"
        case failures.ConnectionError() | failures.HTTPClientError():
            return f"AWS cannot be reached: {_first_line(error)}"
        case failures.ClientError():
            return _refusal(error)
    return f"AWS cannot be used: {_first_line(error)}"


def _refusal(error: failures.ClientError) -> str:
    code = error.response["Error"].get("Code", "?")
    says = error.response["Error"].get("Message") or "no reason given"
    if code in INVALID_CREDENTIALS:
        return f"AWS does not accept the credentials: {says} ({code}); renew them and try again"
    if code in REFUSALS:
        return f"AWS refuses {error.operation_name} to these credentials: {says}"
    return f"{error.operation_name} failed: {says} ({code})"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
