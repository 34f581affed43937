"""`python -m benchmarks.alarms`: print which scenario raises which alarm, as in docs/alarms.md."""

import sys
from typing import Any

from benchmarks.alarms import api_scenarios, pipeline_model, scenarios
from benchmarks.alarms.evaluation import PlayedMetrics


def main() -> int:
    """Print the tables and the undetected mutants of alarms; return 1 if there are any."""
    stack, with_api = scenarios.stack(), api_scenarios.stack()
    everything: list[tuple[list[dict[str, Any]], dict[Any, PlayedMetrics]]] = [
        (
            list(stack.resources_of_type("CloudWatch::Alarm").values()),
            {one: pipeline_model.play(one, stack) for one in (*scenarios.HEALTHY, *scenarios.HARM)},
        ),
        (
            api_scenarios.alarms(with_api),
            {
                one: api_scenarios.play(one, with_api)
                for one in (*api_scenarios.HEALTHY, *api_scenarios.HARM)
            },
        ),
    ]
    for alarms, played in everything:
        print(scenarios.table(alarms, played), end="\n\n")
    marks = [
        (scenarios.role(alarm), *mark)
        for alarms, played in everything
        for alarm in alarms
        for mark in scenarios.mistakes(alarm, played)
    ]
    print(f"{len(marks)} mistakes in the alarms")
    print(f"{sum(which for *_, which, _ in marks)} change which scenarios raise which alarm")
    print(f"{sum(when for *_, when in marks)} change that or the minute")
    for name, mistake, _, when in marks:
        if not when:
            print(f"  not noticed: {name}: {mistake}")
    return 0 if all(when for *_, when in marks) else 1


if __name__ == "__main__":
    sys.exit(main())
