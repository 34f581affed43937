"""Send dead letters to their work queue again, or save and delete them."""

import json
import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.aws import notifications
from darkroom.aws.errors import is_unsupported
from darkroom.aws.queues import DeployedQueue
from darkroom.aws.stack import Stack
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.errors import UsageError, UserError
from darkroom.operations.dead_letters import DeadLetter, Reader, errors, reading

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

FOLLOW_SECONDS = 2.0
LISTING_POLLS = 30
"""How often a started move that is not listed yet is looked for."""

HIGHEST_RATE = 500
"""Messages per second of a message move task.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""


@dataclass(frozen=True)
class Selection:
    """Which dead letters are meant: all by default."""

    ids: Sequence[str] = ()
    error: str = ""
    """Part of the error that `list` shows."""

    def __bool__(self) -> bool:
        """Return whether it restricts them at all."""
        return bool(self.ids or self.error)


@dataclass(frozen=True)
class Move:
    """A message move task of SQS."""

    status: str
    """RUNNING, COMPLETED, CANCELLING, CANCELLED or FAILED; UNKNOWN if SQS lists none."""

    moved: int = 0
    total: int | None = None
    reason: str | None = None
    """Why it failed."""

    handle: str | None = None
    """Of a running one, to cancel it."""

    started: int = 0
    """When SQS started it, in milliseconds since the epoch."""

    def __str__(self) -> str:
        """Return its state for people."""
        total = f" of about {self.total:,}" if self.total else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.status.lower()}, {self.moved:,}{total} moved{reason}"

    def data(self) -> dict[str, Any]:
        """Return its state for JSON."""
        reason = {"reason": self.reason} if self.reason else {}
        return {"status": self.status, "moved": self.moved, **reason}


def move_all(
    sqs: "SQSClient",
    queues: Sequence[DeployedQueue],
    *,
    rate: float | None,
    progress: Progress,
) -> dict[str, Move]:
    """Have SQS move all dead letters to their work queues, and follow that until it ends.

    A move is started whatever the queue's counters say: they are approximate, and SQS completes the
    move of an empty queue at once.

    Args:
        sqs: The client.
        queues: The queues whose dead letters are moved.
        rate: Messages per second; None lets SQS choose.
        progress: Where the moves are reported.

    Returns:
        The finished moves by the queue's name.

    Raises:
        UsageError: SQS does not take this rate.
        KeyboardInterrupt: with a sentence about the moves, which SQS continues.
    """
    if rate is not None and not 1 <= rate <= HIGHEST_RATE:
        raise UsageError(f"--rate: SQS moves 1 to {HIGHEST_RATE} messages per second, not {rate:g}")
    limit = {} if rate is None else {"MaxNumberOfMessagesPerSecond": round(rate)}
    moves = {queue.name: queue_arn(sqs, queue.dead_letter_queue_url) for queue in queues}
    since: dict[str, int] = {}
    for queue in queues:
        latest = _latest(sqs, moves[queue.name])
        if latest.status == "RUNNING":
            progress.step(f"Queue {queue.name}: a move is already running; following it")
            since[queue.name] = latest.started
        else:
            sqs.start_message_move_task(
                SourceArn=moves[queue.name],
                # By name: messages from EventBridge or SNS have no queue to return to.
                DestinationArn=queue_arn(sqs, queue.work_queue_url),
                **limit,
            )
            # Not the time of this machine, which may differ from SQS's.
            since[queue.name] = latest.started + 1
    try:
        return _follow(sqs, moves, since, progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "SQS continues to move; the same command follows it again, --cancel stops it"
        ) from None


def _follow(
    sqs: "SQSClient", arns: Mapping[str, str], since: Mapping[str, int], progress: Progress
) -> dict[str, Move]:
    """Return each queue's move that started at `since` or later, once it has ended.

    Until SQS lists it, the newest one listed is an earlier move, which has ended already.
    """
    finished: dict[str, Move] = {}
    polls = 0
    while True:
        for name in [name for name in arns if name not in finished]:
            move = _latest(sqs, arns[name])
            if move.started < since[name]:
                move = Move("RUNNING" if polls < LISTING_POLLS else "UNKNOWN")
            progress.update(f"Queue {name}: {move}")
            if move.status not in ("RUNNING", "CANCELLING"):
                finished[name] = move
        if len(finished) == len(arns):
            return finished
        polls += 1
        time.sleep(FOLLOW_SECONDS)


def cancel(sqs: "SQSClient", queues: Sequence[DeployedQueue]) -> dict[str, int]:
    """Stop the running moves; return how many messages each has moved, by the queue's name."""
    moved = {}
    for queue in queues:
        move = _latest(sqs, queue_arn(sqs, queue.dead_letter_queue_url))
        if move.status == "RUNNING" and move.handle:
            answer = sqs.cancel_message_move_task(TaskHandle=move.handle)
            moved[queue.name] = answer.get("ApproximateNumberOfMessagesMoved", 0)
    return moved


def redrive(
    stack: Stack,
    queues: Sequence[DeployedQueue],
    selection: Selection,
    *,
    dry_run: bool,
    progress: Progress,
) -> list[str]:
    """Send the selected dead letters to their work queues; return their ids.

    Each is deleted only when the work queue has confirmed it. So after a failure a message may be
    in both queues, which does no harm, and never in neither.

    Raises:
        UserError: some of the ids were not found.
        KeyboardInterrupt: with a sentence about what was sent.
    """
    sent: list[str] = []
    try:
        with closing(_select(stack, queues, selection, progress)) as batches:
            for queue, reader, batch in batches:
                if not dry_run:
                    bodies = [message.body for message in batch]
                    notifications.send(stack.client("sqs"), queue.work_queue_url, bodies)
                    reader.delete(batch)
                sent += [message.id for message in batch]
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{plural(len(sent), 'message')} sent to the work queue; the others are still dead"
            " letters, and one batch may be both, which does no harm"
        ) from None
    _check_found(selection, sent)
    return sent


def default_path(stack: Stack) -> Path:
    """Return the file to which `purge` saves where none is given."""
    return Path(f"dead-letters-{stack.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl")


def purge(
    stack: Stack,
    queues: Sequence[DeployedQueue],
    selection: Selection,
    *,
    path: Path,
    dry_run: bool,
    progress: Progress,
) -> list[str]:
    """Save the selected dead letters to a file, then delete them; return their ids.

    Raises:
        UserError: some of the ids were not found.
        KeyboardInterrupt: with a sentence about what was deleted.
    """
    deleted: list[str] = []
    try:
        with closing(_select(stack, queues, selection, progress)) as batches:
            for _, reader, batch in batches:
                if not dry_run:
                    _save(path, batch)
                    reader.delete(batch)
                deleted += [message.id for message in batch]
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{plural(len(deleted), 'dead letter')} deleted, and saved in {path}; the others are"
            " still in their queue"
        ) from None
    _check_found(selection, deleted)
    return deleted


def queue_arn(sqs: "SQSClient", url: str) -> str:
    """Return the ARN of the queue with this URL."""
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return found["Attributes"]["QueueArn"]


def _latest(sqs: "SQSClient", arn: str) -> Move:
    """Return the newest move from a dead-letter queue.

    Raises:
        UserError: The endpoint has no message move tasks.
    """
    try:
        tasks = sqs.list_message_move_tasks(SourceArn=arn, MaxResults=1).get("Results", [])
    except ClientError as error:
        if not is_unsupported(error):
            raise
        raise UserError(
            "this endpoint has no message move tasks, as the emulator has none; give message ids"
            " or --error, and the command sends the messages itself"
        ) from error
    if not tasks:
        return Move("UNKNOWN")
    (task,) = tasks
    return Move(
        status=task.get("Status", "UNKNOWN"),
        moved=task.get("ApproximateNumberOfMessagesMoved", 0),
        total=task.get("ApproximateNumberOfMessagesToMove"),
        reason=task.get("FailureReason"),
        handle=task.get("TaskHandle"),
        started=task.get("StartedTimestamp", 0),
    )


def _save(path: Path, messages: Iterable[DeadLetter]) -> None:
    """Append messages to a file; return when they are on the disk."""
    with path.open("a", encoding="utf-8") as file:
        for message in messages:
            file.write(json.dumps({**message.data(), "body": message.body}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _select(
    stack: Stack, queues: Sequence[DeployedQueue], selection: Selection, progress: Progress
) -> Generator[tuple[DeployedQueue, Reader, list[DeadLetter]], None, None]:
    """Yield the selected messages, up to ten at a time."""
    ids = set(selection.ids)
    for queue in queues:
        with reading(stack.client("sqs"), queue) as reader:
            batches = _reported(reader.batches(), progress)
            if selection.error:
                everything = list(chain.from_iterable(batches))
                batches = _with_error(stack, everything, selection.error)
            for batch in batches:
                if found := [message for message in batch if not ids or message.id in ids]:
                    yield queue, reader, found


def _reported(
    batches: Iterator[list[DeadLetter]], progress: Progress
) -> Iterator[list[DeadLetter]]:
    read = 0
    for batch in batches:
        read += len(batch)
        progress.update(f"{plural(read, 'dead letter')} read")
        yield batch


def _with_error(stack: Stack, messages: list[DeadLetter], error: str) -> Iterator[list[DeadLetter]]:
    of = errors(stack, messages)
    found = [message for message in messages if error in of[message.id]]
    for start in range(0, len(found), notifications.BATCH):
        yield found[start : start + notifications.BATCH]


def _check_found(selection: Selection, found: Sequence[str]) -> None:
    if missing := [name for name in selection.ids if name not in found]:
        raise UserError(
            f"dead letters not found (they may be in flight in another session):"
            f" {', '.join(missing)}"
        )
