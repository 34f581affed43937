"""Events about records in a local run, as consumers get them: through a topic or EventBridge."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from darkroom.emulator.deployment import EmulatedStack
from darkroom.emulator.ministack import Emulator
from templates.buckets import RECORD_SUFFIX
from templates.specification_options import Events

# The emulator sends an event before it answers the write; the queue has it soon after.
PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.2


class RecordEvents:
    """A queue for each way that the specification asks for, and the records that it got."""

    def __init__(self, emulator: Emulator, stack: EmulatedStack, settings: Events) -> None:
        """Create the queues, the subscription and the rule."""
        self._sqs = emulator.client("sqs")
        self._urls: dict[str, str] = {}
        self._found: dict[str, list[str]] = {}
        if settings.topic:
            emulator.client("sns").subscribe(
                TopicArn=stack.outputs["RecordTopicArn"],
                Protocol="sqs",
                Endpoint=self._queue("topic", "sns.amazonaws.com"),
                Attributes={"RawMessageDelivery": "true"},
            )
        if settings.eventbridge:
            target = self._queue("eventbridge", "events.amazonaws.com")
            events = emulator.client("events")
            pattern = {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [stack.thumbnail_bucket]},
                    "object": {"key": [{"suffix": RECORD_SUFFIX}]},
                },
            }
            events.put_rule(Name="records", EventPattern=json.dumps(pattern))
            events.put_targets(Rule="records", Targets=[{"Id": "records", "Arn": target}])

    def read(self, count: int) -> Mapping[str, list[str]]:
        """Return the keys of the records that were announced, by `topic` and `eventbridge`.

        It waits a short time until there are `count` of each.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            for way, url in self._urls.items():
                self._found[way] += self._receive(url)
            if all(len(found) >= count for found in self._found.values()):
                return self._found
            if time.monotonic() > deadline:
                return self._found
            time.sleep(POLL_SECONDS)

    def _queue(self, way: str, service: str) -> str:
        """Create the queue of a way, to which `service` may send; return its ARN."""
        url = self._sqs.create_queue(QueueName=f"record-events-{way}")["QueueUrl"]
        answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn: str = answer["Attributes"]["QueueArn"]
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self._urls[way], self._found[way] = url, []
        return arn

    def _receive(self, url: str) -> list[str]:
        """Return the keys in the queue's messages, which it deletes."""
        found: list[str] = []
        while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found += _keys(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found


def _keys(event: Mapping[str, Any]) -> list[str]:
    """Return the keys that an event names; S3's notifications encode them, EventBridge does not."""
    if "detail" in event:
        return [event["detail"]["object"]["key"]]
    return [unquote_plus(one["s3"]["object"]["key"]) for one in event.get("Records", [])]
