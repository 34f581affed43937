"""Rules about functions: permissions, log, network, settings."""

import re
from collections.abc import Iterator

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.policy_documents import Statement, as_list
from darkroom.iam.evaluator import Request, applies, like
from darkroom.lint.access import not_allowed
from darkroom.lint.rule import Problems, rule
from templates.limits import MAX_ENVIRONMENT_BYTES

VPC = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"
LOGS = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html"
SQS_RIGHTS = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"
KMS_CONTEXT = (
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"
    "#encryption-context"
)

# What Lambda needs to run a function in a VPC, and so what its code must not be able to do.
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


def _with_roles(model: TemplateModel) -> Iterator[tuple[str, str]]:
    """Yield each function with its role, where that is in the template."""
    for function in model.resources_of_type("Lambda::Function"):
        if role := model.role_of(function):
            yield function, role


def _in_network(model: TemplateModel) -> Iterator[tuple[str, str]]:
    for function, role in _with_roles(model):
        if model.properties(function).get("VpcConfig", {}).get("SubnetIds"):
            yield function, role


def _has_vpc_policy(model: TemplateModel, role: str) -> bool:
    """Return whether AWS's managed policy for functions in a VPC is attached."""
    names = model.properties(role).get("ManagedPolicyArns", [])
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
def lambda_poll_permissions(model: TemplateModel) -> Problems:
    """The function's role may poll its queue.

    Lambda polls with the function's role: without these permissions the mapping cannot be
    created.
    """
    for one in model.event_source_mappings():
        role = model.role_of(one.function) if one.function else ""
        if not role or not one.queue or _has_sqs_policy(model, role):
            continue
        if missing := not_allowed(model.role_statements(role), POLLING, model.arn(one.queue)):
            yield role, f"lacks {missing} on {one.queue}"


def _has_sqs_policy(model: TemplateModel, role: str) -> bool:
    names = model.properties(role).get("ManagedPolicyArns", [])
    return any(str(one).endswith("AWSLambdaSQSQueueExecutionRole") for one in names)


@rule(
    "DR-KMS-001",
    "error",
    remediation=(
        "Grant kms:Decrypt (and kms:GenerateDataKey to write) on the key; where a condition names"
        " an encryption context, use the ARN of the bucket, queue or function."
    ),
    source=KMS_CONTEXT,
    requirements=("S5",),
    pitfalls=(3, 6),
)
def kms_role_access(model: TemplateModel) -> Problems:
    """The function's role may use the keys of what it reads and writes.

    With S3 Bucket Keys the encryption context is the bucket's ARN, not the object's: a
    condition on the object's ARN denies the request.
    """
    for function, role in _with_roles(model):
        granted = model.role_statements(role)
        for title, actions, context in _uses(model, function, granted):
            key = model.kms_key_of(title)
            if key and (missing := not_allowed(granted, actions, model.arn(key), **context)):
                yield role, f"lacks {missing} for what {key} encrypts in {title}"


def _uses(
    model: TemplateModel, function: str, granted: list[Statement]
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Yield each encrypted resource that a function uses, the key actions and the context."""
    via = "kms:EncryptionContext"
    if model.properties(function).get("KmsKeyArn"):
        here = model.arn(function)
        yield function, ("kms:Decrypt",), {f"{via}:aws:lambda:FunctionArn": here}
    for one in model.event_source_mappings():
        if one.queue and one.function == function:
            yield one.queue, ("kms:Decrypt",), {f"{via}:aws:sqs:arn": model.arn(one.queue)}
    for bucket in model.resources_of_type("S3::Bucket"):
        actions = [
            action
            for action, objects in (
                ("kms:Decrypt", ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject")),
                ("kms:GenerateDataKey", ("s3:PutObject",)),
            )
            if any(_reaches(granted, one, model.arn(bucket)) for one in objects)
        ]
        yield bucket, tuple(actions), {f"{via}:aws:s3:arn": model.arn(bucket)}


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
def lambda_log_group(model: TemplateModel) -> Problems:
    """The function's log group is in the template and created before the function.

    Otherwise Lambda creates the log group, without key and retention, and the next deployment
    fails because it exists.
    """
    for function, properties in model.resources_of_type("Lambda::Function").items():
        named = properties.get("LoggingConfig", {}).get("LogGroup")
        group = model.logical_id(
            named or f"/aws/lambda/{model.name(function)}",
            "Logs::LogGroup",
        )
        if not group:
            yield function, "has no log group in the stack"
        elif group not in model.dependencies(function):
            yield function, f"does not depend on its log group {group}"


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
def iam_create_log_group(model: TemplateModel) -> Problems:
    """No role may create log groups.

    A late log line after the stack's deletion re-creates the log group, and the next deployment
    fails.
    """
    for title, statement in model.all_statements():
        if statement["Effect"] == "Allow" and any(
            like(one, "logs:CreateLogGroup", ignore_case=True)
            for one in statement.get("Action", [])
        ):
            yield title, "allows logs:CreateLogGroup"
    for _, role in _with_roles(model):
        for policy in model.properties(role).get("ManagedPolicyArns", []):
            if re.search(r"service-role/AWSLambda\w+ExecutionRole$", str(policy)):
                yield role, f"has {str(policy).rpartition('/')[2]}, with logs:CreateLogGroup"


@rule(
    "DR-LAMBDA-009",
    "error",
    remediation="Grant logs:CreateLogStream and logs:PutLogEvents on the function's log group.",
    source=LOGS,
    requirements=("O1",),
)
def lambda_log_permissions(model: TemplateModel) -> Problems:
    """The function's role may write to its log group.

    Without the permissions the function runs and logs nothing: nobody sees why it fails.
    """
    for function, role in _with_roles(model):
        config = model.properties(function).get("LoggingConfig", {})
        group = model.logical_id(
            config.get("LogGroup") or f"/aws/lambda/{model.name(function)}", "Logs::LogGroup"
        )
        managed = model.properties(role).get("ManagedPolicyArns", [])
        if not group or any("ExecutionRole" in str(one) for one in managed):
            continue
        actions = ("logs:CreateLogStream", "logs:PutLogEvents")
        resource = f"{model.arn(group).removesuffix('*')}log-stream:x"
        if missing := not_allowed(model.role_statements(role), actions, resource):
            yield role, f"lacks {missing} on {group}"


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
def lambda_eni_permissions(model: TemplateModel) -> Problems:
    """The role of a function in a VPC may manage network interfaces.

    Lambda manages the function's network interfaces with the function's role.
    """
    for _, role in _in_network(model):
        if _has_vpc_policy(model, role):
            continue
        here = f"arn:{model.pseudo('Partition')}:ec2:{model.pseudo('Region')}:{model.account}"
        resource = f"{here}:network-interface/eni-0"
        if missing := not_allowed(model.role_statements(role), INTERFACES, resource):
            yield role, f"lacks {missing}"


@rule(
    "DR-LAMBDA-011",
    "warning",
    remediation=(
        "Deny the ec2 network-interface actions with the condition Null:"
        ' {"lambda:SourceFunctionArn": "false"}.'
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html",
    requirements=("S7",),
    pitfalls=(23,),
)
def lambda_eni_permissions_denied(model: TemplateModel) -> Problems:
    """The function's code is denied the network interface permissions of its role.

    The function's code has the permissions of its role: it could change the network as Lambda
    does. A Deny that lists functions leaves the permissions to any other function with the role.
    """
    for function, role in _in_network(model):
        denies = [one for one in model.role_statements(role) if one["Effect"] == "Deny"]
        arns = {function: model.arn(function), "another function": f"{model.arn(function)}-other"}
        for name, arn in arns.items():
            code = {"lambda:SourceFunctionArn": arn}
            requests = [Request(action=action, context=code) for action in INTERFACES]
            free = [
                one.action for one in requests if not any(applies(each, one) for each in denies)
            ]
            if free:
                yield role, f"lets the code of {name} call {free[0]}"
                break
        # The same Deny without its condition would apply to Lambda itself.
        if any(applies(one, Request(action=INTERFACES[0])) for one in denies):
            yield role, f"denies {INTERFACES[0]} to Lambda itself"


@rule(
    "DR-VPC-001",
    "warning",
    remediation=(
        "Let each security group of the function depend on the resource that grants the network"
        " interface permissions."
    ),
    source=f"{VPC}#configuration-vpc-permissions",
    pitfalls=(22,),
)
def vpc_eni_deletion_order(model: TemplateModel) -> Problems:
    """The function's security groups are deleted before its network interface permissions.

    Deleted in another order, the interfaces stay and the deletion hangs for up to 45 minutes.
    """
    for function, role in _in_network(model):
        if _has_vpc_policy(model, role):
            holders = {role}
        else:
            holders = {
                title
                for title, _ in model.active_resources()
                if model.type_of(title) in ("IAM::Role", "IAM::Policy", "IAM::ManagedPolicy")
                and (title == role or role in model.dependencies(title))
                and any(
                    one["Effect"] == "Allow"
                    and any(
                        like(each, "ec2:DeleteNetworkInterface", ignore_case=True)
                        for each in one.get("Action", [])
                    )
                    for one in model.statements(title)
                )
            }
        for value in model.properties(function)["VpcConfig"].get("SecurityGroupIds", []):
            group = model.logical_id(value, "EC2::SecurityGroup")
            if group and not holders & model.dependencies(group):
                yield group, f"does not depend on {', '.join(sorted(holders)) or role}"


@rule(
    "DR-LAMBDA-012",
    "error",
    remediation=(
        "Write to a bucket other than the source bucket, and set RecursiveLoop: Terminate."
    ),
    source="https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html",
    requirements=("R5",),
    pitfalls=(16,),
)
def lambda_recursive_loop(model: TemplateModel) -> Problems:
    """The function does not write to the bucket whose events invoke it.

    An object that the function writes to its source bucket invokes the function again, without
    end.
    """
    for one in model.event_source_mappings():
        if not one.function:
            continue
        properties = model.properties(one.function)
        if properties.get("RecursiveLoop") == "Allow":
            yield one.function, "allows recursive loops"
        role = model.role_of(one.function)
        for bucket in {b for b, _, queue in model.queue_notifications() if queue == one.queue}:
            if role and _reaches(model.role_statements(role), "s3:PutObject", model.arn(bucket)):
                yield role, f"may write to {bucket}, whose events invoke {one.function}"
            variables = properties.get("Environment", {}).get("Variables", {})
            named = [name for name, v in variables.items() if model.mentions(v, bucket)]
            if len(named) > 1:
                yield one.function, f"has {' and '.join(named)} both naming {bucket}"


@rule(
    "DR-LAMBDA-013",
    "error",
    remediation="Read the secret from Secrets Manager or Parameter Store at run time.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html",
    requirements=("S7",),
)
def lambda_environment_secret(model: TemplateModel) -> Problems:
    """Environment variables hold no secret.

    Everyone who may read the function's configuration can read its environment variables.
    """
    for function, properties in model.resources_of_type("Lambda::Function").items():
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
def lambda_environment_size(model: TemplateModel) -> Problems:
    """Environment variables stay within 4 KB.

    Lambda rejects more than 4 KB of environment variables.
    """
    for function, properties in model.resources_of_type("Lambda::Function").items():
        variables = properties.get("Environment", {}).get("Variables", {})
        size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
        if size > MAX_ENVIRONMENT_BYTES:
            yield function, f"has {size} bytes of environment variables"


@rule(
    "DR-LAMBDA-015",
    "warning",
    remediation="Take the key from a parameter, and name the package by the hash of its content.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
    "aws-properties-lambda-function-code.html",
    requirements=("D1",),
    pitfalls=(37,),
)
def lambda_code_key(model: TemplateModel) -> Problems:
    """The S3 key of the function's code changes with the code.

    New code under the same key does not update the function: CloudFormation sees no change.
    """
    for function, resource in model.active_resources():
        if model.type_of(function) == "Lambda::Function":
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
def iam_permissions_boundary(model: TemplateModel) -> Problems:
    """Every role has the permissions boundary that one role has.

    Organizations that require a boundary reject a stack in which one role lacks it.
    """
    roles = model.resources_of_type("IAM::Role")
    if any("PermissionsBoundary" in one for one in roles.values()):
        for title, properties in roles.items():
            if "PermissionsBoundary" not in properties:
                yield title, "has no permissions boundary, and another role has one"


@rule(
    "DR-IAM-005",
    "error",
    remediation="Trust only the service that assumes the role.",
    source="https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html",
    requirements=("S5",),
)
def iam_lambda_trust(model: TemplateModel) -> Problems:
    """A function's role trusts Lambda and nothing else.

    Lambda cannot assume a role that does not trust it; other services should not.
    """
    for function, role in _with_roles(model):
        document = model.properties(role).get("AssumeRolePolicyDocument", {})
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
def lambda_tracing_permissions(model: TemplateModel) -> Problems:
    """The role of a traced function may send traces.

    Lambda sends traces with the function's role: without the permissions there are none, and no
    error.
    """
    for function, role in _with_roles(model):
        tracing = model.properties(function).get("TracingConfig", {})
        missing = not_allowed(model.role_statements(role), SEND_TRACES)
        if missing and tracing.get("Mode") == "Active":
            yield role, f"lacks {missing}, and {function} is traced"
