"""`darkroom dlq`: list, show, redrive and purge the messages of dead-letter queues."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darkroom.console.command import (
    Decorator,
    Group,
    StackOptions,
    format_option,
    stack_options,
    yes_option,
)
from darkroom.console.confirm import confirm
from darkroom.console.option_types import RATE
from darkroom.console.output import print_result
from darkroom.console.progress import Progress
from darkroom.console.tables import table
from darkroom.console.text import elapsed, plural, printable
from darkroom.errors import UsageError

if TYPE_CHECKING:
    from darkroom.operations.dead_letters import DeadLetter, Details, Listing

SHOWN = 20
"""Messages in the table of `list`."""

EXAMPLES = """
  darkroom dlq list --stack-name darkroom-prod
  darkroom dlq show 6f0a3c1e-5b1c-4c1e-9d0a-000000000000 --stack-name darkroom-prod
  darkroom dlq redrive --stack-name darkroom-prod --rate 50
  darkroom dlq redrive --stack-name darkroom-prod --error AccessDenied
  darkroom dlq purge --stack-name darkroom-prod --queue bulk
  darkroom dlq policy --stack-name darkroom-prod > operator.json
"""


@click.group(cls=Group, examples=EXAMPLES)
def command() -> None:
    """List, show, redrive or purge the messages in the dead-letter queues."""


def queue_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --queue; the command gets `queue`, or None for all queues."""
    return click.option("--queue", metavar="NAME", help="One queue; default: all.")(function)


def selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the message ids and --error; the command gets `ids` and `error`."""
    function = click.option(
        "--error", metavar="TEXT", default="", help="Only those whose error contains the text."
    )(function)
    return click.argument("ids", metavar="[MESSAGE-ID]...", nargs=-1)(function)


def dry_run_option(summary: str) -> Decorator:
    """Add --dry-run; the command gets `dry_run`."""
    return click.option("--dry-run", is_flag=True, help=summary)


LIST_EXAMPLES = """
  darkroom dlq list --stack-name darkroom-prod
  darkroom dlq list --stack-name darkroom-prod --queue bulk --limit 100 --format json
"""


@command.command("list", examples=LIST_EXAMPLES)
@stack_options
@queue_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Stop after about this many messages.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if there are dead letters.")
@format_option()
def list_(stack: StackOptions, queue: str | None, limit: int, exit_code: bool, format_: str) -> int:
    """List the dead letters, grouped by error."""
    from darkroom.aws.queues import find_queues
    from darkroom.aws.stack import open_stack
    from darkroom.operations import dead_letters

    deployed = open_stack(stack)
    listing = dead_letters.list_messages(
        deployed, find_queues(deployed, queue), limit=limit, progress=Progress()
    )
    print_result(listing.data(), _render(listing), format_)
    return 1 if listing.groups and exit_code else 0


SHOW_EXAMPLES = """
  darkroom dlq show 6f0a3c1e-5b1c-4c1e-9d0a-000000000000 --stack-name darkroom-prod
"""


@command.command(examples=SHOW_EXAMPLES)
@click.argument("message_id", metavar="MESSAGE-ID")
@stack_options
@queue_option
@format_option()
def show(stack: StackOptions, queue: str | None, message_id: str, format_: str) -> None:
    """Show one dead letter, its objects, and the log lines about it."""
    from darkroom.aws.queues import find_queues
    from darkroom.aws.stack import open_stack
    from darkroom.operations import dead_letters

    deployed = open_stack(stack)
    details = dead_letters.show(deployed, find_queues(deployed, queue), message_id, Progress())
    print_result(details.data(), _render_details(details), format_)


REDRIVE_EXAMPLES = """
  darkroom dlq redrive --stack-name darkroom-prod --rate 50
  darkroom dlq redrive --stack-name darkroom-prod --error AccessDenied --dry-run
  darkroom dlq redrive 6f0a3c1e-5b1c-4c1e-9d0a-000000000000 --stack-name darkroom-prod
  darkroom dlq redrive --stack-name darkroom-prod --cancel
"""


@command.command(examples=REDRIVE_EXAMPLES)
@selection
@stack_options
@queue_option
@click.option("--rate", type=RATE, help="Messages per second; only without a selection.")
@click.option("--cancel", is_flag=True, help="Stop the running move of all messages.")
@dry_run_option("Only report what would be sent.")
@format_option()
def redrive(
    stack: StackOptions,
    queue: str | None,
    ids: tuple[str, ...],
    error: str,
    rate: float | None,
    cancel: bool,
    dry_run: bool,
    format_: str,
) -> int:
    """Send dead letters to their work queue again.

    Without a selection, SQS moves all of them and the command shows the progress. With MESSAGE-ID
    or --error, the command sends the selected ones itself.
    """
    from darkroom.aws.queues import find_queues
    from darkroom.aws.stack import open_stack
    from darkroom.operations import redrive as operation
    from darkroom.operations.dead_letters import count

    selected = operation.Selection(ids, error)
    if selected and (cancel or rate):
        raise UsageError("--cancel and --rate apply to all messages, not to a selection")
    deployed = open_stack(stack)
    queues, sqs = find_queues(deployed, queue), deployed.client("sqs")
    if cancel:
        moved = operation.cancel(sqs, queues)
        lines = [
            f"Queue {name}: cancelled after {plural(number, 'message')}"
            for name, number in moved.items()
        ]
        print_result({"cancelled": moved}, "\n".join(lines) or "No move is running.", format_)
        return 0
    if selected:
        sent = operation.redrive(deployed, queues, selected, dry_run=dry_run, progress=Progress())
        _print_ids("redrive", "redriven", sent, format_, dry_run=dry_run)
        return 0
    if dry_run:
        counts = {one.name: count(sqs, one) for one in queues}
        text = ", ".join(f"about {number:,} of queue {name}" for name, number in counts.items())
        print_result({"would_redrive": counts}, f"Would redrive {text}.", format_)
        return 0
    moves = operation.move_all(sqs, queues, rate=rate, progress=Progress())
    lines = [f"Queue {name}: {move}" for name, move in moves.items()]
    data = {"queues": {name: move.data() for name, move in moves.items()}}
    print_result(data, "\n".join(lines), format_)
    return 0 if all(move.status == "COMPLETED" for move in moves.values()) else 1


PURGE_EXAMPLES = """
  darkroom dlq purge --stack-name darkroom-prod --queue bulk --dry-run
  darkroom dlq purge --stack-name darkroom-prod --error AccessDenied --save denied.jsonl
"""


@command.command(examples=PURGE_EXAMPLES)
@selection
@stack_options
@queue_option
@click.option(
    "--save",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="New file, one line of JSON per message; default: dead-letters-STACK-TIME.jsonl.",
)
@dry_run_option("Only report what would be deleted.")
@yes_option
@format_option()
def purge(
    stack: StackOptions,
    queue: str | None,
    ids: tuple[str, ...],
    error: str,
    save: Path | None,
    dry_run: bool,
    yes: bool,
    format_: str,
) -> None:
    """Save dead letters to a file, then delete them permanently."""
    from darkroom.aws.queues import find_queues
    from darkroom.aws.stack import open_stack
    from darkroom.operations import redrive as operation
    from darkroom.operations.dead_letters import count

    deployed = open_stack(stack)
    queues, selected = find_queues(deployed, queue), operation.Selection(ids, error)
    path = save or operation.default_path(deployed)
    if not dry_run:
        if path.exists():
            raise UsageError(f"--save {path}: the file exists; name a new one")
        total = sum(count(deployed.client("sqs"), one) for one in queues)
        if not total and not ids:
            print_result(
                {"purged": [], "saved": None}, "Nothing to delete: 0 dead letters.", format_
            )
            return
        number = plural(len(ids), "dead letter") if ids else f"about {plural(total, 'dead letter')}"
        if error:
            number = f"the dead letters with the error {error!r}"
        confirm(
            f"Save {number} of queue {', '.join(one.name for one in queues)} in {deployed.name}"
            f" to {path}, then delete them.",
            word=deployed.name,
            yes=yes,
        )
    deleted = operation.purge(
        deployed, queues, selected, path=path, dry_run=dry_run, progress=Progress()
    )
    saved = str(path) if path.exists() else None
    _print_ids("purge", "purged", deleted, format_, dry_run=dry_run, saved=saved)


POLICY_EXAMPLES = """
  darkroom dlq policy --stack-name darkroom-prod > operator.json
"""


@command.command(examples=POLICY_EXAMPLES)
@stack_options
@queue_option
def policy(stack: StackOptions, queue: str | None) -> None:
    """Print the IAM policy that these commands need for this stack."""
    from darkroom.aws.queues import find_queues
    from darkroom.aws.stack import open_stack
    from darkroom.operations.operator_policy import operator_policy

    deployed = open_stack(stack)
    print_result(operator_policy(deployed, find_queues(deployed, queue)), "", "json")


def _print_ids(
    verb: str, participle: str, ids: list[str], format_: str, *, dry_run: bool, **more: Any
) -> None:
    number = plural(len(ids), "dead letter")
    text = f"Would {verb} {number}." if dry_run else f"{participle.capitalize()}: {number}."
    if more.get("saved"):
        text += f" Saved to {more['saved']}."
    print_result({f"would_{verb}" if dry_run else participle: ids, **more}, text, format_)


def _render(listing: "Listing") -> str:
    messages = listing.messages
    if not messages:
        return "0 dead letters."
    rows = [("messages", "oldest", "newest", "error")]
    for error, group in listing.groups:
        rows.append((f"{len(group):,}", _age(group[0]), _age(group[-1]), error))
    lines = [table(rows, right=(0, 1, 2)), ""]
    detail = [("message", "queue", "age", "receives", "object", "version")]
    lines.append(table([*detail, *map(_row, messages[:SHOWN])], right=(2, 3)))
    if len(messages) > SHOWN:
        lines.append(f"{len(messages) - SHOWN:,} more; --format json lists all.")
    if listing.approximate_total > len(messages):
        lines.append(f"Read {len(messages):,} of about {listing.approximate_total:,}; see --limit.")
    return "\n".join(lines)


def _row(message: "DeadLetter") -> tuple[str, str, str, str, str, str]:
    where, version = "the worker cannot read it", "–"
    if message.objects:
        first, *more = message.objects
        where = f"s3://{first.bucket}/{first.key}" + (f" and {len(more)} more" if more else "")
        version = first.version_id or "–"
    receives = str(message.receive_count)
    return message.id, message.queue.name, _age(message), receives, where, version


def _age(message: "DeadLetter") -> str:
    from datetime import UTC, datetime

    return elapsed((datetime.now(UTC) - message.sent).total_seconds())


def _render_details(details: "Details") -> str:
    from darkroom.operations.log_search import render

    message = details.message
    lines = [
        f"{message.id} in queue {message.queue.name}, sent {message.sent:%Y-%m-%d %H:%M:%S} UTC",
        f"{plural(message.receive_count, 'receive')}, including those of this command;"
        f" {details.error}",
    ]
    for source, state in zip(message.objects, details.states, strict=True):
        lines += [f"s3://{source.bucket}/{source.key} version {source.version_id}", f"  {state}"]
    if not message.objects:
        lines.append(message.body)
    text = "\n".join(map(printable, lines))
    return f"{text}\n{render(details.log)}" if details.log else text
