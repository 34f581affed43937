"""Who raises alarms: CloudWatch, on the two topics."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck
from darkroom.iam.expectations.expectation import KEY_POLICY, Expectation
from darkroom.iam.expectations.requests import KEY, of_service, of_user
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield how CloudWatch raises an alarm, and a person tries a topic."""
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-dead-letters"
    for topic in _topics(stack):
        publish = of_service(
            "cloudwatch.amazonaws.com", "sns:Publish", topic, **{"aws:SourceArn": alarm}
        )
        yield Expectation("raise an alarm", publish, (PolicyCheck("AlarmTopicPolicy", "resource"),))
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        use = of_service("cloudwatch.amazonaws.com", action, KEY)
        yield Expectation("raise an alarm", use, (KEY_POLICY,))
    for topic in ("<CriticalAlarmTopic>", "<WarningAlarmTopic>"):
        publish = of_user("sns:Publish", topic)
        yield Expectation(
            "try an alarm topic", publish, (PolicyCheck("AlarmTopicPolicy", "guard"),)
        )


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield what no topic takes, and the key is not for."""
    alarms = "cloudwatch.amazonaws.com"
    others = {"aws:SourceAccount": OTHER_ACCOUNT}
    gate = (PolicyCheck("AlarmTopicPolicy", "resource"),)
    mine = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-x"
    foreign = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:other-x"
    for why, principal, action, context in (
        ("another alarm", alarms, "sns:Publish", {"aws:SourceArn": foreign}),
        ("another account", alarms, "sns:Publish", {"aws:SourceArn": mine, **others}),
        ("another service", "s3.amazonaws.com", "sns:Publish", {"aws:SourceArn": mine}),
        ("another action", alarms, "sns:Subscribe", {"aws:SourceArn": mine}),
    ):
        for topic in _topics(stack):
            yield Expectation(why, of_service(principal, action, topic, **context), gate)
    other = of_service(alarms, "sns:Publish", "arn:x", **{"aws:SourceArn": mine})
    yield Expectation("another topic", other, gate)

    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        yield Expectation(
            "another account", of_service(alarms, action, KEY, **others), (KEY_POLICY,)
        )
    for action in ("kms:Encrypt", "kms:CreateGrant"):
        yield Expectation("another action", of_service(alarms, action, KEY), (KEY_POLICY,))
    for topic in _topics(stack):
        publish = of_user("sns:Publish", topic, **{"aws:SecureTransport": "false"})
        yield Expectation("plain HTTP", publish, (PolicyCheck("AlarmTopicPolicy", "guard"),))


def _topics(stack: StackModel) -> list[str]:
    return [stack.resolve({"Ref": title}) for title in ("CriticalAlarmTopic", "WarningAlarmTopic")]
