"""Uploads that gave no thumbnails: why, and tried again after a repair."""

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from darkroom.aws import notifications, queues
from darkroom.aws.concurrency import each
from darkroom.aws.queues import DeployedSource
from darkroom.aws.errors import explained, is_not_found
from darkroom.aws.stack import Stack, open_stack
from darkroom.aws.stack import add_arguments as add_stack_arguments
from darkroom.console import confirm, option_types, tables
from darkroom.console.output import add_output, report
from darkroom.console.progress import Progress
from darkroom.errors import UsageError, UserError
from worker import storage
from worker.events import SourceObject
from worker.keys import rejection_key
from worker.results import LONGEST_REASON, REASON

HOPELESS = "deleted"
"""The reason that no repair changes: tried again only when it is asked for by name."""

NO_SOURCE = "not of any source that the stack has now"

_RECORDED = tuple(one.name for one in fields(SourceObject) if one.name != "deleted")


@dataclass(frozen=True)
class Record:
    """A rejection: which version, why, and the object that says so."""

    source: SourceObject
    reason: str
    detail: str
    rejected: datetime
    stored: storage.Stored

    def facts(self) -> dict[str, Any]:
        """Return what it says, for JSON."""
        about = {name: value for name, value in asdict(self.source).items() if name in _RECORDED}
        when = self.rejected.isoformat()
        return {**about, "reason": self.reason, "detail": self.detail, "rejected": when}


def _reason(text: str) -> str:
    if len(text) > LONGEST_REASON or not REASON.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a reason: lower_snake_case of at most {LONGEST_REASON} characters"
        )
    return text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's actions and their options."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add(name: str, act: Callable[..., int], summary: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=summary, description=f"{summary}.")
        action.set_defaults(act=act)
        add_stack_arguments(action)
        which = action.add_argument_group("which")
        which.add_argument(
            "--reason",
            metavar="REASON",
            type=_reason,
            action="append",
            help="like not_an_image; may be given several times",
        )
        which.add_argument(
            "--key", metavar="KEY", action="append", help="of an upload; several times likewise"
        )
        which.add_argument("--prefix", metavar="TEXT", default="", help="of the uploads' keys")
        which.add_argument(
            "--since",
            metavar="TIME",
            type=option_types.moment,
            help="rejected then or later: 2026-11-01, 2026-11-01T12:00 (UTC), 36h or 7d ago",
        )
        add_output(action)
        return action

    listing = add("list", _list, "what was rejected and why; as JSON, a line for each")
    listing.add_argument("--summary", action="store_true", help="the reasons with counts only")
    listing.add_argument("--exit-code", action="store_true", help="end with 1 if there are any")
    retry = add("retry", _retry, "try rejected versions again")
    retry.add_argument("--dry-run", action="store_true", help="say what would be tried")
    confirm.add_yes(retry)


@explained()
def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; 0 when it is done."""
    if arguments.key and arguments.prefix:
        raise UsageError("--key and --prefix: either names keys or what they begin with")
    stack = open_stack(arguments)
    status: int = arguments.act(arguments, stack, queues.find_sources(stack), Progress())
    return status


def records(
    stack: Stack, sources: Mapping[str, DeployedSource], arguments: argparse.Namespace
) -> Iterator[Record]:
    """Yield the rejections that the options name, in the order of keys; few at a time in memory."""
    s3, bucket = stack.client("s3"), stack.output("ThumbnailBucketName")
    folders = sorted({source.settings.output_prefix for source in sources.values()})
    if arguments.key:
        names: Iterable[str] = (
            rejection_key(key, folder) for key in dict.fromkeys(arguments.key) for folder in folders
        )
    else:
        names = _listed(s3, bucket, _places(folders, arguments.prefix), arguments.since)
    for record in each(lambda name: _read(s3, bucket, name), names):
        if (
            record is not None
            and (not arguments.reason or record.reason in arguments.reason)
            and (not arguments.since or record.rejected >= arguments.since.at)
            and (not arguments.key or record.source.key in arguments.key)
            and record.source.key.startswith(arguments.prefix)
        ):
            yield record


def _places(folders: Iterable[str], prefix: str) -> list[str]:
    """Return what the records' keys begin with, without what another one includes."""
    found = sorted(f"rejected/{folder}{prefix}" for folder in folders)
    return [
        place
        for place in found
        if not any(place != other and place.startswith(other) for other in found)
    ]


def _listed(
    s3: Any, bucket: str, places: Iterable[str], since: option_types.Moment | None
) -> Iterator[str]:
    for place in places:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=place):
            for item in page.get("Contents", ()):
                if since is None or item["LastModified"] >= since.at:
                    yield item["Key"]


def _read(s3: Any, bucket: str, name: str) -> Record | None:
    try:
        answer = s3.get_object(Bucket=bucket, Key=name)
    except ClientError as error:
        if not is_not_found(error):
            raise
        return None  # swept since it was listed
    try:
        told = json.loads(answer["Body"].read())
        source = SourceObject(**{name: told[name] for name in _RECORDED})
        reason, detail = told["reason"], told["detail"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"s3://{bucket}/{name}: is no record of the worker's: {error!r}") from None
    stored = storage.Stored(name, answer["ETag"], answer["Metadata"])
    return Record(source, reason, detail, answer["LastModified"], stored)


def _list(
    arguments: argparse.Namespace,
    stack: Stack,
    sources: Mapping[str, DeployedSource],
    progress: Progress,
) -> int:
    counts: Counter[str] = Counter()
    for record in records(stack, sources, arguments):
        counts[record.reason] += 1
        if arguments.summary:
            progress.update(f"{counts.total():,} read")
        elif arguments.output == "json":
            print(json.dumps(record.facts(), ensure_ascii=False))
        else:
            key = f"s3://{record.source.bucket}/{record.source.key}"
            told = tables.printable(f"{key}  {record.detail}")
            print(f"{record.rejected:%Y-%m-%d %H:%M}  {record.reason:18}  {told}")
    progress.clear()
    ranked = counts.most_common()
    if arguments.output == "table":
        rows = [("rejected", "reason"), *((f"{count:,}", reason) for reason, count in ranked)]
        gap = "" if arguments.summary else "\n"
        print(gap + tables.table(rows, right=(0,)) if counts else "No rejections.")
    elif arguments.summary:
        report({"rejected": counts.total(), "reasons": dict(ranked)}, "", "json")
    return 1 if counts and arguments.exit_code else 0


def _retry(
    arguments: argparse.Namespace,
    stack: Stack,
    sources: Mapping[str, DeployedSource],
    progress: Progress,
) -> int:
    """Try again what the options name; what was under way in an interrupted run goes first."""
    journal = Journal(Path(f"build/rejections-{stack.name}-{stack.region}.json"))
    if arguments.dry_run or not arguments.yes:
        meant = Counter[str]()
        for record in _worth(records(stack, sources, arguments), sources, arguments, Counter()):
            meant[record.reason] += 1
            progress.update(f"{meant.total():,} found")
        progress.clear()
        told = ", ".join(f"{count:,} {reason}" for reason, count in meant.most_common())
        if arguments.dry_run:
            facts = {"would_retry": meant.total(), "reasons": dict(meant)}
            report(facts, f"Would try again: {told or 'nothing'}.", arguments.output)
            return 0
        confirm.confirm(
            f"Rejections of {stack.name} whose record is deleted, to try them again:"
            f" {told or 'none'}.",
            word="yes",
            yes=False,
        )
    sqs = stack.client("sqs")
    left: Counter[str] = Counter()
    resumed = journal.finish(sqs)
    sent = 0
    waiting: dict[str, list[Record]] = {}
    try:
        for record in _worth(records(stack, sources, arguments), sources, arguments, left):
            url = sources[record.source.bucket].queue.work_queue_url
            batch = waiting.setdefault(url, [])
            batch.append(record)
            if len(batch) == notifications.BATCH:
                _again(stack, url, waiting.pop(url), journal)
                sent += notifications.BATCH
                progress.update(f"{sent:,} tried again")
        for url, batch in waiting.items():
            _again(stack, url, batch, journal)
            sent += len(batch)
    except KeyboardInterrupt:
        progress.clear()
        raise KeyboardInterrupt(
            f"{sent:,} are tried again; the same command goes on"
            + (f", also with what is in {journal.path}" if journal.path.exists() else "")
        ) from None
    progress.clear()
    facts = {"retried": sent, "of_an_interrupted_run": resumed, "left": dict(left)}
    told = f"{sent:,} are tried again."
    told += f" {resumed:,} of an interrupted run as well." if resumed else ""
    told += "".join(f" Left: {count:,} {reason}." for reason, count in left.items())
    report(facts, told, arguments.output)
    return 0


def _worth(
    found: Iterable[Record],
    sources: Mapping[str, DeployedSource],
    arguments: argparse.Namespace,
    left: Counter[str],
) -> Iterator[Record]:
    """Yield those that can be tried again; counts the others in `left`."""
    for record in found:
        if record.source.bucket not in sources:
            left[NO_SOURCE] += 1
        elif record.reason == HOPELESS and HOPELESS not in (arguments.reason or ()):
            left[f"{HOPELESS} (--reason {HOPELESS} tries them as well)"] += 1
        else:
            yield record


@dataclass(frozen=True)
class Journal:
    """What is between the end of its record and its announcement: on the disk, so never lost."""

    path: Path

    def begin(self, queue_url: str, bodies: Sequence[str]) -> None:
        """Note a batch; return when it is on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump({"queue": queue_url, "bodies": bodies}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def finish(self, sqs: Any) -> int:
        """Announce what is noted, and forget it; return how many that were."""
        try:
            noted = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0
        notifications.send(sqs, noted["queue"], noted["bodies"])
        self.path.unlink()
        return len(noted["bodies"])


def _again(stack: Stack, queue_url: str, batch: Sequence[Record], journal: Journal) -> None:
    """Delete the records, then announce the versions: with its record, a version stays rejected."""
    journal.begin(queue_url, [notifications.notification(record.source) for record in batch])
    s3, bucket = stack.client("s3"), stack.output("ThumbnailBucketName")
    for _ in each(lambda record: storage.delete(s3, bucket, record.stored), batch):
        pass
    journal.finish(stack.client("sqs"))
