"""The function, what it may do, where it logs and what wakes it."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import awacs.ec2 as ec2
import awacs.logs as logs
import awacs.xray as xray
from awacs.aws import Action, ArnEquals, Statement
from troposphere import AWSHelperFn, GetAtt, If, NoValue, Ref, Sub, Template
from troposphere.awslambda import (
    Code,
    Environment,
    EventSourceMapping,
    Function,
    LoggingConfig,
    TracingConfig,
    VPCConfig,
)
from troposphere.iam import Policy, Role
from troposphere.logs import LogGroup

from templates import naming, policies
from templates.encryption import Encryption
from templates.log_group import add_log_group
from templates.network import Network
from templates.parameters.stack import Parameters
from templates.queues import Queues
from templates.sources import Origin
from templates.specification import (
    DEFAULT,
    LONGEST_BUCKET_NAME,
    ProcessingQueue,
    Specification,
    SpecificationError,
)
from templates.suppressions import suppress

# Bytes of all names and values together.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LARGEST_ENVIRONMENT = 4096
# Characters that no ARN or URL of the stack's own exceeds.
LONGEST_REFERENCE = 128

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
    queues: Iterable[str],
    grants: Sequence[Statement | If],
    encryption: Encryption,
    log_retention_days: Ref,
    permissions_boundary: AWSHelperFn,
    traces: str,
) -> Identity:
    """Add the functions' role, with `grants` and what Lambda itself needs, and their log group.

    All queues share both: they do the same for the same data, each at its own pace.
    """
    # The function has no right to create its log group: it would come without key and retention,
    # and be in the way of the next deployment (trap 27).
    functions = [function_arn(queue) for queue in queues]
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
                            *functions,
                        ),
                        policies.allow(
                            "ManageNetworkInterfaces",
                            PLACE_INTERFACES,
                            # Lambda's documentation asks for every resource id; here at least of
                            # this account and region.
                            [Sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:*/*")],
                        ),
                        policies.allow(
                            "DescribeNetworkInterfaces",
                            FIND_INTERFACES,
                            ["*"],  # EC2 knows no resource for its Describe actions
                        ),
                        # Lambda sends the traces itself, from outside the network.
                        If(
                            traces,
                            policies.allow(
                                "SendTraces",
                                [xray.PutTelemetryRecords, xray.PutTraceSegments],
                                ["*"],  # X-Ray knows no resource for these
                            ),
                            NoValue,
                        ),
                        # The rights above are for Lambda, not for the code it runs (trap 23).
                        policies.deny(
                            "DenyNetworkInterfacesToCode",
                            [Action("ec2", "*")],  # and what EC2 adds later
                            ["*"],  # a refusal: all of them
                            ArnEquals({"lambda:SourceFunctionArn": functions}),
                        ),
                    ),
                ),
            ],
        )
    )
    return Identity(role=role, log_group=log_group)


def function_arn(queue: str) -> Sub:
    """Return the ARN of the function of `queue`, which needs not be there yet."""
    return naming.function_arn(naming.name_suffix(queue, WORKER))


def add_function(
    template: Template,
    *,
    queue: str,
    settings: ProcessingQueue,
    identity: Identity,
    parameters: Parameters,
    network: Network,
    encryption: Encryption,
    queues: Queues,
    thumbnail_bucket: Ref,
    origins: Sequence[Origin],
    specification: Specification,
) -> Function:
    """Add the function of a queue, for the pictures of `origins`, and the mapping that feeds it.

    Raises:
        SpecificationError: the function would be told more of its sources than Lambda takes.
    """
    capacity = parameters.capacity[queue]
    variables = {
        "SOURCES": _sources(origins, specification),
        "THUMBNAIL_BUCKET": thumbnail_bucket,
        "ENCRYPTION_KEY_ARN": encryption.arn,
        # Without a door to SQS the call would hang to its time-out.
        "WORK_QUEUE_URL": If(parameters.has_sqs_endpoint, Ref(queues.work), ""),
        "VISIBILITY_TIMEOUT": str(settings.visibility_seconds),
        "VARIANTS": _variants(origins, specification),
        "MAX_OBJECT_BYTES": str(settings.max_file_size_mb * 10**6),
        "MAX_PIXELS": str(settings.max_megapixels * 10**6),
        "LOG_LEVEL": "INFO",
    }
    length = sum(len(name) + _longest(value) for name, value in variables.items())
    if length > LARGEST_ENVIRONMENT:
        raise SpecificationError(
            f"queues.{queue}: what its function is told of {len(origins)} sources and their variants"
            f" takes up to {length} bytes; Lambda takes {LARGEST_ENVIRONMENT}: give some of the"
            " sources another queue, or fewer prefixes"
        )
    function = template.add_resource(
        Function(
            naming.logical_id(queue, "Worker"),
            FunctionName=naming.name(naming.name_suffix(queue, WORKER)),
            Runtime=parameters.runtime,
            Architectures=[parameters.architecture],
            Handler=HANDLER,
            Metadata=suppress(
                CKV_AWS_116="What SQS brings fails into the queue's redrive policy, never into the"
                " function's own dead-letter queue"
            ),
            Code=Code(S3Bucket=parameters.code_bucket, S3Key=parameters.code_key),
            CodeSigningConfigArn=parameters.code_signing,
            Role=GetAtt(identity.role, "Arn"),
            MemorySize=capacity.memory_megabytes,
            Timeout=settings.timeout_seconds,
            ReservedConcurrentExecutions=capacity.reserved_concurrency,
            RecursiveLoop="Terminate",  # should output ever come back as input (trap 16)
            KmsKeyArn=encryption.arn,
            VpcConfig=VPCConfig(
                SubnetIds=network.subnets,
                SecurityGroupIds=[network.worker_security_group],
            ),
            LoggingConfig=LoggingConfig(LogGroup=Ref(identity.log_group), LogFormat="JSON"),
            TracingConfig=TracingConfig(Mode=parameters.tracing),
            Environment=Environment(Variables=variables),
        )
    )
    template.add_resource(
        EventSourceMapping(
            naming.logical_id(queue, "WorkerEventSourceMapping"),
            EventSourceArn=queues.work_arn,
            FunctionName=Ref(function),
            BatchSize=settings.batch_size,
            MaximumBatchingWindowInSeconds=settings.maximum_batching_window_seconds,
            # One bad message fails alone (T4).
            FunctionResponseTypes=["ReportBatchItemFailures"],
            **capacity.scaling,
        )
    )
    return function


def _sources(origins: Sequence[Origin], specification: Specification) -> Sub:
    """Return, as JSON, what the worker is told of each bucket; what is left out has its default."""
    table: dict[str, dict[str, object]] = {}
    for origin in origins:
        settings = origin.settings
        about: dict[str, object] = {"name": origin.name}
        if output_prefix := specification.output_prefix(origin.name):
            about["output_prefix"] = output_prefix
        if settings.variants != DEFAULT:
            about["variants"] = settings.variants
        if settings.propagate_deletes:
            about["propagate_deletes"] = True
        if settings.type != "s3":  # a topic does not filter, a rule by prefix alone
            about |= {"prefixes": settings.prefixes, "suffixes": settings.suffixes}
        table[f"${{{origin.bucket.data['Ref']}}}"] = about
    return Sub(_compact(table))


def _variants(origins: Sequence[Origin], specification: Specification) -> str:
    used = {origin.settings.variants: None for origin in origins}
    return _compact({name: specification.variants[name].told() for name in used})


def _longest(value: object) -> int:
    """Return the most bytes that a variable's value can have."""
    if isinstance(value, Sub):
        return len(re.sub(r"\$\{\w+\}", LONGEST_BUCKET_NAME * "b", value.data["Fn::Sub"]))
    return len(value.encode()) if isinstance(value, str) else LONGEST_REFERENCE


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
