"""How a picture's lines are told from others'; tests/end_to_end shows both places."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ops import logs
from ops.errors import UsageError
from ops.logs import Archive, Line
from ops.progress import Progress

NOON = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
REQUEST = "6f0a3c1e-0000-4000-8000-000000000000"


class Log:
    """Lines that are there, searched as CloudWatch Logs does: by a part of their text."""

    def __init__(self, *lines: dict[str, Any] | str) -> None:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self._lines = [logs._line(text, NOON) for text in texts]

    def search(self, terms: Iterable[str]) -> Iterator[Line]:
        return (line for term in terms for line in self._lines if term in line.text)


def told(log: Any, wanted: str) -> list[str]:
    return [line.text for line in logs.story(log, wanted)]


def test_a_story_is_one_pictures_and_its_invocations() -> None:
    """O1: of a batch its own message alone, and Lambda's lines in both of its formats."""
    start = f"START RequestId: {REQUEST} Version: $LATEST"
    report = {"type": "platform.report", "record": {"requestId": REQUEST}}
    mine = {"request_id": REQUEST, "message_id": "m-1", "key": "uploads/a b ü.jpg"}
    other = {"request_id": REQUEST, "message_id": "m-2", "key": "uploads/a b.jpg"}
    longer = {"request_id": "r-2", "message_id": "m-3", "key": "uploads/a b ü.jpg.jpg"}
    log = Log(start, mine, other, longer, report)
    texts = [start, json.dumps(mine), json.dumps(report)]
    assert told(log, "uploads/a b ü.jpg") == texts
    assert told(log, "m-1") == texts
    assert told(log, REQUEST) == [*texts[:2], json.dumps(other), texts[2]]
    assert told(log, "uploads/a") == []


def test_only_the_hours_asked_for_are_listed() -> None:
    """O6: and one before and after, for an object is named by its first line's arrival."""
    archive = Archive(None, NOON, NOON.replace(hour=13), Progress())  # type: ignore[arg-type]
    assert list(archive.prefixes()) == [f"worker/2026/05/01/{hour}/" for hour in (11, 12, 13, 14)]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90m", datetime(2026, 5, 1, 11, 0, tzinfo=UTC)),
        ("2d", datetime(2026, 4, 29, 12, 30, tzinfo=UTC)),
        ("2026-04-01", datetime(2026, 4, 1, tzinfo=UTC)),
        ("2026-04-01T02:00+02:00", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_moment_or_so_long_ago(text: str, time: datetime) -> None:
    assert logs._time(text, NOON) == time


def test_what_is_no_time_is_said() -> None:
    with pytest.raises(UsageError, match="'1 week' is no time: write 90m"):
        logs._time("1 week", NOON)
