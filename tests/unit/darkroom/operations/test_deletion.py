"""What only a slow or refusing AWS does: interfaces that stay, failures, locks, protection."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws import objects
from darkroom.aws.stack import Stack
from darkroom.cloudformation.identifiers import deployed
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console.progress import Progress
from darkroom.errors import UserError
from darkroom.operations import deletion, draining
from templates import pipeline, specification

ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/leaving/1"
UUID = "14e0db71-5d35-4eb5-b481-8945cf9d10c2"
PHYSICAL = {
    "DeadLetterQueue": "https://dead",
    "EncryptionKey": "k",
    "EndpointSecurityGroup": "sg-0b",
    "ThumbnailBucket": "thumbnails",
    "UploadBucket": "uploads",
    "WorkerSecurityGroup": "sg-0a",
    "WorkQueue": "https://work",
    "WorkerEventSourceMapping": UUID,
}
Answer = tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Failure:
    """An error in place of an answer."""

    operation: str
    code: str


class Lines(Progress):
    """Keeps what is reported."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: list[str] = []

    def update(self, text: str) -> None:
        self.reported.append(text)


class Clock:
    """Time that passes only while something sleeps."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Stubbed:
    """A deletion whose AWS gives these answers, in this order and no others."""

    work: deletion.Deletion
    lines: Lines
    clock: Clock

    def answers(self, service: str, *answers: Answer | Failure) -> Stubber:
        stubber = Stubber(self.work.stack.client(service))  # type: ignore[call-overload] # any
        for answer in answers:
            if isinstance(answer, Failure):
                stubber.add_client_error(answer.operation, answer.code)
            else:
                stubber.add_response(*answer)
        stubber.activate()
        return stubber


# The buckets of PHYSICAL, and no others.
WITHOUT_LOGS = {"logs": {"archive": False, "s3_access_logs": False}}


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stubbed]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setattr(deletion, "POLL_SECONDS", 60.0)
    monkeypatch.setattr(draining, "POLL_SECONDS", 60.0)

    def make(
        status: str = "CREATE_COMPLETE",
        description: dict[str, Any] | None = None,
        resources: dict[str, str] = PHYSICAL,
        timeout: float = 0.0,
    ) -> Stubbed:
        session = botocore.session.Session()
        session.set_config_variable("region", "eu-west-1")
        plan = specification.parse(description or WITHOUT_LOGS, origin="test")
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
            outputs={},
            parameters={},
            resources=resources,
            session=session,
        )
        lines, clock = Lines(), Clock()
        live = ResolvedTemplate(template, pseudo, deployed(resources))
        work = deletion.Deletion(stack, live, lines, timeout, clock=clock, sleep=clock.sleep)
        return Stubbed(work, lines, clock)

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


def count(visible: int = 0, in_flight: int = 0, delayed: int = 0, *, url: str = "work") -> Answer:
    values = dict(zip(draining.COUNTERS, map(str, (visible, in_flight, delayed)), strict=True))
    request = {"QueueUrl": f"https://{url}", "AttributeNames": list(draining.COUNTERS)}
    return "get_queue_attributes", {"Attributes": values}, request


def look(*counters: int) -> list[Answer]:
    """One look at both queues."""
    return [count(*counters), count(url="dead")]


def bucket(name: str, owner: str = "leaving") -> list[Answer]:
    """A bucket exists, and CloudFormation has tagged it with its stack."""
    tag = {"Key": "aws:cloudformation:stack-name", "Value": owner}
    return [
        ("head_bucket", {}, {"Bucket": name}),
        ("get_bucket_tagging", {"TagSet": [tag]}, {"Bucket": name}),
    ]


def mapping(state: str) -> Answer:
    return "get_event_source_mapping", {"State": state}, {"UUID": UUID}


def switched(state: str, *, enabled: bool) -> list[Answer]:
    """The mapping has another state, is changed, and then has this one."""
    before = mapping("Disabled" if enabled else "Enabled")
    update = ("update_event_source_mapping", {"State": "x"}, {"UUID": UUID, "Enabled": enabled})
    return [before, before, update, mapping(state)]


@pytest.mark.parametrize("late", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_one_zero_is_not_an_empty_queue(
    stubbed: Callable[..., Stubbed], late: tuple[int, int, int]
) -> None:
    """R2: all three counters are zero at every look for three minutes, else it begins anew."""
    one = stubbed(timeout=600.0)
    sqs = one.answers(
        "sqs",
        *look(),  # 0 s
        *look(),
        *look(*late),  # 120 s: S3 was a little late
        *look(),  # 180 s
        *look(),
        *look(),
        *look(),  # 360 s: zero for three minutes
        count(),  # after the mapping was disabled
        count(url="dead"),
        *look(),
    )
    work = one.answers(
        "lambda",
        mapping("Enabled"),
        mapping("Enabled"),
        *switched("Disabled", enabled=False),
    )
    one.answers("cloudformation", described("CREATE_COMPLETE"))
    assert one.work.stop() == 0
    sqs.assert_no_pending_responses()
    work.assert_no_pending_responses()
    assert one.clock.now == 360 >= 2 * draining.EMPTY_SECONDS


def test_a_message_that_comes_while_the_mapping_is_disabled_is_processed(
    stubbed: Callable[..., Stubbed],
) -> None:
    """R2: it enables the mapping again, and waits again."""
    one = stubbed(timeout=600.0)
    empty = [*look(), *look(), *look(), *look()]
    one.answers(
        "sqs",
        *empty,
        count(1),  # after the mapping was disabled
        *look(1),
        *empty,
        count(),
        count(url="dead"),
        *look(),
    )
    work = one.answers(
        "lambda",
        *switched("Disabled", enabled=False),
        *switched("Enabled", enabled=True),
        *switched("Disabled", enabled=False),
    )
    one.answers("cloudformation", described("CREATE_COMPLETE"))
    assert one.work.stop() == 0
    work.assert_no_pending_responses()


def test_a_dead_letter_that_shows_late_stops_it(stubbed: Callable[..., Stubbed]) -> None:
    """R2: a dead letter is the only trace of an upload, also one that SQS counts late."""
    one = stubbed()
    stub = one.answers("sqs", *look(), count(), count(1, url="dead"))
    with pytest.raises(UserError, match="1 dead letter would be lost"):
        one.work.stop()
    stub.assert_no_pending_responses()


def test_discarding_does_not_wait(stubbed: Callable[..., Stubbed]) -> None:
    """R2: what is lost is counted."""
    one = stubbed()
    one.work.discard_messages = True
    one.answers("sqs", count(2), count(3, url="dead"))
    one.answers("lambda", *switched("Disabled", enabled=False))
    one.answers("cloudformation", described("CREATE_COMPLETE"))
    assert one.work.stop() == 5
    assert one.clock.now == 0


GONE = Failure("get_event_source_mapping", "ResourceNotFoundException")
NO_QUEUE = Failure("get_queue_attributes", "AWS.SimpleQueueService.NonExistentQueue")


def test_a_failed_creation_can_be_deleted(stubbed: Callable[..., Stubbed]) -> None:
    """D6: everything was rolled back, and CloudFormation still lists the physical ids."""
    one = stubbed("ROLLBACK_COMPLETE")
    one.answers("sqs", *[NO_QUEUE] * 5)
    one.answers("lambda", GONE)
    one.answers("cloudformation", described("ROLLBACK_COMPLETE"))
    assert one.work.stop() == 0
    assert one.clock.now == 0


def test_what_was_never_created_is_not_asked_for(stubbed: Callable[..., Stubbed]) -> None:
    """D6: a resource without a physical id: nothing is switched off, counted or priced."""
    one = stubbed("ROLLBACK_COMPLETE", resources={})
    for service in ("sqs", "lambda", "kms"):
        one.answers(service)
    one.answers("cloudformation", described("ROLLBACK_COMPLETE"))
    missing = [Failure("head_bucket", "404")] * 4
    one.answers("s3", *missing)
    assert one.work.stop() == 0
    steps = list(one.work.steps())
    assert not [step for step in steps if "disable" in step]
    assert one.work.retained() == []


@pytest.mark.parametrize("gone", ["mapping", "function"])
def test_messages_that_nothing_processes_are_reported(
    stubbed: Callable[..., Stubbed], gone: str
) -> None:
    """R2: without a mapping or function there is nothing to wait for."""
    one = stubbed()
    one.answers("sqs", *look(2))
    if gone == "mapping":
        one.answers("lambda", GONE)
    else:
        disabled = mapping("Disabled")
        refused = Failure("update_event_source_mapping", "ResourceNotFoundException")
        one.answers("lambda", disabled, disabled, refused)
    with pytest.raises(UserError, match=r"2 messages would be lost.*--discard-messages"):
        one.work.stop()


def test_another_stacks_bucket_is_not_deleted(stubbed: Callable[..., Stubbed]) -> None:
    """Pitfall 29: a creation that failed for a bucket's name leaves that bucket alone."""
    one = stubbed("ROLLBACK_COMPLETE")
    untagged = [bucket("thumbnails")[0], Failure("get_bucket_tagging", "NoSuchTagSet")]
    one.answers("s3", *bucket("uploads", "other"), *untagged)
    assert one.work.buckets() == []
    one = stubbed("ROLLBACK_COMPLETE")
    one.answers("s3", *bucket("uploads", "other"), *bucket("thumbnails"))
    assert one.work.buckets() == ["thumbnails"]


@pytest.mark.parametrize(("status", "seconds"), [("CREATE_COMPLETE", 360), ("ROLLBACK_FAILED", 0)])
def test_the_archive_gets_the_last_lines(
    stubbed: Callable[..., Stubbed], status: str, seconds: float
) -> None:
    """O6: Firehose has the lines of the last five minutes only in its buffer."""
    archive = {"WorkerLogDelivery": "darkroom.worker"}
    one = stubbed(status, {"logs": {"s3_access_logs": False}}, PHYSICAL | archive)
    one.work.discard_messages = True
    one.answers("sqs", count(), count(url="dead"))
    one.answers("lambda", mapping("Disabled"), mapping("Disabled"))
    one.answers("cloudformation", described(status))
    one.work.stop()
    assert one.clock.now == seconds


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
    one.answers("sqs", *look(0, 3), *look(0, 3))
    one.answers("lambda", *[mapping("Enabled")] * 4)
    with pytest.raises(UserError, match=r"waiting for the worker \(3 messages\)"):
        one.work.stop()


def test_what_is_locked_is_not_passed_over(stubbed: Callable[..., Stubbed]) -> None:
    """O6: versions under an object lock stay; the stack is not deleted before that is reported."""
    one = stubbed()
    version = {"Key": "worker/1", "VersionId": "v", "Size": 1}
    one.answers(
        "s3",
        *bucket("uploads"),
        *bucket("thumbnails"),
        ("list_object_versions", {"IsTruncated": False, "Versions": [version]}),
        (
            "delete_objects",
            {"Errors": [error("AccessDenied", "under lock")]},
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


def error(code: str, message: str) -> dict[str, str]:
    return {"Key": "worker/1", "VersionId": "v", "Code": code, "Message": message}


BOTH = [{"Key": "worker/1", "VersionId": "v"}, {"Key": "worker/2", "VersionId": "w"}]


def deletes(versions: list[dict[str, str]], *errors: dict[str, str]) -> Answer:
    request = {"Bucket": "uploads", "Delete": {"Objects": versions, "Quiet": True}}
    return "delete_objects", {"Errors": list(errors)}, request


def versions(*found: dict[str, str]) -> Answer:
    return "list_object_versions", {"IsTruncated": False, "Versions": list(found)}


@pytest.mark.parametrize("code", ["InternalError", "SlowDown"])
def test_a_busy_s3_is_asked_again(stubbed: Callable[..., Stubbed], code: str) -> None:
    """O6: DeleteObjects returns faults by key in a 200, which botocore does not retry."""
    one = stubbed()
    busy = deletes(BOTH, error(code, "Please try again."))
    again = deletes(BOTH[:1])
    one.answers(
        "s3", *bucket("uploads"), *bucket("thumbnails"), versions(*BOTH), busy, again, versions()
    )
    one.work.empty_buckets()
    assert one.clock.now == objects.DELETE_DELAYS[0]


def test_a_fault_of_s3_is_not_an_object_lock(stubbed: Callable[..., Stubbed]) -> None:
    """O6: after some tries it is reported as what it is."""
    one = stubbed()
    fault = deletes(BOTH[:1], error("InternalError", "Please try again."))
    tries = [fault] * (len(objects.DELETE_DELAYS) + 1)
    one.answers("s3", *bucket("uploads"), *bucket("thumbnails"), versions(BOTH[0]), *tries)
    with pytest.raises(UserError, match="S3 has not deleted 1 version in uploads") as caught:
        one.work.empty_buckets()
    assert "lock" not in str(caught.value)
    assert "the same command continues" in str(caught.value)


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
        *bucket("uploads"),
        *bucket("thumbnails"),
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
