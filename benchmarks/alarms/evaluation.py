"""CloudWatch's documented evaluation of alarms, applied to simulated metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import ast
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Value = float | None
"""None is a missing data point."""

# CloudWatch looks further back than the evaluation periods; its documentation's examples show two
# data points more, and say that the number depends on the alarm.
MORE_PERIODS = 2

COMPARISONS = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True)
class Key:
    """A metric: dimensions with other names or values, or one more, are another metric."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


@dataclass
class Data:
    """The values of one minute, as CloudWatch keeps them."""

    least: float
    most: float
    total: float
    count: int = 1
    times: dict[float, int] = field(default_factory=dict)
    """How often there was each value."""

    def add(self, value: float, times: int) -> None:
        """Add `times` equal values."""
        self.times[value] = self.times.get(value, 0) + times
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.total, self.count = self.total + value * times, self.count + times


@dataclass
class PlayedMetrics:
    """The minutes of every metric; minutes without values are missing."""

    minutes: int
    series: dict[Key, dict[int, Data]] = field(default_factory=dict)
    _points: dict[tuple[Key, str, int], list[Value]] = field(default_factory=dict)

    def put(self, key: Key, minute: int, value: float, times: int = 1) -> None:
        """Add `times` equal values to a minute of a metric."""
        series = self.series.setdefault(key, {})
        if minute in series:
            series[minute].add(value, times)
        else:
            series[minute] = Data(value, value, value * times, times, {value: times})

    def points(self, key: Key, statistic: str, period: int) -> list[Value]:
        """Return the statistic over the `period` seconds that end with each minute."""
        wanted = (key, statistic, period)
        if wanted not in self._points:
            series = self.series.get(key, {})
            self._points[wanted] = [
                _statistic(
                    statistic,
                    [
                        series[minute]
                        for minute in range(end - period // 60 + 1, end + 1)
                        if minute in series
                    ],
                )
                for end in range(self.minutes)
            ]
        return self._points[wanted]


def _statistic(statistic: str, data: Sequence[Data]) -> Value:
    if not data:
        return None
    total, count = sum(one.total for one in data), sum(one.count for one in data)
    if statistic.startswith("p"):
        return _percentile(float(statistic[1:]), data)
    return {
        "Minimum": min(one.least for one in data),
        "Maximum": max(one.most for one in data),
        "Sum": total,
        "Average": total / count,
        "SampleCount": count,
    }[statistic]


def _percentile(percent: float, data: Sequence[Data]) -> float:
    """Return the least value that this share of the values does not exceed."""
    times: Counter[float] = Counter()
    for one in data:
        times.update(one.times)
    rest = percent / 100 * times.total()
    for value in sorted(times):
        rest -= times[value]
        if rest <= 0:
            break
    return value


def states(
    alarm: Mapping[str, Any], metrics: PlayedMetrics, *, aligned: bool = False
) -> list[State]:
    """Return the state of an alarm, by its resolved properties, at the end of each minute.

    CloudWatch evaluates each minute. Whether its periods end with that minute or are `aligned` to
    the clock must not matter.
    """
    period, points = _points(alarm, metrics)
    step = period // 60
    count = alarm["EvaluationPeriods"]
    breaches = COMPARISONS[alarm["ComparisonOperator"]]
    threshold = float(alarm["Threshold"])
    found: list[State] = []
    state: State = "INSUFFICIENT_DATA"
    breaching = [None if value is None else breaches(value, threshold) for value in points]
    if not aligned and alarm.get("TreatMissingData") == "notBreaching" and True not in breaching:
        return ["OK"] * metrics.minutes
    for minute in range(metrics.minutes):
        if not aligned or (minute + 1) % step == 0:
            state = decide(
                tuple(breaching[minute::-step][: count + MORE_PERIODS]),
                periods=count,
                to_alarm=alarm.get("DatapointsToAlarm", count),
                missing=alarm.get("TreatMissingData", "missing"),
                before=state,
            )
        found.append(state)
    return found


@cache  # most ranges are alike
def decide(
    newest_first: tuple[bool | None, ...],
    *,
    periods: int,
    to_alarm: int,
    missing: str,
    before: State,
) -> State:
    """Return the state after an evaluation range: whether each point breaches, None if missing.

    Where there are enough real points in the range, the newest of these count and how missing ones
    are treated does not matter; otherwise as few as needed are filled in.
    """
    real = [point for point in newest_first if point is not None][:periods]
    lacking = periods - len(real)
    if lacking and missing == "ignore":
        return before
    if not real and missing == "missing":
        return "INSUFFICIENT_DATA"
    filled = lacking if missing == "breaching" else 0
    return "ALARM" if sum(real) + filled >= to_alarm else "OK"


def _points(alarm: Mapping[str, Any], metrics: PlayedMetrics) -> tuple[int, list[Value]]:
    """Return the period in seconds, and for each minute the value that is compared."""
    if "MetricName" in alarm:
        statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
        return alarm["Period"], metrics.points(_key(alarm), statistic, alarm["Period"])
    (result,) = [one for one in alarm["Metrics"] if one.get("ReturnData", True)]
    inputs = {one["Id"]: one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one}
    (period,) = {one["Period"] for one in inputs.values()}
    series = {
        name: metrics.points(_key(one["Metric"]), one["Stat"], period)
        for name, one in inputs.items()
    }
    names = tuple(series)
    return period, [
        _computed(result["Expression"], names, values)
        for values in zip(*series.values(), strict=True)
    ]


def _key(metric: Mapping[str, Any]) -> Key:
    dimensions = frozenset((one["Name"], str(one["Value"])) for one in metric["Dimensions"])
    return Key(metric["Namespace"], metric["MetricName"], dimensions)


@cache  # most minutes are alike
def _computed(expression: str, names: tuple[str, ...], values: tuple[Value, ...]) -> Value:
    return _value(_parsed(expression), dict(zip(names, values, strict=True)))


@cache
def _parsed(expression: str) -> ast.expr:
    """Read metric math: what is used here of it is Python's but for AND and OR."""
    text = expression.replace(" AND ", " and ").replace(" OR ", " or ")
    return ast.parse(text, mode="eval").body


OPERATORS: dict[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def _value(node: ast.expr, names: Mapping[str, Value]) -> Value:
    """Return an expression's value; with a missing part it is missing, unless FILLed.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return names[name]
        case ast.Call(func=ast.Name(id="FILL"), args=[series, fill]):
            value = _value(series, names)
            return _value(fill, names) if value is None else value
        case ast.Call(func=ast.Name(id="IF"), args=[test, then, otherwise]):
            value = _value(test, names)
            return None if value is None else _value(then if value else otherwise, names)
        case ast.BoolOp(op=ast.And() | ast.Or() as junction, values=parts):
            values = [_value(part, names) for part in parts]
            if None in values:
                return None
            return float((all if isinstance(junction, ast.And) else any)(values))
        case (
            ast.BinOp(left=left, op=how, right=right)
            | ast.Compare(left=left, ops=[how], comparators=[right])
        ):
            one, other = _value(left, names), _value(right, names)
            if one is None or other is None or (isinstance(how, ast.Div) and not other):
                return None
            return float(OPERATORS[type(how)](one, other))
    raise ValueError(f"metric math that is not known here: {ast.unparse(node)}")
