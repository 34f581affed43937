"""Read the messages of dead-letter queues: which objects they are about, and why they failed."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.aws import notifications
from darkroom.aws.errors import error_code, is_not_found, is_refused
from darkroom.aws.queues import DeployedQueue
from darkroom.aws.stack import Stack
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.errors import UserError
from darkroom.operations import log_search
from worker import events

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

VISIBILITY_TIMEOUT = 300
"""Seconds for which a message that was read is hidden from others, unless it is returned before."""

USUAL_SPAN = timedelta(hours=6)
"""From the sending of a message to its last receive, where no backlog delays it."""

WORK_RETENTION = timedelta(days=4)
"""How long a work queue keeps a message: WORK_RETENTION_SECONDS in templates/specification.py."""

LONGEST_ERROR = 200
KILLED = "no log line from the worker: it was killed (timeout, memory), or its log has expired"

RETRIED = "retried"
"""The outcome in each line about a failure that returns its message (worker/handler.py)."""

DELETE_MARKER = {"405", "MethodNotAllowed"}
"""Codes for a HEAD request of a version that is a delete marker.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
"""


@dataclass(frozen=True)
class DeadLetter:
    """A message in a dead-letter queue."""

    queue: DeployedQueue
    id: str
    receipt_handle: str = field(repr=False)
    body: str = field(repr=False)
    sent: datetime
    """When it was first sent to the work queue, in UTC."""

    receive_count: int
    undelivered: str | None
    """Why EventBridge or SNS put it here; then it never was in the work queue."""

    @property
    def objects(self) -> tuple[events.SourceObject, ...]:
        """The objects it is about; none where the worker cannot read it either."""
        try:
            return events.parse(self.body).objects
        except events.UnreadableMessageError:
            return ()

    def data(self) -> dict[str, Any]:
        """Return the message for JSON, without its body."""
        return {
            "id": self.id,
            "queue": self.queue.name,
            "sent": self.sent.isoformat(),
            "receive_count": self.receive_count,
            "objects": [
                {"bucket": source.bucket, "key": source.key, "version_id": source.version_id}
                for source in self.objects
            ],
        }


@dataclass
class Reader:
    """Reads a dead-letter queue; `reading` returns what is not deleted to the queue."""

    sqs: "SQSClient"
    queue: DeployedQueue
    held: dict[str, str] = field(default_factory=dict)
    """Message id to receipt handle."""

    def batches(self) -> Iterator[list[DeadLetter]]:
        """Yield each message once, up to ten at a time, until there are no more."""
        seen: set[str] = set()
        while messages := self.sqs.receive_message(
            QueueUrl=self.queue.dead_letter_queue_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=VISIBILITY_TIMEOUT,
            # Long polling asks all of SQS's servers; without it an answer may be empty by chance.
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages"):
            new = [
                parse_message(self.queue, message)
                for message in messages
                if message["MessageId"] not in seen
            ]
            self.held |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
            if not new:
                return  # reading took so long that the first ones have become visible again
            seen |= {message.id for message in new}
            yield new

    def delete(self, messages: Sequence[DeadLetter]) -> None:
        """Delete up to ten messages.

        Raises:
            UserError: some could not be deleted; it names them.
        """
        answer = self.sqs.delete_message_batch(
            QueueUrl=self.queue.dead_letter_queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message.receipt_handle}
                for number, message in enumerate(messages)
            ],
        )
        failed = {int(failure["Id"]): failure["Code"] for failure in answer.get("Failed", [])}
        for number, message in enumerate(messages):
            if number not in failed:
                del self.held[message.id]
        if failed:
            names = ", ".join(f"{messages[number].id} ({code})" for number, code in failed.items())
            raise UserError(f"not deleted, still in the dead-letter queue: {names}")


@contextmanager
def reading(sqs: "SQSClient", queue: DeployedQueue) -> Iterator[Reader]:
    """Read a queue's dead letters; at the end make visible again what was not deleted."""
    reader = Reader(sqs, queue)
    try:
        yield reader
    finally:
        handles = list(reader.held.values())
        for start in range(0, len(handles), notifications.BATCH):
            sqs.change_message_visibility_batch(
                QueueUrl=queue.dead_letter_queue_url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for number, handle in enumerate(handles[start : start + notifications.BATCH])
                ],
            )


def parse_message(queue: DeployedQueue, message: Mapping[str, Any]) -> DeadLetter:
    """Return a dead letter from what ReceiveMessage returns."""
    attributes = message["Attributes"]
    undelivered = None
    if "DeadLetterQueueSourceArn" not in attributes:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        code = message.get("MessageAttributes", {}).get("ERROR_CODE", {}).get("StringValue")
        undelivered = f"not delivered to the work queue: {code or 'no reason given'}"
    return DeadLetter(
        queue=queue,
        id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        sent=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        receive_count=int(attributes["ApproximateReceiveCount"]),
        undelivered=undelivered,
    )


def count(sqs: "SQSClient", queue: DeployedQueue) -> int:
    """Return about how many visible messages the dead-letter queue has."""
    found = sqs.get_queue_attributes(
        QueueUrl=queue.dead_letter_queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


@dataclass(frozen=True)
class Listing:
    """Dead letters grouped by error, the most frequent error first, the oldest message first."""

    groups: Sequence[tuple[str, Sequence[DeadLetter]]]
    approximate_total: int
    """About how many there are; a listing may have been limited to fewer."""

    @property
    def messages(self) -> list[DeadLetter]:
        """All messages of all groups."""
        return [message for _, group in self.groups for message in group]

    def data(self) -> dict[str, Any]:
        """Return the listing for JSON."""
        return {
            "messages": len(self.messages),
            "approximate_total": self.approximate_total,
            "errors": [
                {
                    "error": error,
                    "count": len(group),
                    "messages": [message.data() for message in group],
                }
                for error, group in self.groups
            ],
        }


def list_messages(
    stack: Stack, queues: Sequence[DeployedQueue], *, limit: int, progress: Progress
) -> Listing:
    """Return the dead letters of some queues; of each queue about `limit` at most are read."""
    sqs = stack.client("sqs")
    messages: list[DeadLetter] = []
    total = sum(count(sqs, queue) for queue in queues)
    for queue in queues:
        with reading(sqs, queue) as reader:
            for batch in reader.batches():
                messages += batch
                progress.update(f"{len(messages):,} of about {plural(total, 'dead letter')} read")
                if len(messages) >= limit:
                    break
    progress.update("Searching the worker's log for errors")
    found = errors(stack, messages)
    groups: dict[str, list[DeadLetter]] = defaultdict(list)
    for message in sorted(messages, key=lambda message: message.sent):
        groups[found[message.id]].append(message)
    ranked = sorted(groups.items(), key=lambda group: -len(group[1]))
    return Listing(ranked, approximate_total=total)


@dataclass(frozen=True)
class Details:
    """A dead letter with everything that is known about it."""

    message: DeadLetter
    error: str
    states: Sequence[str]
    """Of each of its objects, whether that version still exists."""

    log: Sequence[log_search.Line]

    def data(self) -> dict[str, Any]:
        """Return the details for JSON."""
        data = self.message.data()
        for entry, state in zip(data["objects"], self.states, strict=True):
            entry["state"] = state
        log = [line.data() for line in self.log]
        return {**data, "error": self.error, "body": self.message.body, "log": log}


def show(
    stack: Stack, queues: Sequence[DeployedQueue], message_id: str, progress: Progress
) -> Details:
    """Return one dead letter, the state of its objects, and what the log says about it.

    Raises:
        UserError: it is not in the dead-letter queues, or another reader has it in flight.
    """
    message = _find(stack, queues, message_id, progress)
    progress.update("Reading the objects and the worker's log")
    lines = log_search.find_lines(
        log_search.LogGroup(
            stack, message.sent, min(message.sent + WORK_RETENTION, datetime.now(UTC))
        ),
        message.id,
    )
    return Details(
        message,
        error=message.undelivered or _last_errors(lines).get(message.id, KILLED),
        states=[_state(stack.client("s3"), source) for source in message.objects],
        log=lines,
    )


def errors(stack: Stack, messages: Collection[DeadLetter]) -> dict[str, str]:
    """Return the last error of each message by its id."""
    processed = [message for message in messages if message.undelivered is None]
    logged = _search_errors(stack, processed, timedelta(), USUAL_SPAN)
    # FilterLogEvents reads slowly: search days only for what has no error in the first hours.
    silent = [message for message in processed if message.id not in logged]
    logged |= _search_errors(stack, silent, USUAL_SPAN, WORK_RETENTION)
    return {
        message.id: message.undelivered or logged.get(message.id, KILLED) for message in messages
    }


def _search_errors(
    stack: Stack, messages: Iterable[DeadLetter], begin: timedelta, end: timedelta
) -> dict[str, str]:
    """Return the last error logged between two ages of each message, by message id."""
    found: dict[str, str] = {}
    spans = [(message.sent + begin, message.sent + end) for message in messages]
    for since, until in merged(spans, datetime.now(UTC)):
        found |= _last_errors(log_search.LogGroup(stack, since, until).search([RETRIED]))
    return found


def merged(
    spans: Iterable[tuple[datetime, datetime]], now: datetime
) -> list[tuple[datetime, datetime]]:
    """Return what spans of time cover up to now, in order, and no time twice."""
    found: list[tuple[datetime, datetime]] = []
    for begin, span_end in sorted(spans):
        end = min(span_end, now)
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif begin < end:
            found.append((begin, end))
    return found


def _last_errors(lines: Iterable[log_search.Line]) -> dict[str, str]:
    """Return the last error that the worker logged, by message id."""
    return {
        line.message_id: generalize(line.fields)
        for line in lines
        if line.fields.get("outcome") == RETRIED and line.message_id
    }


def generalize(fields: Mapping[str, Any]) -> str:
    """Return the error of a log line without what differs from object to object.

    So messages that failed for the same reason are one group.
    """
    error = fields.get("exception", "").rstrip().rpartition("\n")[2] or fields["message"]
    for name in ("key", "version_id", "bucket"):
        if value := fields.get(name):
            error = error.replace(value, name.upper())
    # An ARN, an id or a number names one resource or object.
    error = re.sub(r"arn:[^\s\"']+|[0-9A-Fa-f-]{16,}|\d{4,}", "…", error)
    return str(error[:LONGEST_ERROR])


def _find(
    stack: Stack, queues: Sequence[DeployedQueue], message_id: str, progress: Progress
) -> DeadLetter:
    read = 0
    for queue in queues:
        with reading(stack.client("sqs"), queue) as reader:
            for batch in reader.batches():
                read += len(batch)
                progress.update(f"{plural(read, 'dead letter')} read")
                for message in batch:
                    if message.id == message_id:
                        return message
    raise UserError(f"dead letter {message_id} not found (it may be in flight in another session)")


def _state(s3: "S3Client", source: events.SourceObject) -> str:
    version: Any = {"VersionId": source.version_id} if source.version_id else {}
    try:
        head = s3.head_object(Bucket=source.bucket, Key=source.key, **version)
    except ClientError as error:
        if is_not_found(error):
            return "deleted: a redrive records a rejection, `deleted`"
        if error_code(error) in DELETE_MARKER:
            return "a delete marker"
        if is_refused(error):
            return "unknown: access denied"
        raise
    size = plural(head["ContentLength"], "byte")
    return f"exists: {size}, uploaded {head['LastModified']:%Y-%m-%d %H:%M:%S} UTC"
