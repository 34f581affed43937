"""The evaluator agrees with the examples of CloudWatch's documentation."""

import pytest

from benchmarks.alarms.evaluation import Key, PlayedMetrics, decide, states

POINTS = {"X": True, "0": False, "-": None}
KEY = Key("Test", "Count", frozenset({("Name", "one")}))


# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
@pytest.mark.parametrize(
    ("oldest_first", "to_alarm", "breaching", "not_breaching"),
    [
        ("0 - X - X", 3, "OK", "OK"),
        ("0 - - - -", 3, "OK", "OK"),
        ("- - - - -", 3, "ALARM", "OK"),
        ("0 X X - X", 3, "ALARM", "ALARM"),
        ("- - X - -", 3, "ALARM", "OK"),
        ("0 - X - X", 2, "ALARM", "ALARM"),
        ("0 0 X 0 X", 2, "ALARM", "ALARM"),
        ("0 - X - -", 2, "ALARM", "OK"),
        ("- - - - 0", 2, "ALARM", "OK"),
        ("- - - X -", 2, "ALARM", "OK"),
    ],
)
def test_missing_points_are_filled_as_documented(
    oldest_first: str, to_alarm: int, breaching: str, not_breaching: str
) -> None:
    """Pitfall 33: the documentation's examples, for three evaluation periods."""
    newest_first = tuple(POINTS[point] for point in reversed(oldest_first.split()))
    for missing, expected in (("breaching", breaching), ("notBreaching", not_breaching)):
        found = decide(newest_first, periods=3, to_alarm=to_alarm, missing=missing, before="OK")
        assert found == expected


def test_silence_is_a_choice() -> None:
    """Pitfall 33: what AWS does by default, and what ignoring does."""
    silence = (None,) * 5
    found = decide(silence, periods=3, to_alarm=3, missing="missing", before="ALARM")
    assert found == "INSUFFICIENT_DATA"
    assert decide(silence, periods=3, to_alarm=3, missing="ignore", before="ALARM") == "ALARM"


def _metrics(*values: float | None) -> PlayedMetrics:
    metrics = PlayedMetrics(minutes=len(values))
    for minute, value in enumerate(values):
        if value is not None:
            metrics.put(KEY, minute, value)
    return metrics


METRIC = {
    "Namespace": "Test",
    "MetricName": "Count",
    "Dimensions": [{"Name": "Name", "Value": "one"}],
}
PLAIN = {
    **METRIC,
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("GreaterThanThreshold", ["OK", "OK", "ALARM"]),
        ("GreaterThanOrEqualToThreshold", ["OK", "ALARM", "ALARM"]),
        ("LessThanThreshold", ["ALARM", "OK", "OK"]),
        ("LessThanOrEqualToThreshold", ["ALARM", "ALARM", "OK"]),
    ],
)
def test_a_value_is_compared_with_the_threshold(comparison: str, expected: list[str]) -> None:
    alarm = {**PLAIN, "ComparisonOperator": comparison}
    assert states(alarm, _metrics(0, 1, 2)) == expected


@pytest.mark.parametrize(
    ("statistic", "threshold"),
    [("Minimum", 1), ("Maximum", 3), ("Sum", 4), ("Average", 2), ("SampleCount", 2)],
)
def test_a_period_is_one_value(statistic: str, threshold: float) -> None:
    """Of all that was sent in it."""
    alarm = {**PLAIN, "Statistic": statistic, "Period": 120, "Threshold": threshold}
    assert states(alarm, _metrics(1, 3))[-1] == "OK"
    alarm["Threshold"] = threshold - 0.5
    assert states(alarm, _metrics(1, 3))[-1] == "ALARM"


def test_periods_may_be_aligned_to_the_clock() -> None:
    alarm = {**PLAIN, "Period": 120, "Threshold": 0}
    assert states(alarm, _metrics(0, 1, 0, 0)) == ["OK", "ALARM", "ALARM", "OK"]
    metrics = _metrics(0, 0, 0, 1, 0, 0)
    assert states(alarm, metrics, aligned=True) == [
        "INSUFFICIENT_DATA",
        "OK",
        "OK",
        "ALARM",
        "ALARM",
        "OK",
    ]


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ("IF(a>0 AND a<3,1,0)", 2, "ALARM"),
        ("IF(a>0 AND a<3,1,0)", 3, "OK"),
        ("IF(a<1 OR a==2,1,0)", 2, "ALARM"),
        ("IF(FILL(a,0)==0,1,0)", None, "ALARM"),
        ("IF(a==0,1,0)", None, "OK"),  # missing
        ("100*a/(a-2)-90", 3, "ALARM"),
        ("1+a/(a-2)", 2, "OK"),  # divided by nothing: missing
    ],
)
def test_metric_math(expression: str, value: float | None, expected: str) -> None:
    stat = {"Metric": METRIC, "Period": 60, "Stat": "Sum"}
    queries = [
        {"Id": "result", "Expression": expression},
        {"Id": "a", "MetricStat": stat, "ReturnData": False},
    ]
    alarm = {
        **{key: item for key, item in PLAIN.items() if key not in (*METRIC, "Statistic", "Period")},
        "Metrics": queries,
        "Threshold": 0,
    }
    assert states(alarm, _metrics(value))[-1] == expected


def test_other_metric_math_is_no_silence() -> None:
    with pytest.raises(ValueError, match="not known here"):
        test_metric_math("ANOMALY_DETECTION_BAND(a)", 1, "OK")


def test_another_dimension_is_another_metric() -> None:
    """O2: such an alarm is silent forever."""
    assert states({**PLAIN, "Dimensions": []}, _metrics(2)) == ["OK"]
