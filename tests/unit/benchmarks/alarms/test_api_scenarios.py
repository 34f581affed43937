"""What happens to the upload API raises the alarms it must, and nothing else does."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.alarms import api_scenarios, scenarios
from benchmarks.alarms.api_scenarios import ApiScenario
from benchmarks.alarms.evaluation import Data, PlayedMetrics, _percentile
from darkroom.cloudformation.resolver import ResolvedTemplate

DOCUMENT = Path(__file__).parents[4] / "docs" / "alarms.md"
Played = Mapping[ApiScenario, PlayedMetrics]


@pytest.fixture(scope="module")
def live() -> ResolvedTemplate:
    return api_scenarios.stack()


@pytest.fixture(scope="module")
def played_api(live: ResolvedTemplate) -> Played:
    return {
        one: api_scenarios.play(one, live) for one in (*api_scenarios.HEALTHY, *api_scenarios.HARM)
    }


@pytest.mark.parametrize("aligned", [False, True])
def test_alarms_are_raised_by_their_harm_alone(
    live: ResolvedTemplate, played_api: Played, aligned: bool
) -> None:
    """A1, O2: and by nothing healthy, wherever periods begin."""
    for scenario, metrics in played_api.items():
        raised = {
            scenarios.role(alarm)
            for alarm in api_scenarios.alarms(live)
            if scenarios.raised(alarm, metrics, aligned=aligned) is not None
        }
        assert raised == scenario.raises, scenario.name


def test_every_alarm_has_its_harm(live: ResolvedTemplate) -> None:
    """A1, O2: an alarm that nothing raises cannot be known to work."""
    roles = {scenarios.role(alarm) for alarm in api_scenarios.alarms(live)}
    assert set().union(*(one.raises for one in api_scenarios.HARM)) == roles
    assert len(roles) == 4


def test_the_table_of_the_documentation_is_this_one(
    live: ResolvedTemplate, played_api: Played
) -> None:
    """A1, O2: `python -m benchmarks.alarms` prints it."""
    table = scenarios.table(api_scenarios.alarms(live), played_api)
    assert table in DOCUMENT.read_text(encoding="utf-8")


def test_a_mistake_in_an_alarm_is_noticed(live: ResolvedTemplate, played_api: Played) -> None:
    """A1, O2, pitfall 33: each threshold, comparison, period, dimension, missing-data choice."""
    marks = [
        (scenarios.role(alarm), *mark)
        for alarm in api_scenarios.alarms(live)
        for mark in scenarios.mistakes(alarm, played_api)
    ]
    assert len(marks) > 40
    assert [(name, mistake) for name, mistake, _, when in marks if not when] == []


def test_a_percentile_is_that_of_all_values() -> None:
    """O2: not of the minutes' averages."""
    data = [Data(1, 1, 90, 90, {1: 90}), Data(2, 5, 25, 10, {2: 9, 5: 1})]
    assert [_percentile(one, data) for one in (50, 90, 99, 100)] == [1, 1, 2, 5]
