"""Checks of the deployed stack's queues, functions and event source mappings."""

import json
from collections.abc import Iterator

from darkroom.checks.deployed.comparison import (
    Target,
    differ,
    differ_policies,
    judge,
    number,
    plain,
)
from darkroom.checks.framework import Finding


def check_queues(target: Target) -> Iterator[Finding]:
    """Queues are encrypted, redrive to their dead-letter queues, and admit their senders only."""
    sqs = target.stack.client("sqs")
    policies = {
        queue: properties["PolicyDocument"]
        for _, _, properties in target.resources("SQS::QueuePolicy")
        for queue in properties["Queues"]
    }
    for title, url, properties in target.resources("SQS::Queue"):
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        actual: dict[str, str] = {str(name): value for name, value in found.items()}
        differences = []
        for name in ("KmsMasterKeyId", "MessageRetentionPeriod", "VisibilityTimeout"):
            if name in properties:
                differences += differ(name, str(properties[name]), actual.get(name))
        for name in ("RedrivePolicy", "RedriveAllowPolicy"):
            if name in properties:
                policy = json.loads(actual.get(name) or "null")
                differences += differ(name, plain(properties[name]), policy and plain(policy))
        differences += differ_policies(policies.get(url), actual.get("Policy"))
        yield from judge(target, "queues", (title, url.rpartition("/")[2]), differences)


def check_functions(target: Target) -> Iterator[Finding]:
    """Functions are active, in their network, and have their limits."""
    client = target.stack.client("lambda")
    for title, name, properties in target.resources("Lambda::Function"):
        found = client.get_function_configuration(FunctionName=name)
        network, expected = found.get("VpcConfig", {}), properties["VpcConfig"]
        concurrency = client.get_function_concurrency(FunctionName=name)
        # A function without invocations for weeks is Inactive; the next one activates it.
        state = "Active" if found.get("State") == "Inactive" else found.get("State")
        differences = [
            *differ("state", "Active", state),
            *differ("last update", "Successful", found.get("LastUpdateStatus")),
            *differ("memory", int(properties["MemorySize"]), found["MemorySize"]),
            *differ("timeout", properties["Timeout"], found["Timeout"]),
            *differ("subnets", set(expected["SubnetIds"]), set(network.get("SubnetIds", []))),
            *differ(
                "security groups",
                set(expected["SecurityGroupIds"]),
                set(network.get("SecurityGroupIds", [])),
            ),
            *differ("key", properties["KmsKeyArn"], found.get("KMSKeyArn")),
            *differ(
                "log group",
                properties["LoggingConfig"]["LogGroup"],
                found.get("LoggingConfig", {}).get("LogGroup"),
            ),
            *differ(
                "reserved concurrency",
                number(properties.get("ReservedConcurrentExecutions")),
                concurrency.get("ReservedConcurrentExecutions"),
            ),
        ]
        yield from judge(target, "functions", (title, name), differences)


def check_triggers(target: Target) -> Iterator[Finding]:
    """Event source mappings are enabled, with their batch size and concurrency."""
    client = target.stack.client("lambda")
    for title, name, properties in target.resources("Lambda::EventSourceMapping"):
        found = client.get_event_source_mapping(UUID=name)
        maximum = properties.get("ScalingConfig", {}).get("MaximumConcurrency")
        differences = [
            *differ("state", "Enabled", found["State"]),
            *differ("batch size", properties["BatchSize"], found["BatchSize"]),
            *differ(
                "maximum concurrency",
                number(maximum),
                number(found.get("ScalingConfig", {}).get("MaximumConcurrency")),
            ),
            *differ(
                "response types",
                set(properties["FunctionResponseTypes"]),
                set(found.get("FunctionResponseTypes", [])),
            ),
        ]
        yield from judge(
            target,
            "triggers",
            (title, name),
            differences,
            f"aws lambda update-event-source-mapping --uuid {name} --enabled, or the option of the"
            " property that differs",
        )
