"""Rules about functions: their rights, their log, their place in a network, their settings."""

import re
from collections.abc import Iterator

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.policy_documents import Statement, as_list
from darkroom.iam.evaluator import Request, allowed, applies, like
from darkroom.lint.rule import Problems, rule

VPC = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"
LOGS = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html"
SQS_RIGHTS = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"
KMS_CONTEXT = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"
    "#encryption-context"
)

# What Lambda needs to place a function in a network, and so what its code must not be able to do.
INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
SEND_TRACES = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")
POLLING = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE)
ENVIRONMENT_LIMIT = 4096


def _with_roles(stack: TemplateModel) -> Iterator[tuple[str, str]]:
    """Yield each function with its role, where that is in the stack."""
    for function in stack.resources_of_type("Lambda::Function"):
        if role := stack.role_of(function):
            yield function, role


def _in_network(stack: TemplateModel) -> Iterator[tuple[str, str]]:
    for function, role in _with_roles(stack):
        if stack.properties(function).get("VpcConfig", {}).get("SubnetIds"):
            yield function, role


def _has_vpc_policy(stack: TemplateModel, role: str) -> bool:
    """Whether AWS's own policy for functions in a network is attached."""
    names = stack.properties(role).get("ManagedPolicyArns", [])
    return any(str(one).endswith("AWSLambdaVPCAccessExecutionRole") for one in names)


@rule(
    "DR-LAMBDA-007",
    "error",
    remediation=(
        "Grant sqs:ReceiveMessage, sqs:DeleteMessage and sqs:GetQueueAttributes on the queue."
    ),
    source=SQS_RIGHTS,
    requirements=("T1", "S5"),
)
def lambda_poll_permissions(stack: TemplateModel) -> Problems:
    """The function's role may poll its queue.

    Lambda polls as the function's role: without these the mapping cannot be created.
    """
    for one in stack.event_source_mappings():
        role = stack.role_of(one.function) if one.function else ""
        if not role or not one.queue or _has_sqs_policy(stack, role):
            continue
        for action in POLLING:
            request = Request(action=action, resource=stack.arn(one.queue))
            if not allowed(stack.role_statements(role), request):
                yield role, f"lacks {action} on {one.queue}"


def _has_sqs_policy(stack: TemplateModel, role: str) -> bool:
    names = stack.properties(role).get("ManagedPolicyArns", [])
    return any(str(one).endswith("AWSLambdaSQSQueueExecutionRole") for one in names)


@rule(
    "DR-KMS-001",
    "error",
    remediation=(
        "Grant kms:Decrypt (and kms:GenerateDataKey to write) on the key, where a condition names"
        " an encryption context with the bucket's, the queue's or the function's ARN."
    ),
    source=KMS_CONTEXT,
    requirements=("S5",),
    pitfalls=(3, 6),
)
def kms_role_access(stack: TemplateModel) -> Problems:
    """The function's role may use the keys of what it reads and writes.

    With bucket keys the context is the bucket, not the object: another one is refused.
    """
    for function, role in _with_roles(stack):
        granted = stack.role_statements(role)
        for title, actions, context in _uses(stack, function, granted):
            key = stack.kms_key_of(title)
            for action in actions if key else ():
                request = Request(action=action, resource=stack.arn(key), context=context)
                if not allowed(granted, request):
                    yield role, f"lacks {action} for what {key} encrypts in {title}"


def _uses(
    stack: TemplateModel, function: str, granted: list[Statement]
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Yield what a function reads or writes encrypted, the key actions and the context."""
    via = "kms:EncryptionContext"
    if stack.properties(function).get("KmsKeyArn"):
        here = stack.arn(function)
        yield function, ("kms:Decrypt",), {f"{via}:aws:lambda:FunctionArn": here}
    for one in stack.event_source_mappings():
        if one.queue and one.function == function:
            yield one.queue, ("kms:Decrypt",), {f"{via}:aws:sqs:arn": stack.arn(one.queue)}
    for bucket in stack.resources_of_type("S3::Bucket"):
        actions = [
            action
            for action, objects in (
                ("kms:Decrypt", ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject")),
                ("kms:GenerateDataKey", ("s3:PutObject",)),
            )
            if any(_reaches(granted, one, stack.arn(bucket)) for one in objects)
        ]
        yield bucket, tuple(actions), {f"{via}:aws:s3:arn": stack.arn(bucket)}


def _reaches(granted: list[Statement], action: str, bucket_arn: str) -> bool:
    return any(
        one["Effect"] == "Allow"
        and any(like(each, action, ignore_case=True) for each in one.get("Action", []))
        and any(
            str(each).startswith(f"{bucket_arn}/") or like(str(each), f"{bucket_arn}/x")
            for each in one.get("Resource", [])
        )
        for one in granted
    )


@rule(
    "DR-LAMBDA-008",
    "warning",
    remediation=(
        "Create an AWS::Logs::LogGroup with a retention and name it in LoggingConfig.LogGroup."
    ),
    source=LOGS,
    requirements=("O1",),
    pitfalls=(27,),
)
def lambda_log_group(stack: TemplateModel) -> Problems:
    """The function's log group is in the template and created before the function.

    Lambda would create one itself, without key and retention, in the next deployment's way.
    """
    for function, properties in stack.resources_of_type("Lambda::Function").items():
        named = properties.get("LoggingConfig", {}).get("LogGroup")
        group = stack.logical_id(
            named or f"/aws/lambda/{stack.name(function)}",
            "Logs::LogGroup",
        )
        if not group:
            yield function, "has no log group in the stack"
        elif group not in stack.dependencies(function):
            yield function, f"does not wait for its log group {group}"


@rule(
    "DR-IAM-003",
    "warning",
    remediation=(
        "Remove logs:CreateLogGroup; CreateLogStream and PutLogEvents on the group are enough."
    ),
    source=LOGS,
    requirements=("O1",),
    pitfalls=(27,),
)
def iam_create_log_group(stack: TemplateModel) -> Problems:
    """No role may create log groups.

    A late log line after the stack's deletion re-creates the group: the next deploy fails.
    """
    for title, statement in stack.all_statements():
        if statement["Effect"] == "Allow" and any(
            like(one, "logs:CreateLogGroup", ignore_case=True)
            for one in statement.get("Action", [])
        ):
            yield title, "allows logs:CreateLogGroup"
    for _, role in _with_roles(stack):
        for policy in stack.properties(role).get("ManagedPolicyArns", []):
            if re.search(r"service-role/AWSLambda\w+ExecutionRole$", str(policy)):
                yield role, f"has {str(policy).rpartition('/')[2]}, with logs:CreateLogGroup"


@rule(
    "DR-LAMBDA-009",
    "error",
    remediation="Grant logs:CreateLogStream and logs:PutLogEvents on the function's log group.",
    source=LOGS,
    requirements=("O1",),
)
def lambda_log_permissions(stack: TemplateModel) -> Problems:
    """The function's role may write to its log group.

    Without the right the function runs and says nothing: nobody sees why it fails.
    """
    for function, role in _with_roles(stack):
        config = stack.properties(function).get("LoggingConfig", {})
        group = stack.logical_id(
            config.get("LogGroup") or f"/aws/lambda/{stack.name(function)}", "Logs::LogGroup"
        )
        managed = stack.properties(role).get("ManagedPolicyArns", [])
        if not group or any("ExecutionRole" in str(one) for one in managed):
            continue
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            resource = f"{stack.arn(group).removesuffix('*')}log-stream:x"
            if not allowed(stack.role_statements(role), Request(action=action, resource=resource)):
                yield role, f"lacks {action} on {group}"


@rule(
    "DR-LAMBDA-010",
    "error",
    remediation=(
        "Grant the role ec2:CreateNetworkInterface, DescribeNetworkInterfaces, DescribeSubnets,"
        " DeleteNetworkInterface, AssignPrivateIpAddresses and UnassignPrivateIpAddresses."
    ),
    source=f"{VPC}#configuration-vpc-permissions",
    requirements=("S6",),
)
def lambda_eni_permissions(stack: TemplateModel) -> Problems:
    """The role of a function in a VPC may manage network interfaces.

    Lambda places the function in its network with the role's rights.
    """
    for _, role in _in_network(stack):
        if _has_vpc_policy(stack, role):
            continue
        here = f"arn:{stack.pseudo('Partition')}:ec2:{stack.pseudo('Region')}:{stack.account}"
        resource = f"{here}:network-interface/eni-0"
        for action in INTERFACES:
            if not allowed(stack.role_statements(role), Request(action=action, resource=resource)):
                yield role, f"lacks {action}"


@rule(
    "DR-LAMBDA-011",
    "warning",
    remediation=(
        "Deny the ec2 network-interface actions when lambda:SourceFunctionArn is the function."
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html",
    requirements=("S7",),
    pitfalls=(23,),
)
def lambda_eni_permissions_denied(stack: TemplateModel) -> Problems:
    """The function's code is denied the network interface permissions of its role.

    What Lambda may do to the network on behalf of the function, its code could do as well.
    """
    for function, role in _in_network(stack):
        code = {"lambda:SourceFunctionArn": stack.arn(function)}
        denies = [one for one in stack.role_statements(role) if one["Effect"] == "Deny"]
        for action in INTERFACES:
            request = Request(action=action, context=code)
            if not any(applies(one, request) for one in denies):
                yield role, f"lets the code of {function} call {action}"
                break
        # The same refusal without its condition would keep Lambda itself out.
        if any(applies(one, Request(action=INTERFACES[0])) for one in denies):
            yield role, f"refuses {INTERFACES[0]} to Lambda itself"


@rule(
    "DR-VPC-001",
    "warning",
    remediation=(
        "Let each security group of the function depend on what grants the interface rights."
    ),
    source=f"{VPC}#configuration-vpc-permissions",
    pitfalls=(22,),
)
def vpc_eni_deletion_order(stack: TemplateModel) -> Problems:
    """The function's security groups are deleted before its network interface permissions.

    Deleted in another order, the interfaces stay and the deletion hangs for up to 45 minutes.
    """
    for function, role in _in_network(stack):
        if _has_vpc_policy(stack, role):
            holders = {role}
        else:
            holders = {
                title
                for title, _ in stack.active_resources()
                if stack.type_of(title) in ("IAM::Role", "IAM::Policy", "IAM::ManagedPolicy")
                and (title == role or role in stack.dependencies(title))
                and any(
                    one["Effect"] == "Allow"
                    and any(
                        like(each, "ec2:DeleteNetworkInterface", ignore_case=True)
                        for each in one.get("Action", [])
                    )
                    for one in stack.statements(title)
                )
            }
        for value in stack.properties(function)["VpcConfig"].get("SecurityGroupIds", []):
            group = stack.logical_id(value, "EC2::SecurityGroup")
            if group and not holders & stack.dependencies(group):
                yield group, f"does not wait for {', '.join(sorted(holders)) or role}"


@rule(
    "DR-LAMBDA-012",
    "error",
    remediation=(
        "Write to another bucket than the one that is announced, and set RecursiveLoop: Terminate."
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html",
    requirements=("R5",),
    pitfalls=(16,),
)
def lambda_recursive_loop(stack: TemplateModel) -> Problems:
    """The function does not write to the bucket whose events invoke it.

    What the function writes where uploads are announced wakes it again, for ever.
    """
    for one in stack.event_source_mappings():
        if not one.function:
            continue
        properties = stack.properties(one.function)
        if properties.get("RecursiveLoop") == "Allow":
            yield one.function, "allows recursive loops"
        role = stack.role_of(one.function)
        for bucket in {b for b, _, queue in stack.queue_notifications() if queue == one.queue}:
            if role and _reaches(stack.role_statements(role), "s3:PutObject", stack.arn(bucket)):
                yield role, f"may write to {bucket}, whose uploads {one.function} works on"
            variables = properties.get("Environment", {}).get("Variables", {})
            named = [name for name, v in variables.items() if stack.mentions(v, bucket)]
            if len(named) > 1:
                yield one.function, f"has {' and '.join(named)} both naming {bucket}"


@rule(
    "DR-LAMBDA-013",
    "error",
    remediation="Read the secret from Secrets Manager or Parameter Store at run time.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html",
    requirements=("S7",),
)
def lambda_environment_secret(stack: TemplateModel) -> Problems:
    """Environment variables hold no secret.

    Whoever may read the function's configuration reads its environment.
    """
    for function, properties in stack.resources_of_type("Lambda::Function").items():
        for name, value in properties.get("Environment", {}).get("Variables", {}).items():
            if SECRET.search(name) and value and "arn:" not in str(value):
                yield function, f"has the environment variable {name}"


@rule(
    "DR-LAMBDA-014",
    "error",
    remediation="Shorten the values, or keep them in Parameter Store.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
    pitfalls=(31,),
)
def lambda_environment_size(stack: TemplateModel) -> Problems:
    """Environment variables stay within 4 KB.

    Lambda refuses more than 4 KB of environment variables.
    """
    for function, properties in stack.resources_of_type("Lambda::Function").items():
        variables = properties.get("Environment", {}).get("Variables", {})
        size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
        if size > ENVIRONMENT_LIMIT:
            yield function, f"has {size} bytes of environment variables"


@rule(
    "DR-LAMBDA-015",
    "warning",
    remediation="Take the key from a parameter, and name the package by its content's hash.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "aws-properties-lambda-function-code.html",
    requirements=("D1",),
    pitfalls=(37,),
)
def lambda_code_key(stack: TemplateModel) -> Problems:
    """The S3 key of the function's code changes with the code.

    New code under the same key does not update the function: CloudFormation sees no change.
    """
    for function, resource in stack.active_resources():
        if stack.type_of(function) == "Lambda::Function":
            code = resource["Properties"].get("Code", {})
            if isinstance(code.get("S3Key"), str) and "S3ObjectVersion" not in code:
                yield function, f"always takes its code from {code['S3Key']!r}"


@rule(
    "DR-IAM-004",
    "warning",
    remediation="Give each role the same PermissionsBoundary.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
    requirements=("S8",),
)
def iam_permissions_boundary(stack: TemplateModel) -> Problems:
    """Every role has the permissions boundary that one role has.

    A boundary that one role lacks is no boundary: organisations refuse such a stack.
    """
    roles = stack.resources_of_type("IAM::Role")
    if any("PermissionsBoundary" in one for one in roles.values()):
        for title, properties in roles.items():
            if "PermissionsBoundary" not in properties:
                yield title, "has no permissions boundary, other roles of the stack have one"


@rule(
    "DR-IAM-005",
    "error",
    remediation="Trust only the service that assumes the role.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html",
    requirements=("S5",),
)
def iam_lambda_trust(stack: TemplateModel) -> Problems:
    """A function's role trusts Lambda and nothing else.

    Lambda cannot assume a role that does not trust it; others should not.
    """
    for function, role in _with_roles(stack):
        document = stack.properties(role).get("AssumeRolePolicyDocument", {})
        trusted = {
            str(name)
            for one in as_list(document.get("Statement", []))
            if one.get("Effect") == "Allow"
            for names in (
                one["Principal"].values()
                if isinstance(one.get("Principal"), dict)
                else [one.get("Principal")]
            )
            for name in as_list(names)
        }
        if "lambda.amazonaws.com" not in trusted:
            yield role, f"does not trust lambda.amazonaws.com, and {function} runs as it"
        for other in sorted(trusted - {"lambda.amazonaws.com"}):
            yield role, f"of {function} trusts {other} as well"


@rule(
    "DR-LAMBDA-016",
    "warning",
    remediation=(
        "Grant xray:PutTraceSegments and xray:PutTelemetryRecords on * where TracingConfig is"
        " Active."
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html",
    requirements=("O1", "S5"),
)
def lambda_tracing_permissions(stack: TemplateModel) -> Problems:
    """The role of a traced function may send traces.

    Lambda sends traces as the function's role: without the rights there are none, in silence.
    """
    for function, role in _with_roles(stack):
        tracing = stack.properties(function).get("TracingConfig", {})
        if tracing.get("Mode") == "Active":
            for action in SEND_TRACES:
                request = Request(action=action, resource="*", principal=stack.arn(role))
                if not allowed(stack.role_statements(role), request):
                    yield role, f"lacks {action}, and {function} is traced"
