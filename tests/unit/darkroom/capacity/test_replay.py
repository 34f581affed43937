"""The simulation of given arrivals."""

from dataclasses import replace
from pathlib import Path

import pytest

from darkroom.capacity import stack
from darkroom.capacity.model import CapacityModel, Demand, Polling, Retries
from darkroom.capacity.replay import MeasuredService, replay

DEFAULTS = Path(__file__).with_name("defaults.toml")


def model(concurrency: int, **batch_seconds: float) -> CapacityModel:
    """A queue whose batches take these seconds, by `of` and their number of messages."""
    measured = {int(name[2:]): seconds for name, seconds in batch_seconds.items()}
    figures = replace(stack.read(DEFAULTS, [], {}), window=0)
    service = MeasuredService(figures, (), batch_seconds=measured)
    return CapacityModel(
        service=service,
        polling=Polling(first=concurrency, per_second=1, maximum=concurrency),
        retries=Retries(maximum=8, visibility=300, has_back_off=True),
        demand=Demand(rate=1),
    )


def test_messages_wait_for_a_batch_that_ends() -> None:
    """R4: two messages, and eleven while they are processed: two batches of five and one of one."""
    found = replay(model(2, of5=2.0, of1=0.9), [0.0, 0.0, *[0.5] * 11], 5)
    assert [moment.waiting for moment in found] == [1, 1, 0, 0, 0]
    assert [moment.running for moment in found] == [2, 2, 2, 1, 0]
    assert found[1].oldest == pytest.approx(1.5)


def test_more_concurrency_leaves_nothing_waiting() -> None:
    found = replay(model(3, of5=2.0), [0.1] * 11, 3)
    assert [moment.waiting for moment in found] == [0, 0, 0]
    assert found[0].running == 3


def test_a_batch_of_a_size_that_was_not_measured_takes_its_share() -> None:
    """D6: three of five messages take three fifths."""
    found = replay(model(1, of5=5.0), [0.0, 0.1, 0.1, 0.1], 5)
    assert [moment.running for moment in found] == [1, 1, 1, 1, 0]
