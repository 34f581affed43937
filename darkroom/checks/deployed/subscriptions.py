"""Check of who receives the alarms and records of a deployed stack."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from darkroom.checks.alarm_topics import EXISTING_TOPIC, TOPIC, existing_topics, unheard
from darkroom.checks.deployed.comparison import Target
from darkroom.checks.framework import Finding, failed, passed, warned, where_possible
from darkroom.console.text import plural

if TYPE_CHECKING:
    from types_boto3_sns.type_defs import SubscriptionTypeDef

PENDING = "PendingConfirmation"
"""In the place of a subscription's ARN, until its owner has confirmed it."""


def check_subscriptions(target: Target) -> Iterator[Finding]:
    """Pitfall 35: each topic has a subscription, and each subscription is confirmed.

    Production must have someone who is notified of critical alarms.
    """
    for title, arn, _ in target.resources("SNS::Topic"):
        yield from _of_own_topic(target, title, arn)
    for parameter, arn in existing_topics(target.inputs).items():
        yield from where_possible(
            _of_existing_topic(target, parameter, arn), f"who is subscribed to {arn}"
        )


def _of_own_topic(target: Target, title: str, arn: str) -> Iterator[Finding]:
    confirmed, pending = _subscriptions(target, arn)
    for one in confirmed:
        yield passed(f"{title} notifies {one['Endpoint']}")
    for one in pending:
        endpoint = one["Endpoint"]
        yield failed(
            f"{endpoint} has not confirmed its subscription, so {title} does not notify it",
            _confirmation(arn, one),
        )
    if confirmed or pending:
        return
    parameter = title.replace("Topic", "Email")
    is_declared = parameter in target.template.parameters
    deploy = f"deploy with {parameter}, or " if is_declared else ""
    message, remediation = f"{title} notifies nobody", f"{deploy}subscribe to it"
    if title == TOPIC:
        yield unheard(target.inputs, message, remediation)
    else:
        yield warned(message, remediation)


def _of_existing_topic(target: Target, parameter: str, arn: str) -> Iterator[Finding]:
    confirmed, pending = _subscriptions(target, arn)
    if confirmed:
        yield passed(f"{parameter}: {arn} notifies {plural(len(confirmed), 'subscriber')}")
        return
    message, remediation = f"{parameter}: {arn} notifies nobody", f"subscribe to {arn}"
    if pending:
        endpoints = ", ".join(one["Endpoint"] for one in pending)
        message += f": {endpoints} has not confirmed the subscription"
        remediation = _confirmation(arn, pending[0])
    if parameter == EXISTING_TOPIC:
        yield unheard(target.inputs, message, remediation)
    else:
        yield warned(message, remediation)


def _subscriptions(
    target: Target, arn: str
) -> "tuple[list[SubscriptionTypeDef], list[SubscriptionTypeDef]]":
    """Return a topic's confirmed and its pending subscriptions."""
    client = target.stack.client("sns")
    pages = client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    found = [one for page in pages for one in page["Subscriptions"]]
    return (
        [one for one in found if one["SubscriptionArn"].startswith("arn:")],
        [one for one in found if one["SubscriptionArn"] == PENDING],
    )


def _confirmation(arn: str, subscription: "SubscriptionTypeDef") -> str:
    return (
        "follow the link in the message from AWS, which is valid for three days; afterwards:"
        f" aws sns subscribe --topic-arn {arn} --protocol {subscription['Protocol']}"
        f" --notification-endpoint {subscription['Endpoint']}"
    )
