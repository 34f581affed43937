"""Takes the place of Firehose on the emulator, which stores subscriptions and delivers nothing."""

import gzip
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from darkroom.emulator.ministack import Emulator

HOUR = "!{timestamp:yyyy/MM/dd/HH}"

LOG_STREAMS_AT_ONCE = 100
"""FilterLogEvents takes no more names."""


def subscribed(emulator: Emulator) -> "list[LogDelivery]":
    """Return the delivery of each log group that has a subscription."""
    logs = emulator.client("logs")
    return [
        LogDelivery(emulator, one["logGroupName"])
        for page in logs.get_paginator("describe_log_groups").paginate()
        for one in page["logGroups"]
        if logs.describe_subscription_filters(logGroupName=one["logGroupName"])[
            "subscriptionFilters"
        ]
    ]


class LogDelivery:
    """The delivery of a subscribed log group's events to a bucket.

    Subscription, processors, prefix and compression are those that the emulator has stored.
    """

    def __init__(self, emulator: Emulator, log_group: str) -> None:
        """Read the log group's only subscription, and the stream that it names."""
        self._logs, self._s3 = emulator.client("logs"), emulator.client("s3")
        self._log_group = log_group
        self._taken: set[str] = set()
        (self._filter,) = self._logs.describe_subscription_filters(logGroupName=log_group)[
            "subscriptionFilters"
        ]
        self._stream_name = self._filter["destinationArn"].rpartition("/")[2]
        described = emulator.client("firehose").describe_delivery_stream(
            DeliveryStreamName=self._stream_name
        )
        (found,) = described["DeliveryStreamDescription"]["Destinations"]
        self._destination = found["ExtendedS3DestinationDescription"]
        self.bucket: str = self._destination["BucketARN"].rpartition(":")[2]

    def deliver(self) -> str | None:
        """Deliver the events of new log streams; return the key of the object, or None for none.

        The emulator writes a log stream for each invocation, at its end, and never adds to it.
        """
        owner = self._filter["destinationArn"].split(":")[4]
        records = [
            subscription_record(owner, self._log_group, name, self._filter["filterName"], events)
            for name, events in self._take().items()
        ]
        if not records:
            return None
        steps = self._destination["ProcessingConfiguration"]["Processors"]
        body = processed(records, [_step(step) for step in steps])
        ending = ""
        if self._destination["CompressionFormat"] == "GZIP":
            body, ending = gzip.compress(body), ".gz"
        key = object_key(self._destination["Prefix"], self._stream_name, datetime.now(UTC)) + ending
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return key

    def _take(self) -> dict[str, list[Mapping[str, Any]]]:
        """Return the events of each log stream that was not taken yet, in their order."""
        names = {
            one["logStreamName"]
            for page in self._logs.get_paginator("describe_log_streams").paginate(
                logGroupName=self._log_group
            )
            for one in page["logStreams"]
        }
        found: dict[str, list[Mapping[str, Any]]] = {}
        new = sorted(names - self._taken)
        for first in range(0, len(new), LOG_STREAMS_AT_ONCE):
            events = [
                event
                for page in self._logs.get_paginator("filter_log_events").paginate(
                    logGroupName=self._log_group,
                    logStreamNames=new[first : first + LOG_STREAMS_AT_ONCE],
                )
                for event in page["events"]
            ]
            by_stream = itemgetter("logStreamName")
            for name, one in groupby(sorted(events, key=by_stream), by_stream):
                found[name] = list(one)
        self._taken |= found.keys()
        return found


def object_key(prefix: str, stream_name: str, time: datetime) -> str:
    """Return the key that Firehose gives an object, without the ending of its compression.

    https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html
    """
    hour = prefix.replace(HOUR, f"{time:%Y/%m/%d/%H}")
    return f"{hour}{stream_name}-1-{time:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}"


def subscription_record(
    owner: str,
    log_group: str,
    log_stream: str,
    filter_name: str,
    events: Sequence[Mapping[str, Any]],
) -> bytes:
    """Return the compressed record that CloudWatch Logs of an account sends for these events.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    """
    message = {
        "messageType": "DATA_MESSAGE",
        "owner": owner,
        "logGroup": log_group,
        "logStream": log_stream,
        "subscriptionFilters": [filter_name],
        "logEvents": [
            {"id": str(number), "timestamp": event["timestamp"], "message": event["message"]}
            for number, event in enumerate(events)
        ],
    }
    return gzip.compress(json.dumps(message).encode())


def processed(records: Sequence[bytes], steps: Sequence[tuple[str, str]]) -> bytes:
    """Return what a stream with these processors, each with its parameter, makes of records."""
    texts = list(records)
    for kind, value in steps:
        if kind == "Decompression":
            texts = [gzip.decompress(text) for text in texts]
        elif kind == "CloudWatchLogProcessing" and value == "true":
            texts = [
                str(event["message"]).encode()
                for text in texts
                for event in json.loads(text)["logEvents"]
            ]
        elif kind == "AppendDelimiterToRecord":
            texts = [text + value.encode().decode("unicode_escape").encode() for text in texts]
    return b"".join(texts)


def _step(processor: Mapping[str, Any]) -> tuple[str, str]:
    (parameter,) = processor["Parameters"]
    return processor["Type"], parameter["ParameterValue"]
