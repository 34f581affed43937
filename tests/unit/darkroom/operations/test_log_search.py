"""How a picture's lines are told from others'; tests/e2e shows both places."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from darkroom.commands import logs
from darkroom.commands.logs import Archive, Line
from darkroom.console.progress import Progress

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
    mine = {"function_request_id": REQUEST, "message_id": "m-1", "key": "uploads/a b ü.jpg"}
    other = {"function_request_id": REQUEST, "message_id": "m-2", "key": "uploads/a b.jpg"}
    longer = {"function_request_id": "r-2", "message_id": "m-3", "key": "uploads/a b ü.jpg.jpg"}
    log = Log(start, mine, other, longer, report)
    texts = [start, json.dumps(mine), json.dumps(report)]
    assert told(log, "uploads/a b ü.jpg") == texts
    assert told(log, "m-1") == texts
    assert told(log, REQUEST) == [*texts[:2], json.dumps(other), texts[2]]
    assert told(log, "uploads/a") == []


def test_only_the_hours_asked_for_are_listed() -> None:
    """O6: and one before and after, for an object is named by its first line's arrival."""
    nothing: Any = None  # no stack is asked
    archive = Archive(nothing, NOON, NOON.replace(hour=13), Progress())
    assert list(archive.prefixes()) == [f"worker/2026/05/01/{hour}/" for hour in (11, 12, 13, 14)]
