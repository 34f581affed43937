"""Send a source's existing objects to its queue: counted, filtered, limited and resumable."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.aws import notifications, objects, records
from darkroom.aws.concurrency import map_concurrently
from darkroom.aws.errors import explained
from darkroom.aws.objects import ExistingObject, Position
from darkroom.aws.queues import DeployedSource
from darkroom.aws.records import output_names
from darkroom.aws.stack import Stack
from darkroom.aws.watermarks import with_watermarks
from darkroom.capacity import prices
from darkroom.capacity.cost import DNS_QUERIES
from darkroom.console.option_types import Timestamp
from darkroom.console.progress import Progress
from darkroom.console.text import plural
from darkroom.errors import UsageError, UserError
from templates.specification_values import ANY_SUFFIX
from worker.records import Record
from worker.settings import Source

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PRICES_OF = "us-east-1"

# What one picture of the default variants takes, as in the README's table of costs.
INVOCATIONS = 0.72  # about three pictures in two batches; full batches cost less
GB_SECONDS = 0.47 * 1.25
KMS_REQUESTS = 0.1
LOG_BYTES = 1600
READS = 3  # GET of the object and of its record, HEAD of its rejection: not a first delivery
QUEUE_REQUESTS = 1 + 2 * INVOCATIONS  # send; receive and delete

RETRIEVED = "GLACIER_IR"
"""The storage class whose objects cost a retrieval, and dearer GETs; the worker reads no archives.

https://aws.amazon.com/s3/pricing/
"""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which of the source's objects are meant: all by default."""

    prefix: str = ""
    suffix: str = ""
    since: Timestamp | None = None
    """Uploaded at this time or later."""

    until: Timestamp | None = None
    """Uploaded before this time."""

    min_size: int | None = None
    """Bytes."""

    max_size: int | None = None
    """Bytes."""

    skip_processed: bool = False
    """Leave out what has a record of its current version and the source's current variants."""

    unannounced: bool = False
    """Only what lies under the source's prefixes, has a suffix that no notification names, and has
    no record of its current version and variants; with `rebuild_stale` a stale one."""

    rebuild_stale: bool = False
    """Only what has a record of other variants, or of another version of the worker."""

    inventory: str | None = None
    """URL of an S3 Inventory's manifest, instead of a listing."""

    def __post_init__(self) -> None:
        """Raise UsageError for filters that exclude each other."""
        if self.skip_processed and self.rebuild_stale:
            raise UsageError("--skip-processed and --rebuild-stale exclude each other")

    def data(self) -> dict[str, Any]:
        """Return the filters as a checkpoint stores them: times as they were written."""
        values = asdict(self) | {"since": None, "until": None}
        for name in ("since", "until"):
            if found := getattr(self, name):
                values[name] = found.text
        return values


@dataclass
class Checkpoint:
    """How far a run has come, in a file, so that the next run continues after the last batch."""

    path: Path
    run: dict[str, Any]
    position: Position | None = None
    sent: int = 0

    @classmethod
    def open(cls, path: Path, run: dict[str, Any]) -> "Checkpoint":
        """Return the checkpoint at `path`, or a new one where there is no file.

        Raises:
            UsageError: the file belongs to a run with another stack, source or filter.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            position, sent, of = found["position"], found["sent"], found["run"]
        except FileNotFoundError:
            return cls(path, run)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: not a checkpoint of a backfill: {error!r}") from None
        if others := [name for name in run if of.get(name) != run[name]]:
            raise UsageError(
                f"{path}: the checkpoint of a run with another {', '.join(others)}; finish that"
                " run, remove the file, or give another --checkpoint"
            )
        return cls(path, run, position, sent)

    def save(self, position: Position, count: int) -> None:
        """Note that `count` more objects are sent, all up to `position`."""
        self.position, self.sent = position, self.sent + count
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        content = {"run": self.run, "position": position, "sent": self.sent}
        new.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        new.replace(self.path)

    def remove(self) -> None:
        """Delete the file: everything is sent."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Estimate:
    """What a run would send."""

    source: DeployedSource
    objects: int
    bytes: int
    skipped: Counter[str]
    usd: float
    retrieved: int = 0
    """Objects in the storage class RETRIEVED."""

    retrieval_usd: float = 0.0
    """What their retrieval costs, a part of `usd`."""

    def __str__(self) -> str:
        """Return the estimate for people."""
        retrieval = (
            f", of which {self.retrieval_usd:,.2f} for the retrieval of"
            f" {plural(self.retrieved, 'object')} from {RETRIEVED}"
        )
        return (
            f"{plural(self.objects, 'object')} of {self.source.bucket}, {self.bytes / 1e9:,.3f} GB,"
            f" to the queue {self.source.queue.name}; about {self.usd:,.2f} USD"
            f"{retrieval if self.retrieved else ''}"
            f" (list prices of {PRICES_OF}).{skipped_text(self.skipped)}"
        )

    def data(self) -> dict[str, Any]:
        """Return the estimate for JSON."""
        return {
            "source": self.source.name,
            "queue": self.source.queue.work_queue_url,
            "objects": self.objects,
            "bytes": self.bytes,
            "skipped": dict(self.skipped),
            "estimated_usd": self.usd,
            "retrieved": self.retrieved,
            "estimated_retrieval_usd": self.retrieval_usd,
        }


@dataclass
class Backfill:
    """A run; the objects are listed anew by each method.

    Raises:
        UsageError: the prefix is not of the source, or the inventory cannot be used.
    """

    stack: Stack
    source: DeployedSource
    filters: Filters
    progress: Progress
    checkpoint_path: Path | None = None
    checkpoint: Checkpoint = field(init=False)
    skipped: Counter[str] = field(default_factory=Counter)
    """Objects that are not sent, by reason."""

    _inventory: objects.Inventory | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Check the filters, and open the checkpoint."""
        if self.filters.unannounced and self.source.filters_in_worker:
            raise UsageError(
                f"--unannounced: the worker itself compares the suffixes of {self.source.name}, and"
                " would skip these objects; name their suffixes in the specification, or"
                f' suffixes = ["{ANY_SUFFIX}"], deploy, and backfill with --skip-processed'
            )
        if not self._prefixes:
            raise UsageError(
                f"--prefix {self.filters.prefix}: the source notifies only of keys under"
                f" {', '.join(self.source.prefixes)}"
            )
        if self.filters.inventory:
            self._inventory = objects.read_inventory(
                self._s3, self.filters.inventory, bucket=self.source.bucket
            )
        self.checkpoint = Checkpoint.open(
            self.checkpoint_path
            or Path(f"build/backfill-{self.stack.name}-{self.source.name}.json"),
            {
                "stack": self.stack.name,
                "region": self.stack.region,
                "source": self.source.name,
                "bucket": self.source.bucket,
                **self.filters.data(),
            },
        )
        if self.checkpoint.position is not None:
            self.progress.step(
                f"{self.checkpoint.path}: continuing after {_place(self.checkpoint.position)},"
                f" {plural(self.checkpoint.sent, 'object')} sent before"
            )

    def estimate(self) -> Estimate:
        """Count what would be sent, and estimate its cost."""
        count = size = retrieved = retrieved_size = 0
        for found in self._objects():
            count += 1
            size += found.source.size or 0
            if found.storage_class == RETRIEVED:
                retrieved += 1
                retrieved_size += found.source.size or 0
            if count % 100 == 0:
                self.progress.update(
                    f"Counting: {plural(count, 'object')}, at {_place(found.position)}"
                )
        outputs = sum(len(output_names(each)) for each in self.source.settings.variants)
        retrieval = retrieval_usd(retrieved, retrieved_size)
        return Estimate(
            self.source,
            count,
            size,
            Counter(self.skipped),
            round(count * usd_per_object(outputs) + retrieval, 2),
            retrieved,
            round(retrieval, 2),
        )

    def run(self, *, rate: float | None) -> int:
        """Send the objects, at most `rate` per second; return how many.

        Each batch is in the checkpoint before the next is sent, so one at most is sent twice.

        Raises:
            UserError: AWS failed; with a sentence about what was sent.
            KeyboardInterrupt: likewise.
        """
        before = self.checkpoint.sent
        try:
            with explained():
                self._send(rate)
        except (KeyboardInterrupt, UserError) as stop:
            done = (
                f"{plural(self.checkpoint.sent, 'object')} sent; the same command continues"
                f" after them ({self.checkpoint.path})"
            )
            if isinstance(stop, UserError):
                raise UserError(f"{stop}\n{done}") from stop
            raise KeyboardInterrupt(done) from None
        self.checkpoint.remove()
        return self.checkpoint.sent - before

    def _send(self, rate: float | None) -> None:
        sqs, queue_url = self.stack.client("sqs"), self.source.queue.work_queue_url
        began, sent = time.monotonic(), 0
        batch: list[ExistingObject] = []

        def flush() -> None:
            nonlocal sent
            bodies = [notifications.notification(found.source) for found in batch]
            notifications.send(sqs, queue_url, bodies)
            self.checkpoint.save(batch[-1].position, len(batch))
            sent += len(batch)
            batch.clear()
            seconds = time.monotonic() - began
            self.progress.update(
                f"{plural(self.checkpoint.sent, 'object')} sent,"
                f" {sent / max(seconds, 0.001):,.0f} per second,"
                f" at {_place(self.checkpoint.position)}"
            )
            if rate:
                time.sleep(max(0.0, sent / rate - seconds))

        for found in self._objects():
            batch.append(found)
            if len(batch) == notifications.BATCH:
                flush()
        if batch:
            flush()

    @property
    def _s3(self) -> "S3Client":
        return self.stack.client("s3")

    @property
    def _prefixes(self) -> list[str]:
        """The longer of the filter's prefix and each of the source's, where they overlap."""
        given = self.filters.prefix
        return [
            max(given, prefix, key=len)
            for prefix in self.source.prefixes
            if given.startswith(prefix) or prefix.startswith(given)
        ]

    def _objects(self) -> Iterator[ExistingObject]:
        """Yield what is to be sent after the checkpoint; count what is skipped."""
        self.skipped.clear()
        wanted = self._matching()
        if self.filters.skip_processed or (
            self.filters.unannounced and not self.filters.rebuild_stale
        ):
            return self._by_record(wanted, "processed already", records.is_processed, skip=True)
        if self.filters.rebuild_stale:
            return self._by_record(wanted, "not stale", records.is_stale, skip=False)
        return wanted

    def _matching(self) -> Iterator[ExistingObject]:
        for found in self._listed():
            if reason := self._mismatch(found):
                self.skipped[reason] += 1
            else:
                yield found

    def _listed(self) -> Iterator[ExistingObject]:
        after = self.checkpoint.position
        if self._inventory:
            place = after if isinstance(after, list) else (0, -1)
            return self._inventory.objects(self._s3, self.source.bucket, place)
        key = after if isinstance(after, str) else ""
        return objects.list_objects(self._s3, self.source.bucket, self._prefixes, key)

    def _mismatch(self, found: ExistingObject) -> str | None:
        """Return the first filter that the object does not match."""
        filters, key, size = self.filters, found.source.key, found.source.size or 0
        since, until = filters.since, filters.until
        wanted = (
            {"announced, or a folder": self.source.is_unannounced(key)}
            if filters.unannounced
            else {"not matched by the source": self.source.matches(key)}
        )
        matches = {
            **wanted,
            "--prefix": key.startswith(filters.prefix),
            "--suffix": key.endswith(filters.suffix),
            "--since": since is None or found.modified >= since.time,
            "--until": until is None or found.modified < until.time,
            "--min-size": filters.min_size is None or size >= filters.min_size,
            "--max-size": filters.max_size is None or size <= filters.max_size,
        }
        return next((name for name, does_match in matches.items() if not does_match), None)

    def _by_record(
        self,
        wanted: Iterator[ExistingObject],
        reason: str,
        test: Callable[[Record | None, ExistingObject, Source], bool],
        *,
        skip: bool,
    ) -> Iterator[ExistingObject]:
        """Yield the objects whose records fail the test, or pass it; count the others."""
        bucket = self.stack.output("ThumbnailBucketName")
        settings = with_watermarks(self.stack, self.source.settings)

        def judged(found: ExistingObject) -> tuple[ExistingObject, bool]:
            record = records.read_record(self._s3, bucket, found.source.key, settings)
            return found, test(record, found, settings)

        for found, passes in map_concurrently(judged, wanted):
            if passes == skip:
                self.skipped[reason] += 1
            else:
                yield found


def usd_per_object(outputs: int) -> float:
    """Return the cost of one object with this many outputs, in US dollars.

    That is the README's table without the upload's own request and the monthly metrics: requests to
    S3 (writes, a LIST, reads), the function, the queue, DNS, the key and the log, by the prices in
    darkroom/capacity/prices.toml.
    """
    price = {name: one.usd for name, one in prices.prices(PRICES_OF, []).items()}
    return (
        (outputs + 2) * price["s3_thousand_writes"] / 1e3
        + READS * price["s3_thousand_reads"] / 1e3
        + GB_SECONDS * price["lambda_gb_second_arm64"]
        + INVOCATIONS * price["lambda_million_requests"] / 1e6
        + QUEUE_REQUESTS * price["sqs_million_requests"] / 1e6
        + INVOCATIONS * DNS_QUERIES * price["dns_firewall_million_queries"] / 1e6
        + KMS_REQUESTS * price["kms_ten_thousand_requests"] / 1e4
        + LOG_BYTES * price["cloudwatch_logs_gb"] / 1e9
    )


def retrieval_usd(count: int, size: int) -> float:
    """Return what reading this many objects and bytes in GLACIER_IR costs more, in US dollars."""
    price = {name: one.usd for name, one in prices.prices(PRICES_OF, []).items()}
    get = price["s3_glacier_ir_thousand_reads"] - price["s3_thousand_reads"]
    return count * get / 1e3 + size * price["s3_glacier_ir_retrieval_gb"] / 1e9


def skipped_text(reasons: Counter[str]) -> str:
    """Return a sentence about the skipped objects, or nothing where there are none."""
    text = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    return f" Skipped: {text}." if text else ""


def _place(position: Position | None) -> str:
    if isinstance(position, list):
        return f"file {position[0] + 1}, row {position[1] + 1}"
    return position or "the beginning"
