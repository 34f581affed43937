"""What must be allowed and what must be refused: the claims that the proof checks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ops.privilege.described import ACCOUNT, OTHER_ACCOUNT, REGION, Described, Source
from ops.privilege.evaluation import Gate, Request

SSE = "s3:x-amz-server-side-encryption"

THUMBNAILS = "<ThumbnailBucket.Arn>"
ARCHIVE, ACCESS_LOGS = "<LogArchiveBucket.Arn>", "<AccessLogBucket.Arn>"
KEY = "<EncryptionKey.Arn>"
INSIDE_OFFICE, ELSEWHERE = "198.51.100.7", "203.0.113.9"
WORKER, FLOW_LOG = "<WorkerRole.Arn>", "<FlowLogRole.Arn>"
DELIVERY, SUBSCRIPTION = "<LogDeliveryRole.Arn>", "<LogSubscriptionRole.Arn>"
USER = f"arn:aws:iam::{ACCOUNT}:user/somebody"
STRANGER = f"arn:aws:iam::{OTHER_ACCOUNT}:user/stranger"

# What an administrator and the services acting for one need of the key, and why.
ADMINISTRATION = {
    "kms:CancelKeyDeletion": "undo a deletion",
    "kms:CreateAlias": "create the stack",
    "kms:CreateGrant": "Lambda decrypts the environment through a grant",
    "kms:Decrypt": "read what is stored",
    "kms:DeleteAlias": "delete the stack",
    "kms:DescribeKey": "create the stack, and look",
    "kms:DisableKey": "stop all use at once",
    "kms:DisableKeyRotation": "update the stack",
    "kms:EnableKey": "undo that",
    "kms:EnableKeyRotation": "create the stack",
    "kms:Encrypt": "create the function: Lambda encrypts the environment",
    "kms:GenerateDataKey": "upload pictures",
    "kms:GetKeyPolicy": "look, and find drift",
    "kms:GetKeyRotationStatus": "look, and find drift",
    "kms:ListGrants": "look",
    "kms:ListKeyPolicies": "look",
    "kms:ListKeyRotations": "look",
    "kms:ListResourceTags": "update the stack",
    "kms:PutKeyPolicy": "update the stack; without it nobody could ever",
    "kms:ReEncryptFrom": "move data to another key",
    "kms:ReEncryptTo": "move data to another key",
    "kms:RevokeGrant": "delete the function",
    "kms:RotateKeyOnDemand": "after an incident",
    "kms:ScheduleKeyDeletion": "delete the data for good",
    "kms:TagResource": "create the stack",
    "kms:UntagResource": "update the stack",
    "kms:UpdateAlias": "update the stack",
    "kms:UpdateKeyDescription": "update the stack",
}
# CloudWatch Logs' documentation of encryption lists what it calls.
LOG_ENCRYPTION = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
PLACE_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
)
FIND_INTERFACES = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets")
SEND_TRACES = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")

# What Firehose's documentation asks for, for objects and for their bucket.
DELIVER_OBJECTS = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")
DELIVER_TO_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
SEND_LOGS = ("firehose:PutRecord", "firehose:PutRecordBatch")

IDENTITY = Gate("WorkerRole", "identity")
STORAGE_DOOR = Gate("StorageEndpoint", "resource")
QUEUE_DOOR = Gate("WorkQueueEndpoint", "resource")
THUMBNAIL_GUARD = Gate("ThumbnailBucketPolicy", "guard")
ARCHIVE_GUARD = Gate("LogArchiveBucketPolicy", "guard")
KEY_GATE = Gate("EncryptionKey", "resource")


@dataclass(frozen=True)
class Claim:
    """A request, the gates it meets, and why it must pass or must not."""

    why: str
    request: Request
    gates: Sequence[Gate]


def worker_calls(stack: Described) -> list[Claim]:
    """Return the calls of the worker's own code; the end-to-end run records the same set."""
    storage = (IDENTITY, STORAGE_DOOR)
    inside = {"aws:SourceVpce": stack.endpoint}
    written = {**inside, SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}
    claims: list[Claim] = []
    outputs: list[str] = []
    for source in stack.sources:
        gates = (*storage, *source.guards)
        for prefix in source.prefixes:
            for action in _reads(source):
                read = _of_worker(action, f"{source.bucket}/{prefix}a.jpg", **inside)
                claims.append(Claim("read an upload", read, gates))
        tell = _of_worker("s3:ListBucket", source.bucket, **inside)
        claims.append(Claim("tell a deleted upload", tell, gates))
        made = f"{source.folder}{source.prefixes[0]}a.jpg"
        outputs += [f"{THUMBNAILS}/thumbnails/{made}/w400", f"{THUMBNAILS}/rejected/{made}.json"]
    gates = (*storage, THUMBNAIL_GUARD)
    for key in outputs:
        put = _of_worker("s3:PutObject", key, **written)
        claims.append(Claim("write an output", put, gates))
        claims.append(Claim("compare versions", _of_worker("s3:GetObject", key, **inside), gates))
        claims.append(
            Claim("remove an older one", _of_worker("s3:DeleteObject", key, **inside), gates)
        )
    find = _of_worker("s3:ListBucket", THUMBNAILS, **inside)
    claims.append(Claim("find a key's outputs", find, gates))
    claims += [
        Claim(
            "settle a message",
            _of_worker(action, lane.work),
            (IDENTITY, QUEUE_DOOR, Gate(lane.work_policy, "guard")),
        )
        for lane in stack.lanes
        for action in ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage")
    ]
    return claims


def _reads(source: Source) -> tuple[str, ...]:
    return ("s3:GetObjectVersion", *(("s3:GetObject",) if source.reads_current else ()))


def required(stack: Described) -> list[Claim]:
    """Return all that must be allowed, for every identity and service of the stack."""
    claims = worker_calls(stack)
    claims += [*_for_the_worker(stack), *_by_services(stack), *_by_people(stack)]
    claims += [
        Claim("another workload's call", request, gates)
        for request, gates in _through_further_doors(stack)
    ]
    if stack.plan.logs.archive:
        claims += _to_the_archive(stack)
    if stack.plan.logs.access:
        claims += _to_the_access_log()
    if stack.plan.delivery:
        claims += _to_the_web()
    if stack.plan.delivery and stack.plan.logs.archive:
        claims += _of_deliveries()
    return _of_this_stack(stack, claims)


def _of_this_stack(stack: Described, claims: Sequence[Claim]) -> list[Claim]:
    """Return the claims without the gates that an existing network has, and not the stack."""
    kept = (
        replace(claim, gates=[gate for gate in claim.gates if gate.title not in stack.elsewhere])
        for claim in claims
    )
    return [claim for claim in kept if claim.gates]


def _through_further_doors(stack: Described) -> Iterator[tuple[Request, tuple[Gate, ...]]]:
    """Yield what the doors for other workloads are open for, each with its gate."""
    for service, actions in stack.plan.network.interface_endpoints.items():
        title = "".join(word.capitalize() for word in re.split("[.-]", service)) + "Endpoint"
        for action in actions:
            call = _of_user(action, "any", **{"aws:ResourceAccount": ACCOUNT})
            yield call, (Gate(title, "resource"),)


def _for_the_worker(stack: Described) -> Iterator[Claim]:
    """Yield what AWS does with the worker's role, outside the network."""
    for lane in stack.lanes:
        guard = Gate(lane.work_policy, "guard")
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            yield Claim("poll the queue", _of_lambda(action, lane.work), (IDENTITY, guard))
    for why, action, context, value in (
        *(
            claim
            for lane in stack.lanes
            for claim in (
                ("read a message", "kms:Decrypt", "aws:sqs:arn", lane.work),
                ("start", "kms:Decrypt", "aws:lambda:FunctionArn", lane.function),
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
        request = _of_lambda(action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Claim(why, request, (IDENTITY, KEY_GATE))
    for source in stack.sources:
        if source.key:  # whose policy is somebody's
            yield Claim("read an upload", _of_lambda("kms:Decrypt", source.key), (IDENTITY,))
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Claim("ship the log", _of_lambda(action, "<WorkerLogGroup.Arn>"), (IDENTITY,))
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for action in PLACE_INTERFACES:
        yield Claim("join the network", _of_lambda(action, interface), (IDENTITY,))
    for action in FIND_INTERFACES:
        yield Claim("join the network", _of_lambda(action, "*"), (IDENTITY,))
    if _traces(stack):
        for action in SEND_TRACES:
            yield Claim("send traces", _of_lambda(action, "*"), (IDENTITY,))


def _traces(stack: Described) -> bool:
    return any(
        function["TracingConfig"]["Mode"] == "Active"
        for function in stack.of_type("Lambda::Function").values()
    )


def _by_services(stack: Described) -> Iterator[Claim]:
    lambda_itself = _service("lambda.amazonaws.com", "sts:AssumeRole", "<WorkerRole>")
    yield Claim("run the worker", lambda_itself, (Gate("WorkerRole", "resource"),))

    for source in stack.sources:
        for why, queue, named, policy in _ways(source):
            send = _service(source.service, "sqs:SendMessage", queue, **_acts_for(source))
            yield Claim(why, send, (Gate(policy, "resource"),))
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                # What S3 sends, and what SQS itself adds for whoever it is that sends.
                told = {"aws:SourceAccount": source.account, _QUEUE_CONTEXT: named}
                use = _by_sender(source.service, action, told)
                yield Claim(why, use, (KEY_GATE,))
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-dead-letters"
    for topic in _topics(stack):
        publish = _service(
            "cloudwatch.amazonaws.com", "sns:Publish", topic, **{"aws:SourceArn": alarm}
        )
        yield Claim("raise an alarm", publish, (Gate("AlarmTopicPolicy", "resource"),))
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        use = _service("cloudwatch.amazonaws.com", action, KEY)
        yield Claim("raise an alarm", use, (KEY_GATE,))
    for group in stack.of_type("Logs::LogGroup").values():
        for action in LOG_ENCRYPTION:
            yield Claim("keep the log", _of_logs(action, group["LogGroupName"]), (KEY_GATE,))

    trust = Gate("FlowLogRole", "resource")
    of_log = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
    assume = _service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **of_log)
    yield Claim("write the flow log", assume, (trust,))
    rights = (Gate("FlowLogRole", "identity"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Claim("write the flow log", _as_flow_log(action, "<FlowLogGroup.Arn>"), rights)
    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    yield Claim("write the flow log", _as_flow_log("logs:DescribeLogGroups", groups), rights)

    # A service acts with no account of its own: the refusal of strangers must not hit it (trap 7).
    for guard, bucket in _guarded_buckets(stack):
        for action in ("s3:GetObject", "s3:PutObject"):
            request = _service("logging.s3.amazonaws.com", action, f"{bucket}/any")
            yield Claim("a service is not locked out", request, (guard,))


def _by_people(stack: Described) -> Iterator[Claim]:
    for action, why in ADMINISTRATION.items():
        yield Claim(why, _of_user(action, KEY), (KEY_GATE,))
    named = {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}
    for source in stack.own:
        upload = f"{source.bucket}/{source.prefixes[0]}a.jpg"
        yield Claim("upload", _of_user("s3:PutObject", upload), source.guards)
        for action, resource in (
            ("s3:PutBucketPolicy", source.bucket),
            ("s3:GetObject", upload),
            ("s3:DeleteObject", upload),
            ("s3:ListBucket", source.bucket),
        ):
            afar = _of_user(action, resource, **{"aws:SourceIp": ELSEWHERE})
            yield Claim("a deployer is not locked out", afar, source.guards)
        via = {"aws:SourceIp": ELSEWHERE, "aws:ViaAWSService": "true"}
        copied = _of_user("s3:PutObject", upload, **via)
        why = "a service that acts for somebody is not locked out"
        yield Claim(why, copied, source.guards)
        put = _of_user("s3:PutObject", upload, **named)
        yield Claim("upload, naming the key", put, source.guards)
    other_role = f"arn:aws:iam::{ACCOUNT}:role/other"
    for guard, arn in _guarded_buckets(stack):
        other = _by(other_role, "s3:GetObject", f"{arn}/any")
        yield Claim("the worker's network is no other role's", other, (guard,))
    fetch = _of_user("s3:GetObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400")
    yield Claim("fetch a thumbnail", fetch, (THUMBNAIL_GUARD,))
    restore = _of_user("s3:PutObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400")
    yield Claim("restore a thumbnail, naming no key", restore, (THUMBNAIL_GUARD,))
    for guard, queue in _guarded_queues(stack):
        yield Claim("look at a queue", _of_user("sqs:ReceiveMessage", queue), (guard,))
    for topic in ("<AlarmTopic>", "<TicketTopic>"):
        publish = _of_user("sns:Publish", topic)
        yield Claim("try an alarm topic", publish, (Gate("AlarmTopicPolicy", "guard"),))


def _guarded_buckets(stack: Described) -> tuple[tuple[Gate, str], ...]:
    own = ((source.guards[0], source.bucket) for source in stack.own)
    return (*own, (THUMBNAIL_GUARD, THUMBNAILS))


def _guarded_queues(stack: Described) -> Iterator[tuple[Gate, str]]:
    for lane in stack.lanes:
        yield Gate(lane.work_policy, "guard"), lane.work
        yield Gate(lane.dead_letter_policy, "guard"), lane.dead_letters


def _ways(source: Source) -> Iterator[tuple[str, str, str, str]]:
    """Yield why a source's announcer sends, the queue by reference and by name, and its policy."""
    lane = source.lane
    yield "announce an upload", lane.work, lane.work_named, lane.work_policy
    if source.service != "s3.amazonaws.com":  # S3 gives nothing up
        yield (
            "keep what cannot be delivered",
            lane.dead_letters,
            lane.dead_letters_named,
            lane.dead_letter_policy,
        )


def _acts_for(source: Source) -> dict[str, str]:
    return {"aws:SourceArn": source.announcer, "aws:SourceAccount": source.account}


def forbidden(stack: Described) -> list[Claim]:
    """Return all that must be refused, each at the one gate that has to refuse it."""
    claims: list[Claim] = []
    calls = worker_calls(stack)
    for claim in calls:
        claims += _widened(claim)
    for claim in required(stack):
        claims += _of_others(claim)
    granted = {(claim.request.action, claim.request.resource) for claim in calls}
    resources = {claim.request.resource for claim in calls if claim.gates[1] == STORAGE_DOOR}
    everywhere = (*sorted(resources), *_s3_elsewhere(stack))
    queues = [arn for lane in stack.lanes for arn in (lane.work, lane.dead_letters)]
    for gate, actions, arns in (
        (STORAGE_DOOR, _S3_ACTIONS, everywhere),
        (IDENTITY, _S3_ACTIONS, everywhere),
        (QUEUE_DOOR, _SQS_ACTIONS, queues),
    ):
        claims += [
            Claim("another action", _of_worker(action, resource), (gate,))
            for action in actions
            for resource in arns
            if (action, resource) not in granted
        ]
    claims += [*_beyond_the_role(stack), *_past_the_guards(stack), *_past_the_services(stack)]
    for call, gates in _through_further_doors(stack):
        for key in ("aws:principalaccount", "aws:resourceaccount"):
            context = {**call.context, key: OTHER_ACCOUNT}
            claims.append(Claim("another account", replace(call, context=context), gates))
        claims.append(Claim("another action", replace(call, action=f"{call.action}Also"), gates))
    if stack.plan.logs.archive:
        claims += _past_the_archive(stack)
    if stack.plan.logs.access:
        claims += _past_the_access_log()
    if stack.plan.delivery:
        claims += _past_the_web()
    if stack.plan.delivery and stack.plan.logs.archive:
        claims += _past_deliveries()
    return _of_this_stack(stack, claims)


_S3_ACTIONS = (
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
_SQS_ACTIONS = (
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "sqs:SetQueueAttributes",
)


def _s3_elsewhere(stack: Described) -> Iterator[str]:
    yield f"{THUMBNAILS}/elsewhere/a.jpg"
    yield f"{THUMBNAILS}-of-others/thumbnails/a.jpg/w400"
    for source in stack.sources:
        yield f"{source.bucket}/elsewhere/a.jpg"
        yield f"{source.bucket}-of-others"
        yield f"{source.bucket}-of-others/{source.prefixes[0]}a.jpg"


def _widened(claim: Claim) -> Iterator[Claim]:
    """Yield one of the worker's calls as somebody else makes it, at the doors."""
    for gate in claim.gates:
        if gate.kind == "resource":
            for who in (USER, STRANGER, f"{WORKER}-of-others"):
                context = {**claim.request.context, "aws:principalarn": who}
                request = replace(claim.request, principal=who, context=context)
                yield Claim("the door is the worker's alone", request, (gate,))


def _of_others(claim: Claim) -> Iterator[Claim]:
    """Yield what is allowed on a resource of the stack, on one whose name begins with its name."""
    name, slash, path = claim.request.resource.partition("/")
    if name in ("*", "any") or claim.request.action == "sts:AssumeRole":
        return  # nothing of a name; a trust policy knows no resource
    if name.startswith(("arn:aws:ec2:", "arn:aws:logs:")):
        return  # of these the account's are allowed
    request = replace(claim.request, resource=f"{name}-of-others{slash}{path}")
    for gate in claim.gates:
        if gate.kind != "guard" and gate != KEY_GATE:  # a key's policy is for that key alone
            yield Claim("another of its kind", request, (gate,))


def _beyond_the_role(stack: Described) -> Iterator[Claim]:
    only = (IDENTITY,)
    for lane in stack.lanes:
        for action in _SQS_ACTIONS:
            yield Claim("another queue", _of_worker(action, lane.dead_letters), only)
        for action in ("sqs:PurgeQueue", "sqs:SendMessage", "sqs:SetQueueAttributes"):
            yield Claim("another action on the queue", _of_worker(action, lane.work), only)
    reads_with = [
        *(("aws:s3:arn", source.bucket) for source in stack.own),
        *(("aws:sqs:arn", lane.work) for lane in stack.lanes),
        *(("aws:lambda:FunctionArn", lane.function) for lane in stack.lanes),
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
        request = _of_worker(action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Claim("the key for something else", request, only)
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:ScheduleKeyDeletion"):
        yield Claim("the key for anything", _of_worker(action, KEY), only)
    other_key = f"{KEY}-of-others"
    for context, value in contexts:
        request = _of_worker(
            "kms:Decrypt", other_key, **{f"kms:EncryptionContext:{context}": value}
        )
        yield Claim("another key", request, only)
    for source in stack.sources:
        if source.key:
            for action in ("kms:Encrypt", "kms:GenerateDataKey", "kms:CreateGrant"):
                yield Claim("write under somebody's key", _of_worker(action, source.key), only)
            other = _of_worker("kms:Decrypt", f"{source.key}-of-others")
            yield Claim("another key", other, only)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Claim("another log", _of_lambda(action, "<FlowLogGroup.Arn>"), only)
    yield Claim("a log group", _of_lambda("logs:CreateLogGroup", "<WorkerLogGroup.Arn>"), only)
    yield Claim("drop logs", _of_lambda("logs:DeleteLogStream", "<WorkerLogGroup.Arn>"), only)
    for action in ("xray:GetTraceSummaries", *(() if _traces(stack) else SEND_TRACES)):
        yield Claim("traces beyond what is asked for", _of_lambda(action, "*"), only)
    for account, region in ((OTHER_ACCOUNT, REGION), (ACCOUNT, "us-east-1")):
        interface = f"arn:aws:ec2:{region}:{account}:network-interface/eni-1"
        for action in PLACE_INTERFACES:
            yield Claim("another network", _of_lambda(action, interface), only)
    for action in ("ec2:RunInstances", "ec2:CreateRoute", "ec2:ModifyNetworkInterfaceAttribute"):
        interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
        yield Claim("change the network", _of_lambda(action, interface), only)
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for lane in stack.lanes:
        inside = {"lambda:SourceFunctionArn": lane.function}
        for action in PLACE_INTERFACES:
            posed = _of_worker(action, interface, **inside)
            yield Claim("interfaces are not for code", posed, only)
        for action in FIND_INTERFACES:
            posed = _of_worker(action, "*", **inside)
            yield Claim("interfaces are not for code", posed, only)
    for action in ("iam:PassRole", "sts:AssumeRole", "lambda:InvokeFunction", "ec2:DescribeVpcs"):
        yield Claim("another service", _of_lambda(action, "*"), only)
    rights = (Gate("FlowLogRole", "identity"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Claim("another log", _as_flow_log(action, "<WorkerLogGroup.Arn>"), rights)
    any_group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    for action in ("logs:CreateLogGroup", "logs:DeleteLogGroup", "ec2:DescribeVpcs"):
        for group in ("<FlowLogGroup.Arn>", any_group):
            yield Claim("beyond its log", _as_flow_log(action, group), rights)
    elsewhere = f"arn:aws:logs:{REGION}:{OTHER_ACCOUNT}:log-group:any"
    yield Claim("another account", _as_flow_log("logs:DescribeLogGroups", elsewhere), rights)
    yield Claim("another account", _as_flow_log("logs:DescribeLogGroups", "arn:aws:logs:x"), rights)


def _past_the_guards(stack: Described) -> Iterator[Claim]:
    plain = {"aws:SecureTransport": "false"}
    for guard, arn in _guarded_buckets(stack):
        yield from _past_a_bucket(guard, arn)
        yield from _under_another_key(guard, arn)
        for elsewhere in ({}, {"aws:SourceVpce": f"{stack.endpoint}-of-others"}):
            for action, resource in (
                ("s3:PutObject", f"{arn}/any"),
                ("s3:GetObject", f"{arn}/any"),
                ("s3:ListBucket", arn),
            ):
                stolen = _of_worker(action, resource, **elsewhere)
                yield Claim("the worker's role outside its network", stolen, (guard,))
    for source in stack.own:
        unnamed = _of_user("s3:PutObject", f"{source.bucket}/any", **{SSE: "aws:kms"})
        yield Claim("AWS's own key", unnamed, source.guards)
    for source in stack.own:
        for ip in (ELSEWHERE, "2001:db8::9"):
            key = f"{source.bucket}/{source.prefixes[0]}a.jpg"
            upload = _of_user("s3:PutObject", key, **{"aws:SourceIp": ip})
            yield Claim("an upload from elsewhere", upload, source.guards)
    for guard, arn in _guarded_queues(stack):
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage"):
            yield Claim("plain HTTP", _of_user(action, arn, **plain), (guard,))
    for topic in _topics(stack):
        publish = _of_user("sns:Publish", topic, **plain)
        yield Claim("plain HTTP", publish, (Gate("AlarmTopicPolicy", "guard"),))


def _past_a_bucket(guard: Gate, arn: str) -> Iterator[Claim]:
    for action, resource in (
        ("s3:PutObject", f"{arn}/any"),
        ("s3:GetObject", f"{arn}/any"),
        ("s3:ListBucket", arn),
    ):
        yield Claim(
            "plain HTTP", _of_user(action, resource, **{"aws:SecureTransport": "false"}), (guard,)
        )
        yield Claim("a stranger", _of_stranger(action, resource), (guard,))
        anonymous = Request(
            principal="*",
            action=action,
            resource=resource,
            context={
                "aws:securetransport": "true",
                "aws:principalisawsservice": "false",
                "aws:viaawsservice": "false",
                "aws:sourceip": INSIDE_OFFICE,
            },
        )
        yield Claim("nobody", anonymous, (guard,))


def _under_another_key(guard: Gate, arn: str) -> Iterator[Claim]:
    for headers in (
        {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": f"{KEY}-of-others"},
        {SSE: "AES256"},
        {f"{SSE}-customer-algorithm": "AES256"},
    ):
        put = _of_user("s3:PutObject", f"{arn}/any", **headers)
        yield Claim("another encryption", put, (guard,))


def _past_the_services(stack: Described) -> Iterator[Claim]:
    others = {"aws:SourceAccount": OTHER_ACCOUNT}
    yield from _past_the_senders(stack)

    gate = (Gate("AlarmTopicPolicy", "resource"),)
    mine = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-x"
    foreign = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:other-x"
    for why, principal, action, context in (
        ("another alarm", "cloudwatch.amazonaws.com", "sns:Publish", {"aws:SourceArn": foreign}),
        (
            "another account",
            "cloudwatch.amazonaws.com",
            "sns:Publish",
            {"aws:SourceArn": mine, **others},
        ),
        ("another service", "s3.amazonaws.com", "sns:Publish", {"aws:SourceArn": mine}),
        ("another action", "cloudwatch.amazonaws.com", "sns:Subscribe", {"aws:SourceArn": mine}),
    ):
        for topic in _topics(stack):
            yield Claim(why, _service(principal, action, topic, **context), gate)
    other = _service("cloudwatch.amazonaws.com", "sns:Publish", "arn:x", **{"aws:SourceArn": mine})
    yield Claim("another topic", other, gate)

    alarms = "cloudwatch.amazonaws.com"
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        yield Claim("another account", _service(alarms, action, KEY, **others), (KEY_GATE,))
    for action in ("kms:Encrypt", "kms:CreateGrant"):
        yield Claim("another action", _service(alarms, action, KEY), (KEY_GATE,))
    for action in (*LOG_ENCRYPTION, "kms:CreateGrant"):
        yield Claim("another log", _of_logs(action, "/others/log"), (KEY_GATE,))
    group = stack.properties("WorkerLogGroup")["LogGroupName"]
    yield Claim("another action", _of_logs("kms:CreateGrant", group), (KEY_GATE,))
    posing = replace(_of_logs("kms:Decrypt", group), principal=STRANGER)
    yield Claim("a stranger with the log's name", posing, (KEY_GATE,))
    for action in (*ADMINISTRATION, "kms:DeleteImportedKeyMaterial"):
        yield Claim("a stranger", _of_stranger(action, KEY), (KEY_GATE,))
    yield Claim("nobody needs it", _of_user("kms:DeleteImportedKeyMaterial", KEY), (KEY_GATE,))

    for role, action in (("WorkerRole", "sts:AssumeRole"), ("FlowLogRole", "sts:AssumeRole")):
        trust, name = (Gate(role, "resource"),), f"<{role}>"
        source = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
        for principal in ("lambda.amazonaws.com", "vpc-flow-logs.amazonaws.com"):
            foreign_source = _service(principal, action, name, **source, **others)
            yield Claim("another account", foreign_source, trust)
            tag = _service(principal, "sts:TagSession", name, **source)
            yield Claim("another action", tag, trust)
        yield Claim("another service", _service("ec2.amazonaws.com", action, name, **source), trust)
        yield Claim("a user", _of_user(action, name), trust)
    wrong = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{OTHER_ACCOUNT}:vpc-flow-log/fl-1"}
    assume = _service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **wrong)
    yield Claim("another flow log", assume, (Gate("FlowLogRole", "resource"),))


_ANNOUNCERS = ("s3.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com")
_QUEUE_CONTEXT = "kms:EncryptionContext:aws:sqs:arn"


def _past_the_senders(stack: Described) -> Iterator[Claim]:
    """Yield who may put nothing on a queue, and may not use the key for it."""
    queues = [
        (arn, policy)
        for lane in stack.lanes
        for arn, policy in (
            (lane.work, lane.work_policy),
            (lane.dead_letters, lane.dead_letter_policy),
        )
    ]
    for queue, policy in queues:
        gates = (Gate(policy, "resource"),)
        for who in (USER, STRANGER):
            yield Claim("not a producer", _by(who, "sqs:SendMessage", queue), gates)
        for source in stack.sources:
            mine = _acts_for(source)
            if queue in [arn for _, arn, _, _ in _ways(source)]:
                far = _service(source.service, "sqs:SendMessage", "arn:x", **mine)
                yield Claim("another queue", far, gates)
                more = _service(source.service, "sqs:ReceiveMessage", queue, **mine)
                yield Claim("another action", more, gates)
                namesake = {**mine, "aws:SourceArn": f"{source.announcer}-of-others"}
                other = _service(source.service, "sqs:SendMessage", queue, **namesake)
                yield Claim("another bucket, rule or topic", other, gates)
                posing = _service("ec2.amazonaws.com", "sqs:SendMessage", queue, **mine)
                yield Claim("another service", posing, gates)
                if source.account == ACCOUNT:
                    taken = {**mine, "aws:SourceAccount": OTHER_ACCOUNT}
                    moved = _service(source.service, "sqs:SendMessage", queue, **taken)
                    yield Claim("the name in another account", moved, gates)
            else:
                stray = _service(source.service, "sqs:SendMessage", queue, **mine)
                yield Claim("another lane's, or no dead letter of its own", stray, gates)

    at_work = {source.service for source in stack.sources}
    named = stack.lanes[0].work_named
    for service in _ANNOUNCERS:
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            # S3 is held to the account, the others to the queues; who announces nothing, to both.
            for why, told in (
                ("for another account", {_QUEUE_CONTEXT: named, "aws:SourceAccount": OTHER_ACCOUNT})
                if service == "s3.amazonaws.com"
                else ("for another queue", {_QUEUE_CONTEXT: f"{named.rpartition(':')[0]}:other"}),
                ("for something else", {}),
            ):
                yield Claim(why, _by_sender(service, action, told), (KEY_GATE,))
        told = {_QUEUE_CONTEXT: named, "aws:SourceAccount": ACCOUNT}
        wrong = ("kms:Encrypt", "kms:CreateGrant")
        for action in wrong if service in at_work else (*wrong, "kms:Decrypt"):
            yield Claim("another action", _by_sender(service, action, told), (KEY_GATE,))
    told = {_QUEUE_CONTEXT: named, "aws:SourceAccount": ACCOUNT}
    other = _by_sender("ec2.amazonaws.com", "kms:Decrypt", told)
    yield Claim("another service", other, (KEY_GATE,))


def _by_sender(service: str, action: str, told: Mapping[str, str]) -> Request:
    """Return a service's use of the key for a queue, with nothing but what is told."""
    fixed = {"aws:SecureTransport": "true", "aws:PrincipalIsAWSService": "true"}
    return _request(service, action, KEY, {**fixed, **told})


_WRITER, _SENDER = Gate("LogDeliveryRole", "identity"), Gate("LogSubscriptionRole", "identity")
_OTHER_STREAMS = (
    f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/darkroom-two.worker",
    f"arn:aws:firehose:{REGION}:{OTHER_ACCOUNT}:deliverystream/darkroom.worker",
)


def _streams(stack: Described) -> list[str]:
    return [
        f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{one['DeliveryStreamName']}"
        for one in stack.of_type("KinesisFirehose::DeliveryStream").values()
    ]


def _written(stack: Described) -> list[str]:
    """Return an object under each prefix that a stream writes."""
    destinations = [
        one["ExtendedS3DestinationConfiguration"]
        for one in stack.of_type("KinesisFirehose::DeliveryStream").values()
    ]
    prefixes = {one[key] for one in destinations for key in ("Prefix", "ErrorOutputPrefix")}
    return [f"{ARCHIVE}/{prefix.partition('!')[0]}2026/a.gz" for prefix in sorted(prefixes)]


def _to_the_archive(stack: Described) -> Iterator[Claim]:
    """Yield the way of a log line: CloudWatch Logs, Firehose, the bucket."""
    trusts = Gate("LogSubscriptionRole", "resource"), Gate("LogDeliveryRole", "resource")
    for group in stack.of_type("Logs::SubscriptionFilter").values():
        source = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group['LogGroupName']}:*"
        yield Claim("send logs", _logs_assuming(source), trusts[:1])
    for stream in _streams(stack):
        behalf = {"aws:SourceArn": stream}
        assume = _service("firehose.amazonaws.com", "sts:AssumeRole", "<LogDeliveryRole>", **behalf)
        yield Claim("write logs", assume, trusts[1:])
        for action in SEND_LOGS:
            yield Claim("send logs", _by(SUBSCRIPTION, action, stream), (_SENDER,))
    for key in _written(stack):
        for action in DELIVER_OBJECTS:
            yield Claim("write logs", _by(DELIVERY, action, key), (_WRITER, ARCHIVE_GUARD))
    for action in DELIVER_TO_BUCKET:
        yield Claim("write logs", _by(DELIVERY, action, ARCHIVE), (_WRITER, ARCHIVE_GUARD))
    context = {"kms:EncryptionContext:aws:s3:arn": ARCHIVE}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        yield Claim("write logs", _by(DELIVERY, action, KEY, **context), (_WRITER, KEY_GATE))
    tell = _by(DELIVERY, "logs:PutLogEvents", "<DeliveryLogGroup.Arn>")
    yield Claim("tell what failed", tell, (_WRITER,))
    for action, resource in (("s3:GetObject", f"{ARCHIVE}/worker/a"), ("s3:ListBucket", ARCHIVE)):
        yield Claim("read the archive", _of_user(action, resource), (ARCHIVE_GUARD,))
    put = _of_user("s3:PutObject", f"{ARCHIVE}/a", **{SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY})
    yield Claim("restore, naming the key", put, (ARCHIVE_GUARD,))
    noted = _service("logging.s3.amazonaws.com", "s3:PutObject", f"{ARCHIVE}/any")
    yield Claim("a service is not locked out", noted, (ARCHIVE_GUARD,))


def _past_the_archive(stack: Described) -> Iterator[Claim]:
    streams, written = _streams(stack), _written(stack)
    others = {"aws:SourceAccount": OTHER_ACCOUNT}
    trust = (Gate("LogDeliveryRole", "resource"),)
    for stream, context in ((streams[0], others), *((one, {}) for one in _OTHER_STREAMS)):
        foreign = {"aws:SourceArn": stream, **context}
        assume = _service(
            "firehose.amazonaws.com", "sts:AssumeRole", "<LogDeliveryRole>", **foreign
        )
        yield Claim("another stream or account", assume, trust)
    for name, role in (
        ("logs.amazonaws.com", "LogDeliveryRole"),
        ("firehose.amazonaws.com", "LogSubscriptionRole"),
        ("ec2.amazonaws.com", "LogDeliveryRole"),
        ("ec2.amazonaws.com", "LogSubscriptionRole"),
    ):
        for source in (streams[0], f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"):
            request = _service(name, "sts:AssumeRole", f"<{role}>", **{"aws:SourceArn": source})
            yield Claim("another service", request, (Gate(role, "resource"),))
    for role, name, source in (
        ("LogDeliveryRole", "firehose.amazonaws.com", streams[0]),
        ("LogSubscriptionRole", "logs.amazonaws.com", f"arn:aws:logs:{REGION}:{ACCOUNT}:x"),
    ):
        trusted = (Gate(role, "resource"),)
        tag = _service(name, "sts:TagSession", f"<{role}>", **{"aws:SourceArn": source})
        yield Claim("another action", tag, trusted)
        posing = {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT}
        user = _by(USER, "sts:AssumeRole", f"<{role}>", **posing)
        yield Claim("a user", user, trusted)
    for account, region in ((OTHER_ACCOUNT, REGION), (ACCOUNT, "us-east-1")):
        other = _logs_assuming(f"arn:aws:logs:{region}:{account}:log-group:/darkroom/worker:*")
        yield Claim("another log", other, (Gate("LogSubscriptionRole", "resource"),))

    for stream in _OTHER_STREAMS:
        for action in SEND_LOGS:
            yield Claim("another stream", _by(SUBSCRIPTION, action, stream), (_SENDER,))
    for action in ("firehose:DeleteDeliveryStream", "firehose:UpdateDestination", "s3:PutObject"):
        for resource in (streams[0], written[0]):
            yield Claim("beyond sending", _by(SUBSCRIPTION, action, resource), (_SENDER,))
    for key in written:
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl"):
            yield Claim("logs are not for deleting", _by(DELIVERY, action, key), (_WRITER,))
    elsewhere = (
        f"{ARCHIVE}/elsewhere/a",
        f"{THUMBNAILS}/worker/a",
        f"{ARCHIVE}-of-others/worker/a",
    )
    for action in DELIVER_OBJECTS:
        for key in elsewhere:
            yield Claim("another place", _by(DELIVERY, action, key), (_WRITER,))
    for action in DELIVER_TO_BUCKET:
        for bucket in (THUMBNAILS, f"{ARCHIVE}-of-others"):
            yield Claim("another bucket", _by(DELIVERY, action, bucket), (_WRITER,))
    for action in ("s3:DeleteBucket", "s3:PutLifecycleConfiguration"):
        yield Claim("the bucket itself", _by(DELIVERY, action, ARCHIVE), (_WRITER,))
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"):
        contexts = [
            THUMBNAILS,
            f"{ARCHIVE}-of-others",
            *([ARCHIVE] if action == "kms:Encrypt" else []),
        ]
        for value in contexts:
            context = {"kms:EncryptionContext:aws:s3:arn": value}
            yield Claim(
                "the key for something else", _by(DELIVERY, action, KEY, **context), (_WRITER,)
            )
        yield Claim("the key for anything", _by(DELIVERY, action, KEY), (_WRITER,))
        context = {"kms:EncryptionContext:aws:s3:arn": ARCHIVE}
        other_key = _by(DELIVERY, action, f"{KEY}-of-others", **context)
        yield Claim("another key", other_key, (_WRITER,))
    for action, group in (
        ("logs:PutLogEvents", "<WorkerLogGroup.Arn>"),
        ("logs:CreateLogStream", "<DeliveryLogGroup.Arn>"),
        ("logs:DeleteLogGroup", "<DeliveryLogGroup.Arn>"),
    ):
        yield Claim("another log, or more than a line", _by(DELIVERY, action, group), (_WRITER,))
    yield from _past_a_bucket(ARCHIVE_GUARD, ARCHIVE)
    yield from _under_another_key(ARCHIVE_GUARD, ARCHIVE)


_ACCESS = Gate("AccessLogBucketPolicy", "resource")


def _to_the_access_log() -> Iterator[Claim]:
    guard = Gate("AccessLogBucketPolicy", "guard")
    for source in ("uploads", "thumbnails", "logs"):
        yield Claim("note a request", _noting(source), (_ACCESS,))
    for action, resource in (("s3:GetObject", f"{ACCESS_LOGS}/a"), ("s3:ListBucket", ACCESS_LOGS)):
        yield Claim("read the access log", _of_user(action, resource), (guard,))


def _past_the_access_log() -> Iterator[Claim]:
    for request in (
        _noting("uploads", principal="s3.amazonaws.com"),
        _noting("uploads", action="s3:DeleteObject"),
        _noting("uploads", resource=f"{ACCESS_LOGS}-of-others/a"),
        _noting("uploads", source_account=OTHER_ACCOUNT),
        _noting("of-others", prefix="others"),
    ):
        yield Claim("nothing else notes here", request, (_ACCESS,))
    put = _of_user("s3:PutObject", f"{ACCESS_LOGS}/a")
    yield Claim("nobody else notes here", put, (_ACCESS,))
    yield from _past_a_bucket(Gate("AccessLogBucketPolicy", "guard"), ACCESS_LOGS)


def _noting(
    bucket: str,
    *,
    principal: str = "logging.s3.amazonaws.com",
    action: str = "s3:PutObject",
    resource: str = f"{ACCESS_LOGS}/any/a",
    source_account: str = ACCOUNT,
    prefix: str = "darkroom",
) -> Request:
    """Return what S3 sends when it delivers the access log of a bucket."""
    source = f"arn:aws:s3:::{prefix}-{bucket}-{ACCOUNT}-{REGION}"
    context = {"aws:SourceArn": source, "aws:SourceAccount": source_account}
    return _service(principal, action, resource, **context)


_PUBLISHED = Gate("ThumbnailBucketPolicy", "resource")


def _to_the_web() -> Iterator[Claim]:
    yield Claim("deliver a thumbnail", _delivering(), (_PUBLISHED,))
    use = _delivering(action="kms:Decrypt", resource=KEY, distribution="any")
    yield Claim("deliver a thumbnail", use, (KEY_GATE,))


def _past_the_web() -> Iterator[Claim]:
    for request in (
        _delivering(distribution="<Delivery>2"),
        _delivering(principal="s3.amazonaws.com"),
        _delivering(action="s3:GetObjectVersion"),
        _delivering(action="s3:PutObject"),
        _delivering(resource=f"{THUMBNAILS}/rejected/uploads/a.jpg.json"),
        _delivering(resource=f"{THUMBNAILS}-of-others/thumbnails/uploads/a.jpg/w400"),
        _delivering(action="s3:ListBucket", resource=THUMBNAILS),
        _of_stranger("s3:GetObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400"),
    ):
        yield Claim("nothing else is delivered, to nobody else", request, (_PUBLISHED,))
    used = {"action": "kms:Decrypt", "resource": KEY}
    for request in (
        _delivering(**used, account=OTHER_ACCOUNT),
        _delivering(**used, principal="apigateway.amazonaws.com"),
        _delivering(action="kms:GenerateDataKey", resource=KEY),
        _delivering(action="kms:Encrypt", resource=KEY),
    ):
        yield Claim("a distribution only reads, and of this account", request, (KEY_GATE,))


def _delivering(
    *,
    principal: str = "cloudfront.amazonaws.com",
    action: str = "s3:GetObject",
    resource: str = f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400",
    distribution: str = "<Delivery>",
    account: str = ACCOUNT,
) -> Request:
    """Return what CloudFront sends when it fetches what it does not hold."""
    arn = f"arn:aws:cloudfront::{account}:distribution/{distribution}"
    return _service(principal, action, resource, **{"aws:SourceArn": arn})


_DELIVERED = f"{ARCHIVE}/AWSLogs/{ACCOUNT}/CloudFront/a.gz"
_ARCHIVE = Gate("LogArchiveBucketPolicy", "resource")


def _of_deliveries() -> Iterator[Claim]:
    yield Claim("note a request to the web", _noting_for_the_web(), (_ARCHIVE,))
    for action in LOG_ENCRYPTION:
        use = _noting_for_the_web(action=action, resource=KEY)
        yield Claim("note a request to the web", use, (KEY_GATE,))


def _past_deliveries() -> Iterator[Claim]:
    for changes in (
        {"action": "s3:GetObject"},
        {"action": "s3:DeleteObject"},
        {"resource": f"{ARCHIVE}/worker/a.gz"},
        {"resource": f"{ARCHIVE}-of-others/AWSLogs/a"},
        {"principal": "logging.s3.amazonaws.com"},
        {"account": OTHER_ACCOUNT},
        {"source": f"arn:aws:logs:us-east-1:{OTHER_ACCOUNT}:delivery-source:a"},
        {"source": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:a"},
    ):
        request = _noting_for_the_web(**changes)
        yield Claim("nothing else is delivered here", request, (_ARCHIVE,))
    for changes in (
        {"action": "kms:CreateGrant"},
        {"principal": "logging.s3.amazonaws.com"},
        {"account": OTHER_ACCOUNT},
        {"source": f"arn:aws:logs:us-east-1:{OTHER_ACCOUNT}:delivery-source:a"},
        {"source": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:a"},
    ):
        request = _noting_for_the_web(**{"action": "kms:GenerateDataKey", **changes}, resource=KEY)
        yield Claim("the key for no other delivery", request, (KEY_GATE,))


def _noting_for_the_web(
    *,
    principal: str = "delivery.logs.amazonaws.com",
    action: str = "s3:PutObject",
    resource: str = _DELIVERED,
    account: str = ACCOUNT,
    source: str = f"arn:aws:logs:us-east-1:{ACCOUNT}:delivery-source:darkroom-delivery-{REGION}",
) -> Request:
    """Return what CloudWatch Logs sends when it delivers what CloudFront has noted."""
    context = {"aws:SourceArn": source, "aws:SourceAccount": account}
    return _service(principal, action, resource, **context)


def _logs_assuming(source: str) -> Request:
    """Return what CloudWatch Logs sends for a subscription: its source, and no account."""
    context = {"aws:SecureTransport": "true", "aws:SourceArn": source}
    return _request("logs.amazonaws.com", "sts:AssumeRole", "<LogSubscriptionRole>", context)


def _of_worker(action: str, resource: str, **context: str) -> Request:
    """Return a request of the worker's code, from inside the function."""
    return _by(WORKER, action, resource, **context)


def _of_lambda(action: str, resource: str, **context: str) -> Request:
    """Return a request of the Lambda service with the worker's role, from outside."""
    return _by(WORKER, action, resource, **context)


def _as_flow_log(action: str, resource: str) -> Request:
    return _by(FLOW_LOG, action, resource)


def _of_user(action: str, resource: str, **context: str) -> Request:
    return _by(USER, action, resource, **context)


def _of_stranger(action: str, resource: str) -> Request:
    return _by(STRANGER, action, resource, **{"aws:PrincipalAccount": OTHER_ACCOUNT})


def _by(principal: str, action: str, resource: str, **context: str) -> Request:
    return _request(
        principal,
        action,
        resource,
        {
            "aws:SecureTransport": "true",
            "aws:PrincipalAccount": ACCOUNT,
            "aws:PrincipalArn": principal,
            "aws:PrincipalIsAWSService": "false",
            "aws:ViaAWSService": "false",
            "aws:SourceIp": INSIDE_OFFICE,
            **context,
        },
    )


def _service(name: str, action: str, resource: str, **context: str) -> Request:
    return _request(
        name,
        action,
        resource,
        {
            "aws:SecureTransport": "true",
            "aws:PrincipalIsAWSService": "true",
            "aws:ViaAWSService": "false",
            "aws:SourceAccount": ACCOUNT,
            **context,
        },
    )


def _of_logs(action: str, log_group: str) -> Request:
    """Return what CloudWatch Logs sends: the group as encryption context, and no account."""
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log_group}"
    return _request(
        f"logs.{REGION}.amazonaws.com",
        action,
        KEY,
        {"aws:SecureTransport": "true", "kms:EncryptionContext:aws:logs:arn": arn},
    )


def _request(principal: str, action: str, resource: str, context: Mapping[str, str]) -> Request:
    lowered = {key.lower(): value for key, value in context.items()}
    return Request(principal=principal, action=action, resource=resource, context=lowered)


def _topics(stack: Described) -> list[str]:
    return [stack.resolve({"Ref": title}) for title in ("AlarmTopic", "TicketTopic")]
