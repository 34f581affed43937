"""A deployed stack against its own template: as deployed, and each property changed by hand."""

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from darkroom.checks import canary
from darkroom.checks.names import VERIFY
from darkroom.emulator import deployment, limitations
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline

NAME = "checked"


@pytest.fixture(scope="module")
def checked(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A stack as AWS would have created it: what the emulator ignores is set by hand.

    Endpoints stay without policy and private DNS; tests/unit/darkroom/checks covers those.
    """
    (listed,) = emulator.client("ec2").describe_managed_prefix_lists(
        Filters=[{"Name": "prefix-list-name", "Values": [f"com.amazonaws.{emulator.region}.s3"]}]
    )["PrefixLists"]
    suffixes = {"default": {"suffixes": [".jpg", ".png"]}}
    logs = {"archive": False, "s3_access_logs": False}  # nothing would be delivered to them
    plan = specification.parse({"sources": suffixes, "logs": logs}, origin="test")
    deployed = template(plan)
    stack = deployment.deploy(
        emulator,
        deployed,
        stack_name=NAME,
        parameters={
            **package_parameters,
            "NamePrefix": NAME,
            "CriticalAlarmEmail": "you@example.com",
            "S3PrefixListId": listed["PrefixListId"],
            # The emulator takes an empty list for one range.
            "AllowedUploadCidrs": "127.0.0.0/8",
        },
    )
    pipeline = Pipeline(emulator, stack)
    key = stack.outputs["EncryptionKeyArn"]
    for bucket in (pipeline.uploads, pipeline.thumbnail_bucket):
        encrypted(pipeline, bucket, key)
        expiring(pipeline, bucket, days=30)
    sns = emulator.client("sns")
    for topic in topics(pipeline):
        sns.set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=key)
    resources = {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in emulator.client("cloudformation").describe_stack_resources(StackName=NAME)[
            "StackResources"
        ]
    }
    pipeline.drained()  # S3's test events: an update of the function ends what it is at
    functions = emulator.client("lambda")
    functions.update_function_configuration(
        FunctionName=stack.outputs["FunctionName"],
        KMSKeyArn=key,
        VpcConfig={
            "SubnetIds": [resources["PrivateSubnetA"], resources["PrivateSubnetB"]],
            "SecurityGroupIds": [resources["WorkerSecurityGroup"]],
        },
    )
    functions.get_waiter("function_updated_v2").wait(FunctionName=stack.outputs["FunctionName"])
    return pipeline


def encrypted(pipeline: Pipeline, bucket: str, key: str) -> None:
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}
    pipeline.s3.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )


def expiring(pipeline: Pipeline, bucket: str, *, days: int) -> None:
    rule = {
        "ID": "Expire",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
    }
    pipeline.s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [rule]}
    )


def topics(pipeline: Pipeline) -> list[str]:
    page = pipeline.emulator.client("sns").get_paginator("list_topics").paginate()
    found = [topic["TopicArn"] for one in page for topic in one["Topics"]]
    return [arn for arn in found if arn.rpartition(":")[2].startswith(NAME)]


@pytest.fixture
def operator(checked: Pipeline, terminal: Callable[[str], Operator]) -> Operator:
    """An operator of that stack, to whom nothing is excused as on AWS."""
    assert checked
    found = terminal(NAME)
    found.patch.setattr(limitations, "LIMITATIONS", {})
    return found


def all_but(check: str) -> list[str]:
    """Options that leave out all other checks."""
    return [text for name in VERIFY if name != check for text in ("--skip", name)]


def failures(operator: Operator, *arguments: str, only: str) -> list[tuple[str, str]]:
    """Check and message of all failures of one check."""
    operator.capture.readouterr()
    report = json.loads(
        operator.does("verify", *all_but(only), "--format", "json", *arguments, status=1)
    )
    return [(one["check"], one["message"]) for one in report["checks"] if one["verdict"] == "fail"]


def test_a_stack_as_deployed_passes(checked: Pipeline, operator: Operator) -> None:
    """D4: everything is as in the template, and the canary succeeds and leaves nothing behind."""
    report = verified(operator, "--skip", "network", "--strict")
    assert report["verdict"] == "pass"
    seen = {one["check"] for one in report["checks"]}
    assert seen >= {"key", "buckets", "queues", "functions", "triggers", "logs", "alarms", "canary"}
    made, gone = [one["message"] for one in report["checks"] if one["check"] == "canary"]
    assert "became 5 correct thumbnails in" in made
    assert "a version that is gone is recorded as deleted" in gone
    assert not leftovers(checked)
    # For a pipeline: JUnit that a parser takes.
    junit = operator.does("verify", "--skip", "network", "--skip", "drift", "--format", "junit")
    (suite,) = ElementTree.fromstring(junit)  # noqa: S314 - our own
    assert suite.get("failures") == "0"
    assert {case.get("classname") for case in suite} == seen - {"drift"}


def verified(operator: Operator, *arguments: str, status: int = 0) -> dict[str, Any]:
    operator.capture.readouterr()
    found = operator.does("verify", *arguments, "--format", "json", status=status)
    report: dict[str, Any] = json.loads(found)
    return report


def test_a_stack_on_the_embedded_aws_passes(
    running: Pipeline, terminal: Callable[[str], Operator]
) -> None:
    """D4: `darkroom local --keep-running`: what this AWS ignores is skipped with a reason.

    Each limitation has to be needed; another difference still fails.
    """
    local = terminal(running.stack.name)
    report = verified(local)
    assert report["verdict"] == "warn"  # nobody is subscribed
    skipped = [one for one in report["checks"] if one["verdict"] == "skip"]
    assert all("not shown by the emulator" in one["message"] for one in skipped)
    for (check, name), limitation in limitations.LIMITATIONS.items():
        # Not in this stack: pollers, which test_examples.py needs for `volume`, and an API.
        if check in ("triggers", "api"):
            continue
        messages = [one["message"] for one in skipped if one["check"] == check]
        assert any(f"{name} ({limitation.reason})" in message for message in messages), name
    before = running.s3.get_bucket_versioning(Bucket=running.uploads)["Status"]
    running.s3.put_bucket_versioning(
        Bucket=running.uploads, VersioningConfiguration={"Status": "Suspended"}
    )
    try:
        report = verified(local, *all_but("buckets"), status=1)
    finally:
        running.s3.put_bucket_versioning(
            Bucket=running.uploads, VersioningConfiguration={"Status": before}
        )
    (failure,) = [one for one in report["checks"] if one["verdict"] == "fail"]
    assert "versioning is Suspended, not Enabled" in failure["message"]


def test_an_existing_topic_takes_the_alarms(
    emulator: Emulator, package_parameters: dict[str, str], terminal: Callable[[str], Operator]
) -> None:
    """O5, pitfalls 4, 32, 35: production needs a subscriber, a policy and a key that alarms use."""
    name, sns = "on-call", emulator.client("sns")
    topic = sns.create_topic(Name="pager")["TopicArn"]
    deployment.deploy(
        emulator,
        template(specification.parse({}, origin="test")),
        stack_name=name,
        parameters={
            **package_parameters,
            "NamePrefix": name,
            "Environment": "prod",
            "ExistingCriticalTopicArn": topic,
        },
    )
    operator = terminal(name)

    def problems(check: str) -> list[str]:
        report = json.loads(operator.does("verify", *all_but(check), "--format", "json", status=1))
        failed = [one["message"] for one in report["checks"] if one["verdict"] == "fail"]
        operator.capture.readouterr()
        return failed

    (found,) = emulator.client("cloudwatch").describe_alarms(AlarmNames=[f"{name}-dead-letters"])[
        "MetricAlarms"
    ]
    assert found["AlarmActions"] == found["OKActions"] == [topic]
    own = [one["TopicArn"] for one in sns.list_topics()["Topics"] if f":{name}-" in one["TopicArn"]]
    assert [arn.rpartition(":")[2] for arn in own] == [f"{name}-warning-alarms"]
    assert problems("subscriptions") == [
        f"ExistingCriticalTopicArn: {topic} notifies nobody, and Environment is prod"
    ]
    queue = emulator.client("sqs").create_queue(QueueName="pager")["QueueUrl"]
    arn = topic.replace(":sns:", ":sqs:")
    assert queue.endswith("/pager")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    assert verified(operator, *all_but("subscriptions"))["verdict"] == "warn"  # of warnings
    policy = {"Version": "2012-10-17", "Statement": []}
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )
    assert f"the policy of {topic} does not let" in problems("topics")[0]
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue="alias/aws/sns"
    )
    assert "a key of SNS, which alarms cannot use" in problems("topics")[1]


def leftovers(pipeline: Pipeline) -> list[str]:
    """Keys of all versions and delete markers in both buckets."""
    return [
        one["Key"]
        for bucket in (pipeline.uploads, pipeline.thumbnail_bucket)
        for page in pipeline.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for kind in ("Versions", "DeleteMarkers")
        for one in page.get(kind, [])
    ]


def test_an_endpoint_without_its_policy_fails(operator: Operator) -> None:
    """S6, pitfall 26: an endpoint that allows everything is noticed."""
    report = verified(operator, "--skip", "canary", "--skip", "drift", status=1)
    found = [one for one in report["checks"] if one["check"] == "network"]
    assert {one["message"].split(" ")[0] for one in found if one["verdict"] == "fail"} == {
        "S3Endpoint",
        "SqsEndpoint",
    }
    assert sum(one["verdict"] == "pass" for one in found) == 3  # DNS twice, S3's prefix list


Change = tuple[str, Callable[[Pipeline], Any], str, str]

CHANGES: list[Change] = [
    (
        "public",
        lambda p: p.s3.put_public_access_block(
            Bucket=p.uploads,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": False,
                "RestrictPublicBuckets": True,
            },
        ),
        "buckets",
        "BlockPublicPolicy is false, not true",
    ),
    (
        "unversioned",
        lambda p: p.s3.put_bucket_versioning(
            Bucket=p.thumbnail_bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
        "buckets",
        "versioning is Suspended",
    ),
    (
        "unencrypted",
        lambda p: p.s3.delete_bucket_encryption(Bucket=p.thumbnail_bucket),
        "buckets",
        "encryption: ",
    ),
    (
        "no-lifecycle",
        lambda p: expiring(p, p.uploads, days=3),
        "buckets",
        "noncurrent=3 ",
    ),
    (
        "no-policy",
        lambda p: p.s3.delete_bucket_policy(Bucket=p.thumbnail_bucket),
        "buckets",
        "there is no policy",
    ),
    (
        "no-notifications",
        lambda p: p.s3.put_bucket_notification_configuration(
            Bucket=p.uploads, NotificationConfiguration={}
        ),
        "buckets",
        "notifications: s3:ObjectCreated:",
    ),
    (
        "short-visibility",
        lambda p: p.sqs.set_queue_attributes(
            QueueUrl=p.stack.outputs["WorkQueueUrl"], Attributes={"VisibilityTimeout": "30"}
        ),
        "queues",
        "VisibilityTimeout is 30, not 365",
    ),
    (
        "no-redrive",
        lambda p: p.sqs.set_queue_attributes(
            QueueUrl=p.stack.outputs["WorkQueueUrl"],
            Attributes={"RedrivePolicy": ""},
        ),
        "queues",
        "RedrivePolicy",
    ),
    (
        "small",
        lambda p: p.emulator.client("lambda").update_function_configuration(
            FunctionName=p.stack.outputs["FunctionName"], MemorySize=512
        ),
        "functions",
        "memory is 512, not 1280",
    ),
    (
        "reserved",
        lambda p: p.emulator.client("lambda").put_function_concurrency(
            FunctionName=p.stack.outputs["FunctionName"], ReservedConcurrentExecutions=3
        ),
        "functions",
        "reserved concurrency is 3, but not set in the template",
    ),
    (
        "short-log",
        lambda p: p.emulator.client("logs").put_retention_policy(
            logGroupName=p.stack.outputs["LogGroupName"], retentionInDays=1
        ),
        "logs",
        "retention is 1, not 30",
    ),
    (
        "disabled-alarm",
        lambda p: p.emulator.client("cloudwatch").disable_alarm_actions(
            AlarmNames=[f"{NAME}-dead-letters"]
        ),
        "alarms",
        "ActionsEnabled is false, not true",
    ),
    (
        "plain-topic",
        lambda p: p.emulator.client("sns").set_topic_attributes(
            TopicArn=topics(p)[0], AttributeName="KmsMasterKeyId", AttributeValue=""
        ),
        "topics",
        "key is",
    ),
    (
        "off",
        lambda p: p.emulator.client("lambda").update_event_source_mapping(
            UUID=mapping(p), Enabled=False
        ),
        "triggers",
        "state is Disabled, not Enabled",
    ),
    (
        "no-rotation",
        lambda p: p.emulator.client("kms").disable_key_rotation(
            KeyId=p.stack.outputs["EncryptionKeyArn"]
        ),
        "key",
        "rotation is false, not true",
    ),
    (
        "disabled-key",
        lambda p: p.emulator.client("kms").disable_key(KeyId=p.stack.outputs["EncryptionKeyArn"]),
        "key",
        "state is Disabled, not Enabled",
    ),
]


def mapping(pipeline: Pipeline) -> str:
    (found,) = pipeline.emulator.client("lambda").list_event_source_mappings(
        FunctionName=pipeline.stack.outputs["FunctionName"]
    )["EventSourceMappings"]
    uuid: str = found["UUID"]
    return uuid


def test_a_canary_that_is_rejected_or_interrupted_leaves_nothing(
    checked: Pipeline, operator: Operator
) -> None:
    """D4: also after Ctrl-C, and in any ending."""
    with operator.patch.context() as patch:
        patch.setattr(canary, "_picture", lambda: b"not a picture")
        ((_, message),) = failures(operator, only="canary")
    assert "not_an_image" in message
    assert not leftovers(checked)
    with operator.patch.context() as patch:
        patch.setattr("darkroom.checks.canary.time.sleep", interrupt)
        patch.setattr(canary.Canary, "_record", lambda *_: None)
        operator.does("verify", "--skip", "drift", "--skip", "network", status=130)
    # An invocation that was under way may still write thumbnails, or a rejection.
    checked.drained()
    assert not [key for key in leftovers(checked) if key.startswith("uploads/")]


def interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_wrong_thumbnails_fail(checked: Pipeline, operator: Operator) -> None:
    """P1: the canary's thumbnails are decoded and measured."""
    with operator.patch.context() as patch:
        patch.setattr(canary, "SIZE", (2000, 2000))
        picture = canary._picture()
        patch.setattr(canary, "_picture", lambda: picture)
        patch.setattr(canary, "SIZE", (2000, 1000))
        ((_, message),) = failures(operator, only="canary")
    assert "is 1200 × 1200, not 1200 × 600" in message
    checked.drained()


# The last ones: they leave the stack as they changed it.


@pytest.mark.parametrize(
    ("change", "check", "message"),
    [change[1:] for change in CHANGES],
    ids=[change[0] for change in CHANGES],
)
def test_a_change_by_hand_fails(
    checked: Pipeline,
    operator: Operator,
    change: Callable[[Pipeline], Any],
    check: str,
    message: str,
) -> None:
    """D4: each change by hand is one finding of the right check."""
    change(checked)
    assert message in " ".join(found for _, found in failures(operator, only=check))


def test_a_disabled_trigger_fails_the_canary(checked: Pipeline, operator: Operator) -> None:
    """T1: missing thumbnails are reported within the timeout, and nothing is left."""
    report = verified(operator, "--timeout", "2", *all_but("canary"), status=1)
    (found,) = [one for one in report["checks"] if one["check"] == "canary"]
    assert "the canary has no record" in found["message"]
    command = found["remediation"]
    assert command.startswith("darkroom logs uploads/canary-")
    assert command.endswith(f" --stack-name {NAME}")
    assert not [key for key in leftovers(checked) if "canary" in key and key.startswith("uploads/")]


def test_drift_fails(operator: Operator) -> None:
    """D4: CloudFormation's own drift detection."""
    assert any("is modified: " in message for _, message in failures(operator, only="drift"))
