"""The simulation as discrete events; tests/property compares it with the formulas."""

from dataclasses import replace

import pytest

from benchmarks.capacity.scenarios import SCENARIOS
from darkroom.capacity.model import Demand
from darkroom.capacity.simulation import Simulation
from tests.unit.darkroom.capacity.conftest import estimate


def test_the_same_seed_is_the_same_run() -> None:
    """D6: same input, same output."""
    capacity = SCENARIOS[1].capacity()
    runs = [Simulation.of(capacity, seed=seed, max_pictures=5_000).run() for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_every_message_ends() -> None:
    """R2: in the end each is done or dead, none is lost in the simulation itself."""
    capacity = replace(
        estimate().capacity, demand=Demand(rate=5, failure_rate=0.4, outage_seconds=300)
    )
    simulation = Simulation.of(capacity, seed=3)
    observed = simulation.run()
    open_at_the_end = observed.arrived - observed.done - observed.dead
    # Those that wait for another try: what arrives in the mean time of all tries, at most.
    assert 0 <= open_at_the_end < 5 * sum(capacity.retries.means())


def test_what_is_too_large_is_made_smaller() -> None:
    """D6: a billion pictures per month are simulated in seconds, at a reported scale."""
    capacity = estimate(
        "--rate", "1G/month", "--burst", "10x2min", "--concurrency", "1000"
    ).capacity
    simulation = Simulation.of(capacity, seed=1, max_pictures=20_000)
    assert simulation.scale > 10
    observed = simulation.run()
    assert observed.arrived < 100_000
    burst = capacity.demand.peak * 120
    others = capacity.demand.rate * (simulation.seconds - 120)
    assert observed.rate == pytest.approx((burst + others) / simulation.seconds, rel=0.1)


def test_progress_reaches_the_end() -> None:
    parts: list[float] = []
    Simulation.of(SCENARIOS[0].capacity(), seed=1).run(lambda part, _: parts.append(part))
    assert parts[-1] == 1
    assert parts == sorted(parts)
