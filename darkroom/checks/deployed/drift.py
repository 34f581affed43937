"""CloudFormation's own drift detection."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from darkroom.checks.deployed.comparison import RESTORE, Target
from darkroom.checks.framework import Finding, failed, passed, warned

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import StackResourceDriftTypeDef

PAUSE_SECONDS = 2.0

FALSE_DRIFT = {
    ("AWS::Lambda::Function", "/CodeSigningConfigArn"): (
        "https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/954"
    )
}
"""What CloudFormation reports as removed although it is there, with the public report.

By type and path. CloudFormation does not read it, so another check has to.
"""


def check_drift(target: Target) -> Iterator[Finding]:
    """No resource that CloudFormation can compare was changed outside of it."""
    client, name = target.stack.client("cloudformation"), target.stack.name
    detection = client.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
    began = time.monotonic()
    while True:
        found = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if found["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        target.progress.update(f"Detecting drift, for {time.monotonic() - began:.0f} s so far")
        time.sleep(PAUSE_SECONDS)
    if found["DetectionStatus"] == "DETECTION_FAILED":
        yield failed(
            "drift could not be detected for all resources:"
            f" {found.get('DetectionStatusReason', 'no reason given')}",
            "grant the read permissions of the types that it names, or --skip drift",
        )
    drifted = list(_drifted(client, name))
    for drift in drifted:
        yield from _judge(drift)
    if not drifted and found["DetectionStatus"] == "DETECTION_COMPLETE":
        yield passed("no resource has drifted from the template")


def _judge(drift: "StackResourceDriftTypeDef") -> Iterator[Finding]:
    label = f"{drift['LogicalResourceId']} ({drift.get('PhysicalResourceId', '?')})"
    kind, real, unread = drift["ResourceType"], list[str](), dict[str, str]()
    for difference in drift.get("PropertyDifferences", []):
        path = difference["PropertyPath"]
        if (kind, path) in FALSE_DRIFT and difference["DifferenceType"] == "REMOVE":
            unread[path] = FALSE_DRIFT[kind, path]
        else:
            real.append(path)
    if real or not unread:
        state = drift["StackResourceDriftStatus"].lower()
        paths = ", ".join(real)
        yield failed(f"{label} is {state}{': ' if paths else ''}{paths}", RESTORE)
    for path, report in unread.items():
        yield warned(
            f"{label}: CloudFormation reports {path} as removed, because it does not read it:"
            f" {report}",
            "the check `functions` compares it",
        )


def _drifted(client: "CloudFormationClient", name: str) -> Iterator["StackResourceDriftTypeDef"]:
    next_page: Any = {}
    while True:  # botocore has no paginator for it
        page = client.describe_stack_resource_drifts(
            StackName=name, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"], **next_page
        )
        yield from page["StackResourceDrifts"]
        if "NextToken" not in page:
            return
        next_page = {"NextToken": page["NextToken"]}
