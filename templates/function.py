"""The function, what it may do, where it logs and what wakes it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import awacs.ec2 as ec2
import awacs.logs as logs
from awacs.aws import ArnEquals, Statement
from troposphere import AWSHelperFn, GetAtt, If, Ref, Sub, Template
from troposphere.awslambda import (
    Code,
    Environment,
    EventSourceMapping,
    Function,
    LoggingConfig,
    ScalingConfig,
    VPCConfig,
)
from troposphere.iam import Policy, Role
from troposphere.logs import LogGroup

from templates import naming, policies
from templates.encryption import Encryption
from templates.exceptions import except_for
from templates.log_groups import add_log_group
from templates.network import Network
from templates.parameters import Parameters
from templates.queues import Queues
from templates.specification import Processing, Thumbnails
from templates.storage import Storage

WORKER = "worker"
HANDLER = "worker.handler.handle"

# What the Lambda service needs to place a function in a network.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
PLACE_INTERFACES = [
    ec2.AssignPrivateIpAddresses,
    ec2.CreateNetworkInterface,
    ec2.DeleteNetworkInterface,
    ec2.UnassignPrivateIpAddresses,
]
FIND_INTERFACES = [ec2.DescribeNetworkInterfaces, ec2.DescribeSubnets]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the function is called, what it may do and where it logs."""

    role: Role
    log_group: LogGroup


def add_identity(
    template: Template,
    *,
    grants: Sequence[Statement],
    encryption: Encryption,
    log_retention_days: Ref,
    permissions_boundary: AWSHelperFn,
) -> Identity:
    """Add the function's role, with `grants` and what Lambda itself needs, and its log group."""
    # The function has no right to create its log group: it would come without key and retention,
    # and be in the way of the next deployment (trap 27).
    log_group = add_log_group(
        template, "WorkerLogGroup", WORKER, encryption=encryption, retention_days=log_retention_days
    )
    role = template.add_resource(
        Role(
            "WorkerRole",
            AssumeRolePolicyDocument=policies.document(
                policies.allow_assume("lambda.amazonaws.com", policies.from_this_account())
            ),
            PermissionsBoundary=permissions_boundary,
            Policies=[
                Policy(PolicyName="work", PolicyDocument=policies.document(*grants)),
                Policy(
                    PolicyName="run",
                    PolicyDocument=policies.document(
                        policies.allow(
                            "WriteLogs",
                            [logs.CreateLogStream, logs.PutLogEvents],
                            [GetAtt(log_group, "Arn")],
                        ),
                        encryption.decrypt(
                            "DecryptEnvironment",
                            "aws:lambda:FunctionArn",
                            naming.function_arn(WORKER),
                        ),
                        policies.allow(
                            "PlaceInterfaces",
                            PLACE_INTERFACES,
                            # Lambda's documentation asks for every resource id; here at least of
                            # this account and region.
                            [Sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:*/*")],
                        ),
                        policies.allow(
                            "FindInterfaces",
                            FIND_INTERFACES,
                            ["*"],  # EC2 knows no resource for its Describe actions
                        ),
                        # The rights above are for Lambda, not for the code it runs (trap 23).
                        policies.deny(
                            "DenyInterfacesToCode",
                            [*PLACE_INTERFACES, *FIND_INTERFACES],
                            ["*"],  # a refusal: all of them
                            ArnEquals({"lambda:SourceFunctionArn": naming.function_arn(WORKER)}),
                        ),
                    ),
                ),
            ],
        )
    )
    return Identity(role=role, log_group=log_group)


def add_function(
    template: Template,
    *,
    identity: Identity,
    parameters: Parameters,
    network: Network,
    encryption: Encryption,
    queues: Queues,
    storage: Storage,
    thumbnails: Thumbnails,
    processing: Processing,
) -> Function:
    """Add the function and the mapping that feeds it from the work queue."""
    function = template.add_resource(
        Function(
            "Worker",
            FunctionName=naming.name(WORKER),
            Runtime=parameters.runtime,
            Architectures=[parameters.architecture],
            Handler=HANDLER,
            Metadata=except_for(
                CKV_AWS_116="What SQS brings fails into the queue's redrive policy, never into the"
                " function's own dead-letter queue"
            ),
            Code=Code(S3Bucket=parameters.code_bucket, S3Key=parameters.code_key),
            CodeSigningConfigArn=parameters.code_signing,
            Role=GetAtt(identity.role, "Arn"),
            MemorySize=parameters.memory_megabytes,
            Timeout=processing.timeout_seconds,
            ReservedConcurrentExecutions=parameters.reserved_concurrency,
            RecursiveLoop="Terminate",  # should output ever come back as input (trap 16)
            KmsKeyArn=encryption.arn,
            VpcConfig=VPCConfig(
                SubnetIds=list(network.subnets),
                SecurityGroupIds=[network.worker_security_group],
            ),
            LoggingConfig=LoggingConfig(LogGroup=Ref(identity.log_group), LogFormat="JSON"),
            Environment=Environment(
                Variables={
                    "UPLOAD_BUCKET": Ref(storage.uploads),
                    "THUMBNAIL_BUCKET": Ref(storage.thumbnails),
                    "ENCRYPTION_KEY_ARN": encryption.arn,
                    # Without a door to SQS the call would hang to its time-out.
                    "WORK_QUEUE_URL": If(parameters.has_queue_endpoint, Ref(queues.work), ""),
                    "VISIBILITY_TIMEOUT": str(processing.visibility_seconds),
                    "VARIANTS": json.dumps(
                        {"widths": thumbnails.widths, "formats": thumbnails.formats},
                        separators=(",", ":"),
                    ),
                    "CACHE_CONTROL": thumbnails.cache_control,
                    "MAX_OBJECT_BYTES": str(processing.maximum_megabytes * 10**6),
                    "MAX_PIXELS": str(processing.maximum_megapixels * 10**6),
                    "FOLLOW_DELETES": "true" if storage.follow_deletes else "false",
                    "LOG_LEVEL": "INFO",
                }
            ),
        )
    )
    template.add_resource(
        EventSourceMapping(
            "WorkerTrigger",
            EventSourceArn=queues.work_arn,
            FunctionName=Ref(function),
            BatchSize=processing.batch_size,
            MaximumBatchingWindowInSeconds=processing.batching_window_seconds,
            # One bad message fails alone (T4).
            FunctionResponseTypes=["ReportBatchItemFailures"],
            ScalingConfig=ScalingConfig(MaximumConcurrency=parameters.maximum_concurrency),
        )
    )
    return function
