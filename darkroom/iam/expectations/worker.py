"""The function: what its code calls, what Lambda does with its role, and nothing beyond."""

from collections.abc import Iterator
from dataclasses import replace

from darkroom.iam.evaluator import PolicyCheck
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    RIGHTS,
    THUMBNAIL_GUARD,
    Expectation,
    past_a_trust,
)
from darkroom.iam.expectations.requests import (
    KEY,
    SSE,
    STRANGER,
    THUMBNAILS,
    USER,
    WORKER,
    of_service,
    of_worker,
)
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, Source, StackModel

STORAGE_DOOR = PolicyCheck("S3Endpoint", "resource")
QUEUE_DOOR = PolicyCheck("SqsEndpoint", "resource")

PLACE_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
FIND_INTERFACES = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")
SEND_TRACES = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")
S3_ACTIONS = (
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:PutBucketPolicy",
    "s3:PutObject",
    "s3:PutObjectAcl",
)
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
    """Return the calls of the worker's own code; the end-to-end run records the same set."""
    storage = (RIGHTS, STORAGE_DOOR)
    inside = {"aws:SourceVpce": stack.endpoint}
    written = {**inside, SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}
    claims: list[Expectation] = []
    outputs: list[str] = []
    for source in stack.sources:
        gates = (*storage, *source.guards)
        for prefix in source.prefixes:
            for action in _reads(source):
                read = of_worker(action, f"{source.bucket}/{prefix}a.jpg", **inside)
                claims.append(Expectation("read an upload", read, gates))
        tell = of_worker("s3:ListBucket", source.bucket, **inside)
        claims.append(Expectation("tell a deleted upload", tell, gates))
        made = f"{source.output_prefix}{source.prefixes[0]}a.jpg"
        outputs += [f"{THUMBNAILS}/thumbnails/{made}/w400", f"{THUMBNAILS}/rejected/{made}.json"]
    gates = (*storage, THUMBNAIL_GUARD)
    for key in outputs:
        put = of_worker("s3:PutObject", key, **written)
        claims.append(Expectation("write an output", put, gates))
        claims.append(
            Expectation("compare versions", of_worker("s3:GetObject", key, **inside), gates)
        )
        claims.append(
            Expectation("remove an older one", of_worker("s3:DeleteObject", key, **inside), gates)
        )
    find = of_worker("s3:ListBucket", THUMBNAILS, **inside)
    claims.append(Expectation("find a key's outputs", find, gates))
    claims += [
        Expectation(
            "settle a message",
            of_worker(action, queue.work),
            (RIGHTS, QUEUE_DOOR, PolicyCheck(queue.work_policy, "guard")),
        )
        for queue in stack.queues
        for action in ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage")
    ]
    return claims


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield what the code calls, and what Lambda does with the role outside the network."""
    yield from calls(stack)
    for queue in stack.queues:
        guard = PolicyCheck(queue.work_policy, "guard")
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            yield Expectation("poll the queue", of_worker(action, queue.work), (RIGHTS, guard))
    for why, action, context, value in (
        *(
            claim
            for queue in stack.queues
            for claim in (
                ("read a message", "kms:Decrypt", "aws:sqs:arn", queue.work),
                ("start", "kms:Decrypt", "aws:lambda:FunctionArn", queue.function),
            )
        ),
        *(
            ("read an upload, stored with bucket key or without", "kms:Decrypt", "aws:s3:arn", arn)
            for source in stack.own
            for arn in (source.bucket, f"{source.bucket}/u/a.jpg")
        ),
        ("write an output", "kms:GenerateDataKey", "aws:s3:arn", THUMBNAILS),
        ("compare versions", "kms:Decrypt", "aws:s3:arn", THUMBNAILS),
    ):
        request = of_worker(action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Expectation(why, request, (RIGHTS, KEY_POLICY))
    for source in stack.sources:
        if source.key:  # whose policy is somebody's
            yield Expectation("read an upload", of_worker("kms:Decrypt", source.key), (RIGHTS,))
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Expectation("ship the log", of_worker(action, "<WorkerLogGroup.Arn>"), (RIGHTS,))
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for action in PLACE_INTERFACES:
        yield Expectation("join the network", of_worker(action, interface), (RIGHTS,))
    for action in FIND_INTERFACES:
        yield Expectation("join the network", of_worker(action, "*"), (RIGHTS,))
    if _traces(stack):
        for action in SEND_TRACES:
            yield Expectation("send traces", of_worker(action, "*"), (RIGHTS,))
    lambda_itself = of_service("lambda.amazonaws.com", "sts:AssumeRole", "<WorkerRole>")
    yield Expectation("run the worker", lambda_itself, (PolicyCheck("WorkerRole", "resource"),))


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield the same by others and elsewhere, and what neither code nor role may."""
    for claim in calls(stack):
        yield from _widened(claim)
    yield from _other_actions(stack)
    yield from _beyond_the_role(stack)


def _other_actions(stack: StackModel) -> Iterator[Expectation]:
    """Yield what the code does not do, on what it works on and elsewhere."""
    made = calls(stack)
    granted = {(claim.request.action, claim.request.resource) for claim in made}
    resources = {claim.request.resource for claim in made if claim.gates[1] == STORAGE_DOOR}
    everywhere = (*sorted(resources), *_s3_elsewhere(stack))
    queues = [arn for queue in stack.queues for arn in (queue.work, queue.dead_letters)]
    for gate, actions, arns in (
        (STORAGE_DOOR, S3_ACTIONS, everywhere),
        (RIGHTS, S3_ACTIONS, everywhere),
        (QUEUE_DOOR, SQS_ACTIONS, queues),
    ):
        for action in actions:
            for resource in arns:
                if (action, resource) not in granted:
                    yield Expectation("another action", of_worker(action, resource), (gate,))


def _beyond_the_role(stack: StackModel) -> Iterator[Expectation]:
    only = (RIGHTS,)
    for queue in stack.queues:
        for action in SQS_ACTIONS:
            yield Expectation("another queue", of_worker(action, queue.dead_letters), only)
        for action in ("sqs:PurgeQueue", "sqs:SendMessage", "sqs:SetQueueAttributes"):
            yield Expectation("another action on the queue", of_worker(action, queue.work), only)
    reads_with = [
        *(("aws:s3:arn", source.bucket) for source in stack.own),
        *(("aws:sqs:arn", queue.work) for queue in stack.queues),
        *(("aws:lambda:FunctionArn", queue.function) for queue in stack.queues),
    ]
    contexts = [*reads_with, ("aws:s3:arn", THUMBNAILS)]
    for action, context, value in (
        *(("kms:GenerateDataKey", context, value) for context, value in reads_with),
        *(("kms:Encrypt", context, value) for context, value in contexts),
        *(
            (action, context, f"{value}-of-others")
            for action in ("kms:Decrypt", "kms:GenerateDataKey")
            for context, value in contexts
        ),
    ):
        request = of_worker(action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Expectation("the key for something else", request, only)
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:ScheduleKeyDeletion"):
        yield Expectation("the key for anything", of_worker(action, KEY), only)
    other_key = f"{KEY}-of-others"
    for context, value in contexts:
        request = of_worker("kms:Decrypt", other_key, **{f"kms:EncryptionContext:{context}": value})
        yield Expectation("another key", request, only)
    for source in stack.sources:
        if source.key:
            for action in ("kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"):
                yield Expectation("write under somebody's key", of_worker(action, source.key), only)
            other = of_worker("kms:Decrypt", f"{source.key}-of-others")
            yield Expectation("another key", other, only)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Expectation("another log", of_worker(action, "<FlowLogGroup.Arn>"), only)
    yield Expectation("a log group", of_worker("logs:CreateLogGroup", "<WorkerLogGroup.Arn>"), only)
    yield Expectation("drop logs", of_worker("logs:DeleteLogStream", "<WorkerLogGroup.Arn>"), only)
    for action in ("xray:GetTraceSummaries", *(() if _traces(stack) else SEND_TRACES)):
        yield Expectation("traces beyond what is asked for", of_worker(action, "*"), only)
    for account, region in ((OTHER_ACCOUNT, REGION), (ACCOUNT, "us-east-1")):
        interface = f"arn:aws:ec2:{region}:{account}:network-interface/eni-1"
        for action in PLACE_INTERFACES:
            yield Expectation("another network", of_worker(action, interface), only)
    for action in ("ec2:RunInstances", "ec2:CreateRoute", "ec2:ModifyNetworkInterfaceAttribute"):
        interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
        yield Expectation("change the network", of_worker(action, interface), only)
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for queue in stack.queues:
        inside = {"lambda:SourceFunctionArn": queue.function}
        for action in PLACE_INTERFACES:
            posed = of_worker(action, interface, **inside)
            yield Expectation("interfaces are not for code", posed, only)
        for action in FIND_INTERFACES:
            posed = of_worker(action, "*", **inside)
            yield Expectation("interfaces are not for code", posed, only)
    for action in ("iam:PassRole", "sts:AssumeRole", "lambda:InvokeFunction", "ec2:DescribeVpcs"):
        yield Expectation("another service", of_worker(action, "*"), only)
    yield from past_a_trust("WorkerRole")


def _reads(source: Source) -> tuple[str, ...]:
    return ("s3:GetObjectVersion", *(("s3:GetObject",) if source.reads_current else ()))


def _traces(stack: StackModel) -> bool:
    return any(
        function["TracingConfig"]["Mode"] == "Active"
        for function in stack.resources_of_type("Lambda::Function").values()
    )


def _s3_elsewhere(stack: StackModel) -> Iterator[str]:
    yield f"{THUMBNAILS}/elsewhere/a.jpg"
    yield f"{THUMBNAILS}-of-others/thumbnails/a.jpg/w400"
    for source in stack.sources:
        yield f"{source.bucket}/elsewhere/a.jpg"
        yield f"{source.bucket}-of-others"
        yield f"{source.bucket}-of-others/{source.prefixes[0]}a.jpg"


def _widened(claim: Expectation) -> Iterator[Expectation]:
    """Yield one of the worker's calls as somebody else makes it, at the doors."""
    for gate in claim.gates:
        if gate.kind == "resource":
            for who in (USER, STRANGER, f"{WORKER}-of-others"):
                context = {**claim.request.context, "aws:principalarn": who}
                request = replace(claim.request, principal=who, context=context)
                yield Expectation("the door is the worker's alone", request, (gate,))
