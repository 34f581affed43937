"""The archive of logs: their way into the bucket, and that of the web's access log."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    Expectation,
    past_a_bucket,
    past_the_key,
)
from darkroom.iam.expectations.requests import (
    ARCHIVE,
    KEY,
    SSE,
    THUMBNAILS,
    USER,
    by,
    of_service,
    of_user,
    request,
)
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

DELIVERY, SUBSCRIPTION = "<LogDeliveryRole.Arn>", "<LogSubscriptionRole.Arn>"
# What Firehose's documentation asks for, for objects and for their bucket.
DELIVER_OBJECTS = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")
DELIVER_TO_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
SEND_LOGS = ("firehose:PutRecord", "firehose:PutRecordBatch")
ARCHIVE_GUARD = PolicyCheck("LogArchiveBucketPolicy", "guard")
_WRITER, _SENDER = (
    PolicyCheck("LogDeliveryRole", "identity"),
    PolicyCheck("LogSubscriptionRole", "identity"),
)
_OTHER_STREAMS = (
    f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/darkroom-two.worker",
    f"arn:aws:firehose:{REGION}:{OTHER_ACCOUNT}:deliverystream/darkroom.worker",
)


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield the way of a log line: CloudWatch Logs, Firehose, the bucket."""
    if not stack.plan.logs.archive:
        return
    trusts = (
        PolicyCheck("LogSubscriptionRole", "resource"),
        PolicyCheck("LogDeliveryRole", "resource"),
    )
    for group in stack.resources_of_type("Logs::SubscriptionFilter").values():
        source = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group['LogGroupName']}:*"
        yield Expectation("send logs", _logs_assuming(source), trusts[:1])
    for stream in _streams(stack):
        behalf = {"aws:SourceArn": stream}
        assume = of_service(
            "firehose.amazonaws.com", "sts:AssumeRole", "<LogDeliveryRole>", **behalf
        )
        yield Expectation("write logs", assume, trusts[1:])
        for action in SEND_LOGS:
            yield Expectation("send logs", by(SUBSCRIPTION, action, stream), (_SENDER,))
    for key in _written(stack):
        for action in DELIVER_OBJECTS:
            yield Expectation("write logs", by(DELIVERY, action, key), (_WRITER, ARCHIVE_GUARD))
    for action in DELIVER_TO_BUCKET:
        yield Expectation("write logs", by(DELIVERY, action, ARCHIVE), (_WRITER, ARCHIVE_GUARD))
    context = {"kms:EncryptionContext:aws:s3:arn": ARCHIVE}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        yield Expectation("write logs", by(DELIVERY, action, KEY, **context), (_WRITER, KEY_POLICY))
    tell = by(DELIVERY, "logs:PutLogEvents", "<LogDeliveryLogGroup.Arn>")
    yield Expectation("tell what failed", tell, (_WRITER,))
    for action, resource in (("s3:GetObject", f"{ARCHIVE}/worker/a"), ("s3:ListBucket", ARCHIVE)):
        yield Expectation("read the archive", of_user(action, resource), (ARCHIVE_GUARD,))
    put = of_user("s3:PutObject", f"{ARCHIVE}/a", **{SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY})
    yield Expectation("restore, naming the key", put, (ARCHIVE_GUARD,))
    noted = of_service("logging.s3.amazonaws.com", "s3:PutObject", f"{ARCHIVE}/any")
    yield Expectation("a service is not locked out", noted, (ARCHIVE_GUARD,))


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield what the two roles and the bucket refuse."""
    if not stack.plan.logs.archive:
        return
    streams, written = _streams(stack), _written(stack)
    others = {"aws:SourceAccount": OTHER_ACCOUNT}
    trust = (PolicyCheck("LogDeliveryRole", "resource"),)
    for stream, context in ((streams[0], others), *((one, {}) for one in _OTHER_STREAMS)):
        foreign = {"aws:SourceArn": stream, **context}
        assume = of_service(
            "firehose.amazonaws.com", "sts:AssumeRole", "<LogDeliveryRole>", **foreign
        )
        yield Expectation("another stream or account", assume, trust)
    for name, role in (
        ("logs.amazonaws.com", "LogDeliveryRole"),
        ("firehose.amazonaws.com", "LogSubscriptionRole"),
        ("ec2.amazonaws.com", "LogDeliveryRole"),
        ("ec2.amazonaws.com", "LogSubscriptionRole"),
    ):
        for source in (streams[0], f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"):
            request = of_service(name, "sts:AssumeRole", f"<{role}>", **{"aws:SourceArn": source})
            yield Expectation("another service", request, (PolicyCheck(role, "resource"),))
    for role, name, source in (
        ("LogDeliveryRole", "firehose.amazonaws.com", streams[0]),
        ("LogSubscriptionRole", "logs.amazonaws.com", f"arn:aws:logs:{REGION}:{ACCOUNT}:x"),
    ):
        trusted = (PolicyCheck(role, "resource"),)
        tag = of_service(name, "sts:TagSession", f"<{role}>", **{"aws:SourceArn": source})
        yield Expectation("another action", tag, trusted)
        posing = {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT}
        user = by(USER, "sts:AssumeRole", f"<{role}>", **posing)
        yield Expectation("a user", user, trusted)
    for account, region in ((OTHER_ACCOUNT, REGION), (ACCOUNT, "us-east-1")):
        other = _logs_assuming(f"arn:aws:logs:{region}:{account}:log-group:/darkroom/worker:*")
        yield Expectation("another log", other, (PolicyCheck("LogSubscriptionRole", "resource"),))

    for stream in _OTHER_STREAMS:
        for action in SEND_LOGS:
            yield Expectation("another stream", by(SUBSCRIPTION, action, stream), (_SENDER,))
    for action in ("firehose:DeleteDeliveryStream", "firehose:UpdateDestination", "s3:PutObject"):
        for resource in (streams[0], written[0]):
            yield Expectation("beyond sending", by(SUBSCRIPTION, action, resource), (_SENDER,))
    for key in written:
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl"):
            yield Expectation("logs are not for deleting", by(DELIVERY, action, key), (_WRITER,))
    elsewhere = (
        f"{ARCHIVE}/elsewhere/a",
        f"{THUMBNAILS}/worker/a",
        f"{ARCHIVE}-of-others/worker/a",
    )
    for action in DELIVER_OBJECTS:
        for key in elsewhere:
            yield Expectation("another place", by(DELIVERY, action, key), (_WRITER,))
    for action in DELIVER_TO_BUCKET:
        for bucket in (THUMBNAILS, f"{ARCHIVE}-of-others"):
            yield Expectation("another bucket", by(DELIVERY, action, bucket), (_WRITER,))
    for action in ("s3:DeleteBucket", "s3:PutLifecycleConfiguration"):
        yield Expectation("the bucket itself", by(DELIVERY, action, ARCHIVE), (_WRITER,))
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"):
        contexts = [
            THUMBNAILS,
            f"{ARCHIVE}-of-others",
            *([ARCHIVE] if action == "kms:Encrypt" else []),
        ]
        for value in contexts:
            context = {"kms:EncryptionContext:aws:s3:arn": value}
            yield Expectation(
                "the key for something else", by(DELIVERY, action, KEY, **context), (_WRITER,)
            )
        yield Expectation("the key for anything", by(DELIVERY, action, KEY), (_WRITER,))
        context = {"kms:EncryptionContext:aws:s3:arn": ARCHIVE}
        other_key = by(DELIVERY, action, f"{KEY}-of-others", **context)
        yield Expectation("another key", other_key, (_WRITER,))
    for action, group in (
        ("logs:PutLogEvents", "<WorkerLogGroup.Arn>"),
        ("logs:CreateLogStream", "<LogDeliveryLogGroup.Arn>"),
        ("logs:DeleteLogGroup", "<LogDeliveryLogGroup.Arn>"),
    ):
        yield Expectation(
            "another log, or more than a line", by(DELIVERY, action, group), (_WRITER,)
        )
    yield from past_a_bucket(ARCHIVE_GUARD, ARCHIVE)
    yield from past_the_key(ARCHIVE_GUARD, ARCHIVE)


def _streams(stack: StackModel) -> list[str]:
    return [
        f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{one['DeliveryStreamName']}"
        for one in stack.resources_of_type("KinesisFirehose::DeliveryStream").values()
    ]


def _written(stack: StackModel) -> list[str]:
    """Return an object under each prefix that a stream writes."""
    destinations = [
        one["ExtendedS3DestinationConfiguration"]
        for one in stack.resources_of_type("KinesisFirehose::DeliveryStream").values()
    ]
    prefixes = {one[key] for one in destinations for key in ("Prefix", "ErrorOutputPrefix")}
    return [f"{ARCHIVE}/{prefix.partition('!')[0]}2026/a.gz" for prefix in sorted(prefixes)]


def _logs_assuming(source: str) -> Request:
    """Return what CloudWatch Logs sends for a subscription: its source, and no account."""
    context = {"aws:SecureTransport": "true", "aws:SourceArn": source}
    return request("logs.amazonaws.com", "sts:AssumeRole", "<LogSubscriptionRole>", context)
