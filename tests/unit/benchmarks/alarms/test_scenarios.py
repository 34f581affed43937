"""What happens to the pipeline raises the alarms it must, and nothing else does."""

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from benchmarks.alarms import evaluation, scenarios
from benchmarks.alarms.evaluation import Key, PlayedMetrics
from benchmarks.alarms.pipeline_model import Scenario
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.operations import dead_letters

DOCUMENT = Path(__file__).parents[4] / "docs" / "alarms.md"
Played = Mapping[Scenario, PlayedMetrics]


def _alarms(stack: ResolvedTemplate) -> dict[str, dict[str, Any]]:
    return {
        scenarios.role(one): one for one in stack.resources_of_type("CloudWatch::Alarm").values()
    }


def _raised(stack: ResolvedTemplate, metrics: PlayedMetrics, *, aligned: bool = False) -> set[str]:
    return {
        name
        for name, alarm in _alarms(stack).items()
        if scenarios.raised(alarm, metrics, aligned=aligned) is not None
    }


@pytest.mark.parametrize("scenario", scenarios.HEALTHY, ids=lambda one: one.name)
def test_a_healthy_pipeline_raises_no_alarm(
    alarmed: ResolvedTemplate, played: Played, scenario: Scenario
) -> None:
    """O2: false alarms teach people to ignore alarms."""
    assert _raised(alarmed, played[scenario]) == set()


@pytest.mark.parametrize("scenario", scenarios.HARM, ids=lambda one: one.name)
def test_every_harm_raises_its_alarms(
    alarmed: ResolvedTemplate, played: Played, scenario: Scenario
) -> None:
    """O2, pitfall 34: the alarms for the cause, and perhaps others for its consequences."""
    assert scenario.raises
    assert scenario.raises <= _raised(alarmed, played[scenario])


def test_reading_dead_letters_does_not_raise_their_alarm_again(alarmed: ResolvedTemplate) -> None:
    """O2: `darkroom dlq` hides what it reads for five minutes at most; that is no OK."""
    alarm = _alarms(alarmed)["dead-letters"]
    dimensions = frozenset((one["Name"], one["Value"]) for one in alarm["Dimensions"])
    key = Key(alarm["Namespace"], alarm["MetricName"], dimensions)
    hidden = dead_letters.VISIBILITY_TIMEOUT // 60
    counts = [0] * 15 + [3] * 20 + [0] * (hidden + 1) + [3] * 20 + [0] * 30
    metrics = PlayedMetrics(minutes=len(counts))
    for minute, value in enumerate(counts):
        metrics.put(key, minute, value)
    states = evaluation.states(alarm, metrics)
    assert [state for state, _ in groupby(states)] == ["OK", "ALARM", "OK"]
    assert states.index("ALARM") == counts.index(3)


def test_every_alarm_has_its_harm(alarmed: ResolvedTemplate) -> None:
    """O2: an alarm that nothing raises cannot be known to work."""
    assert set().union(*(one.raises for one in scenarios.HARM)) == set(_alarms(alarmed))


def test_where_periods_begin_does_not_matter(alarmed: ResolvedTemplate, played: Played) -> None:
    """O2: the documentation leaves it open."""
    for scenario, metrics in played.items():
        aligned = _raised(alarmed, metrics, aligned=True)
        assert aligned == _raised(alarmed, metrics), scenario.name


def test_alarms_end_with_their_cause(alarmed: ResolvedTemplate, played: Played) -> None:
    """O2: after the fix and the redrive every alarm returns to OK automatically."""
    for scenario, metrics in played.items():
        if scenario.name in ("S3 fails for an hour", *(one.name for one in scenarios.HEALTHY)):
            for alarm in _alarms(alarmed).values():
                assert scenarios.first_and_last(alarm, metrics)[1], scenario.name


def test_the_table_of_the_documentation_is_this_one(
    alarmed: ResolvedTemplate, played: Played
) -> None:
    """O2: `python -m benchmarks.alarms` prints it."""
    table = scenarios.table(list(_alarms(alarmed).values()), played)
    assert table in DOCUMENT.read_text(encoding="utf-8")


def test_a_mistake_in_an_alarm_is_noticed(alarmed: ResolvedTemplate, played: Played) -> None:
    """O2, pitfall 33: each threshold, comparison, period, dimension and missing-data choice."""
    marks = [
        (name, *mark)
        for name, alarm in _alarms(alarmed).items()
        for mark in scenarios.mistakes(alarm, played)
    ]
    assert len(marks) > 100
    assert [(name, mistake) for name, mistake, _, when in marks if not when] == []
    # Most change not only the minute, but who hears of what.
    assert sum(which for *_, which, _ in marks) > 0.95 * len(marks)
