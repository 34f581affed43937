"""What must be allowed and what must be refused: the claims that the proof checks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ops.privilege.evaluation import Gate, Request
from ops.reading import PSEUDO, Reading

ACCOUNT = PSEUDO["AWS::AccountId"]
OTHER_ACCOUNT = "999999999999"
REGION = PSEUDO["AWS::Region"]
SSE = "s3:x-amz-server-side-encryption"

UPLOADS, THUMBNAILS = "<UploadBucket.Arn>", "<ThumbnailBucket.Arn>"
WORK, DEAD_LETTERS = "<WorkQueue.Arn>", "<DeadLetterQueue.Arn>"
KEY = "<EncryptionKey.Arn>"
ENDPOINT = "<StorageEndpoint>"
OFFICE, INSIDE_OFFICE, ELSEWHERE = "198.51.100.0/24", "198.51.100.7", "203.0.113.9"
"""Documentation addresses: where uploads come from, in the reading that the proof is over."""
WORKER, FLOW_LOG = "<WorkerRole.Arn>", "<FlowLogRole.Arn>"
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

IDENTITY = Gate("WorkerRole", "identity")
STORAGE_DOOR = Gate("StorageEndpoint", "resource")
QUEUE_DOOR = Gate("WorkQueueEndpoint", "resource")
UPLOAD_GUARD = Gate("UploadBucketPolicy", "guard")
THUMBNAIL_GUARD = Gate("ThumbnailBucketPolicy", "guard")
WORK_GUARD = Gate("WorkQueuePolicy", "guard")
KEY_GATE = Gate("EncryptionKey", "resource")


@dataclass(frozen=True)
class Claim:
    """A request, the gates it meets, and why it must pass or must not."""

    why: str
    request: Request
    gates: Sequence[Gate]


def worker_calls(prefixes: Sequence[str], *, follow_deletes: bool) -> list[Claim]:
    """Return the calls of the worker's own code; the end-to-end run records the same set."""
    reads = ["s3:GetObjectVersion", *(["s3:GetObject"] if follow_deletes else [])]
    storage = (IDENTITY, STORAGE_DOOR)
    inside = {"aws:SourceVpce": ENDPOINT}
    written = {**inside, SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}
    claims = [
        Claim("read an upload", _of_worker(action, f"{UPLOADS}/{prefix}a.jpg", **inside), gates)
        for gates in [(*storage, UPLOAD_GUARD)]
        for prefix in prefixes
        for action in reads
    ]
    claims.append(
        Claim(
            "tell a deleted upload",
            _of_worker("s3:ListBucket", UPLOADS, **inside),
            (*storage, UPLOAD_GUARD),
        )
    )
    outputs = (f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400", f"{THUMBNAILS}/rejected/a.jpg.json")
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
        Claim("settle a message", _of_worker(action, WORK), (IDENTITY, QUEUE_DOOR, WORK_GUARD))
        for action in ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage")
    ]
    return claims


def required(stack: Reading, prefixes: Sequence[str], *, follow_deletes: bool) -> list[Claim]:
    """Return all that must be allowed, for every identity and service of the stack."""
    claims = worker_calls(prefixes, follow_deletes=follow_deletes)
    claims += [*_for_the_worker(stack), *_by_services(stack), *_by_people()]
    return claims


def _for_the_worker(stack: Reading) -> Iterator[Claim]:
    """Yield what AWS does with the worker's role, outside the network."""
    function = _function_arn(stack)
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
        yield Claim("poll the queue", _of_lambda(action, WORK), (IDENTITY, WORK_GUARD))
    for why, action, context, value in (
        ("read a message", "kms:Decrypt", "aws:sqs:arn", WORK),
        ("read an upload", "kms:Decrypt", "aws:s3:arn", UPLOADS),
        ("read one stored without bucket key", "kms:Decrypt", "aws:s3:arn", f"{UPLOADS}/u/a.jpg"),
        ("write an output", "kms:GenerateDataKey", "aws:s3:arn", THUMBNAILS),
        ("compare versions", "kms:Decrypt", "aws:s3:arn", THUMBNAILS),
        ("start", "kms:Decrypt", "aws:lambda:FunctionArn", function),
    ):
        request = _of_lambda(action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Claim(why, request, (IDENTITY, KEY_GATE))
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Claim("ship the log", _of_lambda(action, "<WorkerLogGroup.Arn>"), (IDENTITY,))
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for action in PLACE_INTERFACES:
        yield Claim("join the network", _of_lambda(action, interface), (IDENTITY,))
    for action in FIND_INTERFACES:
        yield Claim("join the network", _of_lambda(action, "*"), (IDENTITY,))


def _by_services(stack: Reading) -> Iterator[Claim]:
    lambda_itself = _service("lambda.amazonaws.com", "sts:AssumeRole", "<WorkerRole>")
    yield Claim("run the worker", lambda_itself, (Gate("WorkerRole", "resource"),))

    announce = _service(
        "s3.amazonaws.com", "sqs:SendMessage", WORK, **{"aws:SourceArn": _bucket_arn(stack)}
    )
    yield Claim("announce an upload", announce, (Gate("WorkQueuePolicy", "resource"),))
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-dead-letters"
    publish = _service(
        "cloudwatch.amazonaws.com", "sns:Publish", _topic(stack), **{"aws:SourceArn": alarm}
    )
    yield Claim("raise an alarm", publish, (Gate("AlarmTopicPolicy", "resource"),))
    for principal, why in (
        ("s3.amazonaws.com", "announce an upload"),
        ("cloudwatch.amazonaws.com", "raise an alarm"),
    ):
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            yield Claim(why, _service(principal, action, KEY), (KEY_GATE,))
    for group in stack.of_type("Logs::LogGroup").values():
        for action in LOG_ENCRYPTION:
            yield Claim("keep the log", _of_logs(action, group["LogGroupName"]), (KEY_GATE,))

    trust = Gate("FlowLogRole", "resource")
    source = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
    assume = _service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **source)
    yield Claim("write the flow log", assume, (trust,))
    rights = (Gate("FlowLogRole", "identity"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Claim("write the flow log", _as_flow_log(action, "<FlowLogGroup.Arn>"), rights)
    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    yield Claim("write the flow log", _as_flow_log("logs:DescribeLogGroups", groups), rights)

    # A service acts with no account of its own: the refusal of strangers must not hit it (trap 7).
    for guard, bucket in ((UPLOAD_GUARD, UPLOADS), (THUMBNAIL_GUARD, THUMBNAILS)):
        for action in ("s3:GetObject", "s3:PutObject"):
            request = _service("logging.s3.amazonaws.com", action, f"{bucket}/any")
            yield Claim("a service is not locked out", request, (guard,))


def _by_people() -> Iterator[Claim]:
    for action, why in ADMINISTRATION.items():
        yield Claim(why, _of_user(action, KEY), (KEY_GATE,))
    upload = f"{UPLOADS}/uploads/a.jpg"
    yield Claim("upload", _of_user("s3:PutObject", upload), (UPLOAD_GUARD,))
    named = {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}
    for action, resource in (
        ("s3:PutBucketPolicy", UPLOADS),
        ("s3:GetObject", upload),
        ("s3:DeleteObject", upload),
        ("s3:ListBucket", UPLOADS),
    ):
        afar = _of_user(action, resource, **{"aws:SourceIp": ELSEWHERE})
        yield Claim("a deployer is not locked out", afar, (UPLOAD_GUARD,))
    via = {"aws:SourceIp": ELSEWHERE, "aws:ViaAWSService": "true"}
    copied = _of_user("s3:PutObject", upload, **via)
    yield Claim("a service that acts for somebody is not locked out", copied, (UPLOAD_GUARD,))
    other_role = f"arn:aws:iam::{ACCOUNT}:role/other"
    for arn, guard in ((UPLOADS, UPLOAD_GUARD), (THUMBNAILS, THUMBNAIL_GUARD)):
        other = _by(other_role, "s3:GetObject", f"{arn}/any")
        yield Claim("the worker's network is no other role's", other, (guard,))
    put = _of_user("s3:PutObject", upload, **named)
    yield Claim("upload, naming the key", put, (UPLOAD_GUARD,))
    fetch = _of_user("s3:GetObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400")
    yield Claim("fetch a thumbnail", fetch, (THUMBNAIL_GUARD,))
    restore = _of_user("s3:PutObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400")
    yield Claim("restore a thumbnail, naming no key", restore, (THUMBNAIL_GUARD,))
    for guard, queue in (
        (WORK_GUARD, WORK),
        (Gate("DeadLetterQueuePolicy", "guard"), DEAD_LETTERS),
    ):
        yield Claim("look at a queue", _of_user("sqs:ReceiveMessage", queue), (guard,))
    publish = _of_user("sns:Publish", "<AlarmTopic>")
    yield Claim("try the alarm topic", publish, (Gate("AlarmTopicPolicy", "guard"),))


def forbidden(stack: Reading, prefixes: Sequence[str], *, follow_deletes: bool) -> list[Claim]:
    """Return all that must be refused, each at the one gate that has to refuse it."""
    claims: list[Claim] = []
    calls = worker_calls(prefixes, follow_deletes=follow_deletes)
    for claim in calls:
        claims += _widened(claim)
    granted = {(claim.request.action, claim.request.resource) for claim in calls}
    resources = {claim.request.resource for claim in calls if claim.gates[1] == STORAGE_DOOR}
    everywhere = (*sorted(resources), *_S3_ELSEWHERE)
    for gate, actions, arns in (
        (STORAGE_DOOR, _S3_ACTIONS, everywhere),
        (IDENTITY, _S3_ACTIONS, everywhere),
        (QUEUE_DOOR, _SQS_ACTIONS, (WORK, DEAD_LETTERS)),
    ):
        claims += [
            Claim("another action", _of_worker(action, resource), (gate,))
            for action in actions
            for resource in arns
            if (action, resource) not in granted
        ]
    claims += [*_beyond_the_role(stack), *_past_the_guards(stack), *_past_the_services(stack)]
    return claims


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
_S3_ELSEWHERE = (
    f"{UPLOADS}/elsewhere/a.jpg",
    f"{THUMBNAILS}/elsewhere/a.jpg",
    f"{UPLOADS}-of-others",
    f"{UPLOADS}-of-others/uploads/a.jpg",
    f"{THUMBNAILS}-of-others/thumbnails/a.jpg/w400",
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


def _widened(claim: Claim) -> Iterator[Claim]:
    """Yield one of the worker's calls as somebody else makes it, at the doors."""
    for gate in claim.gates:
        if gate.kind == "resource":
            for who in (USER, STRANGER, f"{WORKER}-of-others"):
                context = {**claim.request.context, "aws:principalarn": who}
                request = replace(claim.request, principal=who, context=context)
                yield Claim("the door is the worker's alone", request, (gate,))


def _beyond_the_role(stack: Reading) -> Iterator[Claim]:
    only = (IDENTITY,)
    function = _function_arn(stack)
    inside = {"lambda:SourceFunctionArn": function}
    for action in _SQS_ACTIONS:
        yield Claim("another queue", _of_worker(action, DEAD_LETTERS), only)
    for action in ("sqs:PurgeQueue", "sqs:SendMessage", "sqs:SetQueueAttributes"):
        yield Claim("another action on the queue", _of_worker(action, WORK), only)
    for action, context, value in (
        ("kms:GenerateDataKey", "aws:s3:arn", UPLOADS),
        ("kms:GenerateDataKey", "aws:sqs:arn", WORK),
        ("kms:GenerateDataKey", "aws:lambda:FunctionArn", function),
        *(("kms:Encrypt", "aws:s3:arn", bucket) for bucket in (UPLOADS, THUMBNAILS)),
        *(
            (action, context, f"{value}-of-others")
            for action in ("kms:Decrypt", "kms:GenerateDataKey")
            for context, value in (
                ("aws:s3:arn", UPLOADS),
                ("aws:s3:arn", THUMBNAILS),
                ("aws:sqs:arn", WORK),
                ("aws:lambda:FunctionArn", function),
            )
        ),
    ):
        request = _of_worker(action, KEY, **{f"kms:EncryptionContext:{context}": value})
        yield Claim("the key for something else", request, only)
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:ScheduleKeyDeletion"):
        yield Claim("the key for anything", _of_worker(action, KEY), only)
    other_key = f"{KEY}-of-others"
    for context, value in (
        ("aws:s3:arn", UPLOADS),
        ("aws:s3:arn", THUMBNAILS),
        ("aws:sqs:arn", WORK),
        ("aws:lambda:FunctionArn", function),
    ):
        request = _of_worker(
            "kms:Decrypt", other_key, **{f"kms:EncryptionContext:{context}": value}
        )
        yield Claim("another key", request, only)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Claim("another log", _of_lambda(action, "<FlowLogGroup.Arn>"), only)
    yield Claim("a log group", _of_lambda("logs:CreateLogGroup", "<WorkerLogGroup.Arn>"), only)
    yield Claim("drop logs", _of_lambda("logs:DeleteLogStream", "<WorkerLogGroup.Arn>"), only)
    for account, region in ((OTHER_ACCOUNT, REGION), (ACCOUNT, "us-east-1")):
        interface = f"arn:aws:ec2:{region}:{account}:network-interface/eni-1"
        for action in PLACE_INTERFACES:
            yield Claim("another network", _of_lambda(action, interface), only)
    for action in ("ec2:RunInstances", "ec2:CreateRoute", "ec2:ModifyNetworkInterfaceAttribute"):
        interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
        yield Claim("change the network", _of_lambda(action, interface), only)
    interface = f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1"
    for action in PLACE_INTERFACES:
        yield Claim("interfaces are not for code", _of_worker(action, interface, **inside), only)
    for action in FIND_INTERFACES:
        yield Claim("interfaces are not for code", _of_worker(action, "*", **inside), only)
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


def _past_the_guards(stack: Reading) -> Iterator[Claim]:
    plain = {"aws:SecureTransport": "false"}
    for guard, arn in ((UPLOAD_GUARD, UPLOADS), (THUMBNAIL_GUARD, THUMBNAILS)):
        for action, resource in (
            ("s3:PutObject", f"{arn}/any"),
            ("s3:GetObject", f"{arn}/any"),
            ("s3:ListBucket", arn),
        ):
            yield Claim("plain HTTP", _of_user(action, resource, **plain), (guard,))
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
        for headers in (
            {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": f"{KEY}-of-others"},
            {SSE: "AES256"},
            {f"{SSE}-customer-algorithm": "AES256"},
        ):
            put = _of_user("s3:PutObject", f"{arn}/any", **headers)
            yield Claim("another encryption", put, (guard,))
        for elsewhere in ({}, {"aws:SourceVpce": f"{ENDPOINT}-of-others"}):
            for action, resource in (
                ("s3:PutObject", f"{arn}/any"),
                ("s3:GetObject", f"{arn}/any"),
                ("s3:ListBucket", arn),
            ):
                stolen = _of_worker(action, resource, **elsewhere)
                yield Claim("the worker's role outside its network", stolen, (guard,))
    for ip in (ELSEWHERE, "2001:db8::9"):
        upload = _of_user("s3:PutObject", f"{UPLOADS}/uploads/a.jpg", **{"aws:SourceIp": ip})
        yield Claim("an upload from elsewhere", upload, (UPLOAD_GUARD,))
    for title, arn in (("WorkQueue", WORK), ("DeadLetterQueue", DEAD_LETTERS)):
        guard = Gate(f"{title}Policy", "guard")
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage"):
            yield Claim("plain HTTP", _of_user(action, arn, **plain), (guard,))
    publish = _of_user("sns:Publish", _topic(stack), **plain)
    yield Claim("plain HTTP", publish, (Gate("AlarmTopicPolicy", "guard"),))


def _past_the_services(stack: Reading) -> Iterator[Claim]:
    own, others = {"aws:SourceAccount": ACCOUNT}, {"aws:SourceAccount": OTHER_ACCOUNT}
    bucket = {"aws:SourceArn": _bucket_arn(stack)}
    send = (Gate("WorkQueuePolicy", "resource"),)
    for why, principal, action, context in (
        (
            "another bucket",
            "s3.amazonaws.com",
            "sqs:SendMessage",
            {"aws:SourceArn": "arn:aws:s3:::b"},
        ),
        (
            "the name in another account",
            "s3.amazonaws.com",
            "sqs:SendMessage",
            {**bucket, **others},
        ),
        ("another service", "sns.amazonaws.com", "sqs:SendMessage", bucket),
        ("another action", "s3.amazonaws.com", "sqs:ReceiveMessage", bucket),
    ):
        yield Claim(why, _service(principal, action, WORK, **context), send)
    yield Claim(
        "another queue", _service("s3.amazonaws.com", "sqs:SendMessage", "arn:x", **bucket), send
    )
    for who in (USER, STRANGER):
        yield Claim("not a producer", _by(who, "sqs:SendMessage", WORK), send)
        dead = (Gate("DeadLetterQueuePolicy", "resource"),)
        yield Claim("nobody sends dead letters", _by(who, "sqs:SendMessage", DEAD_LETTERS), dead)

    topic, gate = _topic(stack), (Gate("AlarmTopicPolicy", "resource"),)
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
        yield Claim(why, _service(principal, action, topic, **context), gate)
    other = _service("cloudwatch.amazonaws.com", "sns:Publish", "arn:x", **{"aws:SourceArn": mine})
    yield Claim("another topic", other, gate)

    for principal in ("s3.amazonaws.com", "cloudwatch.amazonaws.com"):
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            yield Claim("another account", _service(principal, action, KEY, **others), (KEY_GATE,))
        yield Claim("another action", _service(principal, "kms:Encrypt", KEY), (KEY_GATE,))
        yield Claim("another action", _service(principal, "kms:CreateGrant", KEY), (KEY_GATE,))
    for name in ("sns.amazonaws.com", "events.amazonaws.com", "ec2.amazonaws.com"):
        yield Claim("another service", _service(name, "kms:Decrypt", KEY, **own), (KEY_GATE,))
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


def _function_arn(stack: Reading) -> str:
    name = stack.properties("Worker")["FunctionName"]
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def _bucket_arn(stack: Reading) -> str:
    return f"arn:aws:s3:::{stack.properties('UploadBucket')['BucketName']}"


def _topic(stack: Reading) -> str:
    topic: str = stack.resolve({"Ref": "AlarmTopic"})
    return topic
