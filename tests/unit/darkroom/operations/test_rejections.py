"""Rejection records: which are meant, and which are retried."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.operations import rejections
from darkroom.operations.rejections import Filter, Journal, RejectionRecord
from worker.events import SourceObject
from worker.storage import Stored

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def record(key: str = "uploads/a.jpg", reason: str = "too_large") -> RejectionRecord:
    return RejectionRecord(SourceObject("b", key), reason, "why", NOON, Stored("r", "e", {}))


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Filter(), True),
        (Filter(reasons=("too_large", "empty")), True),
        (Filter(reasons=("empty",)), False),
        (Filter(keys=("uploads/a.jpg",)), True),
        (Filter(keys=("uploads/b.jpg",)), False),
        (Filter(prefix="uploads/"), True),
        (Filter(prefix="in/"), False),
        (Filter(since=NOON), True),
        (Filter(since=NOON.replace(hour=13)), False),
    ],
)
def test_all_filters_have_to_match(wanted: Filter, matches: bool) -> None:
    assert wanted.matches(record()) is matches


def test_a_record_tells_programs_which_version_and_why() -> None:
    data = record().data()
    assert data["bucket"] == "b"
    assert data["reason"] == "too_large"
    assert data["rejected"] == "2026-05-01T12:00:00+00:00"
    assert "deleted" not in data


def test_no_prefix_is_listed_twice() -> None:
    """Outputs of one source may lie below those of another."""
    assert rejections._prefixes(["", "scans/"], "") == ["rejected/"]
    assert rejections._prefixes(["a/", "b/"], "in/") == ["rejected/a/in/", "rejected/b/in/"]


def test_the_journal_sends_what_an_interrupted_run_left(tmp_path: Path) -> None:
    """D6, R2: its records are deleted, so its messages must not be lost."""
    client: Any = botocore.session.Session().create_client(
        "sqs", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    journal = Journal(tmp_path / "not" / "yet.json")
    assert journal.finish(client) == 0
    journal.begin("https://sqs/work", ["one", "two"])
    stub = Stubber(client)
    sent = [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "x"}]
    sent += [{"Id": "1", "MessageId": "n", "MD5OfMessageBody": "y"}]
    stub.add_response(
        "send_message_batch",
        {"Successful": sent, "Failed": []},
        {
            "QueueUrl": "https://sqs/work",
            "Entries": [{"Id": "0", "MessageBody": "one"}, {"Id": "1", "MessageBody": "two"}],
        },
    )
    with stub:
        assert Journal(journal.path).finish(client) == 2
    assert not list(journal.path.parent.iterdir())
