"""The worker's role: what its code calls, and what Lambda does with the role."""

from collections.abc import Iterator
from dataclasses import replace

from darkroom.iam.evaluator import PolicyCheck
from darkroom.iam.expectations import requests
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    THUMBNAIL_BUCKET_POLICY,
    WORKER_ROLE,
    Expectation,
    denied_by_trust_policy,
)
from darkroom.iam.expectations.requests import (
    EXTERNAL_USER,
    KEY,
    SSE,
    THUMBNAILS,
    USER,
    WORKER,
    by_worker,
)
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, SourceModel, StackModel
from templates.specification_values import WATERMARKS

S3_ENDPOINT = PolicyCheck("S3Endpoint", "resource-based")
SQS_ENDPOINT = PolicyCheck("SqsEndpoint", "resource-based")
SQS_PERIMETER = PolicyCheck("WorkerSqsPerimeter", "deny-only")

MANAGE_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
DESCRIBE_INTERFACES = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")
SEND_TRACES = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")
S3_ACTIONS = (
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:PutBucketPolicy",
    "s3:PutObject",
    "s3:PutObjectAcl",
)
LISTINGS = ("s3:ListBucket", "s3:ListBucketVersions")
SQS_ACTIONS = (
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "sqs:SetQueueAttributes",
)


def calls(stack: StackModel) -> list[Expectation]:
    """Return the calls of the worker's own code; tests/e2e/test_iam.py records the same set."""
    s3_checks = (WORKER_ROLE, S3_ENDPOINT)
    inside = {"aws:SourceVpce": stack.s3_endpoint, **_from_code(stack.queues[0].function_arn)}
    written = {**inside, SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}
    expectations: list[Expectation] = []
    outputs: list[str] = []
    for source in stack.sources:
        checks = (*s3_checks, *source.bucket_checks)
        owned = {**inside, "aws:ResourceAccount": _owner(source)}
        for prefix in source.prefixes:
            for action in _reads(source):
                read = by_worker(action, f"{source.bucket}/{prefix}a.jpg", **owned)
                expectations.append(Expectation("read an upload", read, checks))
            # S3 checks these for a missing object; it does not document whether with its key.
            for action in LISTINGS:
                for context in ({}, {"s3:prefix": f"{prefix}a.jpg"}):
                    listing = by_worker(action, source.bucket, **owned, **context)
                    expectations.append(Expectation("detect a deleted upload", listing, checks))
        outputs += [f"{THUMBNAILS}/{key}" for key in (source.outputs[0], source.rejection)]
    checks = (*s3_checks, THUMBNAIL_BUCKET_POLICY)
    for key in outputs:
        put = by_worker("s3:PutObject", key, **written)
        expectations.append(Expectation("write an output", put, checks))
        expectations.append(
            Expectation("compare versions", by_worker("s3:GetObject", key, **inside), checks)
        )
        expectations.append(
            Expectation("delete an old output", by_worker("s3:DeleteObject", key, **inside), checks)
        )
    for key in stack.specification.watermark_keys():
        read = by_worker("s3:GetObject", f"{THUMBNAILS}/{key}", **inside)
        expectations.append(Expectation("read a watermark", read, checks))
    missing = by_worker("s3:ListBucket", THUMBNAILS, **inside)
    expectations.append(Expectation("detect a missing output", missing, checks))
    listing = by_worker("s3:ListBucket", THUMBNAILS, **inside, **{"s3:prefix": "thumbnails/a.jpg/"})
    expectations.append(Expectation("list the outputs of a key", listing, checks))
    expectations += [
        Expectation(
            "delete or delay a message",
            by_worker(
                action,
                queue.work_queue,
                **_from_code(queue.function_arn),
                **{"aws:SourceVpce": stack.sqs_endpoint},
            ),
            (
                WORKER_ROLE,
                SQS_ENDPOINT,
                SQS_PERIMETER,
                PolicyCheck(queue.work_queue_policy, "deny-only"),
            ),
        )
        for queue in stack.queues
        for action in ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage")
    ]
    return expectations


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield what the code calls, and what Lambda does with the role from outside the VPC."""
    yield from calls(stack)
    for queue in stack.queues:
        check = PolicyCheck(queue.work_queue_policy, "deny-only")
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            yield Expectation(
                "poll the queue",
                by_worker(action, queue.work_queue),
                (WORKER_ROLE, SQS_PERIMETER, check),
            )
    for reason, action, context, value in (
        *(
            use
            for queue in stack.queues
            for use in (
                ("read a message", "kms:Decrypt", "aws:sqs:arn", queue.work_queue),
                ("read a redriven message", "kms:Decrypt", "aws:sqs:arn", queue.dead_letter_queue),
                ("start", "kms:Decrypt", "aws:lambda:FunctionArn", queue.function_arn),
            )
        ),
        *(
            ("read an upload, with or without a bucket key", "kms:Decrypt", "aws:s3:arn", arn)
            for source in stack.managed_sources
            for arn in (source.bucket, f"{source.bucket}/u/a.jpg")
        ),
        ("write an output", "kms:GenerateDataKey", "aws:s3:arn", THUMBNAILS),
        ("compare versions", "kms:Decrypt", "aws:s3:arn", THUMBNAILS),
    ):
        request = by_worker(action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Expectation(reason, request, (WORKER_ROLE, KEY_POLICY))
    for source in stack.sources:
        if source.kms_key:  # the key policy is in the other account
            yield Expectation(
                "read an upload", by_worker("kms:Decrypt", source.kms_key), (WORKER_ROLE,)
            )
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Expectation(
            "write the log", by_worker(action, "<WorkerLogGroup.Arn>"), (WORKER_ROLE,)
        )
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for action in MANAGE_INTERFACES:
        yield Expectation("attach to the VPC", by_worker(action, interface), (WORKER_ROLE,))
    for action in DESCRIBE_INTERFACES:
        yield Expectation("attach to the VPC", by_worker(action, "*"), (WORKER_ROLE,))
    if traces(stack):
        for action in SEND_TRACES:
            yield Expectation("send traces", by_worker(action, "*"), (WORKER_ROLE,))
    # Lambda documents no condition key for this request.
    assume_role = requests.request("lambda.amazonaws.com", "sts:AssumeRole", "<WorkerRole>", {})
    yield Expectation("run the worker", assume_role, (PolicyCheck("WorkerRole", "resource-based"),))


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield the code's calls by other principals, and actions that the role must not have."""
    for expectation in calls(stack):
        yield from _by_other_principals(expectation)
    yield from _in_buckets_of_others(stack)
    yield from _with_stolen_credentials(stack)
    yield from _other_actions(stack)
    yield from _beyond_the_role(stack)


def _other_actions(stack: StackModel) -> Iterator[Expectation]:
    """Yield actions that the code does not call, on its own resources and on others."""
    expected = calls(stack)
    called = {(one.request.action, one.request.resource) for one in expected}
    resources = {one.request.resource for one in expected if one.checks[1] == S3_ENDPOINT}
    arns_of_s3 = (*sorted(resources), *_other_objects(stack))
    queues = [arn for queue in stack.queues for arn in (queue.work_queue, queue.dead_letter_queue)]
    for check, actions, arns in (
        (S3_ENDPOINT, S3_ACTIONS, arns_of_s3),
        (WORKER_ROLE, S3_ACTIONS, arns_of_s3),
        (SQS_ENDPOINT, SQS_ACTIONS, queues),
    ):
        for action in actions:
            for resource in arns:
                if (action, resource) not in called:
                    yield Expectation("another action", by_worker(action, resource), (check,))


def _beyond_the_role(stack: StackModel) -> Iterator[Expectation]:
    """Yield what the role's own policy must not allow."""
    only = (WORKER_ROLE,)
    for queue in stack.queues:
        for action in SQS_ACTIONS:
            yield Expectation("another queue", by_worker(action, queue.dead_letter_queue), only)
        for action in ("sqs:PurgeQueue", "sqs:SendMessage", "sqs:SetQueueAttributes"):
            yield Expectation(
                "another action on the queue", by_worker(action, queue.work_queue), only
            )
    read_contexts = [
        *(("aws:s3:arn", source.bucket) for source in stack.managed_sources),
        *(
            ("aws:sqs:arn", arn)
            for queue in stack.queues
            for arn in (queue.work_queue, queue.dead_letter_queue)
        ),
        *(("aws:lambda:FunctionArn", queue.function_arn) for queue in stack.queues),
    ]
    contexts = [*read_contexts, ("aws:s3:arn", THUMBNAILS)]
    for action, context, value in (
        *(("kms:GenerateDataKey", context, value) for context, value in read_contexts),
        *(("kms:Encrypt", context, value) for context, value in contexts),
        *(
            (action, context, f"{value}-other")
            for action in ("kms:Decrypt", "kms:GenerateDataKey")
            for context, value in contexts
        ),
    ):
        request = by_worker(action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Expectation("the key for another resource", request, only)
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:ScheduleKeyDeletion"):
        yield Expectation("the key without encryption context", by_worker(action, KEY), only)
    other_key = f"{KEY}-other"
    for context, value in contexts:
        request = by_worker("kms:Decrypt", other_key, **{f"kms:EncryptionContext:{context}": value})
        yield Expectation("another key", request, only)
    for source in stack.sources:
        if source.kms_key:
            for action in ("kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"):
                yield Expectation(
                    "encrypt under an external key", by_worker(action, source.kms_key), only
                )
            other = by_worker("kms:Decrypt", f"{source.kms_key}-other")
            yield Expectation("another key", other, only)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Expectation("another log", by_worker(action, "<FlowLogGroup.Arn>"), only)
    yield Expectation(
        "create a log group", by_worker("logs:CreateLogGroup", "<WorkerLogGroup.Arn>"), only
    )
    yield Expectation(
        "delete logs", by_worker("logs:DeleteLogStream", "<WorkerLogGroup.Arn>"), only
    )
    for action in ("xray:GetTraceSummaries", *(() if traces(stack) else SEND_TRACES)):
        yield Expectation("more than sending traces", by_worker(action, "*"), only)
    for account, region in ((OTHER_ACCOUNT, REGION), (ACCOUNT, "us-east-1")):
        interface = f"arn:aws:ec2:{region}:{account}:network-interface/eni-1"
        for action in MANAGE_INTERFACES:
            yield Expectation("another network", by_worker(action, interface), only)
    for action in ("ec2:RunInstances", "ec2:CreateRoute", "ec2:ModifyNetworkInterfaceAttribute"):
        interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
        yield Expectation("change the network", by_worker(action, interface), only)
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for function_arn in _functions(stack):
        inside = _from_code(function_arn)
        for action in MANAGE_INTERFACES:
            from_code = by_worker(action, interface, **inside)
            yield Expectation("manage network interfaces from the code", from_code, only)
        for action in DESCRIBE_INTERFACES:
            from_code = by_worker(action, "*", **inside)
            yield Expectation("manage network interfaces from the code", from_code, only)
    for action in ("iam:PassRole", "sts:AssumeRole", "lambda:InvokeFunction", "ec2:DescribeVpcs"):
        yield Expectation("another service", by_worker(action, "*"), only)
    yield from denied_by_trust_policy("WorkerRole")


def _in_buckets_of_others(stack: StackModel) -> Iterator[Expectation]:
    """Yield the code's calls on another account's bucket of the same name, and other listings."""
    external = {source.bucket for source in stack.sources if not source.bucket_policy}
    for expectation in calls(stack):
        if expectation.checks[1] != S3_ENDPOINT:
            continue
        request = expectation.request
        if request.resource.partition("/")[0] not in external:
            context = {**request.context, "aws:resourceaccount": OTHER_ACCOUNT}
            other = replace(request, context=context)
            for check in (WORKER_ROLE, S3_ENDPOINT):
                yield Expectation("another account's bucket of this name", other, (check,))
    limited = [source for source in stack.sources if "" not in source.prefixes]
    for bucket, owner, actions in (
        *((source.bucket, _owner(source), LISTINGS) for source in limited),
        (THUMBNAILS, ACCOUNT, LISTINGS[:1]),
    ):
        for action in actions:
            context = {"aws:ResourceAccount": owner, "s3:prefix": "other/"}
            for check in (WORKER_ROLE, S3_ENDPOINT):
                listing = by_worker(action, bucket, **context)
                yield Expectation("list another prefix", listing, (check,))


def _with_stolen_credentials(stack: StackModel) -> Iterator[Expectation]:
    """Yield calls to SQS with the credentials of the code, which have its function's ARN."""
    for queue in stack.queues:
        for function_arn in _functions(stack):
            code = _from_code(function_arn)
            for action in SQS_ACTIONS:
                for context in ({}, {"aws:SourceVpce": f"{stack.sqs_endpoint}-other"}):
                    call = by_worker(action, queue.work_queue, **code, **context)
                    yield Expectation(
                        "the code's credentials outside its endpoint", call, (SQS_PERIMETER,)
                    )
            inside = {**code, "aws:SourceVpce": stack.sqs_endpoint}
            for action in ("sqs:ReceiveMessage", "sqs:GetQueueAttributes"):
                for context in (code, inside):
                    call = by_worker(action, queue.work_queue, **context)
                    yield Expectation("receive messages in the code", call, (SQS_PERIMETER,))


def _from_code(function_arn: str) -> dict[str, str]:
    """Return what requests with the credentials of a function's code have, Lambda's have not."""
    return {"lambda:SourceFunctionArn": function_arn}


def _owner(source: SourceModel) -> str:
    """Return the account of a source's bucket: another one for an external bucket."""
    return ACCOUNT if source.bucket_policy else OTHER_ACCOUNT


def _reads(source: SourceModel) -> tuple[str, ...]:
    return ("s3:GetObjectVersion", *(("s3:GetObject",) if source.reads_current else ()))


def _functions(stack: StackModel) -> tuple[str, ...]:
    """Return the ARNs of the functions, and of another one that was given the role."""
    own = tuple(queue.function_arn for queue in stack.queues)
    return (*own, f"{own[0]}-other")


def traces(stack: StackModel) -> bool:
    """Return whether a function of the stack sends traces."""
    return any(
        function["TracingConfig"]["Mode"] == "Active"
        for function in stack.resources_of_type("Lambda::Function").values()
    )


def _other_objects(stack: StackModel) -> Iterator[str]:
    yield f"{THUMBNAILS}/other/a.jpg"
    for key in (f"{WATERMARKS}/a.png", *stack.specification.watermark_keys()):
        folder = key.rpartition("/")[0]
        # The object's own neighbours, and what its name begins.
        yield from (f"{THUMBNAILS}/{one}" for one in (key, f"{key}-other", f"{folder}/other.png"))
    yield f"{THUMBNAILS}-other/thumbnails/a.jpg/w400"
    for source in stack.sources:
        if "" not in source.prefixes:  # the whole bucket
            yield f"{source.bucket}/other/a.jpg"
        yield f"{source.bucket}-other"
        yield f"{source.bucket}-other/{source.prefixes[0]}a.jpg"
        for prefix in source.prefixes:
            if "/" in prefix[:-1]:  # in the same folder; no prefix has a `~`
                yield f"{source.bucket}/{prefix[:-1]}~/a.jpg"


def _by_other_principals(expectation: Expectation) -> Iterator[Expectation]:
    """Yield one of the worker's calls as other principals make it, through the endpoints."""
    for check in expectation.checks:
        if check.kind == "resource-based":
            for principal in (USER, EXTERNAL_USER, f"{WORKER}-other"):
                context = {**expectation.request.context, "aws:principalarn": principal}
                request = replace(expectation.request, principal=principal, context=context)
                yield Expectation("another principal through the endpoint", request, (check,))
