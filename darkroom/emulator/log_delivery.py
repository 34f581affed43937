"""Takes the place of Firehose on the emulator, which stores subscriptions and delivers nothing."""

import gzip
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from darkroom.emulator.ministack import Emulator

HOUR = "!{timestamp:yyyy/MM/dd/HH}"


def deliver(emulator: Emulator, log_group: str, stream_name: str) -> str:
    """Deliver the log group's lines as its subscription and the stream would; return the object.

    The stream's processors, prefix and compression are those that the emulator has stored.
    """
    firehose, logs = emulator.client("firehose"), emulator.client("logs")
    described = firehose.describe_delivery_stream(DeliveryStreamName=stream_name)
    (found,) = described["DeliveryStreamDescription"]["Destinations"]
    destination = found["ExtendedS3DestinationDescription"]
    events = [
        {key: event[key] for key in ("timestamp", "message")}
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=log_group)
        for event in page["events"]
    ]
    record = subscription_record(log_group, events)
    steps = destination["ProcessingConfiguration"]["Processors"]
    body = processed(record, [_step(step) for step in steps])
    if destination["CompressionFormat"] == "GZIP":
        body = gzip.compress(body)
    now = datetime.now(UTC)
    prefix = destination["Prefix"].replace(HOUR, f"{now:%Y/%m/%d/%H}")
    key = f"{prefix}{stream_name}-{time.time_ns()}.gz"
    bucket = destination["BucketARN"].rpartition(":")[2]
    emulator.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return key


def subscription_record(log_group: str, events: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the compressed record that CloudWatch Logs sends for these events.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    """
    message = {"messageType": "DATA_MESSAGE", "logGroup": log_group, "logEvents": list(events)}
    return gzip.compress(json.dumps(message).encode())


def processed(record: bytes, steps: Sequence[tuple[str, str]]) -> bytes:
    """Return what a stream with these processors, each with its parameter, makes of a record."""
    texts = [record]
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
