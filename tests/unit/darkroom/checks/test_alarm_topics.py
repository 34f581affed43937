"""Who is notified of an alarm, and what keeps CloudWatch from an existing topic."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.stub import Stubber

from darkroom.aws.stack import Stack
from darkroom.checks.alarm_topics import check_existing_topics, check_recipients
from darkroom.checks.deployment_plan import DeploymentPlan
from darkroom.checks.framework import Finding
from tests.unit.darkroom.checks.conftest import refuse, respond

TOPIC = "arn:aws:sns:us-east-1:111122223333:on-call"
FOREIGN = "arn:aws:sns:us-east-1:444455556666:on-call"
KEY = "arn:aws:kms:us-east-1:111122223333:key/0"
Planned = Callable[..., DeploymentPlan]
NOBODY = "critical alarms go to nobody: CriticalAlarmEmail is empty"


@pytest.mark.parametrize(
    ("values", "verdicts", "message"),
    [
        ({}, ["warn"], NOBODY),
        ({"Environment": "prod"}, ["fail"], f"{NOBODY}, and Environment is prod"),
        ({"Environment": "Production"}, ["fail"], f"{NOBODY}, and Environment is Production"),
        (
            {"Environment": "prod", "CriticalAlarmEmail": "a@x.org"},
            ["pass"],
            "alarms go to a@x.org",
        ),
        ({"Environment": "prod", "WarningAlarmEmail": "a@x.org"}, ["fail"], NOBODY),
        ({"Environment": "prod", "ExistingWarningTopicArn": TOPIC}, ["fail"], NOBODY),
        ({"Environment": "prod", "ExistingCriticalTopicArn": TOPIC}, ["pass"], f"go to {TOPIC}"),
        # It still receives the warnings.
        (
            {"CriticalAlarmEmail": "a@x.org", "ExistingCriticalTopicArn": TOPIC},
            ["pass"],
            f"go to {TOPIC}",
        ),
        (
            {
                "CriticalAlarmEmail": "a@x.org",
                "ExistingCriticalTopicArn": TOPIC,
                "WarningAlarmEmail": "b@x.org",
            },
            ["pass", "warn"],
            "a@x.org, which nothing is sent to",
        ),
    ],
)
def test_someone_is_notified(
    planned: Planned, values: dict[str, str], verdicts: list[str], message: str
) -> None:
    """O5, pitfall 35: production fails where nobody is; elsewhere it is a warning."""
    found = list(check_recipients(planned(**values).inputs))
    assert [one.verdict for one in found] == verdicts
    assert message in found[-1].message
    for one in found:
        assert bool(one.remediation) is (one.verdict != "pass")


@pytest.mark.parametrize(("confirmed", "verdict"), [("2", "pass"), ("0", "fail")])
def test_who_has_subscribed_by_hand_is_notified(
    planned: Planned, deployed: Callable[..., Stack], confirmed: str, verdict: str
) -> None:
    """O5: a chat or a paging service at the topic of the stack that is updated."""
    stack = deployed(parameters={"Environment": "prod"}, resources={"CriticalAlarmTopic": TOPIC})
    plan = replace(planned(), find_existing=lambda: stack)
    attributes = {"SubscriptionsConfirmed": confirmed, "SubscriptionsPending": "1"}
    respond(plan.account.client("sns"), ("get_topic_attributes", {"Attributes": attributes}))
    (found,) = check_recipients(plan.inputs)
    assert found.verdict == verdict


def test_a_template_without_the_parameters_asks_for_an_address(planned: Planned) -> None:
    """O5: it names no parameter that the template does not have."""
    small = {"alarms": {"topic_parameters": False}}
    (found,) = check_recipients(planned(small, Environment="prod").inputs)
    assert found.verdict == "fail"
    assert found.remediation == "CriticalAlarmEmail=you@example.com"
    (both,) = check_recipients(planned(Environment="prod").inputs)
    assert both.remediation == "CriticalAlarmEmail=you@example.com, or ExistingCriticalTopicArn=ARN"


def statement(action: str, condition: dict[str, Any] | None = None, **changes: Any) -> str:
    one = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": action,
        "Resource": "*",
        "Condition": condition or {},
        **changes,
    }
    return json.dumps({"Statement": [one]})


# What SNS gives to a topic that is created without a policy.
DEFAULT_POLICY = statement(
    "SNS:Publish",
    {"StringEquals": {"AWS:SourceOwner": "111122223333"}},
    Principal={"AWS": "*"},
    Resource=TOPIC,
)
SOME_ALARM = {
    "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-east-1:111122223333:alarm:other-*"}
}
OUR_ALARMS = {
    "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-east-1:111122223333:alarm:darkroom-*"},
    "StringEquals": {"aws:SourceAccount": "111122223333"},
}


def findings(
    planned: Planned,
    *kms: tuple[str, dict[str, Any]],
    topic: str = TOPIC,
    policy: str = DEFAULT_POLICY,
    key: str = "",
) -> list[Finding]:
    inputs = planned(ExistingCriticalTopicArn=topic).inputs
    attributes = {"Policy": policy, **({"KmsMasterKeyId": key} if key else {})}
    respond(inputs.account.client("sns"), ("get_topic_attributes", {"Attributes": attributes}))
    respond(inputs.account.client("kms"), *kms)
    return list(check_existing_topics(inputs))


@pytest.mark.parametrize(
    ("policy", "verdict", "message"),
    [
        (DEFAULT_POLICY, "pass", "lets 5 alarms publish"),
        (statement("sns:Publish", OUR_ALARMS), "pass", "lets 5 alarms publish"),
        (statement("sns:Publish", SOME_ALARM), "fail", "does not let 5 of 5 alarms publish"),
        (statement("sns:Subscribe"), "fail", "does not let 5 of 5 alarms publish"),
        (statement("sns:Publish", Effect="Deny"), "fail", "does not let 5 of 5 alarms publish"),
        (statement("sns:Publish", Principal={"Service": "x"}), "fail", "does not let 5 of 5"),
        ("", "fail", "does not let 5 of 5 alarms publish"),
        (
            statement("sns:Publish", {"StringEquals": {"aws:SourceOrgID": "o-1"}}),
            "warn",
            "except by conditions on aws:sourceorgid",
        ),
        (
            DEFAULT_POLICY.replace('"AWS:SourceOwner": "111122223333"', '"AWS:SourceOwner": "4"'),
            "fail",
            "does not let 5 of 5 alarms publish",
        ),
    ],
)
def test_the_topics_policy_lets_the_alarms_publish(
    planned: Planned, policy: str, verdict: str, message: str
) -> None:
    """O5, pitfall 32: each alarm of the severity, as CloudWatch asks for it."""
    first, unencrypted = findings(planned, policy=policy)
    assert (first.verdict, unencrypted.verdict) == (verdict, "pass")
    assert message in first.message
    assert TOPIC in first.message


def key_of(manager: str = "CUSTOMER") -> tuple[str, dict[str, Any]]:
    return "describe_key", {"KeyMetadata": {"KeyId": "0", "Arn": KEY, "KeyManager": manager}}


def policy_of(*statements: str) -> tuple[str, dict[str, Any]]:
    """Return a key's policy with these statements beside the one that each key has."""
    root = statement("kms:*", Principal={"AWS": "arn:aws:iam::111122223333:root"})
    every = [one for text in (root, *statements) for one in json.loads(text)["Statement"]]
    return "get_key_policy", {"Policy": json.dumps({"Statement": every})}


@pytest.mark.parametrize(
    ("key", "answers", "verdict", "message"),
    [
        ("alias/aws/sns", [], "fail", "a key of SNS, which alarms cannot use"),
        (KEY, [key_of("AWS")], "fail", "a key of SNS, which alarms cannot use"),
        (KEY, [key_of(), policy_of()], "fail", "use kms:Decrypt and kms:GenerateDataKey"),
        (
            KEY,
            [key_of(), policy_of(statement("kms:Decrypt"))],
            "fail",
            "does not let alarms use kms:GenerateDataKey",
        ),
        (
            "alias/alarms",
            [key_of(), policy_of(statement("kms:Decrypt"), statement("kms:GenerateDataKey*"))],
            "pass",
            "lets alarms use it",
        ),
        (
            KEY,
            [key_of(), policy_of(statement("kms:*", OUR_ALARMS))],
            "pass",
            "lets alarms use it",
        ),
        (
            KEY,
            [key_of(), policy_of(statement("kms:*", {"Bool": {"kms:Unknown": "true"}}))],
            "warn",
            "except by conditions on kms:unknown",
        ),
    ],
)
def test_the_topics_key_lets_the_alarms_use_it(
    planned: Planned, key: str, answers: list[Any], verdict: str, message: str
) -> None:
    """O5, pitfall 4: otherwise the alarms are lost, and nobody sees an error."""
    policy, found = findings(planned, *answers, key=key)
    assert (policy.verdict, found.verdict) == ("pass", verdict)
    assert message in found.message


def test_a_key_that_cannot_be_read_is_a_warning(planned: Planned) -> None:
    """O5: of another account, or for lack of a permission; it may be right."""
    _, foreign = findings(planned, topic=FOREIGN, key=KEY)
    assert foreign.verdict == "warn"
    assert "another account's key" in foreign.message
    inputs = planned(ExistingCriticalTopicArn=TOPIC).inputs
    attributes = {"Policy": DEFAULT_POLICY, "KmsMasterKeyId": KEY}
    respond(inputs.account.client("sns"), ("get_topic_attributes", {"Attributes": attributes}))
    refuse(inputs.account.client("kms"), "describe_key")
    _, unread = check_existing_topics(inputs)
    assert unread.verdict == "warn"
    assert f"the key of {TOPIC} was not checked" in unread.message


@pytest.mark.parametrize(
    ("topic", "code", "verdict", "message"),
    [
        (TOPIC.replace("us-east-1", "eu-west-1"), "", "fail", "of their own Region only"),
        (TOPIC.replace("arn:aws", "arn:aws-cn"), "", "fail", "of their own Region only"),
        (TOPIC, "NotFound", "fail", "there is no topic"),
        (FOREIGN, "AuthorizationError", "warn", "is another account's and cannot be read"),
    ],
)
def test_a_topic_that_cannot_be_used_is_reported(
    planned: Planned, topic: str, code: str, verdict: str, message: str
) -> None:
    """O5, pitfall 86: an alarm cannot have it, or it does not exist."""
    inputs = planned(ExistingWarningTopicArn=topic).inputs
    if code:
        stubber = Stubber(inputs.account.client("sns"))
        stubber.add_client_error("get_topic_attributes", code)
        stubber.activate()
    (found,) = check_existing_topics(inputs)
    assert found.verdict == verdict
    assert message in found.message
    assert found.message.startswith("ExistingWarningTopicArn")
