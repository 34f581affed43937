"""A deployed stack against its own template: well, and then each thing changed by hand."""

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from darkroom.checks import canary
from darkroom.commands import verify
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline

NAME = "checked"


@pytest.fixture(scope="module")
def checked(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A stack as the real AWS would have made it: what the embedded one drops is set by hand.

    Endpoints stay without policy and private DNS here; tests/unit/darkroom/checks/test_deployed.py looks at those.
    """
    (listed,) = emulator.client("ec2").describe_managed_prefix_lists(
        Filters=[{"Name": "prefix-list-name", "Values": [f"com.amazonaws.{emulator.region}.s3"]}]
    )["PrefixLists"]
    suffixes = {"default": {"suffixes": [".jpg", ".png"]}}
    plan = specification.parse({"sources": suffixes}, origin="test")
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
            # The embedded AWS takes an empty list for one range.
            "AllowedUploadCidrs": "127.0.0.0/8",
        },
    )
    pipeline = Pipeline(emulator, stack)
    key = stack.outputs["EncryptionKeyArn"]
    for bucket in (pipeline.uploads, pipeline.thumbnail_bucket):
        encrypted(pipeline, bucket, key)
        tidied(pipeline, bucket, days=30)
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
    emulator.client("lambda").update_function_configuration(
        FunctionName=stack.outputs["FunctionName"],
        KMSKeyArn=key,
        VpcConfig={
            "SubnetIds": [resources["PrivateSubnetA"], resources["PrivateSubnetB"]],
            "SecurityGroupIds": [resources["WorkerSecurityGroup"]],
        },
    )
    return pipeline


def encrypted(pipeline: Pipeline, bucket: str, key: str) -> None:
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}
    pipeline.s3.put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
    )


def tidied(pipeline: Pipeline, bucket: str, *, days: int) -> None:
    rule = {
        "ID": "Tidy",
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
    assert checked
    return terminal(NAME)


def failures(operator: Operator, *arguments: str, only: str) -> list[tuple[str, str]]:
    """Check and sentence of all that fails of one check."""
    skipped = [
        name for name in verify._checks(None) if (name != only if only else name == "network")
    ]
    skips = [text for name in skipped for text in ("--skip", name)]
    operator.capture.readouterr()
    told = json.loads(operator.does("readiness", *skips, "--output", "json", *arguments, status=1))
    return [(one["check"], one["says"]) for one in told["checks"] if one["verdict"] == "fails"]


def test_a_stack_as_deployed_is_ready(checked: Pipeline, operator: Operator) -> None:
    """D4: all is as the template says, and a picture comes through and leaves nothing behind."""
    told = operator.reads("readiness", "--skip", "network", "--strict")
    assert told["verdict"] == "ok"
    seen = {one["check"] for one in told["checks"]}
    assert seen >= {"key", "buckets", "queues", "functions", "triggers", "logs", "alarms", "canary"}
    (sung,) = [one["says"] for one in told["checks"] if one["check"] == "canary"]
    assert "became 6 right thumbnails in" in sung
    assert not leftovers(checked)
    # For a pipeline: JUnit that a parser takes.
    report = operator.does("readiness", "--skip", "network", "--skip", "drift", "--output", "junit")
    (suite,) = ElementTree.fromstring(report)  # noqa: S314 - our own
    assert suite.get("failures") == "0"
    assert {case.get("classname") for case in suite} == seen - {"drift"}


def leftovers(pipeline: Pipeline) -> list[str]:
    """Keys of all versions and delete markers in both buckets."""
    return [
        one["Key"]
        for bucket in (pipeline.uploads, pipeline.thumbnail_bucket)
        for page in pipeline.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for kind in ("Versions", "DeleteMarkers")
        for one in page.get(kind, [])
    ]


def test_the_network_is_looked_at(operator: Operator) -> None:
    """S6, trap 26: an endpoint without its policy is no open door that nobody sees."""
    told = operator.reads("readiness", "--skip", "canary", "--skip", "drift", status=1)
    found = [one for one in told["checks"] if one["check"] == "network"]
    assert {one["says"].split(" ")[0] for one in found if one["verdict"] == "fails"} == {
        "S3Endpoint",
        "SqsEndpoint",
    }
    assert sum(one["verdict"] == "ok" for one in found) == 3  # DNS twice, S3's prefix list


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
        "encryption is",
    ),
    (
        "untidy",
        lambda p: tidied(p, p.uploads, days=3),
        "buckets",
        "noncurrent=3 ",
    ),
    (
        "unpoliced",
        lambda p: p.s3.delete_bucket_policy(Bucket=p.thumbnail_bucket),
        "buckets",
        "another DenyPlaintext",
    ),
    (
        "unannounced",
        lambda p: p.s3.put_bucket_notification_configuration(
            Bucket=p.uploads, NotificationConfiguration={}
        ),
        "buckets",
        "what it announces is []",
    ),
    (
        "impatient",
        lambda p: p.sqs.set_queue_attributes(
            QueueUrl=p.stack.outputs["WorkQueueUrl"], Attributes={"VisibilityTimeout": "30"}
        ),
        "queues",
        "VisibilityTimeout is 30, not 360",
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
        "memory is 512, not 1792",
    ),
    (
        "reserved",
        lambda p: p.emulator.client("lambda").put_function_concurrency(
            FunctionName=p.stack.outputs["FunctionName"], ReservedConcurrentExecutions=3
        ),
        "functions",
        "reserved concurrency is 3, not missing",
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
        "silent",
        lambda p: p.emulator.client("cloudwatch").disable_alarm_actions(
            AlarmNames=[f"{NAME}-dead-letters"]
        ),
        "alarms",
        "whether it acts is false",
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
        "its state is Disabled, not Enabled",
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
        "its state is Disabled, not Enabled",
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
        patch.setattr(canary, "_picture", lambda: b"no picture")
        ((_, says),) = failures(operator, only="canary")
    assert "not_an_image" in says
    assert not leftovers(checked)
    with operator.patch.context() as patch:
        patch.setattr("darkroom.checks.canary.time.sleep", interrupt)
        patch.setattr(canary.Canary, "_is_there", lambda *_: False)
        operator.does("readiness", "--skip", "drift", "--skip", "network", status=130)
    # What was in work when it was removed may still come, or be refused for good.
    checked.drained()
    assert not [key for key in leftovers(checked) if key.startswith("uploads/")]


def interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_wrong_thumbnails_are_told(checked: Pipeline, operator: Operator) -> None:
    """P1: it decodes what it gets, and measures it."""
    with operator.patch.context() as patch:
        patch.setattr(canary, "SIZE", (2000, 2000))
        picture = canary._picture()
        patch.setattr(canary, "_picture", lambda: picture)
        patch.setattr(canary, "SIZE", (2000, 1000))
        ((_, says),) = failures(operator, only="canary")
    assert "is 1200 × 1200, not 1200 × 600" in says
    checked.drained()


# The last ones: they leave the stack as they changed it.


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [change[1:] for change in CHANGES],
    ids=[change[0] for change in CHANGES],
)
def test_what_was_changed_by_hand_is_told(
    checked: Pipeline,
    operator: Operator,
    change: Callable[[Pipeline], Any],
    check: str,
    told: str,
) -> None:
    """D4: each change by hand is one sentence of the right check."""
    change(checked)
    assert told in " ".join(says for _, says in failures(operator, only=check))


def test_a_trigger_that_is_off_starves_the_canary(checked: Pipeline, operator: Operator) -> None:
    """T1: what does not arrive is told within the time given, and nothing is left."""
    ((_, says),) = failures(operator, "--timeout", "2", only="canary")
    assert "6 of the canary's 6 thumbnails are missing" in says
    assert not [key for key in leftovers(checked) if "canary" in key and key.startswith("uploads/")]


def test_drift_is_told(operator: Operator) -> None:
    """D4: what CloudFormation itself compares."""
    assert any("is modified: " in says for _, says in failures(operator, only="drift"))
