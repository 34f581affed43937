"""`darkroom logs`: all that the worker's log says of one picture, from message to result."""

import argparse
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from darkroom.aws.errors import explained
from darkroom.aws.stack import Stack, open_stack
from darkroom.aws.stack import add_arguments as add_stack_arguments
from darkroom.console import option_types
from darkroom.console.output import add_output
from darkroom.console.progress import Progress
from darkroom.console.tables import printable
from darkroom.errors import UsageError, UserError

HOUR = timedelta(hours=1)

# A term that a filter pattern and a line in JSON spell alike: without quotes, escapes and blanks.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
PLAIN = re.compile(r"[A-Za-z0-9_./-]+")

# How Lambda names the invocation in a line that is not JSON.
REQUEST_IN_TEXT = re.compile(r"RequestId: ([0-9a-f-]{36})")


@dataclass(frozen=True)
class Line:
    """A line of the log: its time in UTC, what it says and, of JSON, its fields."""

    time: datetime
    text: str
    fields: dict[str, Any]

    @property
    def request(self) -> str:
        """The invocation that it belongs to, or nothing."""
        record = self.fields.get("record")
        inside = record.get("requestId") if isinstance(record, dict) else None
        found = self.fields.get("function_request_id") or self.fields.get("requestId") or inside
        in_text = REQUEST_IN_TEXT.search(self.text)
        return str(found or (in_text[1] if in_text else ""))

    @property
    def message(self) -> str:
        """The message that it is about, or nothing."""
        return str(self.fields.get("message_id", ""))

    def names(self, wanted: str) -> bool:
        """Return whether `wanted` is its object key, its message or its invocation."""
        return wanted in (self.fields.get("key"), self.message, self.request)


@dataclass(frozen=True)
class LogGroup:
    """The worker's log group in CloudWatch Logs, between two times."""

    stack: Stack
    since: datetime
    until: datetime

    def search(self, terms: Iterable[str]) -> Iterator[Line]:
        """Yield the lines that contain one of `terms`."""
        pages = self.stack.client("logs").get_paginator("filter_log_events")
        for term in terms:  # each by itself: a pattern of many may be longer than is allowed
            for page in pages.paginate(
                logGroupName=self.stack.output("LogGroupName"),
                startTime=int(self.since.timestamp() * 1000),
                endTime=int(self.until.timestamp() * 1000),
                filterPattern=f'"{term}"',
            ):
                for event in page["events"]:
                    time = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield _line(event["message"], time)


@dataclass(frozen=True)
class Archive:
    """The archive's bucket, of which only the hours asked for are listed and read."""

    stack: Stack
    since: datetime
    until: datetime
    progress: Progress

    def search(self, terms: Iterable[str]) -> Iterator[Line]:
        """Yield the lines that contain one of `terms`."""
        s3, bucket = self.stack.client("s3"), self.stack.output("LogArchiveBucketName")
        wanted = list(terms)
        for prefix in self.prefixes():
            self.progress.update(f"reading s3://{bucket}/{prefix}")
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for one in (one for page in pages for one in page.get("Contents", [])):
                body = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
                time = one["LastModified"]
                for text in _unpacked(body, f"s3://{bucket}/{one['Key']}").splitlines():
                    line = _line(text, time)
                    time = line.time  # a line without a time of its own follows the one before
                    inside = self.since <= line.time <= self.until
                    if inside and any(term in text for term in wanted):
                        yield line
        self.progress.clear()

    def prefixes(self) -> Iterator[str]:
        """Yield the prefix of each hour: Firehose names an object by when its first line came.

        That may be in the hour before a line, and what comes late lies in the hour after.
        """
        hour = (self.since - HOUR).replace(minute=0, second=0, microsecond=0)
        while hour <= self.until + HOUR:
            yield f"worker/{hour:%Y/%m/%d/%H}/"
            hour += HOUR


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "wanted", metavar="KEY-OR-ID", help="an upload's key, a request id or a message id"
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=option_types.moment,
        default="1d",
        help="how far back, as 90m, 6h or 2d, or from when, as 2026-05-01T12:00 (UTC unless it"
        " says otherwise; default: 1d)",
    )
    parser.add_argument(
        "--until",
        metavar="TIME",
        type=option_types.moment,
        default="0s",
        help="likewise (default: now)",
    )
    parser.add_argument(
        "--archive", action="store_true", help="read the archive's bucket, not CloudWatch Logs"
    )
    add_output(parser)
    add_stack_arguments(parser)


@explained()
def run(arguments: argparse.Namespace) -> int:
    """Print the lines, oldest first; return 1 when there are none."""
    since, until = arguments.since.at, arguments.until.at
    if since >= until:
        raise UsageError(
            f"--since {arguments.since.text} is not before --until {arguments.until.text}"
        )
    stack = open_stack(arguments)
    source: LogGroup | Archive = LogGroup(stack, since, until)
    if arguments.archive:
        source = Archive(stack, since, until, Progress())
    found = story(source, arguments.wanted)
    if not found:
        place = "the archive" if arguments.archive else "the worker's log"
        raise UserError(
            f"{place} of {stack.name} says nothing of {arguments.wanted!r} between"
            f" {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC: try an earlier --since"
            + ("" if arguments.archive else ", or --archive")
        )
    if arguments.output == "json":
        print(json.dumps([facts(one) for one in found], indent=2, ensure_ascii=False))
    else:
        for one in found:
            print(shown(one))
    return 0


def story(source: LogGroup | Archive, wanted: str) -> list[Line]:
    """Return the lines about `wanted`, and what Lambda says of their invocations, in order.

    Of a batch with other messages only those of this one, unless it is the invocation itself that
    is `wanted`.
    """
    named = [line for line in source.search([_term(wanted)]) if line.names(wanted)]
    requests = {line.request for line in named} - {""}
    messages = {line.message for line in named} - {""}
    lines = (
        [
            line
            for line in source.search(sorted(requests))
            if line.request in requests
            and (wanted in requests or not line.message or line.message in messages)
            and (line.fields.get("key") in (None, wanted) or wanted in requests | messages)
        ]
        if requests
        else named
    )
    unique = {(line.time, line.text): line for line in lines}
    return sorted(unique.values(), key=lambda line: line.time)


def facts(line: Line) -> dict[str, Any]:
    """Return a line for programs."""
    return {"time": _stamp(line), "text": line.text, **line.fields}


def shown(line: Line) -> str:
    """Return a line for people, who may see more than one."""
    return "\n".join(map(printable, f"{_stamp(line)}  {_told(line)}".splitlines()))


def _term(wanted: str) -> str:
    """Return the longest part of `wanted` that is spelled the same in a pattern and in the log."""
    parts = PLAIN.findall(wanted)
    if not parts:
        raise UsageError(f"{wanted!r} has no plain letter or digit to search for")
    return str(max(parts, key=len))


def _line(text: str, time: datetime) -> Line:
    text = text.rstrip("\n")
    try:
        fields = json.loads(text)
    except ValueError:
        return Line(time, text, {})
    if not isinstance(fields, dict):
        return Line(time, text, {})
    stamp = fields.get("timestamp") or fields.get("time")
    if isinstance(stamp, str):
        with suppress(ValueError):  # the time that it came with is near enough
            time = datetime.fromisoformat(stamp)
    return Line(time if time.tzinfo else time.replace(tzinfo=UTC), text, fields)


def _unpacked(body: bytes, where: str) -> str:
    try:
        return gzip.decompress(body).decode("utf-8", errors="replace")
    except (OSError, EOFError) as error:
        raise UserError(f"{where} is not what Firehose writes: {error}") from None


def _stamp(line: Line) -> str:
    return line.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _told(line: Line) -> str:
    """Return a line for people: what happened, then the facts."""
    fields = dict(line.fields)
    if not fields:
        return line.text
    what = fields.pop("message", None) or fields.pop("type", "")
    if isinstance(fields.get("record"), dict):
        fields |= fields.pop("record")
    level = fields.pop("level", "")
    exception = fields.pop("exception", "")
    for shown in ("timestamp", "time"):
        fields.pop(shown, None)
    facts = " ".join(f"{name}={value}" for name, value in fields.items())
    said = f"{level:<7} {what}  {facts}".rstrip()
    return said + (f"\n{exception}" if exception else "")
