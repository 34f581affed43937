"""Formulas: what must hold whatever is asked."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from darkroom.capacity.model import CapacityModel, Demand, Polling, Retries, polling
from tests.unit.darkroom.capacity.conftest import estimate

BASE = estimate("--rate", "10/s").capacity

demands = st.builds(
    Demand,
    rate=st.floats(1e-6, 1e6),
    burst_factor=st.floats(1, 1e4),
    burst_seconds=st.floats(0, 1e6),
    failure_rate=st.floats(0, 0.99),
    outage_seconds=st.floats(0, 1e6),
)
concurrencies = st.integers(1, 100_000)


def capacity(demand: Demand, concurrency: int, account: int = 100_000) -> CapacityModel:
    return replace(BASE, demand=demand, polling=polling(concurrency, account=account))


@given(demands, concurrencies)
def test_every_figure_is_a_number_whatever_is_asked(demand: Demand, concurrency: int) -> None:
    """D6: from one execution to far beyond all quotas, and no overflow."""
    found = capacity(demand, concurrency)
    for value in (found.throughput, found.utilisation, found.backlog, found.in_flight):
        assert value >= 0
        assert math.isfinite(value)
    for value in (found.oldest, found.drained, found.dead_letters):
        assert value >= 0
        assert not math.isnan(value)
    assert 1 <= found.batch <= found.service.stack.batch_size


@given(demands, concurrencies, concurrencies, st.floats(1, 1e9))
def test_more_at_once_is_never_slower(demand: Demand, one: int, other: int, backlog: float) -> None:
    """R4: neither the throughput nor draining nor the oldest message."""
    small, large = (capacity(demand, number) for number in sorted((one, other)))
    nearly = 1 + 1e-6
    assert small.throughput <= large.throughput * nearly
    assert small.utilisation * nearly >= large.utilisation
    assert small.drain(backlog) * nearly >= large.drain(backlog)
    assert small.backlog * nearly + 1e-6 >= large.backlog
    assert small.oldest * nearly + 1e-6 >= large.oldest


@given(demands, concurrencies, st.floats(1, 10))
def test_more_pictures_are_never_quicker(demand: Demand, concurrency: int, times: float) -> None:
    more = replace(demand, rate=demand.rate * times)
    few, many = capacity(demand, concurrency), capacity(more, concurrency)
    assert many.utilisation >= few.utilisation
    assert many.batch >= few.batch - 1e-6
    # With more arriving, more is at work already when the burst comes: that may save some time.
    assume(few.start == many.start)
    # Where few arrive, one waits for the end of its window; more fill the batch before.
    assert many.oldest >= few.oldest - few.service.stack.window - 1e-6
    assert many.backlog >= few.backlog - 1e-6


@given(concurrencies, st.floats(1, 1e8))
def test_a_backlog_is_drained_when_as_much_was_done(concurrency: int, backlog: float) -> None:
    """D6: the time that comes out, put in again, does exactly the backlog and what arrives."""
    found = capacity(Demand(rate=1e-3), concurrency)
    seconds = found.drain(backlog)
    done = found.batch_rate * found.polling.batch_seconds(found.start, seconds)
    assert done == pytest.approx(backlog + 1e-3 * seconds, rel=1e-6)


def test_what_never_drains_is_endless() -> None:
    found = capacity(Demand(rate=1e4), 2)
    assert found.utilisation > 1
    assert found.drain(1) == math.inf
    assert found.oldest == math.inf


def test_the_ramp_is_lambdas() -> None:
    """R4: five at first, 300 more per minute, 1,250 at most; provisioned pollers 1,000 per minute.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
    """
    own = polling(100_000, account=100_000)
    assert [own.concurrency(own.first, minute * 60) for minute in (0, 1, 2, 10)] == [
        5,
        305,
        605,
        1250,
    ]
    provisioned = polling(2, account=100_000, pollers=(5, 2000))
    found = [provisioned.concurrency(provisioned.first, minute * 60) for minute in (0, 1, 60)]
    assert found == pytest.approx([50, 1050, 20_000])
    assert polling(100, account=10).maximum == 10


@given(st.floats(1, 100), st.floats(0.1, 100), st.floats(0, 1e4), st.floats(0, 1e4))
def test_work_done_is_the_sum_over_time(
    first: float, per_second: float, more: float, seconds: float
) -> None:
    ramp = Polling(first=first, per_second=per_second, maximum=first + more)
    steps = 2_000
    by_hand = sum(
        ramp.concurrency(first, seconds * (place + 0.5) / steps) * seconds / steps
        for place in range(steps)
    )
    assert ramp.batch_seconds(first, seconds) == pytest.approx(by_hand, rel=1e-3)


def test_messages_that_single_batches_can_do_come_singly() -> None:
    """D6: at rest each message is an invocation of its own, and is paid so."""
    assert capacity(Demand(rate=0.0001), 100).batch == pytest.approx(1, abs=1e-3)
    assert capacity(Demand(rate=1e5), 100).batch == BASE.service.stack.batch_size


def test_without_an_endpoint_retries_wait_out_the_visibility() -> None:
    """R2: the waits are all there is to a message in an outage."""
    without = Retries(maximum=5, visibility=360, has_back_off=False)
    assert sum(without.ceilings()) == 4 * 360
    assert without.dead_in_outage(1440) == 0
    assert without.dead_in_outage(1500) == pytest.approx(60)
    back_off = Retries(maximum=5, visibility=360, has_back_off=True)
    assert back_off.ceilings() == [30, 60, 120, 240]
    # An outage as long as all the waits may be: who came first is dead, who came last is not.
    assert 0 < back_off.dead_in_outage(450) < 225
    assert back_off.dead_in_outage(225) == 0


@settings(max_examples=30)
@given(st.integers(2, 100), st.floats(0, 1e6), st.floats(1, 5))
def test_a_longer_outage_has_no_fewer_dead_letters(
    maximum: int, seconds: float, times: float
) -> None:
    retries = Retries(maximum=maximum, visibility=360, has_back_off=True)
    short, long = retries.dead_in_outage(seconds), retries.dead_in_outage(seconds * times)
    assert 0 <= short <= seconds
    assert short <= long + 0.01 * seconds


def test_the_dead_of_a_long_outage_are_those_who_came_a_mean_wait_before_its_end() -> None:
    retries = Retries(maximum=5, visibility=360, has_back_off=True)
    assert retries.dead_in_outage(86_400) == pytest.approx(86_400 - sum(retries.means()), rel=1e-3)


def test_tries_are_counted() -> None:
    retries = Retries(maximum=3, visibility=360, has_back_off=True)
    assert retries.tries(0.5) == 1.75
    assert retries.dead(0.5) == 0.125
