"""Checks of the deployed stack's queues, functions and event source mappings."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from darkroom.checks.deployed.comparison import (
    Target,
    differ,
    differ_policies,
    judge,
    number,
    plain,
)
from darkroom.checks.framework import Finding, warned, where_possible
from darkroom.console.text import plural

SCALING = (
    ("maximum concurrency", "ScalingConfig", "MaximumConcurrency"),
    ("minimum pollers", "ProvisionedPollerConfig", "MinimumPollers"),
    ("maximum pollers", "ProvisionedPollerConfig", "MaximumPollers"),
)
"""How a mapping scales: the property's label, and where the template and AWS have it."""


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
        is_inactive = found.get("State") == "Inactive"
        state = "Active" if is_inactive else found.get("State")
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
        if signing := properties.get("CodeSigningConfigArn"):
            # CloudFormation's drift detection cannot see it.
            actual = client.get_function_code_signing_config(FunctionName=name)
            differences += differ("code signing", signing, actual.get("CodeSigningConfigArn"))
        yield from judge(target, "functions", (title, name), differences)
        if wanted := properties.get("RecursiveLoop"):  # not in the Regions without that API
            yield from where_possible(
                _recursion(target, (title, name), wanted), f"loop detection of {title}"
            )
        if is_inactive:
            # https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
            yield warned(
                f"{title} ({name}) is Inactive after weeks without an invocation: the next"
                " invocation fails while Lambda connects the function to its network again, and"
                " the message is received again after the queue's visibility timeout of"
                f" {plural(_visibility_timeout(target, title), 'second')}",
                "nothing is lost; the canary activates it, but needs longer: --timeout 900",
            )


def _recursion(target: Target, resource: tuple[str, str], wanted: str) -> Iterator[Finding]:
    """A function that triggers itself is stopped."""
    client = target.stack.client("lambda")
    actual = client.get_function_recursion_config(FunctionName=resource[1]).get("RecursiveLoop")
    if differences := differ("recursive loop", wanted, actual):
        yield from judge(
            target,
            "functions",
            resource,
            differences,
            f"aws lambda put-function-recursion-config --function-name {resource[1]}"
            f" --recursive-loop {wanted}",
        )


def _visibility_timeout(target: Target, function: str) -> int:
    """Return the longest visibility timeout of the queues that trigger a function, in seconds."""
    template = target.template
    name = template.resolve({"Ref": function})
    sources = {
        properties["EventSourceArn"]
        for _, _, properties in target.resources("Lambda::EventSourceMapping")
        if properties["FunctionName"] == name
    }
    return max(
        int(properties.get("VisibilityTimeout", 30))
        for title, _, properties in target.resources("SQS::Queue")
        if template.resolve({"Fn::GetAtt": [title, "Arn"]}) in sources
    )


def check_triggers(target: Target) -> Iterator[Finding]:
    """Event source mappings are enabled and as in the template.

    CloudFormation's drift detection does not cover them:
    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2260
    """
    client = target.stack.client("lambda")
    for title, name, properties in target.resources("Lambda::EventSourceMapping"):
        found = client.get_event_source_mapping(UUID=name)
        settings: Mapping[str, Any] = found
        function = found["FunctionArn"].partition(":function:")[2]
        differences = [
            *differ("state", "Enabled", found["State"]),
            *differ("queue", properties["EventSourceArn"], found.get("EventSourceArn")),
            *differ("function", properties["FunctionName"], function),
            *differ("batch size", properties["BatchSize"], found["BatchSize"]),
            *differ(
                "batching window",
                number(properties.get("MaximumBatchingWindowInSeconds", 0)),
                found.get("MaximumBatchingWindowInSeconds", 0),
            ),
            *(
                difference
                for label, table, key in SCALING
                for difference in differ(
                    label,
                    number(properties.get(table, {}).get(key)),
                    number(settings.get(table, {}).get(key)),
                )
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
