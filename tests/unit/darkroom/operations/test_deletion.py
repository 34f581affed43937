"""What only a slow or refusing AWS does: interfaces that stay, failures, locks, protection."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.stack import Stack
from darkroom.cloudformation.identifiers import deployed
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console.progress import Progress
from darkroom.errors import UserError
from darkroom.operations import deletion
from templates import pipeline, specification

ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/leaving/1"
UUID = "14e0db71-5d35-4eb5-b481-8945cf9d10c2"
PHYSICAL = {
    "EncryptionKey": "k",
    "EndpointSecurityGroup": "sg-0b",
    "ThumbnailBucket": "thumbnails",
    "UploadBucket": "uploads",
    "WorkerSecurityGroup": "sg-0a",
    "WorkerEventSourceMapping": UUID,
}
Answer = tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], dict[str, Any]]


class Lines(Progress):
    """Keeps what is reported."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: list[str] = []

    def update(self, text: str) -> None:
        self.reported.append(text)


@dataclass
class Stubbed:
    """A deletion whose AWS gives these answers, in this order and no others."""

    work: deletion.Deletion
    lines: Lines

    def answers(self, service: str, *answers: Answer) -> Stubber:
        stubber = Stubber(self.work.stack.client(service))  # type: ignore[call-overload] # any
        for operation, answer, *expected in answers:
            stubber.add_response(operation, answer, *expected)
        stubber.activate()
        return stubber


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stubbed]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr(deletion, "POLL_SECONDS", 0)

    def make(status: str = "CREATE_COMPLETE") -> Stubbed:
        session = botocore.session.Session()
        session.set_config_variable("region", "eu-west-1")
        plan = specification.parse({}, origin="test")
        template = json.loads(pipeline.render(pipeline.build(plan)))
        pseudo = {
            "AWS::AccountId": "111122223333",
            "AWS::Partition": "aws",
            "AWS::Region": "eu-west-1",
            "AWS::URLSuffix": "amazonaws.com",
        }
        stack = Stack(
            name="leaving",
            id=ID,
            status=status,
            outputs={"WorkQueueUrl": "https://work", "DeadLetterQueueUrl": "https://dead"},
            parameters={},
            resources=PHYSICAL,
            session=session,
        )
        lines = Lines()
        live = ResolvedTemplate(template, pseudo, deployed(PHYSICAL))
        return Stubbed(deletion.Deletion(stack, live, lines, timeout=0.0), lines)

    return make


def described(status: str, **more: Any) -> Answer:
    stack = {"StackName": "leaving", "StackStatus": status, "CreationTime": 0, **more}
    return "describe_stacks", {"Stacks": [stack]}, {"StackName": ID}


def resources(*statuses: str) -> Answer:
    summaries = [
        {
            "LogicalResourceId": f"R{number}",
            "ResourceType": "AWS::EC2::SecurityGroup",
            "ResourceStatus": status,
            "LastUpdatedTimestamp": 0,
        }
        for number, status in enumerate(statuses)
    ]
    return "list_stack_resources", {"StackResourceSummaries": summaries}


def interfaces(*kinds: str) -> Answer:
    found = [{"NetworkInterfaceId": "eni-1", "InterfaceType": kind} for kind in kinds]
    groups = {"Filters": [{"Name": "group-id", "Values": ["sg-0b", "sg-0a"]}]}
    return "describe_network_interfaces", {"NetworkInterfaces": found}, groups


def test_slow_interfaces_are_followed(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 22: it reports what it waits for, until CloudFormation is done."""
    one = stubbed()
    answers = one.answers(
        "cloudformation",
        ("delete_stack", {}, {"StackName": ID}),
        described("DELETE_IN_PROGRESS"),
        resources("DELETE_COMPLETE", "DELETE_IN_PROGRESS", "CREATE_COMPLETE"),
        described("DELETE_IN_PROGRESS"),
        resources("DELETE_COMPLETE", "DELETE_COMPLETE", "DELETE_SKIPPED"),
        described("DELETE_COMPLETE"),
    )
    one.answers("ec2", interfaces("lambda", "lambda", "vpc_endpoint"), interfaces())
    one.work.delete_stack()
    answers.assert_no_pending_responses()
    assert "2 of 3 resources left; Lambda holds 2 network interfaces" in one.lines.reported[0]
    assert "0 of 3 resources left" in one.lines.reported[1]
    assert "interfaces" not in one.lines.reported[1]


def test_a_deletion_that_runs_is_only_followed(stubbed: Callable[..., Stubbed]) -> None:
    """D6: interrupted and run again, it neither waits for deleted queues nor deletes twice."""
    one = stubbed("DELETE_IN_PROGRESS")
    one.answers("cloudformation", described("DELETE_COMPLETE"))
    sqs = Stubber(one.work.stack.client("sqs"))
    for _ in range(2):
        sqs.add_client_error("get_queue_attributes", "AWS.SimpleQueueService.NonExistentQueue")
    sqs.activate()
    assert one.work.stop() == 0
    one.work.delete_stack()


def test_a_failure_is_reported_with_its_reason(stubbed: Callable[..., Stubbed]) -> None:
    """D6: the newest reason of each resource; the same command then begins the deletion anew."""
    one = stubbed("DELETE_FAILED")

    def event(title: str, reason: str) -> dict[str, Any]:
        return {
            "StackId": ID,
            "EventId": reason,
            "StackName": "leaving",
            "Timestamp": 0,
            "LogicalResourceId": title,
            "ResourceStatus": "DELETE_FAILED",
            "ResourceStatusReason": reason,
        }

    one.answers(
        "cloudformation",
        ("delete_stack", {}, {"StackName": ID}),
        described("DELETE_FAILED"),
        (
            "describe_stack_events",
            {"StackEvents": [event("Vpc", "has dependencies"), event("Vpc", "older")]},
        ),
    )
    with pytest.raises(UserError, match="Vpc: has dependencies") as caught:
        one.work.delete_stack()
    assert "older" not in str(caught.value)


def test_a_protected_stack_is_left_alone(stubbed: Callable[..., Stubbed]) -> None:
    """D6: refused before anything is stopped."""
    one = stubbed()
    one.answers("cloudformation", described("CREATE_COMPLETE", EnableTerminationProtection=True))
    with pytest.raises(UserError, match="has termination protection"):
        one.work.check()


def test_work_that_does_not_end_stops_it(stubbed: Callable[..., Stubbed]) -> None:
    """R2: after --timeout it gives up, and has deleted nothing."""
    one = stubbed()
    waiting = {
        "Attributes": {
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesNotVisible": "3",
        }
    }
    one.answers("sqs", *[("get_queue_attributes", waiting)] * 4)
    enabled = ("get_event_source_mapping", {"State": "Enabled"}, {"UUID": UUID})
    one.answers("lambda", enabled, enabled)
    with pytest.raises(UserError, match=r"waiting for the worker \(3 messages\)"):
        one.work.stop()


def test_what_is_locked_is_not_passed_over(stubbed: Callable[..., Stubbed]) -> None:
    """O6: versions under an object lock stay; the stack is not deleted before that is reported."""
    one = stubbed()
    version = {"Key": "worker/1", "VersionId": "v", "Size": 1}
    one.answers(
        "s3",
        ("head_bucket", {}, {"Bucket": "uploads"}),
        ("head_bucket", {}, {"Bucket": "thumbnails"}),
        ("list_object_versions", {"IsTruncated": False, "Versions": [version]}),
        (
            "delete_objects",
            {"Errors": [{"Key": "worker/1", "Code": "AccessDenied", "Message": "under lock"}]},
            {
                "Bucket": "uploads",
                "Delete": {"Objects": [{"Key": "worker/1", "VersionId": "v"}], "Quiet": True},
            },
        ),
    )
    with pytest.raises(
        UserError, match="S3 refuses to delete 1 version in uploads: worker/1: under lock"
    ):
        one.work.empty_buckets()


@pytest.mark.parametrize(("state", "key"), [("Enabled", 1.0), ("PendingDeletion", 0.0)])
def test_what_is_kept_has_its_price(
    stubbed: Callable[..., Stubbed], state: str, key: float
) -> None:
    """D6: all versions count, page by page; a key that is scheduled for deletion does not."""
    one = stubbed("DELETE_COMPLETE")
    version = {"Key": "a", "VersionId": "v", "Size": int(50e9)}
    more = {"IsTruncated": True, "NextKeyMarker": "a", "NextVersionIdMarker": "v"}
    one.answers(
        "s3",
        ("head_bucket", {}, {"Bucket": "uploads"}),
        ("head_bucket", {}, {"Bucket": "thumbnails"}),
        ("list_object_versions", {**more, "Versions": [version]}),
        ("list_object_versions", {"IsTruncated": False, "Versions": [version]}),
        ("list_object_versions", {"IsTruncated": False}),
    )
    one.answers("kms", ("describe_key", {"KeyMetadata": {"KeyId": "k", "KeyState": state}}))
    kept = {found.resource: found for found in one.work.retained()}
    assert kept["UploadBucket"].versions == 2
    assert kept["UploadBucket"].usd_per_month == pytest.approx(100 * 0.023)
    assert ("EncryptionKey" in kept) == bool(key)
    assert sum(found.usd_per_month for found in kept.values()) == pytest.approx(2.3 + key)
