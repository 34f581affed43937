"""The log archive: CloudWatch Logs sends to Firehose, and Firehose writes to the bucket."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    Expectation,
    denied_by_bucket_policy,
    denied_with_other_keys,
)
from darkroom.iam.expectations.requests import (
    ARCHIVE,
    KEY,
    SSE,
    THUMBNAILS,
    USER,
    by,
    by_service,
    by_user,
    request,
)
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

DELIVERY, SUBSCRIPTION = "<LogDeliveryRole.Arn>", "<LogSubscriptionRole.Arn>"
# https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3
DELIVER_OBJECTS = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")
DELIVER_TO_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads")
SEND_LOGS = ("firehose:PutRecord", "firehose:PutRecordBatch")
_BUCKET = PolicyCheck("LogArchiveBucketPolicy", "deny-only")
_WRITER, _SENDER = (
    PolicyCheck("LogDeliveryRole", "identity-based"),
    PolicyCheck("LogSubscriptionRole", "identity-based"),
)
_OTHER_STREAMS = (
    f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/darkroom-two.worker",
    f"arn:aws:firehose:{REGION}:{OTHER_ACCOUNT}:deliverystream/darkroom.worker",
)


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield the path of a log line: CloudWatch Logs, Firehose, the bucket; and its readers."""
    if not stack.specification.logs.archive:
        return
    trusts = (
        PolicyCheck("LogSubscriptionRole", "resource-based"),
        PolicyCheck("LogDeliveryRole", "resource-based"),
    )
    for group in stack.resources_of_type("Logs::SubscriptionFilter").values():
        source = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group['LogGroupName']}:*"
        yield Expectation("send logs", _by_logs_subscription(source), trusts[:1])
    for stream in _streams(stack):
        context = {"aws:SourceArn": stream}
        assume = by_service(
            "firehose.amazonaws.com", "sts:AssumeRole", "<LogDeliveryRole>", **context
        )
        yield Expectation("write logs", assume, trusts[1:])
        for action in SEND_LOGS:
            yield Expectation("send logs", by(SUBSCRIPTION, action, stream), (_SENDER,))
    for key in _delivered_objects(stack):
        for action in DELIVER_OBJECTS:
            yield Expectation("write logs", by(DELIVERY, action, key), (_WRITER, _BUCKET))
    for action in DELIVER_TO_BUCKET:
        yield Expectation("write logs", by(DELIVERY, action, ARCHIVE), (_WRITER, _BUCKET))
    context = {"kms:EncryptionContext:aws:s3:arn": ARCHIVE}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        yield Expectation("write logs", by(DELIVERY, action, KEY, **context), (_WRITER, KEY_POLICY))
    log = by(DELIVERY, "logs:PutLogEvents", "<LogDeliveryLogGroup.Arn>")
    yield Expectation("log a delivery error", log, (_WRITER,))
    for action, resource in (("s3:GetObject", f"{ARCHIVE}/worker/a"), ("s3:ListBucket", ARCHIVE)):
        yield Expectation("read the archive", by_user(action, resource), (_BUCKET,))
    put = by_user("s3:PutObject", f"{ARCHIVE}/a", **{SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY})
    yield Expectation("restore, naming the key", put, (_BUCKET,))
    put = by_service("logging.s3.amazonaws.com", "s3:PutObject", f"{ARCHIVE}/any")
    yield Expectation("an AWS service", put, (_BUCKET,))


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield the requests that the two roles and the bucket policy deny."""
    if not stack.specification.logs.archive:
        return
    yield from _denied_role_assumptions(stack)
    yield from _denied_to_roles(stack)
    yield from denied_by_bucket_policy(_BUCKET, ARCHIVE)
    yield from denied_with_other_keys(_BUCKET, ARCHIVE)


def _denied_role_assumptions(stack: StackModel) -> Iterator[Expectation]:
    """Yield the requests that the trust policies of the two roles deny."""
    own_stream = _streams(stack)[0]
    other_account = {"aws:SourceAccount": OTHER_ACCOUNT}
    trust = (PolicyCheck("LogDeliveryRole", "resource-based"),)
    for stream, context in ((own_stream, other_account), *((one, {}) for one in _OTHER_STREAMS)):
        conditions = {"aws:SourceArn": stream, **context}
        assume = by_service(
            "firehose.amazonaws.com", "sts:AssumeRole", "<LogDeliveryRole>", **conditions
        )
        yield Expectation("another stream or account", assume, trust)
    for name, role in (
        ("logs.amazonaws.com", "LogDeliveryRole"),
        ("firehose.amazonaws.com", "LogSubscriptionRole"),
        ("ec2.amazonaws.com", "LogDeliveryRole"),
        ("ec2.amazonaws.com", "LogSubscriptionRole"),
    ):
        for source in (own_stream, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"):
            request = by_service(name, "sts:AssumeRole", f"<{role}>", **{"aws:SourceArn": source})
            yield Expectation("another service", request, (PolicyCheck(role, "resource-based"),))
    for role, name, source in (
        ("LogDeliveryRole", "firehose.amazonaws.com", own_stream),
        ("LogSubscriptionRole", "logs.amazonaws.com", f"arn:aws:logs:{REGION}:{ACCOUNT}:x"),
    ):
        trusted = (PolicyCheck(role, "resource-based"),)
        tag = by_service(name, "sts:TagSession", f"<{role}>", **{"aws:SourceArn": source})
        yield Expectation("another action", tag, trusted)
        context = {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT}
        user = by(USER, "sts:AssumeRole", f"<{role}>", **context)
        yield Expectation("a user", user, trusted)
    for account, region in ((OTHER_ACCOUNT, REGION), (ACCOUNT, "us-east-1")):
        other = _by_logs_subscription(
            f"arn:aws:logs:{region}:{account}:log-group:/darkroom/worker:*"
        )
        yield Expectation(
            "another log", other, (PolicyCheck("LogSubscriptionRole", "resource-based"),)
        )


def _denied_to_roles(stack: StackModel) -> Iterator[Expectation]:
    """Yield the requests that the policies of the two roles do not allow."""
    own_stream, objects = _streams(stack)[0], _delivered_objects(stack)
    for stream in _OTHER_STREAMS:
        for action in SEND_LOGS:
            yield Expectation("another stream", by(SUBSCRIPTION, action, stream), (_SENDER,))
    for action in ("firehose:DeleteDeliveryStream", "firehose:UpdateDestination", "s3:PutObject"):
        for resource in (own_stream, objects[0]):
            yield Expectation(
                "more than sending logs", by(SUBSCRIPTION, action, resource), (_SENDER,)
            )
    for key in objects:
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl"):
            yield Expectation(
                "delete or publish archived logs", by(DELIVERY, action, key), (_WRITER,)
            )
    other_keys = (
        f"{ARCHIVE}/other/a",
        f"{THUMBNAILS}/worker/a",
        f"{ARCHIVE}-other/worker/a",
    )
    for action in DELIVER_OBJECTS:
        for key in other_keys:
            yield Expectation("another prefix or bucket", by(DELIVERY, action, key), (_WRITER,))
    for action in DELIVER_TO_BUCKET:
        for bucket in (THUMBNAILS, f"{ARCHIVE}-other"):
            yield Expectation("another bucket", by(DELIVERY, action, bucket), (_WRITER,))
    for action in ("s3:DeleteBucket", "s3:PutLifecycleConfiguration"):
        yield Expectation("change the bucket", by(DELIVERY, action, ARCHIVE), (_WRITER,))
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"):
        contexts = [
            THUMBNAILS,
            f"{ARCHIVE}-other",
            *([ARCHIVE] if action == "kms:Encrypt" else []),
        ]
        for value in contexts:
            context = {"kms:EncryptionContext:aws:s3:arn": value}
            yield Expectation(
                "the key for another resource", by(DELIVERY, action, KEY, **context), (_WRITER,)
            )
        yield Expectation(
            "the key without encryption context", by(DELIVERY, action, KEY), (_WRITER,)
        )
        context = {"kms:EncryptionContext:aws:s3:arn": ARCHIVE}
        other_key = by(DELIVERY, action, f"{KEY}-other", **context)
        yield Expectation("another key", other_key, (_WRITER,))
    for action, group in (
        ("logs:PutLogEvents", "<WorkerLogGroup.Arn>"),
        ("logs:CreateLogStream", "<LogDeliveryLogGroup.Arn>"),
        ("logs:DeleteLogGroup", "<LogDeliveryLogGroup.Arn>"),
    ):
        yield Expectation(
            "another log, or more than writing lines", by(DELIVERY, action, group), (_WRITER,)
        )


def _streams(stack: StackModel) -> list[str]:
    return [
        f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{one['DeliveryStreamName']}"
        for one in stack.resources_of_type("KinesisFirehose::DeliveryStream").values()
    ]


def _delivered_objects(stack: StackModel) -> list[str]:
    """Return an object under each prefix that a stream writes."""
    destinations = [
        one["ExtendedS3DestinationConfiguration"]
        for one in stack.resources_of_type("KinesisFirehose::DeliveryStream").values()
    ]
    prefixes = {one[key] for one in destinations for key in ("Prefix", "ErrorOutputPrefix")}
    return [f"{ARCHIVE}/{prefix.partition('!')[0]}2026/a.gz" for prefix in sorted(prefixes)]


def _by_logs_subscription(source: str) -> Request:
    """Return the request of CloudWatch Logs for a subscription: it sends no aws:SourceAccount."""
    context = {"aws:SecureTransport": "true", "aws:SourceArn": source}
    return request("logs.amazonaws.com", "sts:AssumeRole", "<LogSubscriptionRole>", context)
