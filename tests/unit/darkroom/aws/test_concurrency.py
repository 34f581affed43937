"""Concurrent calls: in order, few in memory, and the first failure ends them."""

import threading
import time
from collections.abc import Iterator

import pytest

from darkroom.aws.concurrency import map_concurrently


def test_results_are_in_order_and_few_items_are_read_ahead() -> None:
    """D6: a million records are not read before the first one is shown."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    def slow_first(number: int) -> int:
        time.sleep(0.05 if number == 0 else 0)
        return number

    results = map_concurrently(slow_first, items(), workers=4)
    assert next(results) == 0
    assert taken <= 10
    assert list(results) == list(range(1, 1000))


def test_calls_run_concurrently() -> None:
    meeting = threading.Barrier(4, timeout=10)
    assert len(list(map_concurrently(lambda _: meeting.wait(), range(4), workers=4))) == 4


def test_a_failure_ends_the_iteration() -> None:
    started: list[int] = []

    def fail(number: int) -> None:
        started.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(map_concurrently(fail, range(1000), workers=2))
    assert len(started) < 20
