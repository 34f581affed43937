"""Events about records: what a queue and a rule get for each picture, and nothing else."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

import pytest

from darkroom.checks.deployed.suite import CHECKS
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline
from worker import keys

PLAN = {
    "events": {"topic": True, "eventbridge": True},
    "variants": {"default": {"widths": [64], "formats": {"jpeg": 80}}},
}
UPLOADS = ("uploads/a b+c.jpg", "uploads/ä.jpg", "uploads/junk.jpg")


@pytest.fixture(scope="module")
def announcing(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A stack with a subscribed queue `subscribed`, and a rule with the target `selected`."""
    stack = deployment.deploy(
        emulator,
        template(specification.parse(PLAN, origin="test")),
        stack_name="announcing",
        parameters={**package_parameters, "NamePrefix": "announcing", "CreateSqsEndpoint": "false"},
    )
    pipeline = Pipeline(emulator, stack)
    arns = {name: _queue(pipeline, name) for name in ("subscribed", "selected")}
    emulator.client("sns").subscribe(
        TopicArn=stack.outputs["RecordTopicArn"],
        Protocol="sqs",
        Endpoint=arns["subscribed"],
        Attributes={"RawMessageDelivery": "true"},
    )
    events = emulator.client("events")
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": [pipeline.thumbnail_bucket]},
            "object": {"key": [{"suffix": "/index.json"}]},
        },
    }
    events.put_rule(Name="records", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="records", Targets=[{"Id": "queue", "Arn": arns["selected"]}])
    return pipeline


def _queue(pipeline: Pipeline, name: str) -> str:
    """Create a queue that SNS and EventBridge may send to; return its ARN."""
    url = pipeline.sqs.create_queue(QueueName=name)["QueueUrl"]
    answer = pipeline.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn: str = answer["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    pipeline.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return arn


def _messages(pipeline: Pipeline, name: str) -> Iterator[dict[str, Any]]:
    url = pipeline.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    while found := pipeline.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10):
        if "Messages" not in found:
            return
        for message in found["Messages"]:
            pipeline.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield json.loads(message["Body"])


def test_each_record_is_announced_once(announcing: Pipeline) -> None:
    """P7, T3: of a picture and of a rejection, when it is there; and no thumbnail is."""
    wanted = sorted(keys.record_key(key) for key in UPLOADS)
    for key in UPLOADS:
        announcing.upload(key, b"junk" if "junk" in key else pictures.jpeg())
    subscribed: list[str] = []
    selected: list[str] = []

    def complete() -> bool | None:
        for message in _messages(announcing, "subscribed"):
            notified = [one["s3"]["object"]["key"] for one in message.get("Records", [])]
            subscribed.extend(map(unquote_plus, notified))
        events = _messages(announcing, "selected")
        selected.extend(event["detail"]["object"]["key"] for event in events)
        return True if len(subscribed) >= len(wanted) <= len(selected) else None

    announcing.until(complete, "events of all records")
    announcing.drained()
    complete()
    assert sorted(subscribed) == wanted
    assert sorted(selected) == wanted
    states = {key: (announcing.record(key) or {})["state"] for key in UPLOADS}
    assert list(states.values()) == ["done", "done", "rejected"]


def test_verify_compares_where_events_go(
    announcing: Pipeline, terminal: Callable[[str], Operator]
) -> None:
    """D4: a notification that is gone, and EventBridge that is off, are differences."""
    only = [part for check in CHECKS if check != "buckets" for part in ("--skip", check)]
    assert "FAIL" not in terminal("announcing").does("verify", *only)
    announcing.s3.put_bucket_notification_configuration(
        Bucket=announcing.thumbnail_bucket, NotificationConfiguration={}
    )
    said = terminal("announcing").does("verify", *only, status=1)
    assert "EventBridge" in said
    assert "index.json" in said
