"""Demands for which formulas and simulation are compared, with the allowed differences."""

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from darkroom.capacity import stack, workload
from darkroom.capacity.estimate import comparison
from darkroom.capacity.model import CapacityModel, Demand, Retries, polling
from darkroom.capacity.service import Service
from darkroom.capacity.simulation import Simulation

PARAMS = Path(__file__).parents[2] / "params"


@dataclass(frozen=True)
class DemandScenario:
    """A demand on a stack; `load` is its average rate's share of the throughput."""

    name: str
    load: float
    concurrency: int = 40
    burst_factor: float = 1.0
    burst_seconds: float = 0.0
    failure_rate: float = 0.0
    outage_seconds: float = 0.0
    window: int = 0
    max_receive_count: int = 8
    has_back_off: bool = True
    workload: str = "phone"
    pollers: tuple[int, int] | None = None

    def capacity(self) -> CapacityModel:
        """Return the formulas' input."""
        deployed = replace(_stack(), concurrency=self.concurrency, window=self.window)
        found = CapacityModel(
            service=Service(deployed, workload.pictures(workload.WORKLOADS[self.workload])),
            polling=polling(self.concurrency, account=10_000, pollers=self.pollers),
            retries=Retries(
                maximum=self.max_receive_count,
                visibility=deployed.visibility,
                has_back_off=self.has_back_off,
            ),
            demand=Demand(
                rate=1.0,
                burst_factor=self.burst_factor,
                burst_seconds=self.burst_seconds,
                failure_rate=self.failure_rate,
                outage_seconds=self.outage_seconds,
            ),
        )
        return replace(found, demand=replace(found.demand, rate=self.load * found.throughput))


@cache
def _stack() -> stack.StackFigures:
    return stack.read(PARAMS / "pipeline.toml", [PARAMS / "prod.json"], {})


SCENARIOS = (
    DemandScenario("steady, 1 %", 0.01),
    DemandScenario("steady, 30 %", 0.3),
    DemandScenario("steady, 60 %", 0.6),
    DemandScenario("steady, 90 %", 0.9),
    DemandScenario("steady, 70 %, two batches", 0.7, concurrency=2),
    DemandScenario("steady, 90 %, two batches", 0.9, concurrency=2),
    DemandScenario("steady, 30 %, a window of 2 s", 0.3, window=2),
    DemandScenario("too small, 130 %", 1.3, concurrency=10),
    DemandScenario("burst, 3 times for 10 min", 0.5, burst_factor=3, burst_seconds=600),
    DemandScenario("burst, 1.8 times for 10 min", 0.5, burst_factor=1.8, burst_seconds=600),
    DemandScenario("burst, 20 times for 2 min", 0.2, burst_factor=20, burst_seconds=120),
    DemandScenario(
        "burst from idle, 400 batches", 0.01, concurrency=400, burst_factor=60, burst_seconds=120
    ),
    DemandScenario("burst on two batches", 0.5, concurrency=2, burst_factor=4, burst_seconds=1200),
    DemandScenario(
        "burst, provisioned pollers", 0.01, burst_factor=60, burst_seconds=120, pollers=(2, 40)
    ),
    DemandScenario(
        "mixed pictures, burst", 0.5, burst_factor=3, burst_seconds=600, workload="mixed"
    ),
    DemandScenario("5 % of tries fail", 0.5, failure_rate=0.05),
    DemandScenario("30 % of tries fail", 0.7, failure_rate=0.3),
    DemandScenario("10 % fail, no endpoint", 0.5, failure_rate=0.1, has_back_off=False),
    DemandScenario("burst, 10 % fail", 0.5, burst_factor=3, burst_seconds=600, failure_rate=0.1),
    DemandScenario("outage of 10 min, 5 tries", 0.1, outage_seconds=600, max_receive_count=5),
    DemandScenario("outage of 1 h", 0.01, outage_seconds=3600),
    DemandScenario(
        "outage of 40 min, 5 tries, no endpoint",
        0.05,
        outage_seconds=2400,
        max_receive_count=5,
        has_back_off=False,
    ),
)


@dataclass(frozen=True)
class Comparison:
    """One figure of one scenario."""

    scenario: str
    name: str
    formula: float
    simulated: float
    allowed: float
    """Allowed difference: a share of the formula's figure, but at least an absolute amount."""

    @property
    def agrees(self) -> bool:
        """Return whether the difference is allowed."""
        return self.formula == self.simulated or abs(self.formula - self.simulated) <= self.allowed


def rows(scenario: DemandScenario, *, max_pictures: int = 60_000) -> list[Comparison]:
    """Return all figures of a scenario, by formula and by simulation."""
    capacity = scenario.capacity()
    observed = Simulation.of(capacity, seed=1, max_pictures=max_pictures).run()
    size = capacity.service.stack.batch_size
    batch_seconds = capacity.service.seconds(size)
    # The formulas have no randomness, which alone makes some messages wait for some batches.
    least = {
        "oldest message, s": 3 * batch_seconds,
        "drained after, s": 20 * batch_seconds,
        "maximum backlog": 2 * capacity.polling.maximum * size,
        "backlog at the end": 2 * capacity.polling.maximum * size,
        "messages per batch": size / 4,
        "dead letters": 4 * math.sqrt(max(1, observed.dead)) * observed.scale,
    }
    # Nor do they know that retries come later than the tries that failed.
    part = {"concurrent batches": 0.15, "oldest message, s": 0.15}
    return [
        Comparison(
            scenario.name,
            name,
            formula,
            simulated,
            max(part.get(name, 0.1) * formula, least.get(name, 0.0)),
        )
        for name, formula, simulated in comparison(capacity, observed)
    ]
