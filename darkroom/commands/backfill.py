"""Objects that were there before the pipeline, or that it missed, put onto its queue."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darkroom.aws import notifications, objects, queues
from darkroom.aws.objects import Existing, Position
from darkroom.aws.outputs import Finished
from darkroom.aws.errors import explained
from darkroom.aws.stack import Stack, open_stack
from darkroom.aws.stack import add_arguments as add_stack_arguments
from darkroom.console import confirm, option_types
from darkroom.console.output import add_output, report
from darkroom.console.progress import Progress
from darkroom.errors import UsageError, UserError

# US dollars in us-east-1, as in the README's table: what a picture costs apart from its outputs
# (a list, a read and a look in S3; function, queue, key and log), and each output's write.
PICTURE_USD = 22.7e-6
OUTPUT_USD = 5e-6

FILTERS = ("prefix", "suffix", "since", "until", "larger", "smaller", "skip_done", "inventory")
"""Options that say which objects are meant; a checkpoint belongs to one choice of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_stack_arguments(parser)
    which = parser.add_argument_group(
        "which objects", "current versions that the source's prefixes and suffixes let in, and:"
    )
    which.add_argument("--source", metavar="NAME", help="needed where the stack has several")
    which.add_argument("--prefix", metavar="TEXT", help="keys that begin with it")
    which.add_argument("--suffix", metavar="TEXT", help="keys that end with it")
    time_help = "a time like 2026-11-01, 2026-11-01T12:00 (UTC), 36h or 7d ago"
    which.add_argument(
        "--since", metavar="TIME", type=option_types.moment, help=f"put then or later; {time_help}"
    )
    which.add_argument("--until", metavar="TIME", type=option_types.moment, help="put before")
    which.add_argument(
        "--larger",
        metavar="SIZE",
        type=option_types.size,
        help="than so many bytes, like 20k or 1.5MB",
    )
    which.add_argument(
        "--smaller", metavar="SIZE", type=option_types.size, help="than so many bytes"
    )
    which.add_argument(
        "--inventory",
        metavar="URL",
        help="of an S3 Inventory's manifest.json (CSV), in place of a listing of the bucket",
    )
    which.add_argument(
        "--skip-done",
        action="store_true",
        help="leave out what has thumbnails or a rejection younger than itself, by listing both",
    )
    which.add_argument(
        "--check-versions",
        action="store_true",
        help="with --skip-done: ask for each whether they are of this very version",
    )
    confirm.add_yes(parser)
    add_output(parser)
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="count and estimate, send nothing")
    how.add_argument(
        "--rate",
        metavar="N",
        type=option_types.positive,
        help="objects a second (default: as fast as it goes; uploads then wait behind them)",
    )
    how.add_argument(
        "--checkpoint",
        metavar="FILE",
        type=Path,
        help="where an interrupted run goes on (default: build/backfill-STACK-SOURCE.json)",
    )


@explained()
def run(arguments: argparse.Namespace) -> int:
    """Announce what is meant; return 0 when it is done, or when there is nothing to do."""
    if arguments.check_versions and not arguments.skip_done:
        raise UsageError("--check-versions: is for --skip-done")
    if arguments.skip_done and arguments.inventory:
        raise UsageError(
            "--skip-done: an inventory has no order to compare by; leave out either: what is done"
            " already is announced, and the worker leaves it as it is"
        )
    progress = Progress()
    stack = open_stack(arguments)
    source = queues.find_source(stack, arguments.source)
    meant = _Meant(arguments, stack, source)
    checkpoint = Checkpoint.open(
        arguments.checkpoint or Path(f"build/backfill-{stack.name}-{source.name}.json"),
        {
            "stack": stack.name,
            "region": stack.region,
            "source": source.name,
            "bucket": source.bucket,
            **{name: _plain(getattr(arguments, name)) for name in FILTERS},
        },
    )
    if checkpoint.position is not None:
        progress.step(
            f"{checkpoint.path}: going on after {_place(checkpoint.position)},"
            f" {checkpoint.announced:,} announced before"
        )
    if arguments.dry_run or not arguments.yes:
        estimate = _estimate(meant, checkpoint, progress)
        if arguments.dry_run:
            report({**estimate, "dry_run": True}, _sentence(estimate, meant), arguments.output)
            return 0
        if not estimate["objects"]:
            report({**estimate, "announced": 0}, "Nothing to announce.", arguments.output)
            return 0
        confirm.confirm(_sentence(estimate, meant), word="yes", yes=False)
    began = time.monotonic()
    before = checkpoint.announced
    try:
        with explained():
            _announce(meant, checkpoint, progress, rate=arguments.rate)
    except (KeyboardInterrupt, UserError) as stop:
        progress.clear()
        how = (
            f"{checkpoint.announced:,} objects are announced; the same command goes on from there"
            f" ({checkpoint.path})"
        )
        if isinstance(stop, UserError):
            raise UserError(f"{stop}\n{how}") from stop
        raise KeyboardInterrupt(how) from None
    checkpoint.remove()
    progress.clear()
    seconds = time.monotonic() - began
    announced = checkpoint.announced - before
    facts = {
        "source": source.name,
        "queue": source.queue.work_queue_url,
        "announced": announced,
        "announced_before": before,
        "left_out": dict(meant.left_out),
        "seconds": round(seconds, 1),
    }
    told = f"Announced {announced:,} objects of {source.bucket} in {seconds:.1f} s"
    told += f", {before:,} before" if before else ""
    report(facts, f"{told}.{_left_out(meant.left_out)}", arguments.output)
    return 0


@dataclass
class Checkpoint:
    """How far a run has come, in a file, so that the next one goes on behind the last batch."""

    path: Path
    run: dict[str, Any]
    position: Position | None = None
    announced: int = 0

    @classmethod
    def open(cls, path: Path, run: dict[str, Any]) -> "Checkpoint":
        """Return the checkpoint at `path`, or a new one where there is no file.

        Raises UsageError when the file is of another run: another stack, source or choice.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            position, announced, of = found["position"], found["announced"], found["run"]
        except FileNotFoundError:
            return cls(path, run)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: is no checkpoint of a backfill: {error!r}") from None
        if others := [name for name in run if of.get(name) != run[name]]:
            raise UsageError(
                f"{path}: is the checkpoint of another run, with another {', '.join(others)};"
                " finish that one, remove the file, or give another --checkpoint"
            )
        return cls(path, run, position, announced)

    def save(self, position: Position, count: int) -> None:
        """Note that `count` more are announced, all up to `position`."""
        self.position, self.announced = position, self.announced + count
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        content = {"run": self.run, "position": position, "announced": self.announced}
        new.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        new.replace(self.path)

    def remove(self) -> None:
        """Forget it: everything is announced."""
        self.path.unlink(missing_ok=True)


@dataclass
class _Meant:
    """The objects that a run is about, found anew each time they are asked for."""

    arguments: argparse.Namespace
    stack: Stack
    source: queues.DeployedSource
    left_out: Counter[str] = field(default_factory=Counter)
    """How many objects were not meant, by the reason."""

    _inventory: objects.Inventory | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Look at what was given, so that what is wrong with it is said first."""
        if not self._prefixes:
            raise UsageError(
                f"--prefix {self.arguments.prefix}: the source picks up what is under"
                f" {', '.join(self.source.prefixes)}"
            )
        if self.arguments.inventory:
            self._inventory = objects.inventory(
                self.s3, self.arguments.inventory, bucket=self.source.bucket
            )

    @property
    def s3(self) -> Any:
        return self.stack.client("s3")

    @property
    def _prefixes(self) -> list[str]:
        given = self.arguments.prefix or ""
        # The narrower of the two, where one begins with the other.
        return [
            max(given, prefix, key=len)
            for prefix in self.source.prefixes
            if given.startswith(prefix) or prefix.startswith(given)
        ]

    def objects(self, after: Position | None) -> Iterator[Existing]:
        """Yield what is to be announced behind a position; counts what is left out."""
        self.left_out.clear()
        wanted = self._wanted(after)
        return self._unfinished(wanted) if self.arguments.skip_done else wanted

    def _wanted(self, after: Position | None) -> Iterator[Existing]:
        for found in self._all(after):
            if reason := self._reason(found):
                self.left_out[reason] += 1
            else:
                yield found

    def _all(self, after: Position | None) -> Iterator[Existing]:
        if self._inventory:
            where = after if isinstance(after, list) else (0, -1)
            return self._inventory.objects(self.s3, self.source.bucket, where)
        key = after if isinstance(after, str) else ""
        return objects.listed(self.s3, self.source.bucket, self._prefixes, key)

    def _reason(self, found: Existing) -> str | None:
        wanted = self.arguments
        key, size = found.source.key, found.source.size or 0
        tests: list[tuple[str, bool]] = [
            ("the source does not pick it up", self.source.matches(key)),
            ("--prefix", key.startswith(wanted.prefix or "")),
            ("--suffix", key.endswith(wanted.suffix or "")),
            ("--since", wanted.since is None or found.modified >= wanted.since.at),
            ("--until", wanted.until is None or found.modified < wanted.until.at),
            ("--larger", wanted.larger is None or size > wanted.larger),
            ("--smaller", wanted.smaller is None or size < wanted.smaller),
        ]
        return next((reason for reason, passed in tests if not passed), None)

    def _unfinished(self, wanted: Iterator[Existing]) -> Iterator[Existing]:
        finished = Finished(
            self.s3,
            self.stack.output("ThumbnailBucketName"),
            self.source.settings,
            checked=self.arguments.check_versions,
        )
        one = next(wanted, None)
        while one:
            following = next(wanted, None)
            if finished.has(one, following.source.key if following else None):
                self.left_out["done already"] += 1
            else:
                yield one
            one = following


def _announce(
    meant: _Meant, checkpoint: Checkpoint, progress: Progress, *, rate: int | None
) -> None:
    """Send batch after batch, each noted before the next, so that one at most is sent twice."""
    sqs = meant.stack.client("sqs")
    queue_url = meant.source.queue.work_queue_url
    began, sent = time.monotonic(), 0
    batch: list[Existing] = []

    def flush() -> None:
        nonlocal sent
        notifications.send(
            sqs, queue_url, [notifications.notification(one.source) for one in batch]
        )
        checkpoint.save(batch[-1].position, len(batch))
        sent += len(batch)
        batch.clear()
        seconds = time.monotonic() - began
        progress.update(
            f"{checkpoint.announced:,} announced, {sent / max(seconds, 0.001):,.0f} a second,"
            f" at {_place(checkpoint.position)}"
        )
        if rate:
            time.sleep(max(0.0, sent / rate - seconds))

    for one in meant.objects(checkpoint.position):
        batch.append(one)
        if len(batch) == notifications.BATCH:
            flush()
    if batch:
        flush()


def _estimate(meant: _Meant, checkpoint: Checkpoint, progress: Progress) -> dict[str, Any]:
    """Return how many objects there are, their bytes, and about what they will cost."""
    count = size = 0
    for one in meant.objects(checkpoint.position):
        count += 1
        size += one.source.size or 0
        if count % 100 == 0:
            progress.update(f"Counting: {count:,} objects, at {_place(one.position)}")
    progress.clear()
    made = meant.source.settings.variants
    outputs = len(made.widths) * len(made.formats)
    return {
        "source": meant.source.name,
        "queue": meant.source.queue.work_queue_url,
        "objects": count,
        "bytes": size,
        "left_out": dict(meant.left_out),
        "estimated_usd": round(count * (PICTURE_USD + outputs * OUTPUT_USD), 2),
    }


def _sentence(estimate: dict[str, Any], meant: _Meant) -> str:
    return (
        f"{estimate['objects']:,} objects of {meant.source.bucket},"
        f" {estimate['bytes'] / 1e9:,.3f} GB, for the queue {meant.source.queue.name};"
        f" about {estimate['estimated_usd']:,.2f} USD (list prices of us-east-1)."
        f"{_left_out(meant.left_out)}"
    )


def _left_out(reasons: Counter[str]) -> str:
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    return f" Left out: {told}." if told else ""


def _place(position: Position | None) -> str:
    if isinstance(position, list):
        return f"file {position[0] + 1}, row {position[1] + 1}"
    return position or "the beginning"


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, option_types.Moment) else value
