"""Who raises alarms: CloudWatch, on the two topics."""

from collections.abc import Iterator

from ops.privilege.claims.callers import KEY, of_service, of_user
from ops.privilege.claims.claim import KEY_POLICY, Claim
from ops.privilege.described import ACCOUNT, OTHER_ACCOUNT, REGION, Described
from ops.privilege.evaluation import Gate


def required(stack: Described) -> Iterator[Claim]:
    """Yield how CloudWatch raises an alarm, and a person tries a topic."""
    alarm = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-dead-letters"
    for topic in _topics(stack):
        publish = of_service(
            "cloudwatch.amazonaws.com", "sns:Publish", topic, **{"aws:SourceArn": alarm}
        )
        yield Claim("raise an alarm", publish, (Gate("AlarmTopicPolicy", "resource"),))
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        use = of_service("cloudwatch.amazonaws.com", action, KEY)
        yield Claim("raise an alarm", use, (KEY_POLICY,))
    for topic in ("<AlarmTopic>", "<TicketTopic>"):
        publish = of_user("sns:Publish", topic)
        yield Claim("try an alarm topic", publish, (Gate("AlarmTopicPolicy", "guard"),))


def forbidden(stack: Described) -> Iterator[Claim]:
    """Yield what no topic takes, and the key is not for."""
    alarms = "cloudwatch.amazonaws.com"
    others = {"aws:SourceAccount": OTHER_ACCOUNT}
    gate = (Gate("AlarmTopicPolicy", "resource"),)
    mine = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:darkroom-x"
    foreign = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:other-x"
    for why, principal, action, context in (
        ("another alarm", alarms, "sns:Publish", {"aws:SourceArn": foreign}),
        ("another account", alarms, "sns:Publish", {"aws:SourceArn": mine, **others}),
        ("another service", "s3.amazonaws.com", "sns:Publish", {"aws:SourceArn": mine}),
        ("another action", alarms, "sns:Subscribe", {"aws:SourceArn": mine}),
    ):
        for topic in _topics(stack):
            yield Claim(why, of_service(principal, action, topic, **context), gate)
    other = of_service(alarms, "sns:Publish", "arn:x", **{"aws:SourceArn": mine})
    yield Claim("another topic", other, gate)

    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        yield Claim("another account", of_service(alarms, action, KEY, **others), (KEY_POLICY,))
    for action in ("kms:Encrypt", "kms:CreateGrant"):
        yield Claim("another action", of_service(alarms, action, KEY), (KEY_POLICY,))
    for topic in _topics(stack):
        publish = of_user("sns:Publish", topic, **{"aws:SecureTransport": "false"})
        yield Claim("plain HTTP", publish, (Gate("AlarmTopicPolicy", "guard"),))


def _topics(stack: Described) -> list[str]:
    return [stack.resolve({"Ref": title}) for title in ("AlarmTopic", "TicketTopic")]
