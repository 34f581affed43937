"""Alarms with one mistake each."""

import copy
import re
from collections.abc import Iterator
from typing import Any

Alarm = dict[str, Any]


def mutants(alarm: Alarm) -> Iterator[tuple[str, Alarm | None]]:
    """Yield each mistake and the alarm with it; None is a missing alarm."""
    yield "gone", None
    threshold = float(alarm["Threshold"])
    for word, other in (
        ("Threshold far above", 10 * threshold or 10**6),
        ("Threshold far below", threshold / 10 or -1),
    ):
        yield word, {**alarm, "Threshold": other}
    given = alarm["ComparisonOperator"]
    less, greater = given.replace("Greater", "Less"), given.replace("Less", "Greater")
    comparison = greater if given == less else less
    yield "ComparisonOperator the other way", {**alarm, "ComparisonOperator": comparison}
    yield "TreatMissingData breaching", {**alarm, "TreatMissingData": "breaching"}
    to_alarm, periods = alarm.get("DatapointsToAlarm"), alarm["EvaluationPeriods"]
    yield (
        "EvaluationPeriods far more",
        {
            **alarm,
            "EvaluationPeriods": 12 * periods,
            "DatapointsToAlarm": 12 * (to_alarm or periods),
        },
    )
    if (to_alarm or periods) > 1:
        yield "one period only", {**alarm, "EvaluationPeriods": 1, "DatapointsToAlarm": 1}
    for index, place in enumerate(_metrics(alarm)):
        for key, value in (("MetricName", "Other"), ("Namespace", "Other"), ("Dimensions", [])):
            mutant = copy.deepcopy(alarm)
            _metrics(mutant)[index][key] = value
            yield f"{key} of {place['MetricName']}", mutant
    for query in alarm.get("Metrics", ()):
        if "FILL" in query.get("Expression", ""):
            plain = {**query, "Expression": re.sub(r"FILL\((\w+),0\)", r"\1", query["Expression"])}
            others = [one for one in alarm["Metrics"] if one is not query]
            yield "without FILL", {**alarm, "Metrics": [plain, *others]}


def _metrics(alarm: Alarm) -> list[dict[str, Any]]:
    if "MetricName" in alarm:
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]
