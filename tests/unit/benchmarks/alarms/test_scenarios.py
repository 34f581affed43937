"""What happens to the pipeline raises the alarms it must, and nothing else does."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.alarms import evaluation, pipeline_model, scenarios
from benchmarks.alarms.evaluation import Key, PlayedMetrics
from benchmarks.alarms.pipeline_model import Scenario, always
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.operations import dead_letters
from tests.unit.templates.conftest import generate

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
    raised = _raised(alarmed, played[scenario])
    assert scenario.raises <= raised
    assert not scenario.spares & raised


@pytest.mark.parametrize("scenario", scenarios.OUTAGES, ids=lambda one: one.name)
@pytest.mark.parametrize("aligned", [False, True])
def test_an_outage_is_heard_of_within_ten_minutes(
    alarmed: ResolvedTemplate, played: Played, scenario: Scenario, aligned: bool
) -> None:
    """R2, O2: S3, the key or the role out of order, by a critical alarm."""
    begin = min(minutes.start for minutes in scenario.trouble.values())
    topic = alarmed.resolve({"Ref": "CriticalAlarmTopic"})
    found = [
        scenarios.raised(alarm, played[scenario], aligned=aligned)
        for alarm in _alarms(alarmed).values()
        if alarm["AlarmActions"] == [topic]
    ]
    # The alarm is evaluated when the minute is over.
    assert min(minute for minute in found if minute is not None) + 1 - begin <= 10


@pytest.mark.parametrize("endpoint", ["true", "false"])
@pytest.mark.parametrize(
    "queue",
    [{}, {"timeout_seconds": 10}, {"timeout_seconds": 300, "batch_size": 10}],
    ids=["default", "fast", "slow"],
)
@pytest.mark.parametrize("uploads", [0.3, 12])
def test_half_an_hour_out_of_order_leaves_no_dead_letter(
    queue: dict[str, int], endpoint: str, uploads: float
) -> None:
    """R2: with the SQS endpoint and without it, whatever the jitter, from any moment on."""
    stack = generate(logs={"archive": True}, queues={"default": queue}).with_parameters(
        **scenarios.PARAMETERS, CreateSqsEndpoint=endpoint
    )
    dead_letters_alarm = _alarms(stack)["dead-letters"]
    for seed, outage in product(range(3), scenarios.OUTAGES):
        start = 30 + 7 * seed
        moved = {
            name: range(minutes.start - 30 + start, minutes.stop - 30 + start)
            for name, minutes in outage.trouble.items()
        }
        scenario = replace(outage, trouble=moved, uploads=always(uploads), hours=2.5)
        metrics = pipeline_model.play(scenario, stack, seed=seed)
        assert scenarios.raised(dead_letters_alarm, metrics) is None, scenario


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
