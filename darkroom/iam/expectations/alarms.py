"""The alarm topics: CloudWatch publishes to them, under the KMS key."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck
from darkroom.iam.expectations.expectation import KEY_POLICY, Expectation
from darkroom.iam.expectations.requests import KEY, by_service, by_user
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

_TOPICS = {
    "CriticalAlarmTopic": "ExistingCriticalTopicArn",
    "WarningAlarmTopic": "ExistingWarningTopicArn",
}
_CLOUDWATCH = "cloudwatch.amazonaws.com"


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield how CloudWatch notifies of an alarm, and a user tests a topic."""
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-dead-letters"
    for topic, policy, denials in _topics(stack):
        publish = by_service(_CLOUDWATCH, "sns:Publish", topic, **{"aws:SourceArn": alarm})
        yield Expectation("notify of an alarm", publish, (policy,))
        yield Expectation("test an alarm topic", by_user("sns:Publish", topic), (denials,))
    if _uses_key(stack):
        yield from _use_of_key("notify of an alarm")


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield publishing by other alarms, accounts and services, and other uses of the key."""
    other_account = {"aws:SourceAccount": OTHER_ACCOUNT}
    own_alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-x"
    other_alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:other-x"
    for reason, principal, action, context in (
        ("another alarm", _CLOUDWATCH, "sns:Publish", {"aws:SourceArn": other_alarm}),
        (
            "another account",
            _CLOUDWATCH,
            "sns:Publish",
            {"aws:SourceArn": own_alarm, **other_account},
        ),
        ("another service", "s3.amazonaws.com", "sns:Publish", {"aws:SourceArn": own_alarm}),
        ("another action", _CLOUDWATCH, "sns:Subscribe", {"aws:SourceArn": own_alarm}),
    ):
        for topic, policy, _ in _topics(stack):
            yield Expectation(reason, by_service(principal, action, topic, **context), (policy,))
    other = by_service(_CLOUDWATCH, "sns:Publish", "arn:x", **{"aws:SourceArn": own_alarm})
    for _, policy, _ in _topics(stack):
        yield Expectation("another topic", other, (policy,))

    if _uses_key(stack):
        yield from _use_of_key("another account", **other_account)
    else:
        yield from _use_of_key("the key of no topic")
    for action in ("kms:Encrypt", "kms:CreateGrant"):
        yield Expectation("another action", by_service(_CLOUDWATCH, action, KEY), (KEY_POLICY,))
    for topic, _, denials in _topics(stack):
        publish = by_user("sns:Publish", topic, **{"aws:SecureTransport": "false"})
        yield Expectation("plain HTTP", publish, (denials,))


def _use_of_key(reason: str, **context: str) -> Iterator[Expectation]:
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        use = by_service(_CLOUDWATCH, action, KEY, **context)
        yield Expectation(reason, use, (KEY_POLICY,))


def _uses_key(stack: StackModel) -> bool:
    """Return whether a topic is encrypted with the stack's key, by the parameters."""
    return bool(_topics(stack)) and not stack.parameter("AlarmTopicKmsKeyArn")


def _topics(stack: StackModel) -> list[tuple[str, PolicyCheck, PolicyCheck]]:
    """Return each topic of the stack, and its policy as what allows and as what only denies.

    An existing topic takes the place of one.
    """
    return [
        (
            stack.resolve({"Ref": title}),
            PolicyCheck(f"{title}Policy", "resource-based"),
            PolicyCheck(f"{title}Policy", "deny-only"),
        )
        for title, parameter in _TOPICS.items()
        if parameter not in stack.parameters or not stack.parameter(parameter)
    ]
