"""The worker's functions, their role and log group, and the event source mappings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awacs.ec2 as ec2
import awacs.logs as logs
import awacs.sqs as sqs
import awacs.xray as xray
from awacs.aws import Action, Null, Statement, StringNotEquals
from troposphere import (
    AWSHelperFn,
    Equals,
    GetAtt,
    If,
    Not,
    NoValue,
    Or,
    Output,
    Ref,
    Sub,
    Template,
)
from troposphere.awslambda import (
    Code,
    Environment,
    EventSourceMapping,
    Function,
    LoggingConfig,
    TracingConfig,
    VPCConfig,
)
from troposphere.iam import ManagedPolicy, Policy, PolicyType, Role
from troposphere.logs import LogGroup

from templates import naming, policies, policy_limits
from templates.encryption import Encryption
from templates.limits import POLICY_LIMITS, ROLE_POLICIES
from templates.log_group import add_log_group
from templates.network import Network
from templates.parameters.builder import Condition
from templates.parameters.capacity import Capacity
from templates.parameters.general import FunctionPackage
from templates.parameters.regions import REGIONS_WITHOUT_RECURSION_API
from templates.queues import EVERY_ACTION as SQS_ACTIONS
from templates.queues import QueuePair
from templates.specification import ProcessingQueue
from templates.suppressions import suppress

WORKER = "worker"
HANDLER = "worker.handler.handle"
HAS_RECURSION_API = "HasRecursionApi"

# What the Lambda service needs to run a function in a VPC.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
MANAGE_INTERFACES = [
    ec2.AssignPrivateIpAddresses,
    ec2.CreateNetworkInterface,
    ec2.DeleteNetworkInterface,
    ec2.UnassignPrivateIpAddresses,
]
# What a policy document has besides its statements.
DOCUMENT_CHARACTERS = 48
# Of the role's inline policies: these documents, and the policy that denies SQS elsewhere.
INLINE_RESERVE = 800
DESCRIBE_INTERFACES = [ec2.DescribeNetworkInterfaces, ec2.DescribeSubnets]


# The code of any function with the role: calls that Lambda makes itself, such as polling, do not
# have the key. https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
FROM_CODE = Null({"lambda:SourceFunctionArn": "false"})


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The role and the log group that all functions share."""

    role: Role
    log_group: LogGroup

    def outputs(self, *, reads_external_buckets: bool) -> list[Output]:
        """Return the stack's outputs about the log group and, for external buckets, the role."""
        found = [
            Output(
                "LogGroupName",
                Description="Log group of the worker, with Lambda's own lines",
                Value=Ref(self.log_group),
            )
        ]
        if reads_external_buckets:
            description = "Role that reads the existing buckets; their policies must allow it"
            arn = GetAtt(self.role, "Arn")
            found.append(Output("WorkerRoleArn", Description=description, Value=arn))
        return found


def add_identity(
    template: Template,
    *,
    queues: Iterable[str],
    grants: Sequence[Statement | If],
    encryption: Encryption,
    log_retention_days: Ref,
    permissions_boundary: AWSHelperFn,
    tracing_enabled: Condition,
) -> Identity:
    """Add the functions' role, with `grants` and what Lambda needs, and their log group.

    All queues share both: their functions do the same with the same data.
    """
    # The role cannot create log groups: Lambda would create one without key and retention, which
    # blocks the next deployment (pitfall 27).
    log_group = add_log_group(
        template, "WorkerLogGroup", WORKER, encryption=encryption, retention_days=log_retention_days
    )
    functions = [function_arn(queue) for queue in queues]
    run = run_grants(functions, log_group, encryption, tracing_enabled)
    inline, managed = _divide(template, policies.merged(grants), run)
    attached = [
        template.add_resource(
            ManagedPolicy(
                f"WorkerPolicy{number}",
                Description="Permissions of the worker that its role has no room for",
                PolicyDocument=policies.document(*statements),
            )
        )
        for number, statements in enumerate(managed, 1)
    ]
    documents = {"work": policies.document(*inline), "run": policies.document(*run)}
    role = template.add_resource(
        Role(
            "WorkerRole",
            # Without a source condition: Lambda documents none for this role, and only an identity
            # of this account can pass the role to a function (pitfall 59).
            AssumeRolePolicyDocument=policies.document(
                policies.allow_assume("lambda.amazonaws.com")
            ),
            PermissionsBoundary=permissions_boundary,
            Policies=[
                Policy(PolicyName=name, PolicyDocument=document)
                for name, document in documents.items()
            ],
        )
    )
    if attached:
        role.ManagedPolicyArns = [Ref(one) for one in attached]
    return Identity(role=role, log_group=log_group)


def _divide(
    template: Template, grants: Sequence[Statement | If], run: Sequence[Statement | If]
) -> tuple[list[Statement | If], list[list[Statement | If]]]:
    """Divide grants into those that the role has room for, besides `run`, and managed policies."""
    content = template.to_dict()
    used = INLINE_RESERVE + sum(policy_limits.sizes(content, run))
    inline: list[Statement | If] = []
    managed: list[tuple[int, list[Statement | If]]] = []
    most = POLICY_LIMITS["AWS::IAM::ManagedPolicy"].characters - DOCUMENT_CHARACTERS
    for grant, size in zip(grants, policy_limits.sizes(content, grants), strict=True):
        if used + size <= ROLE_POLICIES.characters:
            inline.append(grant)
            used += size
            continue
        for index, (taken, statements) in enumerate(managed):
            if taken + size <= most:
                managed[index] = (taken + size, [*statements, grant])
                break
        else:
            managed.append((size, [grant]))
    return inline, [statements for _, statements in managed]


def run_grants(
    functions: Sequence[Sub],
    log_group: LogGroup,
    encryption: Encryption,
    tracing_enabled: Condition,
) -> list[Statement | If]:
    """Return what the Lambda service needs to run the functions."""
    return [
        policies.allow(
            "WriteLogs", [logs.CreateLogStream, logs.PutLogEvents], [GetAtt(log_group, "Arn")]
        ),
        encryption.decrypt("DecryptEnvironment", "aws:lambda:FunctionArn", *functions),
        policies.allow(
            "ManageNetworkInterfaces",
            MANAGE_INTERFACES,
            # Lambda's documentation asks for every resource; this limits account and Region.
            [Sub("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:*/*")],
        ),
        policies.allow(
            "DescribeNetworkInterfaces",
            DESCRIBE_INTERFACES,
            ["*"],  # EC2's Describe actions support no resource
        ),
        # Lambda sends the traces, from outside the VPC.
        If(
            tracing_enabled,
            policies.allow(
                "SendTraces",
                [xray.PutTelemetryRecords, xray.PutTraceSegments],
                ["*"],  # X-Ray supports no resource for these
            ),
            NoValue,
        ),
        # The permissions on interfaces are for Lambda, not for the code it runs (pitfall 23).
        policies.deny(
            "DenyNetworkInterfacesToCode",
            [Action("ec2", "*")],  # also what EC2 adds later
            ["*"],
            FROM_CODE,
        ),
    ]


def add_sqs_perimeter(
    template: Template,
    role: Role,
    *,
    sqs_endpoint: Ref,
    has_sqs_endpoint: Condition,
    enforce_vpce: Condition,
) -> PolicyType:
    """Deny receiving to the functions' code, and SQS outside the SQS endpoint or without one.

    The credentials of the code have `lambda:SourceFunctionArn` wherever they are used, which only
    an identity-based policy can test; Lambda's pollers do not have it (pitfall 62). The policy is a
    resource of its own, because the endpoint's policy names the role.
    """
    return template.add_resource(
        PolicyType(
            "WorkerSqsPerimeter",
            PolicyName="sqs-perimeter",
            Roles=[Ref(role)],
            PolicyDocument=policies.document(
                policies.deny(
                    "DenyReceivingToCode",
                    [sqs.GetQueueAttributes, sqs.ReceiveMessage],
                    ["*"],
                    FROM_CODE,
                ),
                If(
                    enforce_vpce,
                    policies.deny(
                        "DenySqsToCodeOutsideEndpoint",
                        SQS_ACTIONS,
                        ["*"],
                        FROM_CODE,
                        StringNotEquals(
                            {"aws:SourceVpce": If(has_sqs_endpoint, sqs_endpoint, "none")}
                        ),
                    ),
                    NoValue,
                ),
            ),
        )
    )


def function_arn(queue: str) -> Sub:
    """Return the ARN of the function of `queue`, which need not exist yet."""
    return naming.function_arn(naming.name_suffix(queue, WORKER))


def add_function(
    template: Template,
    *,
    queues: QueuePair,
    settings: ProcessingQueue,
    package: FunctionPackage,
    capacity: Capacity,
    tracing_mode: Ref,
    identity: Identity,
    network: Network,
    encryption: Encryption,
    environment: Mapping[str, Any],
    perimeter: PolicyType,
) -> Function:
    """Add the function of a queue and its event source mapping.

    Nothing is processed before the `perimeter` of its role is there.
    """
    function = template.add_resource(
        Function(
            naming.logical_id(queues.name, "Worker"),
            FunctionName=naming.name(naming.name_suffix(queues.name, WORKER)),
            Runtime=package.runtime,
            Architectures=[package.architecture],
            Handler=HANDLER,
            Metadata=suppress(
                CKV_AWS_116="Lambda uses the redrive policy of an SQS source, not the function's"
                " dead-letter queue"
            ),
            Code=Code(S3Bucket=package.bucket, S3Key=package.key),
            CodeSigningConfigArn=package.signing_config,
            Role=GetAtt(identity.role, "Arn"),
            MemorySize=capacity.memory_megabytes,
            Timeout=settings.timeout_seconds,
            ReservedConcurrentExecutions=capacity.reserved_concurrency,
            # If an output ever triggers the function (pitfall 16).
            RecursiveLoop=If(_has_recursion_api(template), "Terminate", NoValue),
            KmsKeyArn=encryption.arn,
            VpcConfig=VPCConfig(
                SubnetIds=network.subnets, SecurityGroupIds=[network.worker_security_group]
            ),
            LoggingConfig=LoggingConfig(LogGroup=Ref(identity.log_group), LogFormat="JSON"),
            TracingConfig=TracingConfig(Mode=tracing_mode),
            Environment=Environment(Variables=environment),
        )
    )
    template.add_resource(
        EventSourceMapping(
            naming.logical_id(queues.name, "WorkerEventSourceMapping"),
            EventSourceArn=queues.work_arn,
            FunctionName=Ref(function),
            BatchSize=settings.batch_size,
            MaximumBatchingWindowInSeconds=settings.maximum_batching_window_seconds,
            # A failed message does not fail its batch (T4).
            FunctionResponseTypes=["ReportBatchItemFailures"],
            DependsOn=[perimeter],
            **capacity.scaling,
        )
    )
    return function


def _has_recursion_api(template: Template) -> str:
    """Add the condition that Lambda has an API for recursive loops here; return its name."""
    if HAS_RECURSION_API not in template.conditions:
        without = (Equals(Ref("AWS::Region"), one) for one in REGIONS_WITHOUT_RECURSION_API)
        elsewhere = Not(Equals(Ref("AWS::Partition"), "aws"))
        template.add_condition(HAS_RECURSION_API, Not(Or(elsewhere, *without)))
    return HAS_RECURSION_API


def function_output(queue: str, function: Function) -> Output:
    """Return the stack's output about the function of `queue`."""
    title = naming.logical_id(queue, "FunctionName")
    return Output(
        title, Description="Lambda function that processes the uploads", Value=Ref(function)
    )
