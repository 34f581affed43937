"""Reads the body of a CloudWatch dashboard: its widgets' metrics, with the shorthand expanded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class GraphMetric:
    """An entry of a widget's `metrics`; for an expression, `namespace` and `metric` are empty."""

    namespace: str
    metric: str
    dimensions: dict[str, str]
    options: dict[str, Any]


def graph_metrics(widget: dict[str, Any]) -> Iterator[GraphMetric]:
    """Yield the metrics and expressions of a metric widget.

    `.` repeats the value at that position of the previous entry. `...` repeats the whole previous
    entry, except for the values after it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    """
    previous: list[str] = []
    for entry in widget.get("properties", {}).get("metrics", []):
        words = [str(part) for part in entry if not isinstance(part, dict)]
        options = {
            key: value for part in entry if isinstance(part, dict) for key, value in part.items()
        }
        if words[:1] == ["..."]:
            words = [*previous[: len(previous) - len(words) + 1], *words[1:]]
        words = [
            previous[index] if word == "." and index < len(previous) else word
            for index, word in enumerate(words)
        ]
        previous = words or previous
        namespace, metric = words[:2] if words else ("", "")
        dimensions = dict(zip(words[2::2], words[3::2], strict=False))
        yield GraphMetric(
            namespace=namespace, metric=metric, dimensions=dimensions, options=options
        )
