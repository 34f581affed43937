"""`python -m benchmarks.alarms`: print which scenario raises which alarm, as in docs/alarms.md."""

import sys

from benchmarks.alarms import pipeline_model, scenarios


def main() -> int:
    """Print the table and the undetected mutants of alarms; return 1 if there are any."""
    stack = scenarios.stack()
    alarms = list(stack.resources_of_type("CloudWatch::Alarm").values())
    played = {
        scenario: pipeline_model.play(scenario, stack)
        for scenario in (*scenarios.HEALTHY, *scenarios.HARM)
    }
    print(scenarios.table(alarms, played))
    marks = [
        (scenarios.role(alarm), *mark)
        for alarm in alarms
        for mark in scenarios.mistakes(alarm, played)
    ]
    print(f"\n{len(marks)} mistakes in the alarms")
    print(f"{sum(which for *_, which, _ in marks)} change which scenarios raise which alarm")
    print(f"{sum(when for *_, when in marks)} change that or the minute")
    for name, mistake, _, when in marks:
        if not when:
            print(f"  not noticed: {name}: {mistake}")
    return 0 if all(when for *_, when in marks) else 1


if __name__ == "__main__":
    sys.exit(main())
