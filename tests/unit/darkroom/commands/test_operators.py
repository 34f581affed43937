"""The operators' commands without AWS: what they refuse, and what they print."""

import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from darkroom import cli
from darkroom.aws import notifications, queues, session, stack
from darkroom.aws.queues import DeployedQueue
from darkroom.operations import backfill, dead_letters, deletion, log_search, redrive, rejections
from worker import storage
from worker.events import SourceObject
from worker.storage import Stored

QUEUE = DeployedQueue("default", "https://sqs/work", "https://sqs/dead", "worker")
STACK = ("--stack-name", "darkroom-prod")


@pytest.fixture
def darkroom(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a command with a stack that answers nothing; return its standard output."""
    deployed = SimpleNamespace(
        name="darkroom-prod", region="eu-west-1", client=lambda _: None, output=lambda _: ""
    )
    monkeypatch.setattr(stack, "open_stack", lambda _: deployed)
    monkeypatch.setattr(queues, "find_queues", lambda *_: (QUEUE,))
    monkeypatch.setattr(queues, "find_sources", lambda _: {})
    monkeypatch.setattr(dead_letters, "count", lambda *_: 7)

    def run(*arguments: str, status: int = 0) -> str:
        assert cli.main([*arguments, *STACK]) == status
        return capsys.readouterr().out

    return run


def dead_letter(number: int = 0, objects: int = 1) -> dead_letters.DeadLetter:
    records = [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "b"},
                "object": {"key": f"uploads/{number}", "versionId": "v"},
            },
        }
    ] * objects
    sent = datetime.now(UTC) - timedelta(hours=3)
    body = json.dumps({"Records": records}) if objects else "junk"
    return dead_letters.DeadLetter(QUEUE, f"m-{number}", "h", body, sent, 6, None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("dlq", "redrive", "m", "--rate", "9"), "--cancel and --rate apply to all messages"),
        (("dlq", "redrive", "--error", "x", "--cancel"), "--cancel and --rate apply"),
        (("dlq", "redrive", "--rate", "501"), "SQS moves 1 to 500 messages per second"),
        (("dlq", "redrive", "--rate", "fast"), "'fast' is not a rate"),
        (("dlq", "list", "--limit", "0"), "x>=1"),
        (("dlq", "purge"), "stdin is not a terminal; pass --yes"),
        (("rejections", "list", "--key", "a", "--prefix", "b"), "exclude each other"),
        (("logs", "x", "--since", "1h", "--until", "2h"), "--since 1h is not before --until 2h"),
        (("backfill", "--skip-processed", "--rebuild-stale"), "exclude each other"),
        (("backfill", "--min-size", "big"), "'big' is not a size"),
        (("delete", "--timeout", "soon"), "'soon' is not a duration"),
    ],
)
@pytest.mark.usefixtures("darkroom")
def test_wrong_usage_is_a_sentence_and_2(
    arguments: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert cli.main([*arguments, *STACK]) == 2
    assert sentence in capsys.readouterr().err


def test_dead_letters_are_listed_by_error(
    darkroom: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6: the groups, then the messages, then how many more there are."""
    groups = [
        ("AccessDenied", [dead_letter(number) for number in range(25)]),
        ("x", [dead_letter(99, 0)]),
    ]
    listing = dead_letters.Listing(groups, 40)
    monkeypatch.setattr(dead_letters, "list_messages", lambda *_, **__: listing)
    text = darkroom("dlq", "list", "--exit-code", status=1)
    assert "      25     3 h     3 h  AccessDenied\n" in text
    assert "m-0      default  3 h         6  s3://b/uploads/0   v\n" in text
    assert "6 more; --format json lists all.\nRead 26 of about 40; see --limit.\n" in text
    data = json.loads(darkroom("dlq", "list", "--format", "json"))
    assert (data["messages"], data["approximate_total"]) == (26, 40)

    monkeypatch.setattr(dead_letters, "list_messages", lambda *_, **__: dead_letters.Listing([], 0))
    assert darkroom("dlq", "list", "--exit-code") == "0 dead letters.\n"


@pytest.mark.parametrize(("objects", "line"), [(1, "s3://b/uploads/0 version v"), (0, "junk")])
def test_one_dead_letter_is_shown_with_its_log(
    objects: int, line: str, darkroom: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = [log_search.parse_line('{"level": "ERROR", "message": "failed"}', datetime.now(UTC))]
    details = dead_letters.Details(
        dead_letter(0, objects), "AccessDenied", ["exists"] * objects, log
    )
    monkeypatch.setattr(dead_letters, "show", lambda *_: details)
    text = darkroom("dlq", "show", "m-0")
    assert "6 receives, including those of this command; AccessDenied\n" in text
    assert f"\n{line}\n" in text
    assert "ERROR  failed" in text
    data = json.loads(darkroom("dlq", "show", "m-0", "--format", "json"))
    assert data["log"][0]["text"] == {"level": "ERROR", "message": "failed"}
    assert len(data["objects"]) == objects


def test_a_redrive_reports_what_it_did(
    darkroom: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6: all by SQS, or some by their ids; each as text and as JSON, and 1 if it failed."""
    monkeypatch.setattr(redrive, "redrive", lambda *_, **__: ["m"])
    assert darkroom("dlq", "redrive", "m") == "Redriven: 1 dead letter.\n"
    assert darkroom("dlq", "redrive", "m", "--dry-run") == "Would redrive 1 dead letter.\n"
    data = json.loads(darkroom("dlq", "redrive", "m", "--dry-run", "--format", "json"))
    assert data == {"would_redrive": ["m"]}
    data = json.loads(darkroom("dlq", "redrive", "--dry-run", "--format", "json"))
    assert data == {"would_redrive": {"default": 7}}
    assert "about 7 of queue default" in darkroom("dlq", "redrive", "--dry-run")

    moves = {"default": redrive.Move("FAILED", 4, reason="Why")}
    monkeypatch.setattr(redrive, "move_all", lambda *_, **__: moves)
    assert darkroom("dlq", "redrive", status=1) == "Queue default: failed, 4 moved: Why\n"
    moves["default"] = redrive.Move("COMPLETED", 4)
    data = json.loads(darkroom("dlq", "redrive", "--format", "json"))
    assert data == {"queues": {"default": {"status": "COMPLETED", "moved": 4}}}

    monkeypatch.setattr(redrive, "cancel", lambda *_: {"default": 1})
    assert "default: cancelled after 1 message" in darkroom("dlq", "redrive", "--cancel")
    monkeypatch.setattr(redrive, "cancel", lambda *_: {})
    assert darkroom("dlq", "redrive", "--cancel") == "No move is running.\n"


def test_a_purge_names_its_file(
    darkroom: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    path = tmp_path / "saved.jsonl"

    def purge(*_: Any, dry_run: bool, **__: Any) -> list[str]:
        if not dry_run:
            path.write_text("{}")
        return ["m"]

    monkeypatch.setattr(redrive, "purge", purge)
    text = darkroom("dlq", "purge", "--save", str(path), "--dry-run")
    assert text == "Would purge 1 dead letter.\n"
    text = darkroom("dlq", "purge", "--save", str(path), "--yes")
    assert text == f"Purged: 1 dead letter. Saved to {path}.\n"
    darkroom("dlq", "purge", "--save", str(path), "--yes", status=2)  # never over another file


@pytest.mark.parametrize("error", [(), ("--error", "AccessDenied")])
def test_a_purge_of_nothing_asks_nothing(
    darkroom: Callable[..., str], monkeypatch: pytest.MonkeyPatch, error: tuple[str, ...]
) -> None:
    """D6: without a terminal as well: there is nothing to confirm."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr(dead_letters, "count", lambda *_: 0)
    assert darkroom("dlq", "purge", *error) == "Nothing to delete: 0 dead letters.\n"
    assert json.loads(darkroom("dlq", "purge", "--format", "json"))["purged"] == []


def rejection(number: int) -> rejections.RejectionRecord:
    source = SourceObject("b", f"uploads/{number}\n.jpg")
    when = datetime(2026, 5, 1, 12, tzinfo=UTC)
    # Another workload has reasons of its own.
    return rejections.RejectionRecord(source, "not_text", "no words", when, Stored("r", "e", {}))


def test_rejections_of_any_workload_are_listed(
    darkroom: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6, D9: reasons are open; a line each for people and for programs, or one document."""
    monkeypatch.setattr(rejections, "find", lambda *_: iter([rejection(1), rejection(2)]))
    text = darkroom("rejections", "list", "--reason", "not_text", "--exit-code", status=1)
    assert "2026-05-01 12:00  not_text  s3://b/uploads/1�.jpg  no words\n" in text
    assert text.endswith("rejections  reason\n         2  not_text\n")
    assert (
        darkroom("rejections", "list", "--summary") == "rejections  reason\n         2  not_text\n"
    )
    data = json.loads(darkroom("rejections", "list", "--format", "json"))
    assert (data["total"], data["reasons"]) == (2, {"not_text": 2})
    assert [one["detail"] for one in data["rejections"]] == ["no words"] * 2
    lines = darkroom("rejections", "list", "--format", "jsonl").splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["uploads/1\n.jpg", "uploads/2\n.jpg"]
    data = json.loads(darkroom("rejections", "list", "--format", "jsonl", "--summary"))
    assert data == {"total": 2, "reasons": {"not_text": 2}}

    monkeypatch.setattr(rejections, "find", lambda *_: iter(()))
    assert darkroom("rejections", "list", "--exit-code") == "0 rejections.\n"


def test_a_dry_run_of_backfill_is_an_estimate(
    darkroom: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SimpleNamespace(name="default", bucket="b", queue=QUEUE)
    monkeypatch.setattr(queues, "find_source", lambda *_: source)

    class Run:
        def __init__(self, _stack: Any, source: Any, *_: Any) -> None:
            self.source, self.checkpoint = source, SimpleNamespace(sent=3)
            self.skipped = Counter({"--suffix": 2})

        def estimate(self) -> backfill.Estimate:
            return backfill.Estimate(self.source, 1, 500, self.skipped, 0.01)

        def run(self, *, rate: float | None) -> int:
            assert rate == 0.5
            return 1

    monkeypatch.setattr(backfill, "Backfill", Run)
    text = darkroom("backfill", "--dry-run")
    assert text.startswith("1 object of b, 0.000 GB, to the queue default; about 0.01 USD")
    assert text.endswith(" Skipped: 2 --suffix.\n")
    data = json.loads(darkroom("backfill", "--yes", "--rate", "30/min", "--format", "json"))
    assert (data["sent"], data["previously_sent"], data["skipped"]) == (1, 3, {"--suffix": 2})


def test_what_a_deletion_retains_has_its_price() -> None:
    bucket = deletion.Retained("UploadBucket", "AWS::S3::Bucket", "uploads", 1, 10**9, 0.023)
    key = deletion.Retained("EncryptionKey", "AWS::KMS::Key", "arn", 0, 0, 1.0)
    text = deletion.render("darkroom-dev", [bucket, key])
    assert "costs about 1.02 USD per month" in text
    assert "UploadBucket   uploads         1  1.000           0.02\n" in text
    assert text.endswith("--delete-data deletes the buckets.")
    assert text.count("schedule-key-deletion") == 0, "the buckets still need the key"
    assert "--key-id arn" in deletion.render("darkroom-dev", [key])
    assert deletion.render("darkroom-dev", []).endswith("nothing is retained.")
    data = deletion.report("darkroom-dev", 2, [bucket, key])
    assert data["usd_per_month"] == 1.02
    assert data["discarded_messages"] == 2
    assert data["retained"][0]["versions"] == 1


def test_help_needs_no_stack() -> None:
    """Options are checked before anything is read from AWS."""
    done = CliRunner().invoke(cli.group, ["dlq", "list", "--help"])
    assert done.exit_code == 0
    assert "Usage: darkroom dlq list [OPTIONS]" in done.output.replace("group", "darkroom")


@pytest.fixture
def retriable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[str]]:
    """Rejections of three kinds, of which the first can be retried; what is deleted and sent."""
    done: dict[str, list[str]] = {"deleted": [], "sent": []}
    first = rejection(1)
    records = [
        first,
        replace(first, reason="deleted"),
        replace(first, source=replace(first.source, bucket="former")),
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(queues, "find_sources", lambda _: {"b": SimpleNamespace(queue=QUEUE)})
    monkeypatch.setattr(
        rejections, "find", lambda _stack, _sources, wanted: filter(wanted.matches, records)
    )
    monkeypatch.setattr(
        storage, "delete", lambda _client, _bucket, key, _etag: done["deleted"].append(key)
    )
    monkeypatch.setattr(
        notifications, "send", lambda _client, _url, bodies: done["sent"].extend(bodies)
    )
    return done


def test_what_cannot_be_retried_is_skipped_with_its_reason(
    darkroom: Callable[..., str],
    retriable: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D6, R2: nothing without consent or in a dry run; each record is deleted before it is sent."""
    text = darkroom("rejections", "retry", "--dry-run")
    assert text == "Would retry 1 rejection: 1 not_text.\n"
    data = json.loads(darkroom("rejections", "retry", "--dry-run", "--format", "json"))
    assert data == {"would_retry": 1, "reasons": {"not_text": 1}}
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    darkroom("rejections", "retry", status=2)
    assert retriable == {"deleted": [], "sent": []}

    data = json.loads(darkroom("rejections", "retry", "--yes", "--format", "json"))
    assert data == {
        "retried": 1,
        "resumed": 0,
        "skipped": {
            "deleted (--reason deleted retries them)": 1,
            "not of a source that the stack has now": 1,
        },
    }
    assert retriable["deleted"] == ["r"]
    assert len(retriable["sent"]) == 1
    text = darkroom("rejections", "retry", "--yes", "--reason", "deleted")
    assert text == "1 rejection retried.\n"


def test_an_interrupted_retry_is_resumed(
    darkroom: Callable[..., str],
    retriable: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """D6, R2: between the deletion of the record and its message, the journal has the message."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "send", interrupt)
        assert cli.main(["rejections", "retry", "--yes", *STACK]) == 130
    assert "0 rejections retried; the same command continues, with build" in capsys.readouterr().err
    assert (retriable["deleted"], retriable["sent"]) == (["r"], [])
    text = darkroom("rejections", "retry", "--yes", "--reason", "none")
    assert text == "0 rejections retried. 1 message of an interrupted run sent.\n"
    assert len(retriable["sent"]) == 1


def test_log_lines_are_printed_for_people_and_programs(
    darkroom: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = log_search.parse_line('{"level":"INFO","message":"done"}', datetime(2026, 5, 1))
    monkeypatch.setattr(log_search, "search", lambda *_, **__: [line])
    assert darkroom("logs", "x").endswith("2026-05-01 00:00:00.000  INFO   done\n")
    assert json.loads(darkroom("logs", "x", "--format", "json")) == [
        {"time": "2026-05-01 00:00:00.000", "text": {"level": "INFO", "message": "done"}}
    ]


class Deletion:
    """A deletion that only counts."""

    stack = SimpleNamespace(name="darkroom-prod", region="eu-west-1", status="CREATE_COMPLETE")
    needs_consent = True
    runs = 0

    def check(self) -> None:
        """Nothing is in the way."""

    def steps(self) -> list[str]:
        return ["delete", "retain"]

    def run(self) -> int:
        self.runs += 1
        return 3

    def retained(self) -> list[deletion.Retained]:
        return []


def test_a_deletion_asks_for_the_stacks_name(
    darkroom: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """D6: not without consent, and not at all in a dry run."""
    fake = Deletion()
    monkeypatch.setattr(deletion.Deletion, "of", lambda *_, **__: fake)
    monkeypatch.setattr(session, "open_account", lambda **_: None)
    assert darkroom("delete", "--dry-run") == "1. delete\n2. retain\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("darkroom-prod\n"))
    assert cli.main(["delete", "--delete-data", *STACK]) == 2
    assert "will be deleted, with ALL DATA in its buckets." in capsys.readouterr().err
    assert fake.runs == 0
    data = json.loads(darkroom("delete", "--yes", "--format", "json"))
    assert data["discarded_messages"] == 3
    assert fake.runs == 1
