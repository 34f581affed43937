"""The capacity model over many demands: against discrete events, at extremes, for slow pictures."""

import json
import re
from dataclasses import replace

import pytest

from benchmarks.capacity.scenarios import SCENARIOS, DemandScenario, rows
from darkroom import cli
from darkroom.capacity.simulation import Simulation
from tests.unit.darkroom.capacity.conftest import estimate, numbers


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_formulas_and_simulation_agree(scenario: DemandScenario) -> None:
    """D6, R4: within the tolerances that docs/capacity.md states."""
    found = rows(scenario, max_pictures=20_000)
    assert found
    assert [row for row in found if not row.agrees] == []


def test_the_comparison_can_fail() -> None:
    """A service that is a fifth slower than the formulas believe is noticed."""
    capacity = SCENARIOS[8].capacity()
    slower = replace(capacity.service, latency=0.2, _known={})
    observed = Simulation.of(replace(capacity, service=slower), seed=1, max_pictures=20_000).run()
    assert observed.busiest < 0.9 * capacity.throughput


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "1/month", "--concurrency", "1"],
        ["--rate", "1G/month", "--concurrency", "10000", "--account-concurrency", "20000"],
        ["--rate", "1G/month", "--pollers", "200:2000", "--account-concurrency", "20000"],
        ["--rate", "1e9/s", "--burst", "1000000x365d", "--failures", "99.9%", "--outage", "365d"],
        ["--megapixels", "0.001", "--cpu-factor", "1000", "--s3-latency", "0.001"],
        ["--megapixels", "99999", "--image-format", "webp"],
        ["--memory", "128", "--workload", "mixed", "--cpu-factor", "0.001"],
    ],
)
def test_extremes_are_numbers(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """D6: from one execution to a billion pictures per month and far beyond, no overflow."""
    assert cli.main(["capacity", *arguments, "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert all(number >= 0 for number in numbers(content))
    assert cli.main(["capacity", *arguments]) == 0
    assert not re.search(r"\bnan\b", capsys.readouterr().out)


@pytest.mark.parametrize("workload", ["phone", "camera", "web", "mixed"])
@pytest.mark.parametrize("memory", ["512", "1792", "10240"])
def test_the_defaults_fit_a_batch_of_slow_pictures(workload: str, memory: str) -> None:
    """R4: at a third of the bench's speed, with S3 at its slower end, half the timeout is enough.

    The worker begins no message for which twice the longest so far is not left.
    """
    slow = ("--cpu-factor", "0.33", "--s3-latency", "0.2", "--memory", memory)
    service = estimate("--workload", workload, *slow).capacity.service
    assert service.slow_batch() * 2 < service.stack.timeout
