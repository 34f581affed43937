"""Many at once: in order, few in memory, and the first failure ends it."""

import threading
import time
from collections.abc import Iterator

import pytest

from darkroom.aws.concurrency import each


def test_results_come_in_order_and_items_are_not_hoarded() -> None:
    """D6: a million records are not read before the first is shown."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    def slow_first(number: int) -> int:
        time.sleep(0.05 if number == 0 else 0)
        return number

    results = each(slow_first, items(), at_once=4)
    assert next(results) == 0
    assert taken <= 10
    assert list(results) == list(range(1, 1000))


def test_they_run_at_once() -> None:
    meeting = threading.Barrier(4, timeout=10)
    assert len(list(each(lambda _: meeting.wait(), range(4), at_once=4))) == 4


def test_a_failure_ends_it() -> None:
    begun: list[int] = []

    def fail(number: int) -> None:
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(each(fail, range(1000), at_once=2))
    assert len(begun) < 20
