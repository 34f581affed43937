"""`darkroom backfill`: send objects that a source has already to its queue."""

import time
from pathlib import Path
from typing import Any

import click

from darkroom.console.command import (
    Command,
    StackOptions,
    format_option,
    stack_options,
    yes_option,
)
from darkroom.console.confirm import confirm
from darkroom.console.option_types import RATE, SIZE, TIMESTAMP, Timestamp
from darkroom.console.output import print_result
from darkroom.console.progress import Progress
from darkroom.console.text import plural

EXAMPLES = """
  darkroom backfill --stack-name darkroom-prod --dry-run
  darkroom backfill --stack-name darkroom-prod --skip-processed --yes --rate 100
  darkroom backfill --stack-name darkroom-prod --unannounced      # cat.Jpg, cat.dng
  darkroom backfill --stack-name darkroom-prod --source scans --prefix uploads/2025/ --since 30d
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--source", metavar="NAME", help="Source; needed where the stack has several.")
@click.option("--prefix", metavar="TEXT", default="", help="Prefix of the keys.")
@click.option("--suffix", metavar="TEXT", default="", help="Suffix of the keys.")
@click.option(
    "--since",
    type=TIMESTAMP,
    help="Uploaded at this time or later: 36h, 7d, 2026-11-01, 2026-11-01T12:00 (UTC).",
)
@click.option("--until", type=TIMESTAMP, help="Uploaded before this time.")
@click.option("--min-size", type=SIZE, help="Smallest size, such as 20k or 1.5MB.")
@click.option("--max-size", type=SIZE, help="Largest size.")
@click.option(
    "--inventory",
    metavar="URL",
    help="URL of the manifest.json of an S3 Inventory (CSV), instead of a listing.",
)
@click.option(
    "--skip-processed",
    is_flag=True,
    help="Skip objects whose record is of their current version and variants; one GET for each.",
)
@click.option(
    "--unannounced",
    is_flag=True,
    help="Instead, what has a suffix that no notification names, and no record; one GET for each.",
)
@click.option(
    "--rebuild-stale",
    is_flag=True,
    help="Only objects whose record is of other variants or another worker than this project's.",
)
@click.option("--dry-run", is_flag=True, help="Count and estimate, send nothing.")
@click.option(
    "--rate",
    type=RATE,
    help="Objects per second; default: as fast as possible. New uploads wait behind them.",
)
@click.option(
    "--checkpoint",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where an interrupted run continues; default: build/backfill-STACK-SOURCE.json.",
)
@yes_option
@format_option()
@stack_options
def command(
    stack: StackOptions,
    source: str | None,
    since: Timestamp | None,
    until: Timestamp | None,
    dry_run: bool,
    rate: float | None,
    checkpoint: Path | None,
    yes: bool,
    format_: str,
    **filters: Any,
) -> None:
    """Send a source's existing objects to its queue.

    Sends the current versions whose keys match the source's prefixes and suffixes, or with
    --unannounced those that S3 has announced to nobody. Counts them and asks first.
    """
    from darkroom.aws.queues import find_source
    from darkroom.aws.stack import open_stack
    from darkroom.operations.backfill import Backfill, Filters, skipped_text

    wanted = Filters(since=since, until=until, **filters)
    deployed = open_stack(stack)
    run = Backfill(deployed, find_source(deployed, source), wanted, Progress(), checkpoint)
    before = run.checkpoint.sent
    if dry_run or not yes:
        estimate = run.estimate()
        if dry_run:
            print_result({**estimate.data(), "dry_run": True}, str(estimate), format_)
            return
        if not estimate.objects:
            print_result({**estimate.data(), "sent": 0}, "0 objects to send.", format_)
            return
        confirm(str(estimate), word="yes", yes=False)
    began = time.monotonic()
    sent = run.run(rate=rate)
    seconds = time.monotonic() - began
    data = {
        "source": run.source.name,
        "queue": run.source.queue.work_queue_url,
        "sent": sent,
        "previously_sent": before,
        "skipped": dict(run.skipped),
        "seconds": round(seconds, 1),
    }
    text = f"{plural(sent, 'object')} of {run.source.bucket} sent in {seconds:.1f} s"
    text += f", {before:,} before" if before else ""
    print_result(data, f"{text}.{skipped_text(run.skipped)}", format_)
