"""Messages that failed every try: looked at, sent to work again, or saved and deleted."""

import argparse
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from darkroom.aws import notifications, queues
from darkroom.aws.queues import DeployedQueue
from darkroom.aws.errors import error_code, explained, is_not_found, is_refused
from darkroom.aws.stack import Stack, open_stack
from darkroom.aws.stack import add_arguments as add_stack_arguments
from darkroom.commands import logs
from darkroom.console import confirm, option_types, tables
from darkroom.console.output import add_output, report
from darkroom.console.progress import Progress
from darkroom.errors import UsageError, UserError
from worker import events

HIDDEN_SECONDS = 300
"""How long what is looked at is out of others' sight, unless it is given back before."""

FOLLOW_SECONDS = 2.0
VELOCITY = 500
"""Messages a second that a move task moves at most.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

SHOWN = 20
LONGEST_CAUSE = 200

KILLED = "no word from the worker: it was killed (time, memory), or its log is gone"

_RETRIED = "retried"
"""The outcome in each line in which the worker complains (worker/handler.py)."""

_MARKER = {"405", "MethodNotAllowed"}


@dataclass(frozen=True)
class Letter:
    """A message in a dead-letter queue; `sent` is when it was put on the work queue first."""

    queue: DeployedQueue
    id: str
    handle: str = field(repr=False)
    body: str = field(repr=False)
    sent: datetime
    receives: int
    undelivered: str | None
    """Why EventBridge or SNS put it here themselves: it never was on the work queue."""

    @property
    def announcement(self) -> events.Notification | None:
        """What it announces; None for what the worker cannot read either."""
        try:
            return events.parse(self.body)
        except events.UnreadableMessageError:
            return None

    def facts(self) -> dict[str, Any]:
        """Return what is known of it, for JSON."""
        told = self.announcement
        return {
            "id": self.id,
            "queue": self.queue.name,
            "sent": self.sent.isoformat(),
            "receives": self.receives,
            "objects": [
                {"bucket": one.bucket, "key": one.key, "version": one.version_id}
                for one in (told.objects if told else ())
            ],
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's actions and their options."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add(name: str, act: Callable[..., int], summary: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=summary, description=f"{summary}.")
        action.set_defaults(act=act)
        add_stack_arguments(action)
        action.add_argument("--queue", metavar="NAME", help="(default: all)")
        add_output(action)
        return action

    listing = add("list", _list, "what there is, grouped by cause")
    listing.add_argument(
        "--limit",
        metavar="N",
        type=option_types.positive,
        default=1000,
        help="look at (%(default)s)",
    )
    listing.add_argument("--exit-code", action="store_true", help="end with 1 if there are any")
    show = add("show", _show, "one letter, its object, and what the worker said of it")
    show.add_argument("id", metavar="MESSAGE-ID")
    redrive = add("redrive", _redrive, "send letters to work again")
    _add_choice(redrive)
    redrive.add_argument(
        "--velocity",
        metavar="N",
        type=_velocity,
        help=f"messages a second, at most {VELOCITY} (default: as SQS sees fit; for all letters)",
    )
    redrive.add_argument("--cancel", action="store_true", help="stop the move that is under way")
    redrive.add_argument("--dry-run", action="store_true", help="say what would be sent")
    purge = add("purge", _purge, "save letters to a file, then delete them")
    _add_choice(purge)
    purge.add_argument(
        "--save",
        metavar="FILE",
        type=Path,
        help="a new file, a line of JSON for each (default: dead-letters-STACK-TIME.jsonl)",
    )
    purge.add_argument("--dry-run", action="store_true", help="say what would be deleted")
    confirm.add_yes(purge)
    add("policy", _policy, "the IAM policy that these commands need for this stack")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", metavar="MESSAGE-ID", nargs="*", help="(default: all)")
    parser.add_argument("--cause", metavar="TEXT", help="those whose cause in `list` has this text")


def _velocity(text: str) -> int:
    number = option_types.positive(text)
    if number > VELOCITY:
        raise argparse.ArgumentTypeError(f"{text}: at most {VELOCITY} are allowed")
    return number


@explained()
def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; 0 when it is done."""
    stack = open_stack(arguments)
    status: int = arguments.act(
        arguments, stack, queues.find_queues(stack, arguments.queue), Progress()
    )
    return status


@dataclass
class Reader:
    """The letters of a queue, out of others' sight until the `with` block around `reading` ends."""

    sqs: Any
    queue: DeployedQueue
    held: dict[str, str] = field(default_factory=dict)
    """Message id to receipt handle."""

    def batches(self) -> Iterator[list[Letter]]:
        """Yield letters, at most ten at a time, each once, until there are no more."""
        seen: set[str] = set()
        while messages := self.sqs.receive_message(
            QueueUrl=self.queue.dead_letter_queue_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HIDDEN_SECONDS,
            # Asks all of SQS's servers: without waiting, an answer may be empty for no reason.
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages"):
            fresh = [_letter(self.queue, one) for one in messages if one["MessageId"] not in seen]
            self.held |= {one["MessageId"]: one["ReceiptHandle"] for one in messages}
            if not fresh:
                return  # so many, or so slow, that the first ones have come into sight again
            seen |= {letter.id for letter in fresh}
            yield fresh

    def delete(self, letters: Sequence[Letter]) -> None:
        """Delete at most ten. Raises UserError naming those that could not be."""
        answer = self.sqs.delete_message_batch(
            QueueUrl=self.queue.dead_letter_queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": letter.handle}
                for number, letter in enumerate(letters)
            ],
        )
        failed = {int(one["Id"]): one["Code"] for one in answer.get("Failed", [])}
        for number, letter in enumerate(letters):
            if number not in failed:
                del self.held[letter.id]
        if failed:
            told = ", ".join(f"{letters[number].id} ({code})" for number, code in failed.items())
            raise UserError(f"not deleted, still dead letters: {told}")


@contextmanager
def reading(sqs: Any, queue: DeployedQueue) -> Iterator[Reader]:
    """Give a reader of a queue's letters, and give back what it has not deleted."""
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


def _letter(queue: DeployedQueue, message: Mapping[str, Any]) -> Letter:
    attributes = message["Attributes"]
    undelivered = None
    if "DeadLetterQueueSourceArn" not in attributes:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
        told = message.get("MessageAttributes", {})
        code = told.get("ERROR_CODE", {}).get("StringValue", "no reason given")
        undelivered = f"never reached the work queue: {code}"
    return Letter(
        queue=queue,
        id=message["MessageId"],
        handle=message["ReceiptHandle"],
        body=message["Body"],
        sent=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        receives=int(attributes["ApproximateReceiveCount"]),
        undelivered=undelivered,
    )


def causes(stack: Stack, letters: Collection[Letter]) -> dict[str, str]:
    """Return why each letter failed, by its id: what the worker said of it last."""
    said: dict[str, str] = {}
    if any(letter.undelivered is None for letter in letters):
        since = min(letter.sent for letter in letters)
        said = _said(logs.LogGroup(stack, since, datetime.now(UTC)).search([_RETRIED]))
    return {letter.id: letter.undelivered or said.get(letter.id, KILLED) for letter in letters}


def _said(lines: Iterable[logs.Line]) -> dict[str, str]:
    """Return what the worker complained of last, by the message's id."""
    return {
        line.message: _cause(line.fields)
        for line in lines
        if line.fields.get("outcome") == _RETRIED and line.message
    }


def _cause(line: Mapping[str, Any]) -> str:
    """Return what a line complains of, without what differs from one object to the next."""
    told = line.get("exception", "").rstrip().rpartition("\n")[2] or line["message"]
    for name in ("key", "version_id", "bucket"):
        if value := line.get(name):
            told = told.replace(value, name.upper())
    # An ARN, an id or a number says which one it was, not what went wrong.
    told = re.sub(r"arn:[^\s\"']+|[0-9A-Fa-f-]{16,}|\d{4,}", "…", told)
    return str(told[:LONGEST_CAUSE])


def _list(
    arguments: argparse.Namespace, stack: Stack, chosen: Sequence[DeployedQueue], progress: Progress
) -> int:
    sqs = stack.client("sqs")
    letters: list[Letter] = []
    waiting = sum(_waiting(sqs, queue) for queue in chosen)
    for queue in chosen:
        with reading(sqs, queue) as reader:
            for batch in reader.batches():
                letters += batch
                progress.update(f"{len(letters):,} of about {waiting:,} letters looked at")
                if len(letters) >= arguments.limit:
                    break
    progress.update("Asking the worker's log for their causes")
    found = causes(stack, letters)
    progress.clear()
    groups: dict[str, list[Letter]] = defaultdict(list)
    for letter in sorted(letters, key=lambda letter: letter.sent):
        groups[found[letter.id]].append(letter)
    ranked = sorted(groups.items(), key=lambda group: -len(group[1]))
    if arguments.output == "json":
        told = [
            {"cause": cause, "count": len(group), "letters": [one.facts() for one in group]}
            for cause, group in ranked
        ]
        report({"letters": len(letters), "of_about": waiting, "causes": told}, "", "json")
    else:
        _print(ranked, len(letters), waiting)
    return 1 if letters and arguments.exit_code else 0


def _print(groups: Sequence[tuple[str, list[Letter]]], count: int, waiting: int) -> None:
    if not count:
        print("No dead letters.")
        return
    rows: list[tuple[str, ...]] = [("letters", "oldest", "newest", "cause")]
    for cause, group in groups:
        rows.append((f"{len(group):,}", _age(group[0]), _age(group[-1]), tables.printable(cause)))
    print(tables.table(rows, right=(0, 1, 2)))
    rows = [("message", "queue", "age", "tries", "object", "version")]
    letters = [letter for _, group in groups for letter in group]
    print()
    print(tables.table([*rows, *map(_row, letters[:SHOWN])], right=(2, 3)))
    if len(letters) > SHOWN:
        print(f"… and {len(letters) - SHOWN:,} more: --output json has all.")
    if waiting > count:
        print(f"Looked at {count:,} of about {waiting:,}: --limit.")


def _row(letter: Letter) -> tuple[str, ...]:
    told = letter.announcement
    if told is None or not told.objects:
        where, version = "nothing that the worker can read", "–"
    else:
        first = told.objects[0]
        where = tables.printable(f"s3://{first.bucket}/{first.key}")
        where += f" and {len(told.objects) - 1} more" if len(told.objects) > 1 else ""
        version = first.version_id or "–"
    return letter.id, letter.queue.name, _age(letter), str(letter.receives), where, version


def _age(letter: Letter) -> str:
    seconds = int((datetime.now(UTC) - letter.sent).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _show(
    arguments: argparse.Namespace, stack: Stack, chosen: Sequence[DeployedQueue], progress: Progress
) -> int:
    letter = _one(stack, chosen, arguments.id, progress)
    progress.update("Asking S3 and the worker's log")
    told = letter.announcement
    facts = letter.facts()
    for one, about in zip(told.objects if told else (), facts["objects"], strict=True):
        about["state"] = _state(stack.client("s3"), one)
    lines = logs.story(logs.LogGroup(stack, letter.sent, datetime.now(UTC)), letter.id)
    cause = letter.undelivered or _said(lines).get(letter.id, KILLED)
    progress.clear()
    if arguments.output == "json":
        log = [logs.facts(line) for line in lines]
        report({**facts, "cause": cause, "body": letter.body, "log": log}, "", "json")
        return 0
    print(f"{letter.id} in queue {letter.queue.name}, sent {letter.sent:%Y-%m-%d %H:%M:%S} UTC")
    print(f"{letter.receives} receives, these looks included; {tables.printable(cause)}")
    for about in facts["objects"]:
        print(tables.printable(f"s3://{about['bucket']}/{about['key']} version {about['version']}"))
        print(f"  {about['state']}")
    if not facts["objects"]:
        print(tables.printable(letter.body))
    for line in lines:
        print(logs.shown(line))
    return 0


def _one(stack: Stack, chosen: Sequence[DeployedQueue], name: str, progress: Progress) -> Letter:
    for queue in chosen:
        with reading(stack.client("sqs"), queue) as reader:
            for number, batch in enumerate(reader.batches()):
                progress.update(f"Looked at {number * 10:,} letters of queue {queue.name}")
                for letter in batch:
                    if letter.id == name:
                        return letter
    raise UserError(f"there is no dead letter {name}: perhaps somebody else looks at it just now")


def _state(s3: Any, source: events.SourceObject) -> str:
    which = {"VersionId": source.version_id} if source.version_id else {}
    try:
        head = s3.head_object(Bucket=source.bucket, Key=source.key, **which)
    except ClientError as error:
        if is_not_found(error):
            return "gone: it will end as a rejection, `deleted`"
        if error_code(error) in _MARKER:
            return "a delete marker"
        if is_refused(error):
            return "cannot be looked at: access is denied"
        raise
    return f"there: {head['ContentLength']:,} bytes, put {head['LastModified']:%Y-%m-%d %H:%M:%S}"


def _redrive(
    arguments: argparse.Namespace, stack: Stack, chosen: Sequence[DeployedQueue], progress: Progress
) -> int:
    sqs = stack.client("sqs")
    if (arguments.ids or arguments.cause) and (arguments.cancel or arguments.velocity):
        raise UsageError(
            "--cancel and --velocity: are for moves of all letters, not of chosen ones"
        )
    if arguments.cancel:
        return _cancel(sqs, chosen, arguments.output)
    if arguments.ids or arguments.cause:
        return _send_back(arguments, stack, chosen, progress)
    if arguments.dry_run:
        waiting = {queue.name: _waiting(sqs, queue) for queue in chosen}
        told = ", ".join(f"about {count:,} of queue {name}" for name, count in waiting.items())
        report({"would_send": waiting}, f"Would send {told} to work again.", arguments.output)
        return 0
    return _move(sqs, chosen, arguments, progress)


def _move(
    sqs: Any, chosen: Sequence[DeployedQueue], arguments: argparse.Namespace, progress: Progress
) -> int:
    """Have SQS move all letters of these queues, and follow that until it ends."""
    moves = {queue.name: _arn(sqs, queue.dead_letter_queue_url) for queue in chosen}
    for queue in chosen:
        task = _task(sqs, moves[queue.name])
        if task.get("Status") == "RUNNING":
            progress.step(f"Queue {queue.name}: a move is under way already; this follows it")
        elif not _waiting(sqs, queue):
            progress.step(f"Queue {queue.name}: no dead letters")
            del moves[queue.name]
        else:
            velocity = arguments.velocity
            sqs.start_message_move_task(
                SourceArn=moves[queue.name],
                # By name: what EventBridge or SNS put there has no queue to go back to.
                DestinationArn=_arn(sqs, queue.work_queue_url),
                **({"MaxNumberOfMessagesPerSecond": velocity} if velocity else {}),
            )
    ended: dict[str, dict[str, Any]] = {}
    try:
        while moves:
            for name, arn in list(moves.items()):
                task = _task(sqs, arn)
                progress.update(f"Queue {name}: {_moved(task)}")
                if task.get("Status") not in ("RUNNING", "CANCELLING"):
                    ended[name] = task
                    del moves[name]
            if moves:
                time.sleep(FOLLOW_SECONDS)
    except KeyboardInterrupt:
        progress.clear()
        raise KeyboardInterrupt(
            "SQS goes on moving by itself; the same command follows it again, --cancel stops it"
        ) from None
    progress.clear()
    facts = {
        name: {
            "status": task.get("Status", "UNKNOWN"),
            "moved": task.get("ApproximateNumberOfMessagesMoved", 0),
            **({"reason": task["FailureReason"]} if task.get("FailureReason") else {}),
        }
        for name, task in ended.items()
    }
    told = [f"Queue {name}: {_moved(task)}" for name, task in ended.items()]
    report(facts, "\n".join(told) or "Nothing to send.", arguments.output)
    return 0 if all(about["status"] == "COMPLETED" for about in facts.values()) else 1


def _cancel(sqs: Any, chosen: Sequence[DeployedQueue], output: str) -> int:
    facts: dict[str, int] = {}
    for queue in chosen:
        task = _task(sqs, _arn(sqs, queue.dead_letter_queue_url))
        if task.get("Status") == "RUNNING":
            answer = sqs.cancel_message_move_task(TaskHandle=task["TaskHandle"])
            facts[queue.name] = answer.get("ApproximateNumberOfMessagesMoved", 0)
    told = [f"Queue {name}: stopped, {count:,} were moved" for name, count in facts.items()]
    report({"moved": facts}, "\n".join(told) or "No move is under way.", output)
    return 0


def _task(sqs: Any, arn: str) -> dict[str, Any]:
    """Return the newest move from a dead-letter queue; empty if there was none."""
    found: list[dict[str, Any]] = sqs.list_message_move_tasks(SourceArn=arn, MaxResults=1).get(
        "Results", []
    )
    return found[0] if found else {}


def _moved(task: Mapping[str, Any]) -> str:
    count = task.get("ApproximateNumberOfMessagesMoved", 0)
    total = task.get("ApproximateNumberOfMessagesToMove")
    told = f"{task.get('Status', 'UNKNOWN').lower()}, {count:,}"
    told += f" of about {total:,}" if total else ""
    reason = task.get("FailureReason")
    return f"{told} moved" + (f": {reason}" if reason else "")


def _send_back(
    arguments: argparse.Namespace, stack: Stack, chosen: Sequence[DeployedQueue], progress: Progress
) -> int:
    """Send the chosen letters to work, each deleted only when the queue has confirmed it."""
    sqs = stack.client("sqs")
    sent: list[str] = []
    try:
        with closing(_chosen_letters(arguments, stack, chosen, progress)) as found:
            for queue, reader, batch in found:
                if not arguments.dry_run:
                    bodies = [letter.body for letter in batch]
                    notifications.send(sqs, queue.work_queue_url, bodies)
                    reader.delete(batch)
                sent += [letter.id for letter in batch]
    except KeyboardInterrupt:
        progress.clear()
        raise KeyboardInterrupt(
            f"{len(sent):,} are sent to work again; the others are dead letters still, and one"
            " batch may be both, which does no harm"
        ) from None
    progress.clear()
    verb = "Would send" if arguments.dry_run else "Sent"
    report({"sent": sent, "dry_run": arguments.dry_run}, _told(verb, sent), arguments.output)
    return _missing(arguments.ids, sent)


def _purge(
    arguments: argparse.Namespace, stack: Stack, chosen: Sequence[DeployedQueue], progress: Progress
) -> int:
    """Delete the chosen letters, ten at a time, each ten on the disk before."""
    sqs = stack.client("sqs")
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = arguments.save or Path(f"dead-letters-{stack.name}-{moment}.jsonl")
    if not arguments.dry_run:
        if path.exists():
            raise UsageError(f"--save {path}: is there already; a new file is needed")
        what = (
            f"{len(arguments.ids):,}"
            if arguments.ids
            else f"those of the cause {arguments.cause!r}"
        )
        if not arguments.ids and not arguments.cause:
            what = f"about {sum(_waiting(sqs, queue) for queue in chosen):,}"
        confirm.confirm(
            f"Dead letters to be saved to {path} and deleted: {what}, of queue"
            f" {', '.join(queue.name for queue in chosen)} in {stack.name}.",
            word=stack.name,
            yes=arguments.yes,
        )
    deleted: list[str] = []
    try:
        with closing(_chosen_letters(arguments, stack, chosen, progress)) as found:
            for _, reader, batch in found:
                if not arguments.dry_run:
                    _save(path, batch)
                    reader.delete(batch)
                deleted += [letter.id for letter in batch]
    except KeyboardInterrupt:
        progress.clear()
        raise KeyboardInterrupt(
            f"{len(deleted):,} are deleted, and saved in {path}; the others are dead letters still"
        ) from None
    progress.clear()
    verb = "Would delete" if arguments.dry_run else "Deleted"
    told = _told(verb, deleted) + (f" Saved in {path}." if path.exists() else "")
    facts = {"deleted": deleted, "dry_run": arguments.dry_run, "saved": str(path)}
    report(facts, told, arguments.output)
    return _missing(arguments.ids, deleted)


def _save(path: Path, letters: Iterable[Letter]) -> None:
    """Append letters to a file; return when they are on the disk."""
    with path.open("a", encoding="utf-8") as file:
        for letter in letters:
            file.write(json.dumps({**letter.facts(), "body": letter.body}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _chosen_letters(
    arguments: argparse.Namespace, stack: Stack, chosen: Sequence[DeployedQueue], progress: Progress
) -> Generator[tuple[DeployedQueue, Reader, list[Letter]], None, None]:
    """Yield the letters that ids and cause choose, all by default, at most ten at a time."""
    ids = set(arguments.ids)
    for queue in chosen:
        with reading(stack.client("sqs"), queue) as reader:
            batches = _watched(reader.batches(), progress)
            if arguments.cause:
                batches = _of_cause(stack, list(chain.from_iterable(batches)), arguments.cause)
            for batch in batches:
                if found := [letter for letter in batch if not ids or letter.id in ids]:
                    yield queue, reader, found


def _watched(batches: Iterator[list[Letter]], progress: Progress) -> Iterator[list[Letter]]:
    looked = 0
    for batch in batches:
        looked += len(batch)
        progress.update(f"Looked at {looked:,} letters")
        yield batch


def _of_cause(stack: Stack, letters: list[Letter], text: str) -> Iterator[list[Letter]]:
    why = causes(stack, letters)
    found = [letter for letter in letters if text in why[letter.id]]
    for start in range(0, len(found), notifications.BATCH):
        yield found[start : start + notifications.BATCH]


def _told(verb: str, names: Sequence[str]) -> str:
    return f"{verb} {len(names):,} dead letter{'' if len(names) == 1 else 's'}."


def _missing(wanted: Iterable[str], found: Collection[str]) -> int:
    if missing := [name for name in wanted if name not in found]:
        raise UserError(f"not among the dead letters that can be seen: {', '.join(missing)}")
    return 0


def _waiting(sqs: Any, queue: DeployedQueue) -> int:
    name = "ApproximateNumberOfMessages"
    found = sqs.get_queue_attributes(QueueUrl=queue.dead_letter_queue_url, AttributeNames=[name])
    return int(found["Attributes"][name])


def _arn(sqs: Any, url: str) -> str:
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(found["Attributes"]["QueueArn"])


def _policy(
    arguments: argparse.Namespace, stack: Stack, chosen: Sequence[DeployedQueue], progress: Progress
) -> int:
    """Print the rights, of which trap 21 names those that a redrive takes."""
    del arguments, progress
    print(json.dumps(policy(stack, chosen), indent=2))
    return 0


def policy(stack: Stack, chosen: Sequence[DeployedQueue]) -> dict[str, Any]:
    """Return the identity policy for an operator of these queues' dead letters."""
    sqs = stack.client("sqs")
    dead = [_arn(sqs, queue.dead_letter_queue_url) for queue in chosen]
    work = [_arn(sqs, queue.work_queue_url) for queue in chosen]
    _, partition, _, region, account, _ = dead[0].split(":")

    def arn(service: str, resource: str) -> str:
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    buckets = [bucket for queue in chosen for bucket in queues.source_settings(stack, queue)]
    grants: list[tuple[str, list[str], list[str]]] = [
        (
            "FindStack",
            ["cloudformation:DescribeStacks", "cloudformation:ListStackResources"],
            [arn("cloudformation", f"stack/{stack.name}/*")],
        ),
        (
            "FindLanes",
            ["lambda:GetFunctionConfiguration"],
            [
                arn("lambda", f"function:{value}")
                for name, value in stack.outputs.items()
                if name.endswith("FunctionName")
            ],
        ),
        (
            "TakeDeadLetters",
            [
                "sqs:CancelMessageMoveTask",
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ListMessageMoveTasks",
                "sqs:ReceiveMessage",
                "sqs:StartMessageMoveTask",
            ],
            dead,
        ),
        ("SendThemToWork", ["sqs:GetQueueAttributes", "sqs:SendMessage"], work),
        # Letters, the worker's environment, and uploads to the stack's own buckets.
        ("UseKey", ["kms:Decrypt", "kms:GenerateDataKey"], [stack.output("EncryptionKeyArn")]),
        (
            "ReadLog",
            ["logs:FilterLogEvents"],
            # AWS writes a log group's ARN either way.
            [arn("logs", f"log-group:{stack.output('LogGroupName')}{end}") for end in ("", ":*")],
        ),
        (
            "LookAtUploads",
            ["s3:GetObject", "s3:GetObjectVersion"],
            [f"arn:{partition}:s3:::{bucket}/*" for bucket in buckets],
        ),
        # Without it what is gone answers as what is forbidden.
        (
            "ListUploads",
            ["s3:ListBucket"],
            [f"arn:{partition}:s3:::{bucket}" for bucket in buckets],
        ),
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
            for sid, actions, resources in grants
        ],
    }
