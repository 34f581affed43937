"""Demands on which the formulas and the simulation are compared, and how near they must be."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from darkroom.capacity import stack, workload
from darkroom.capacity.model import Capacity, Demand, Retries, polling
from darkroom.capacity.report import comparison
from darkroom.capacity.service import Service
from darkroom.capacity.simulation import Simulation

PARAMS = Path(__file__).parents[2] / "params"


@dataclass(frozen=True)
class Scenario:
    """A demand on a stack; `load` is its mean rate's part of the throughput."""

    name: str
    load: float
    concurrency: int = 40
    factor: float = 1.0
    burst_seconds: float = 0.0
    failures: float = 0.0
    outage_seconds: float = 0.0
    window: int = 0
    max_receive_count: int = 5
    has_back_off: bool = True
    profile: str = "phone"
    pollers: tuple[int, int] | None = None

    def capacity(self) -> Capacity:
        """Return what the formulas are asked about."""
        deployed = replace(_stack(), concurrency=self.concurrency, window=self.window)
        found = Capacity(
            service=Service(deployed, workload.pictures(workload.PROFILES[self.profile])),
            polling=polling(self.concurrency, account=10_000, pollers=self.pollers),
            retries=Retries(
                maximum=self.max_receive_count,
                visibility=deployed.visibility,
                has_back_off=self.has_back_off,
            ),
            demand=Demand(
                rate=1.0,
                factor=self.factor,
                burst_seconds=self.burst_seconds,
                failures=self.failures,
                outage_seconds=self.outage_seconds,
            ),
        )
        return replace(found, demand=replace(found.demand, rate=self.load * found.throughput))


@cache
def _stack() -> stack.Stack:
    return stack.read(PARAMS / "pipeline.toml", [PARAMS / "prod.json"], {})


SCENARIOS = (
    Scenario("steady, 1 %", 0.01),
    Scenario("steady, 30 %", 0.3),
    Scenario("steady, 60 %", 0.6),
    Scenario("steady, 90 %", 0.9),
    Scenario("steady, 60 %, two at once", 0.6, concurrency=2),
    Scenario("steady, 90 %, two at once", 0.9, concurrency=2),
    Scenario("steady, 30 %, a window of 2 s", 0.3, window=2),
    Scenario("too small, 130 %", 1.3, concurrency=10),
    Scenario("burst, 3 times for 10 min", 0.5, factor=3, burst_seconds=600),
    Scenario("burst, 1.8 times for 10 min", 0.5, factor=1.8, burst_seconds=600),
    Scenario("burst, 20 times for 2 min", 0.2, factor=20, burst_seconds=120),
    Scenario("burst from rest, 400 at once", 0.01, concurrency=400, factor=60, burst_seconds=120),
    Scenario("burst on two at once", 0.5, concurrency=2, factor=4, burst_seconds=1200),
    Scenario("burst, provisioned pollers", 0.01, factor=60, burst_seconds=120, pollers=(2, 40)),
    Scenario("mixed pictures, burst", 0.5, factor=3, burst_seconds=600, profile="mixed"),
    Scenario("5 % of tries fail", 0.5, failures=0.05),
    Scenario("30 % of tries fail", 0.7, failures=0.3),
    Scenario("10 % fail, no endpoint", 0.5, failures=0.1, has_back_off=False),
    Scenario("burst, 10 % fail", 0.5, factor=3, burst_seconds=600, failures=0.1),
    Scenario("outage of 10 min", 0.1, outage_seconds=600),
    Scenario("outage of 1 h, 8 tries", 0.01, outage_seconds=3600, max_receive_count=8),
    Scenario("outage of 40 min, no endpoint", 0.05, outage_seconds=2400, has_back_off=False),
)


@dataclass(frozen=True)
class Row:
    """One figure of one scenario."""

    scenario: str
    what: str
    formula: float
    simulated: float
    allowed: float
    """How far they may be apart: a part of the formula's figure, but at least something."""

    @property
    def agrees(self) -> bool:
        """Return whether they are near enough."""
        return self.formula == self.simulated or abs(self.formula - self.simulated) <= self.allowed


def rows(scenario: Scenario, *, most_pictures: int = 60_000) -> list[Row]:
    """Return all figures of a scenario, worked out and simulated."""
    capacity = scenario.capacity()
    observed = Simulation.of(capacity, seed=1, most_pictures=most_pictures).run()
    size = capacity.service.stack.batch_size
    batch_seconds = capacity.service.seconds(size)
    # The formulas know no chance: that alone makes some messages wait for some batches.
    least = {
        "oldest message, s": 3 * batch_seconds,
        "drained after, s": 20 * batch_seconds,
        "most messages waiting": 2 * capacity.polling.most * size,
        "messages waiting at the end": 2 * capacity.polling.most * size,
        "messages in a batch": 1.1,
        "dead letters": 4 * math.sqrt(max(1, observed.dead)) * observed.scale,
    }
    # Fluid knows neither chance nor that retries come later than what they are retries of.
    part = {"batches at once": 0.15, "oldest message, s": 0.15}
    return [
        Row(
            scenario.name,
            what,
            formula,
            simulated,
            max(part.get(what, 0.1) * formula, least.get(what, 0.0)),
        )
        for what, formula, simulated in comparison(capacity, observed)
    ]
