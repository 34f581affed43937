"""The topic of records: S3 publishes to it for the thumbnail bucket, under the KMS key."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import KEY_POLICY, Expectation
from darkroom.iam.expectations.requests import KEY, by_service, by_user, request
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, StackModel

_POLICY = PolicyCheck("RecordTopicPolicy", "resource-based")
_DENIALS = PolicyCheck("RecordTopicPolicy", "deny-only")
_S3 = "s3.amazonaws.com"
_KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield how S3 notifies of a record, and a user tests the topic."""
    if not stack.specification.events.topic:
        return
    topic = stack.resolve({"Ref": "RecordTopic"})
    publish = by_service(_S3, "sns:Publish", topic, **_thumbnails(stack))
    yield Expectation("notify of a record", publish, (_POLICY,))
    for action in _KEY_ACTIONS:
        use = _key_use(_S3, action, stack.arn("RecordTopic"))
        yield Expectation("notify of a record", use, (KEY_POLICY,))
    yield Expectation("test the topic", by_user("sns:Publish", topic), (_DENIALS,))


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield publishing by other callers, and other uses of the key."""
    if not stack.specification.events.topic:
        return
    topic, own = stack.resolve({"Ref": "RecordTopic"}), _thumbnails(stack)
    other_bucket = {"aws:SourceArn": own["aws:SourceArn"].replace("thumbnails", "uploads")}
    for reason, principal, action, resource, changed in (
        ("another bucket", _S3, "sns:Publish", topic, other_bucket),
        ("another account", _S3, "sns:Publish", topic, {"aws:SourceAccount": OTHER_ACCOUNT}),
        ("another service", "cloudwatch.amazonaws.com", "sns:Publish", topic, {}),
        ("another action", _S3, "sns:Subscribe", topic, {}),
        ("another topic", _S3, "sns:Publish", "arn:x", {}),
    ):
        publish = by_service(principal, action, resource, **{**own, **changed})
        yield Expectation(reason, publish, (_POLICY,))
    yield Expectation("not the bucket", by_user("sns:Publish", topic), (_POLICY,))
    plain = by_user("sns:Publish", topic, **{"aws:SecureTransport": "false"})
    yield Expectation("plain HTTP", plain, (_DENIALS,))

    arn = stack.arn("RecordTopic")
    elsewhere = arn.replace(ACCOUNT, OTHER_ACCOUNT)
    for action in _KEY_ACTIONS:
        for reason, principal, context in (
            ("the key for another topic", _S3, f"{arn}-other"),
            ("the key for another account", _S3, elsewhere),
            ("the key for another service", "ec2.amazonaws.com", arn),
        ):
            yield Expectation(reason, _key_use(principal, action, context), (KEY_POLICY,))
    for action in ("kms:Encrypt", "kms:CreateGrant"):
        yield Expectation("another action", _key_use(_S3, action, arn), (KEY_POLICY,))


def _thumbnails(stack: StackModel) -> dict[str, str]:
    return {"aws:SourceArn": stack.arn("ThumbnailBucket"), "aws:SourceAccount": ACCOUNT}


def _key_use(service: str, action: str, topic_arn: str) -> Request:
    """Return a service's use of the key for a topic, which SNS adds as encryption context."""
    context = {
        "aws:SecureTransport": "true",
        "aws:PrincipalIsAWSService": "true",
        "kms:EncryptionContext:aws:sns:topicArn": topic_arn,
    }
    return request(service, action, KEY, context)
