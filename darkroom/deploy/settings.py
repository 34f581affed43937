"""What a deployment gives a stack besides its template and parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from darkroom.aws.stack import Stack

TRIGGERS = ("DeadLetterAlarm", "WorkerErrorAlarm", "RetryAlarm", "RejectionAlarm")
"""Ends of the logical ids of the alarms that tell of a bad worker, the most severe first."""

MOST_TRIGGERS = 5
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackConfiguration.html"""

PRODUCTION_MONITORING_SECONDS = 20 * 60.0
"""Longer than a worker that fails at every picture takes to raise `retries` or `worker-errors`:
docs/alarms.md."""

ALARM = "AWS::CloudWatch::Alarm"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator asks for; what is not given stays as it is."""

    tags: Mapping[str, str] = field(default_factory=dict)
    role_arn: str | None = None
    notification_arns: Sequence[str] = ()
    monitoring_seconds: float | None = None
    """None: PRODUCTION_MONITORING_SECONDS in production, and else none."""

    termination_protection: bool | None = None
    """None: on in production, and else unchanged."""

    def members(self) -> dict[str, Any]:
        """Return the members of CreateChangeSet for all but the roll-back."""
        found: dict[str, Any] = {}
        if self.tags:
            found["Tags"] = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        if self.role_arn:
            found["RoleARN"] = self.role_arn
        if self.notification_arns:
            found["NotificationARNs"] = list(self.notification_arns)
        return found


@dataclass(frozen=True, kw_only=True)
class RollBack:
    """The alarms by which CloudFormation takes an update back."""

    alarms: Sequence[str] = ()
    """Their names."""

    arns: Sequence[str] = ()
    seconds: float = 0.0
    """How long they are watched after the update."""

    left_out: Mapping[str, str] = field(default_factory=dict)
    """Name of an alarm to the reason why it is not one of them."""

    def member(self) -> dict[str, Any]:
        """Return RollbackConfiguration: an empty list ends what an earlier update asked for."""
        return {
            "RollbackTriggers": [{"Arn": arn, "Type": ALARM} for arn in self.arns],
            "MonitoringTimeInMinutes": -(-int(self.seconds) // 60) if self.arns else 0,
        }


def roll_back(stack: Stack, template: Mapping[str, Any], seconds: float) -> RollBack:
    """Return the roll-back of an update by the alarms that the stack has and keeps.

    A missing alarm fails the update, and one that is in ALARM already says nothing about it.
    """
    kept = [
        stack.resources[title]
        for end in TRIGGERS
        for title, resource in template["Resources"].items()
        if title.endswith(end) and resource["Type"] == ALARM and title in stack.resources
    ]
    if not kept:
        return RollBack()
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNames=kept)
    found = {one["AlarmName"]: one for page in pages for one in page["MetricAlarms"]}
    usable = [name for name in kept if name in found and found[name]["StateValue"] != "ALARM"]
    left_out = {
        name: "is in ALARM already" if name in found else "is not there"
        for name in kept
        if name not in usable
    }
    left_out |= dict.fromkeys(
        usable[MOST_TRIGGERS:], f"is one of more than {MOST_TRIGGERS}, which CloudFormation takes"
    )
    alarms = usable[:MOST_TRIGGERS]
    return RollBack(
        alarms=alarms,
        arns=[found[name]["AlarmArn"] for name in alarms],
        seconds=seconds,
        left_out=left_out,
    )
