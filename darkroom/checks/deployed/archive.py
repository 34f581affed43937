"""Check of the log archive's newest objects."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

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


def check_archive(target: Target) -> Iterator[Finding]:
    """Pitfall 55: the archive's newest lines parse, each has its own line, and nothing failed."""
    bucket = target.stack.outputs.get("LogArchiveBucketName")
    if not bucket:
        return
    if target.limitations:
        yield Finding("skip", f"{bucket}: not shown by the emulator: lines (it delivers none)")
        return
    yield from where_possible(_archive(target, bucket), f"the log archive {bucket}")


def _archive(target: Target, bucket: str) -> Iterator[Finding]:
    s3 = target.stack.client("s3")
    for _, _, stream in target.resources("KinesisFirehose::DeliveryStream"):
        prefix = stream["ExtendedS3DestinationConfiguration"]["Prefix"].partition("!")[0]
        objects = _newest(s3, bucket, f"{prefix}{{:%Y/%m/%d}}/")
        if prefix == "worker/" and not objects:  # nobody has to call an API
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
