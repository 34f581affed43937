"""Find uploads that were rejected, and process them again after a fix."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.aws import notifications
from darkroom.aws.concurrency import map_concurrently
from darkroom.aws.errors import is_not_found
from darkroom.aws.queues import DeployedSource
from darkroom.aws.stack import Stack
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.errors import UserError
from worker import records, storage
from worker.events import SourceObject
from worker.keys import rejection_key

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

DELETED = "deleted"
"""The reason that no repair changes: retried only where it is named."""

NO_SOURCE = "not of a source that the stack has now"

_RECORDED = tuple(one.name for one in fields(SourceObject) if one.name != "deleted")


@dataclass(frozen=True)
class RejectionRecord:
    """A rejection: which version, why, and the stored object that records it."""

    source: SourceObject
    reason: str
    detail: str
    rejected: datetime
    stored: storage.Stored

    def data(self) -> dict[str, Any]:
        """Return the record for JSON."""
        source = {name: value for name, value in asdict(self.source).items() if name in _RECORDED}
        rejected = self.rejected.isoformat()
        return {**source, "reason": self.reason, "detail": self.detail, "rejected": rejected}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which rejections are meant: all by default."""

    reasons: Sequence[str] = ()
    keys: Sequence[str] = ()
    prefix: str = ""
    since: datetime | None = None

    def matches(self, record: RejectionRecord) -> bool:
        """Return whether this rejection is meant."""
        return (
            (not self.reasons or record.reason in self.reasons)
            and (not self.since or record.rejected >= self.since)
            and (not self.keys or record.source.key in self.keys)
            and record.source.key.startswith(self.prefix)
        )


def find(
    stack: Stack, sources: Mapping[str, DeployedSource], wanted: Filter
) -> Iterator[RejectionRecord]:
    """Yield the rejections that are meant, ordered by key; holds a few in memory.

    Raises:
        UserError: an object under `rejected/` is not a record of the worker.
    """
    s3, bucket = stack.client("s3"), stack.output("ThumbnailBucketName")
    folders = sorted({source.settings.output_prefix for source in sources.values()})
    if wanted.keys:
        names: Iterable[str] = (
            rejection_key(key, folder) for key in dict.fromkeys(wanted.keys) for folder in folders
        )
    else:
        names = _listed(s3, bucket, _prefixes(folders, wanted.prefix), wanted.since)
    for record in map_concurrently(lambda name: _read(s3, bucket, name), names):
        if record and wanted.matches(record):
            yield record


def _prefixes(folders: Iterable[str], prefix: str) -> list[str]:
    """Return the prefixes of the records' keys, without those that another one includes."""
    found = sorted(f"rejected/{folder}{prefix}" for folder in folders)
    return [
        one for one in found if not any(one != other and one.startswith(other) for other in found)
    ]


def _listed(
    s3: "S3Client", bucket: str, prefixes: Iterable[str], since: datetime | None
) -> Iterator[str]:
    for prefix in prefixes:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                if since is None or item["LastModified"] >= since:
                    yield item["Key"]


def _read(s3: "S3Client", bucket: str, name: str) -> RejectionRecord | None:
    try:
        answer = s3.get_object(Bucket=bucket, Key=name)
    except ClientError as error:
        if not is_not_found(error):
            raise
        return None  # deleted since it was listed
    try:
        record = records.parse(answer["Body"].read())
        reason, detail = (record.content["rejection"][name] for name in ("reason", "detail"))
    except (ValueError, KeyError) as error:
        raise UserError(f"s3://{bucket}/{name} is not a rejection record: {error!r}") from None
    stored = storage.Stored(name, answer["ETag"], answer["Metadata"])
    return RejectionRecord(record.source, reason, detail, answer["LastModified"], stored)


@dataclass(frozen=True)
class Journal:
    """A batch between the deletion of its records and its messages, on the disk so never lost."""

    path: Path

    def begin(self, queue_url: str, bodies: Sequence[str]) -> None:
        """Write a batch; return when it is on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump({"queue": queue_url, "bodies": bodies}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def finish(self, sqs: "SQSClient") -> int:
        """Send the batch in the journal, then remove it; return how many messages it had."""
        try:
            batch = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0
        notifications.send(sqs, batch["queue"], batch["bodies"])
        self.path.unlink()
        return len(batch["bodies"])


@dataclass
class Retry:
    """A run of `darkroom rejections retry`, and what it has done so far."""

    stack: Stack
    sources: Mapping[str, DeployedSource]
    wanted: Filter
    progress: Progress
    retried: int = 0
    resumed: int = 0
    """Versions of an interrupted run, which are sent first."""

    skipped: Counter[str] = field(default_factory=Counter)
    """Records that cannot be retried, by reason."""

    @property
    def journal(self) -> Journal:
        """The journal of this stack, which an interrupted run may have left."""
        return Journal(Path(f"build/rejections-{self.stack.name}-{self.stack.region}.json"))

    def count(self) -> Counter[str]:
        """Return how many rejections would be retried, by reason."""
        found = Counter[str]()
        for record in self._retriable():
            found[record.reason] += 1
            self.progress.update(f"{plural(found.total(), 'rejection')} found")
        return found

    def run(self) -> None:
        """Delete the records and send the versions to their queues, in batches.

        Raises:
            KeyboardInterrupt: with a sentence about what was retried.
        """
        self.resumed = self.journal.finish(self.stack.client("sqs"))
        batches: dict[str, list[RejectionRecord]] = {}
        try:
            for record in self._retriable():
                url = self.sources[record.source.bucket].queue.work_queue_url
                batches.setdefault(url, []).append(record)
                if len(batches[url]) == notifications.BATCH:
                    self._send(url, batches.pop(url))
            for url, batch in batches.items():
                self._send(url, batch)
        except KeyboardInterrupt:
            also = self.journal.path
            raise KeyboardInterrupt(
                f"{plural(self.retried, 'rejection')} retried; the same command continues"
                + (f", with {also} first" if also.exists() else "")
            ) from None

    def _retriable(self) -> Iterator[RejectionRecord]:
        self.skipped.clear()
        for record in find(self.stack, self.sources, self.wanted):
            if record.source.bucket not in self.sources:
                self.skipped[NO_SOURCE] += 1
            elif record.reason == DELETED and DELETED not in self.wanted.reasons:
                self.skipped[f"{DELETED} (--reason {DELETED} retries them)"] += 1
            else:
                yield record

    def _send(self, queue_url: str, batch: Sequence[RejectionRecord]) -> None:
        """Delete the records, then send the versions: with its record, one stays rejected."""
        bodies = [notifications.notification(record.source) for record in batch]
        self.journal.begin(queue_url, bodies)
        s3, bucket = self.stack.client("s3"), self.stack.output("ThumbnailBucketName")
        for _ in map_concurrently(
            lambda one: storage.delete(s3, bucket, one.stored.key, one.stored.etag), batch
        ):
            pass
        self.journal.finish(self.stack.client("sqs"))
        self.retried += len(batch)
        self.progress.update(f"{plural(self.retried, 'rejection')} retried")
