"""The scenarios, played once."""

import pytest

from benchmarks.alarms import pipeline_model, scenarios
from benchmarks.alarms.evaluation import PlayedMetrics
from benchmarks.alarms.pipeline_model import Scenario
from darkroom.cloudformation.resolver import ResolvedTemplate


@pytest.fixture(scope="session")
def alarmed() -> ResolvedTemplate:
    return scenarios.stack()


@pytest.fixture(scope="session")
def played(alarmed: ResolvedTemplate) -> dict[Scenario, PlayedMetrics]:
    return {
        scenario: pipeline_model.play(scenario, alarmed)
        for scenario in (*scenarios.HEALTHY, *scenarios.HARM)
    }
