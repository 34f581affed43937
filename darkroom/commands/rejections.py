"""`darkroom rejections`: list rejected uploads, and process them again after a fix."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from darkroom.console.command import (
    Group,
    StackOptions,
    combined,
    format_option,
    stack_options,
    yes_option,
)
from darkroom.console.confirm import confirm
from darkroom.console.option_types import TIMESTAMP, Timestamp
from darkroom.console.output import print_result
from darkroom.console.progress import Progress
from darkroom.console.tables import table
from darkroom.console.text import plural
from darkroom.errors import UsageError

if TYPE_CHECKING:
    from darkroom.operations.rejections import Filter

EXAMPLES = """
  darkroom rejections list --stack-name darkroom-prod --summary
  darkroom rejections list --stack-name darkroom-prod --reason too_large --since 7d
  darkroom rejections list --stack-name darkroom-prod --format jsonl > rejections.jsonl
  darkroom rejections retry --stack-name darkroom-prod --reason too_large --dry-run
"""


@click.group(cls=Group, examples=EXAMPLES)
def command() -> None:
    """List rejected uploads, or process them again after a fix."""


def _filter(
    reason: tuple[str, ...], key: tuple[str, ...], prefix: str, since: Timestamp | None
) -> "Filter":
    from darkroom.operations.rejections import Filter

    if key and prefix:
        raise UsageError("--key and --prefix exclude each other")
    time = since.time if since else None
    return Filter(reasons=reason, keys=key, prefix=prefix, since=time)


filter_options = combined(
    "wanted",
    _filter,
    click.option(
        "--reason",
        metavar="TEXT",
        multiple=True,
        help="Reason, such as too_large; may be repeated.",
    ),
    click.option("--key", metavar="KEY", multiple=True, help="Key of an upload; may be repeated."),
    click.option("--prefix", metavar="TEXT", default="", help="Prefix of the keys."),
    click.option(
        "--since",
        type=TIMESTAMP,
        help="Rejected at this time or later: 36h, 7d, 2026-11-01, 2026-11-01T12:00 (UTC).",
    ),
)
"""Adds --reason, --key, --prefix and --since; the command gets them as `wanted: Filter`."""


LIST_EXAMPLES = """
  darkroom rejections list --stack-name darkroom-prod --summary
  darkroom rejections list --stack-name darkroom-prod --reason too_large --since 7d
  darkroom rejections list --stack-name darkroom-prod --format jsonl > rejections.jsonl
"""


@command.command("list", examples=LIST_EXAMPLES)
@filter_options
@click.option("--summary", is_flag=True, help="Show only how many there are of each reason.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there are rejections.")
@format_option("jsonl")
@stack_options
def list_(
    stack: StackOptions, wanted: "Filter", summary: bool, exit_code: bool, format_: str
) -> int:
    """List rejected uploads and why they were rejected.

    With --format jsonl it prints a line of JSON per rejection as it is found.
    """
    from darkroom.aws.queues import find_sources
    from darkroom.aws.stack import open_stack
    from darkroom.operations.rejections import find

    deployed, progress = open_stack(stack), Progress()
    counts, records = Counter[str](), []
    for record in find(deployed, find_sources(deployed), wanted):
        counts[record.reason] += 1
        if not summary and format_ == "jsonl":
            print(json.dumps(record.data(), ensure_ascii=False))
            continue
        progress.update(f"{plural(counts.total(), 'rejection')} read")
        if not summary:
            records.append(record)
    ranked = counts.most_common()
    if format_ == "jsonl" and not summary:
        return 1 if counts and exit_code else 0
    data: dict[str, Any] = {"total": counts.total(), "reasons": dict(ranked)}
    if not summary:
        data["rejections"] = [record.data() for record in records]
    tables = [table([("rejections", "reason"), *((f"{n:,}", r) for r, n in ranked)], right=(0,))]
    if records:
        rows = [("rejected (UTC)", "reason", "object", "detail")]
        rows += [
            (
                f"{record.rejected:%Y-%m-%d %H:%M}",
                record.reason,
                f"s3://{record.source.bucket}/{record.source.key}",
                record.detail,
            )
            for record in records
        ]
        tables.insert(0, table(rows))
    text = "\n\n".join(tables) if counts else "0 rejections."
    print_result(data, text, "table" if format_ == "table" else "json")
    return 1 if counts and exit_code else 0


RETRY_EXAMPLES = """
  darkroom rejections retry --stack-name darkroom-prod --reason too_large --dry-run
  darkroom rejections retry --stack-name darkroom-prod --key uploads/cat.jpg
"""


@command.command(examples=RETRY_EXAMPLES)
@filter_options
@click.option("--dry-run", is_flag=True, help="Only report what would be retried.")
@yes_option
@format_option()
@stack_options
def retry(stack: StackOptions, wanted: "Filter", dry_run: bool, yes: bool, format_: str) -> None:
    """Process rejected versions again.

    Deletes their records and sends the same versions to their queues.
    """
    from darkroom.aws.queues import find_sources
    from darkroom.aws.stack import open_stack
    from darkroom.operations.rejections import Retry

    deployed = open_stack(stack)
    run = Retry(deployed, find_sources(deployed), wanted, Progress())
    if dry_run or not yes:
        counts = run.count()
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in counts.most_common())
        number = plural(counts.total(), "rejection") + (f": {reasons}" if counts else "")
        if dry_run:
            data = {"would_retry": counts.total(), "reasons": dict(counts)}
            print_result(data, f"Would retry {number}.", format_)
            return
        confirm(f"Retry {number}. Their records are deleted.", word="yes", yes=False)
    run.run()
    text = f"{plural(run.retried, 'rejection')} retried."
    if run.resumed:
        text += f" {plural(run.resumed, 'message')} of an interrupted run sent."
    text += "".join(f" Skipped: {number:,} {reason}." for reason, number in run.skipped.items())
    data = {"retried": run.retried, "resumed": run.resumed, "skipped": dict(run.skipped)}
    print_result(data, text, format_)
