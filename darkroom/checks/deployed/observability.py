"""Checks of the deployed stack's logs, alarms and topics."""

from collections.abc import Iterator

from darkroom.checks.alarm_topics import check_existing_topics
from darkroom.checks.deployed.comparison import (
    RESTORE,
    Target,
    differ,
    differ_policies,
    judge,
    number,
)
from darkroom.checks.framework import Finding, failed, passed, warned
from darkroom.console.text import plural

MAX_ALARM_NAMES = 100
"""Of one request, and alarms in its answer.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
"""


def check_logs(target: Target) -> Iterator[Finding]:
    """Logs are kept, encrypted, and delivered to the archive where there is one."""
    yield from _log_groups(target)
    logs = target.stack.client("logs")
    for title, name, properties in target.resources("Logs::SubscriptionFilter"):
        group = properties["LogGroupName"]
        filters = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
        expected = {properties["DestinationArn"]}
        actual = expected & {one["destinationArn"] for one in filters}
        yield from judge(target, "logs", (title, name), differ("destination", expected, actual))
    firehose = target.stack.client("firehose")
    for title, name, _ in target.resources("KinesisFirehose::DeliveryStream"):
        stream = firehose.describe_delivery_stream(DeliveryStreamName=name)
        found = stream["DeliveryStreamDescription"]
        encryption = found.get("DeliveryStreamEncryptionConfiguration", {}).get("Status")
        differences = [
            *differ("state", "ACTIVE", found["DeliveryStreamStatus"]),
            *differ("encryption", "ENABLED", encryption),
        ]
        yield from judge(target, "logs", (title, name), differences)


def _log_groups(target: Target) -> Iterator[Finding]:
    logs = target.stack.client("logs")
    for title, name, properties in target.resources("Logs::LogGroup"):
        groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        found = next((group for group in groups if group.get("logGroupName") == name), None)
        if not found:
            yield failed(f"{title} ({name}) does not exist", RESTORE)
            continue
        retention = number(properties["RetentionInDays"])
        differences = [
            *differ("retention", retention, found.get("retentionInDays")),
            *differ("key", properties["KmsKeyId"], found.get("kmsKeyId")),
        ]
        yield from judge(target, "logs", (title, name), differences)


def check_alarms(target: Target) -> Iterator[Finding]:
    """Alarms exist, are enabled, and notify their topics; one in ALARM is a warning."""
    expected = {
        name: (title, properties)
        for title, name, properties in target.resources("CloudWatch::Alarm")
    }
    client, names = target.stack.client("cloudwatch"), list(expected)
    found = {
        alarm["AlarmName"]: alarm
        for start in range(0, len(names), MAX_ALARM_NAMES)
        for alarm in client.describe_alarms(
            AlarmNames=names[start : start + MAX_ALARM_NAMES], MaxRecords=MAX_ALARM_NAMES
        )["MetricAlarms"]
    }
    in_order = 0
    for name, (title, properties) in expected.items():
        if not (alarm := found.get(name)):
            yield failed(f"{title} ({name}) does not exist", RESTORE)
            continue
        differences = [
            *differ("ActionsEnabled", True, alarm["ActionsEnabled"]),
            *differ("actions", set(properties["AlarmActions"]), set(alarm["AlarmActions"])),
        ]
        if differences:
            remedy = f"aws cloudwatch enable-alarm-actions --alarm-names {name}, or its actions"
            yield from judge(target, "alarms", (title, name), differences, remedy)
        elif alarm["StateValue"] == "ALARM":
            description = properties["AlarmDescription"]
            yield warned(f"{title} ({name}) is in ALARM: {description}", "docs/alarms.md")
        else:
            in_order += 1
    if expected and in_order == len(expected):
        verb = "is" if in_order == 1 else "are"
        yield passed(f"{plural(in_order, 'alarm')} {verb} enabled, none is in ALARM")


def check_topics(target: Target) -> Iterator[Finding]:
    """Topics are encrypted, and CloudWatch may publish to them, to existing ones as well."""
    sns = target.stack.client("sns")
    policies = {
        arn: properties["PolicyDocument"]
        for _, _, properties in target.resources("SNS::TopicPolicy")
        for arn in properties["Topics"]
    }
    for title, arn, properties in target.resources("SNS::Topic"):
        found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        differences = [
            *differ("key", properties["KmsMasterKeyId"], found.get("KmsMasterKeyId")),
            *differ_policies(policies.get(arn), found.get("Policy")),
        ]
        yield from judge(target, "topics", (title, arn), differences)
    yield from check_existing_topics(target.inputs)
