"""The scenarios, played once."""

import pytest

from ops.reading import Reading
from tests.alarms import playing, scenarios
from tests.alarms.evaluation import Metrics
from tests.alarms.playing import Scenario


@pytest.fixture(scope="session")
def alarmed() -> Reading:
    return scenarios.stack()


@pytest.fixture(scope="session")
def played(alarmed: Reading) -> dict[Scenario, Metrics]:
    return {
        scenario: playing.play(scenario, alarmed)
        for scenario in (*scenarios.HEALTHY, *scenarios.HARM)
    }
