"""Search the stack's logs, in CloudWatch Logs or in the archive, for one object or invocation."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Protocol

from darkroom.aws.log_archive import split_records, unpack
from darkroom.aws.stack import Stack
from darkroom.console.progress import Progress
from darkroom.console.tables import table
from darkroom.errors import UsageError, UserError

HOUR = timedelta(hours=1)

WORKER = "worker"

# Each has its prefix in the archive, which ends the log group's name too.
API_LOG_GROUPS = {
    "upload-api": "UploadApiLogGroup",
    "upload-api-access": "UploadApiAccessLogGroup",
}
"""By kind of log, the logical id of its log group in a stack with an upload API."""

# A term without quotes, escapes and blanks is spelled the same in a filter pattern and in JSON.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
PLAIN = re.compile(r"[A-Za-z0-9_./-]+")

# The invocation of a line, and the request of API Gateway that it is about.
REQUEST_FIELDS = ("function_request_id", "requestId", "api_request_id", "functionRequestId")

# How Lambda names the invocation in a line that is not JSON.
REQUEST_IN_TEXT = re.compile(r"RequestId: ([0-9a-f-]{36})")


@dataclass(frozen=True)
class Line:
    """A line of the log."""

    time: datetime
    """UTC."""

    text: str
    fields: dict[str, Any]
    """Empty unless the text is a JSON object."""

    @property
    def request_ids(self) -> set[str]:
        """The invocation that wrote it, and the request of API Gateway that it is about."""
        record = self.fields.get("record")  # of Lambda's own lines
        found = {self.fields.get(name) for name in REQUEST_FIELDS}
        found.add(record.get("requestId") if isinstance(record, dict) else None)
        if not self.fields and (in_text := REQUEST_IN_TEXT.search(self.text)):
            found.add(in_text[1])
        return {str(one) for one in found - {None, "", "-"}}  # API Gateway writes "-" for none

    @property
    def message_id(self) -> str:
        """The SQS message that it is about, or an empty string."""
        return str(self.fields.get("message_id", ""))

    def is_about(self, wanted: str) -> bool:
        """Return whether `wanted` is its object key, upload id, message id or a request id."""
        ids = {self.fields.get("key"), self.fields.get("id"), self.message_id, *self.request_ids}
        return wanted in ids or str(self.fields.get("path", "")).endswith(f"/{wanted}")

    def data(self) -> dict[str, Any]:
        """Return the line for JSON; `text` is an object where the line itself is JSON."""
        return {"time": _stamp(self), "text": self.fields or self.text}


class Log(Protocol):
    """Where lines are searched."""

    def search(self, terms: Iterable[str]) -> Iterator[Line]:
        """Yield the lines that contain one of `terms`."""


@dataclass(frozen=True)
class LogGroup:
    """Log groups of the stack in CloudWatch Logs, between two times."""

    stack: Stack
    since: datetime
    until: datetime
    kinds: Collection[str] = (WORKER,)

    def search(self, terms: Iterable[str]) -> Iterator[Line]:
        """Yield the lines that contain one of `terms`."""
        pages = self.stack.client("logs").get_paginator("filter_log_events")
        # One by one: a pattern of many may be longer than is allowed.
        for name, term in product(map(self._name, self.kinds), list(terms)):
            for page in pages.paginate(
                logGroupName=name,
                startTime=int(self.since.timestamp() * 1000),
                endTime=int(self.until.timestamp() * 1000),
                filterPattern=f'"{term}"',
            ):
                for event in page["events"]:
                    time = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield parse_line(event["message"], time)

    def _name(self, kind: str) -> str:
        if kind == WORKER:
            return self.stack.output("LogGroupName")
        return self.stack.resources[API_LOG_GROUPS[kind]]


@dataclass(frozen=True)
class Archive:
    """The log archive's bucket, of which only the hours between two times are listed and read."""

    stack: Stack
    since: datetime
    until: datetime
    progress: Progress
    kinds: Collection[str] = (WORKER,)

    def search(self, terms: Iterable[str]) -> Iterator[Line]:
        """Yield the lines that contain one of `terms`."""
        s3, bucket = self.stack.client("s3"), self.stack.output("LogArchiveBucketName")
        wanted = list(terms)
        for prefix in self.prefixes():
            self.progress.update(f"Reading s3://{bucket}/{prefix}")
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for item in (item for page in pages for item in page.get("Contents", [])):
                body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                time = item["LastModified"]
                for text in split_records(unpack(body, f"s3://{bucket}/{item['Key']}")):
                    line = parse_line(text, time)
                    time = line.time  # a line without a time of its own follows the one before it
                    in_time = self.since <= line.time <= self.until
                    if in_time and any(term in text for term in wanted):
                        yield line

    def prefixes(self) -> Iterator[str]:
        """Yield the prefix of each hour, and of one hour before and after.

        Firehose names an object by the arrival of its first line: that may be in the hour before,
        and a line that arrives late is in the hour after.
        """
        hour = (self.since - HOUR).replace(minute=0, second=0, microsecond=0)
        while hour <= self.until + HOUR:
            yield from (f"{kind}/{hour:%Y/%m/%d/%H}/" for kind in self.kinds)
            hour += HOUR


def find_lines(log: Log, wanted: str) -> list[Line]:
    """Return the lines about an object key, upload id, message id or request id, ordered by time.

    They include Lambda's lines about the invocations, and the access log's about the requests. Of
    a batch with other messages only the lines about this one are returned, unless `wanted` is the
    request id.

    Raises:
        UsageError: `wanted` has no letter or digit that a filter pattern can contain.
    """
    named = [line for line in log.search([_term(wanted)]) if line.is_about(wanted)]
    requests = {one for line in named for one in line.request_ids}
    messages = {line.message_id for line in named} - {""}
    lines = (
        [
            line
            for line in log.search(sorted(requests))
            if line.request_ids & requests
            and (wanted in requests or not line.message_id or line.message_id in messages)
            and ("key" not in line.fields or line.is_about(wanted) or wanted in requests | messages)
        ]
        if requests
        else named
    )
    unique = {(line.time, line.text): line for line in lines}
    return sorted(unique.values(), key=lambda line: line.time)


def search(
    stack: Stack, wanted: str, *, since: datetime, until: datetime, archive: bool
) -> list[Line]:
    """Return what the log, or the archive, has about `wanted` between two times.

    Raises:
        UsageError: as `find_lines`.
        UserError: there is no such line.
    """
    kinds = [WORKER, *(kind for kind, title in API_LOG_GROUPS.items() if title in stack.resources)]
    log: Log = LogGroup(stack, since, until, kinds)
    if archive:
        log = Archive(stack, since, until, Progress(), kinds)
    found = find_lines(log, wanted)
    if not found:
        raise UserError(
            f"{wanted!r} not found in the {'archive' if archive else 'log'} of {stack.name}"
            f" between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC; try an earlier"
            f" --since{'' if archive else ', or --archive'}"
        )
    return found


def render(lines: Iterable[Line]) -> str:
    """Return lines for people: the time, the level, and the message with its other fields."""
    rows = [("time (UTC)", "level", "message")]
    for line in lines:
        level, first, *rest = _cells(line)
        rows += [(_stamp(line), level, first), *(("", "", text) for text in rest)]
    return table(rows, styles={"ERROR": "red", "WARNING": "yellow"})


def parse_line(text: str, time: datetime) -> Line:
    """Return the line; `time` holds unless the text is JSON with a timestamp of its own."""
    text = text.rstrip("\n")
    try:
        fields = json.loads(text)
    except ValueError:
        return Line(time, text, {})
    if not isinstance(fields, dict):
        return Line(time, text, {})
    stamp = fields.get("timestamp") or fields.get("time")
    if isinstance(stamp, str):
        with suppress(ValueError, OverflowError):  # the time of its arrival is near enough
            time = (
                datetime.fromtimestamp(int(stamp) / 1000, UTC)  # of API Gateway
                if stamp.isdecimal()
                else datetime.fromisoformat(stamp)
            )
    return Line(time if time.tzinfo else time.replace(tzinfo=UTC), text, fields)


def _term(wanted: str) -> str:
    """Return the longest part of `wanted` that is spelled the same in a pattern and in the log."""
    parts = PLAIN.findall(wanted)
    if not parts:
        raise UsageError(f"{wanted!r} has no ASCII letter or digit to search for")
    return str(max(parts, key=len))


def _stamp(line: Line) -> str:
    return line.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _cells(line: Line) -> list[str]:
    """Return the level, the message with its fields, and the lines of an exception."""
    fields = dict(line.fields)
    if not fields:  # Lambda separates the parts of its report by tabs
        return ["", *(line.text.replace("\t", "  ").splitlines() or [""])]
    message = fields.pop("message", None) or fields.pop("type", "")
    if isinstance(fields.get("record"), dict):
        fields |= fields.pop("record")
    level = str(fields.pop("level", ""))
    exception = str(fields.pop("exception", ""))
    for name in ("timestamp", "time", "exception_name"):
        fields.pop(name, None)
    rest = " ".join(f"{name}={value}" for name, value in fields.items())
    return [level, f"{message}  {rest}".rstrip(), *exception.splitlines()]
