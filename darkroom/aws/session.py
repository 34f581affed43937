"""The account and region that a caller means, with typed clients for its services.

`account.client("s3")` has the type `S3Client`. A function that takes a client names that type:

    if TYPE_CHECKING:  # types-boto3 is installed for mypy alone
        from types_boto3_route53resolver import Route53ResolverClient
    from types_boto3_s3 import S3Client

    def find(s3: "S3Client") -> None: ...

A service that is new here needs an overload of `Account.client`, and its name among the extras of
types-boto3 in pyproject.toml.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import botocore.session
from botocore.config import Config
from botocore.exceptions import InvalidRegionError, NoRegionError
from botocore.model import OperationModel
from botocore.utils import validate_region_name

from darkroom.aws.errors import explained, sentence
from darkroom.console.command import LOGGER
from darkroom.errors import UsageError
from worker.connections import send_first_request_alone

if TYPE_CHECKING:
    from types_boto3_apigateway import APIGatewayClient
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudfront import CloudFrontClient
    from types_boto3_cloudtrail import CloudTrailClient
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_events import EventBridgeClient
    from types_boto3_firehose import FirehoseClient
    from types_boto3_iam import IAMClient
    from types_boto3_kms import KMSClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_route53resolver import Route53ResolverClient
    from types_boto3_s3 import S3Client
    from types_boto3_service_quotas import ServiceQuotasClient
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient
    from types_boto3_sts import STSClient

CONFIG = Config(
    connect_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 5},
    max_pool_connections=32,
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """Clients for the account and region that a caller means."""

    session: botocore.session.Session = field(repr=False)
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def region(self) -> str:
        """Region of the clients."""
        return str(self.session.get_config_variable("region"))

    @overload
    def client(self, service: Literal["apigateway"]) -> "APIGatewayClient": ...
    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["cloudfront"]) -> "CloudFrontClient": ...
    @overload
    def client(self, service: Literal["cloudtrail"]) -> "CloudTrailClient": ...
    @overload
    def client(self, service: Literal["cloudwatch"]) -> "CloudWatchClient": ...
    @overload
    def client(self, service: Literal["ec2"]) -> "EC2Client": ...
    @overload
    def client(self, service: Literal["events"]) -> "EventBridgeClient": ...
    @overload
    def client(self, service: Literal["firehose"]) -> "FirehoseClient": ...
    @overload
    def client(self, service: Literal["iam"]) -> "IAMClient": ...
    @overload
    def client(self, service: Literal["kms"]) -> "KMSClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def client(self, service: Literal["route53resolver"]) -> "Route53ResolverClient": ...
    @overload
    def client(self, service: Literal["s3"]) -> "S3Client": ...
    @overload
    def client(self, service: Literal["service-quotas"]) -> "ServiceQuotasClient": ...
    @overload
    def client(self, service: Literal["sns"]) -> "SNSClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...
    @overload
    def client(self, service: Literal["sts"]) -> "STSClient": ...
    def client(self, service: str) -> Any:
        """Return the client for `service`, the same one each time; threads may share it."""
        if service not in self._clients:
            client = send_first_request_alone(self.session.create_client(service, config=CONFIG))
            client.meta.events.register("before-call", _log_request)
            self._clients[service] = client
        return self._clients[service]

    @cached_property
    def caller(self) -> Mapping[str, str]:
        """Account, Arn and UserId of the caller."""
        identity = self.client("sts").get_caller_identity()
        return {name: str(identity[name]) for name in ("Account", "Arn", "UserId")}

    @property
    def partition(self) -> str:
        """AWS partition of the account, such as `aws` or `aws-cn`."""
        return self.caller["Arn"].split(":")[1]

    def pseudo_parameters(self, stack_name: str) -> dict[str, str]:
        """Return the values of CloudFormation's pseudo parameters for a stack of this name."""
        return {
            "AWS::AccountId": self.caller["Account"],
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackName": stack_name,
            "AWS::URLSuffix": "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com",
        }


def open_account(*, region: str | None = None, profile: str | None = None) -> Account:
    """Return the account and region of the options --region and --profile; sends no request.

    Without them both are found as the AWS CLI finds them.

    Raises:
        UserError: the profile does not exist, or there is no region.
        UsageError: the region cannot be one.
    """
    with explained():
        session = botocore.session.Session(profile=profile)
        # Version 2 of the AWS CLI reads AWS_REGION first; botocore does not read it.
        region = region or os.environ.get("AWS_REGION")
        if region:
            session.set_config_variable("region", region)
        region = session.get_config_variable("region")
        if not region:
            raise NoRegionError
        try:
            validate_region_name(region)
        except InvalidRegionError as error:
            raise UsageError(sentence(error)) from None
        return Account(session=session)


def _log_request(model: OperationModel, **_: object) -> None:
    """Report a request for --verbose."""
    LOGGER.info("%s %s", model.service_model.service_name, model.name)
