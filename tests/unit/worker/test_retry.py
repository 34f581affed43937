"""worker/retry.py: the waits, the order of a batch, and what may have ended an invocation."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.retry import hand_back_delay, in_order, is_late, may_be_poison


def message(name: str, received: int, *, age: float = 0.0) -> dict[str, Any]:
    """Return a message that was received this often, the first time `age` seconds ago."""
    source = {"key": f"uploads/{name}", "versionId": "v1", "sequencer": "0A", "eTag": "e"}
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads-bucket"}, "object": source},
    }
    return {
        "messageId": name,
        "receiptHandle": f"handle of {name}",
        "body": json.dumps({"Records": [record]}),
        "attributes": {
            "ApproximateReceiveCount": str(received),
            "ApproximateFirstReceiveTimestamp": str(round((time.time() - age) * 1000)),
        },
    }


def names(batch: list[Any]) -> list[str]:
    return [found["messageId"] for found in batch]


def test_among_equals_the_order_reverses_with_each_try() -> None:
    """R2: messages behind the poison message run before it the next time."""

    def order(received: int) -> list[str]:
        return names(in_order([message(name, received) for name in "bca"]))

    assert order(2) == order(4) == ["a", "b", "c"]
    assert order(3) == order(5) == ["c", "b", "a"]
    assert order(1) == ["b", "c", "a"]  # as SQS delivers them


def test_more_tries_go_first() -> None:
    """R2, pitfall 53: what was handed back most often is not handed back again behind others."""
    batch = [message("a", 4), message("b", 2), message("c", 1), message("d", 3)]
    assert names(in_order(batch)) == ["a", "d", "b", "c"]


@pytest.mark.parametrize(
    ("received", "age", "expected"),
    [
        (1, 9_999, False),  # a first receive, whatever the clocks say
        (2, 359, False),  # handed back
        (2, 361, True),  # hidden for the visibility timeout
        (3, 361, True),  # handed back once, then hidden for it
        (4, 400, False),  # handed back at least twice
        (5, 4 * 360 + 5, True),  # each time
    ],
)
def test_a_hand_back_is_distinguished_from_an_ended_invocation(
    received: int, age: float, expected: bool
) -> None:
    """R2, pitfall 53: by the time since the first receive."""
    one = message("a", received, age=age)
    assert may_be_poison(one, visibility_timeout=360, now=time.time()) is expected


def test_messages_without_time_come_back_one_after_the_other() -> None:
    """R2, pitfall 53: all at once they would use up a receive each in a batch that is too large."""
    waits = [hand_back_delay(message("a", 1), place, seconds=10.0) for place in range(4)]
    assert waits == [0, 10, 20, 30]
    again = [hand_back_delay(message("a", tries), 1, seconds=10.0) for tries in (2, 3, 99)]
    assert again == sorted(again)
    assert again[0] > waits[1]
    assert hand_back_delay(message("a", 99), 9_999, seconds=900.0) <= 43_200  # as SQS allows


@pytest.mark.parametrize(
    ("event_time", "late"),
    [
        ("2026-01-01T00:00:00.000Z", False),
        ("2025-12-31T23:55:01Z", False),
        ("2025-12-31T23:54:59Z", True),
        ("2026-01-01T00:10:00Z", False),  # S3's clock is ahead
        (None, True),
        ("yesterday", True),
    ],
)
def test_an_old_event_may_be_of_a_dead_letter_sent_again(
    event_time: str | None, late: bool
) -> None:
    """P6: a move task makes new messages, whose receives count from one."""
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert is_late(event_time, now=now) == late
