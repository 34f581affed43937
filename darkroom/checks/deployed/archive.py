"""Checks of the log archive: its newest objects, and the canary's line."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from darkroom.aws.log_archive import split_records, unpack
from darkroom.checks.deployed.comparison import Target
from darkroom.checks.framework import Finding, failed, passed, warned, where_possible
from darkroom.console.text import plural

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

DAYS = 2
"""How many days of the archive are listed."""

OBJECTS = 3
"""How many of the newest objects are read."""

STREAM = "KinesisFirehose::DeliveryStream"

WORKER = "worker/"
"""Prefix of the worker's log (templates/log_archive.py)."""

BUFFER_SECONDS = 300
"""How long Firehose gathers records where the stream does not say.

https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
"""

DELIVERY_SECONDS = 120
"""What CloudWatch Logs and Firehose may need besides, by our own choice."""

PAUSE_SECONDS = 5.0

CLOCK_DIFFERENCE = timedelta(minutes=15)
"""S3 refuses a caller whose clock differs by more."""


def check_archive(target: Target) -> Iterator[Finding]:
    """Pitfall 55: the archive's newest lines parse, each has its own line, and nothing failed."""
    bucket = target.stack.outputs.get("LogArchiveBucketName")
    if not bucket:
        return
    if target.limitations:
        yield Finding("skip", f"{bucket}: not shown by the emulator: what Firehose writes")
        return
    yield from where_possible(_archive(target, bucket), f"the log archive {bucket}")


def check_archived_canary(target: Target) -> Iterator[Finding]:
    """O6, pitfall 48: the worker's line about each canary arrives in the log archive.

    Firehose gathers lines for some minutes: the longest wait is reported before.
    """
    bucket = target.stack.outputs.get("LogArchiveBucketName")
    if bucket and target.canaries:
        yield from where_possible(_canaries(target, bucket), f"the log archive {bucket}")


def _canaries(target: Target, bucket: str) -> Iterator[Finding]:
    s3, missing, read = target.stack.client("s3"), set(target.canaries), set[str]()
    if target.limitations and not _newest(s3, bucket, f"{WORKER}{{:%Y/%m/%d}}/"):
        yield Finding("skip", f"{bucket}: not shown by the emulator: the canary's line")
        return
    buffer = _buffer_seconds(target)
    limit = buffer + DELIVERY_SECONDS
    target.progress.step(
        f"Waiting up to {limit} s for the canary's line in {bucket}: Firehose delivers every"
        f" {buffer} s. --skip archived-canary does not wait."
    )
    started = time.monotonic()
    while True:
        for key in _since(s3, bucket, target.began - CLOCK_DIFFERENCE) - read:
            read.add(key)
            for line in _parsed(s3, bucket, key):
                if line.get("key") in missing and "outcome" in line:
                    missing.remove(line["key"])
                    yield passed(f"the worker's line about {line['key']} is in s3://{bucket}/{key}")
        seconds = time.monotonic() - started
        if not missing or seconds > limit:
            break
        target.progress.update(f"Waiting for the canary's line in {bucket}, for {seconds:.0f} s")
        time.sleep(PAUSE_SECONDS)
    for key in sorted(missing):
        yield failed(
            f"{bucket} has no line about {key} after {seconds:.0f} s",
            f"darkroom logs {key} --stack-name {target.stack.name}; if that has lines:"
            " docs/runbook.md, log-delivery",
        )


def _buffer_seconds(target: Target) -> int:
    """Return how long the stream of the worker's log gathers records."""
    for _, _, stream in target.resources(STREAM):
        destination = stream["ExtendedS3DestinationConfiguration"]
        if destination["Prefix"].startswith(WORKER):
            hints = destination.get("BufferingHints", {})
            return int(hints.get("IntervalInSeconds", BUFFER_SECONDS))
    return BUFFER_SECONDS


def _since(s3: "S3Client", bucket: str, moment: datetime) -> set[str]:
    """Return the objects of the worker's log that were written since a time."""
    return {
        item["Key"]
        for hour in _hours(moment)
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{WORKER}{hour:%Y/%m/%d/%H}/"
        )
        for item in page.get("Contents", [])
        if item["LastModified"] >= moment
    }


def _hours(moment: datetime) -> list[datetime]:
    """Return a time in each hour that an object written since `moment` may be named by.

    That is the arrival of its first line, which may be in the hour before.
    """
    hour = (moment - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    return [
        hour + timedelta(hours=count)
        for count in range(int((datetime.now(UTC) - hour) / timedelta(hours=1)) + 1)
    ]


def _parsed(s3: "S3Client", bucket: str, key: str) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of an archived object that are JSON objects."""
    where = f"s3://{bucket}/{key}"
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    for record in split_records(unpack(body, where)):
        if _is_json(record):
            yield json.loads(record)


def _archive(target: Target, bucket: str) -> Iterator[Finding]:
    s3 = target.stack.client("s3")
    for _, _, stream in target.resources(STREAM):
        prefix = stream["ExtendedS3DestinationConfiguration"]["Prefix"].partition("!")[0]
        objects = _newest(s3, bucket, f"{prefix}{{:%Y/%m/%d}}/")
        if prefix == WORKER and not objects:  # nobody has to call an API
            yield warned(
                f"{bucket} has no line of the last {plural(DAYS, 'day')}",
                "verify again five minutes after an upload; then docs/logs.md, The archive",
            )
        for key in objects:
            yield _lines(s3, bucket, key)
    if refused := s3.list_objects_v2(Bucket=bucket, Prefix="failed/", MaxKeys=1).get("Contents"):
        yield warned(
            f"{bucket} has records that Firehose could not process: {refused[0]['Key']}",
            "read one, and the log group of deliveries: docs/logs.md, The archive",
        )


def _newest(s3: "S3Client", bucket: str, prefix: str) -> list[str]:
    today = datetime.now(UTC)
    found = [
        (item["LastModified"], item["Key"])
        for age in range(DAYS)
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix.format(today - timedelta(days=age))
        )
        for item in page.get("Contents", [])
    ]
    return [key for _, key in sorted(found, reverse=True)[:OBJECTS]]


def _lines(s3: "S3Client", bucket: str, key: str) -> Finding:
    """Return whether each line of an archived object is JSON."""
    where = f"s3://{bucket}/{key}"
    text = unpack(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), where)
    records = list(split_records(text))
    broken = [record for record in records if not _is_json(record)]
    if broken:
        return failed(
            f"{where}: {len(broken)} of {plural(len(records), 'line')} are not JSON:"
            f" {broken[0][:80]!r}",
            "the delivery stream's processors, and the function's log format",
        )
    if len([line for line in text.split("\n") if line.strip()]) < len(records):
        return warned(
            f"{where}: no line break separates some of its {plural(len(records), 'line')}",
            "darkroom logs reads them; Athena does not: the processor AppendDelimiterToRecord",
        )
    return passed(f"{where}: {plural(len(records), 'line')} of JSON")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
