"""worker/time_budget.py: which image starts when; test_backlog.py simulates whole queues."""

from __future__ import annotations

import threading
from contextlib import suppress
from random import Random

import pytest

from tests.unit.worker.shared_processor import SharedProcessor
from worker import time_budget
from worker.time_budget import NoTimeLeftError, TimeBudget


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SharedProcessor:
    clock = SharedProcessor(Random(0))  # noqa: S311 -- to be had again
    monkeypatch.setattr(time_budget, "time", clock)
    monkeypatch.setattr(time_budget, "Condition", lambda: clock)
    return clock


def test_a_message_that_was_received_more_often_goes_first() -> None:
    """R2, pitfall 53: also while it is still downloaded; it has fewer receives left."""
    budget, order = TimeBudget(lambda: 60.0), []

    def process_another() -> None:
        with budget.message(1) as message, budget.image(message):
            order.append(1)

    with budget.message(2) as message:
        another = threading.Thread(target=process_another)
        another.start()
        another.join(0.05)
        with budget.image(message):
            order.append(2)
    another.join()
    assert order == [2, 1]


def test_a_message_without_an_image_lets_others_start() -> None:
    """R2: it may have failed, or be a test event."""
    budget = TimeBudget(lambda: 60.0)
    with budget.message(1) as message:
        with budget.message(2):
            pass
        with budget.image(message):
            pass


def test_an_image_that_would_not_end_in_time_is_not_started(clock: SharedProcessor) -> None:
    """R2, pitfall 53: twice the longest so far has to fit into the time left."""
    budget = TimeBudget(lambda: 60.0 - clock.now)
    with budget.message(1) as message:
        with budget.image(message):
            clock.use(15.0)
        assert not budget.is_spent()
        with budget.image(message):
            clock.use(1.0)
        assert budget.longest == 15.0
        clock.now = 31.0
        assert budget.is_spent()
        with pytest.raises(NoTimeLeftError), budget.image(message):
            raise AssertionError("started")


def test_images_at_once_are_timed_as_if_alone(clock: SharedProcessor) -> None:
    """R2, pitfall 53: wall time would be as many times as long, and hand back what has time."""
    budget = TimeBudget(lambda: 900.0 - clock.now)

    def process() -> None:
        with budget.message(1) as message, budget.image(message):
            clock.use(10.0)

    clock.run([process] * 4)
    assert clock.now == pytest.approx(40.0)
    assert budget.longest == pytest.approx(10.0)


def test_a_rejection_says_nothing_of_the_time_that_images_take(clock: SharedProcessor) -> None:
    """R2: it may take none; the next image is the first, and processed alone."""
    budget = TimeBudget(lambda: 60.0 - clock.now)
    with budget.message(1) as message:
        with suppress(ValueError), budget.image(message):
            clock.use(0.001)
            raise ValueError
        assert budget.longest == 0
