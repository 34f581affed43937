"""Lines for each invocation that CloudWatch turns into metrics, without a call to its API."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

_NAMESPACE = "Darkroom"

_UNITS = {
    "Pictures": "Count",
    "Variants": "Count",
    "BytesIn": "Bytes",
    "BytesOut": "Bytes",
    "Rejected": "Count",
    "Retries": "Count",
    "Stale": "Count",
    "Seconds": "Seconds",
}
"""Always there, so that an alarm can tell none from silence. Besides, `Rejected…` by reason."""

_SPREADS = {"EndToEndLatency": "Seconds", "ProcessingTime": "Seconds"}
"""A value for each picture, so that CloudWatch can tell percentiles; absent where there is none."""

_OF_SOURCES = ("Pictures", "Rejected", "EndToEndLatency")
"""What is told of each source besides, where there are several: each is paid for once more."""

_MOST_VALUES = 100
"""The format's limit for one metric of one line."""


class Metrics:
    """Counts of one invocation, from several threads."""

    def __init__(self, sources: Collection[str] = ()) -> None:
        """Begin at zero, now; `sources` are the names of all that there may be."""
        self._sources = {name: Metrics() for name in sources} if len(sources) > 1 else {}
        self._counts: Counter[str] = Counter()
        self._values: defaultdict[str, list[float]] = defaultdict(list)
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def add(self, **counts: int) -> None:
        """Add to the counts of these names, each one of Pictures, Variants, BytesIn …"""
        with self._lock:
            self._counts.update(counts)

    def observe(self, name: str, seconds: float) -> None:
        """Note one picture's value of EndToEndLatency or ProcessingTime."""
        with self._lock:
            self._values[name].append(round(seconds, 3))

    def end(
        self,
        outcome: str,
        facts: Mapping[str, Any],
        announced: str | None = None,
        source: str | None = None,
    ) -> None:
        """Count how an object of `source` ended, with the facts that its line in the log has.

        `announced` is the event's time as the notification gives it.
        """
        if source in self._sources:
            self._sources[source].end(outcome, facts, announced)
        self.add(Pictures=1)
        if outcome == "written":
            self.add(Variants=facts["outputs"], BytesOut=facts["bytes_out"])
            since = _seconds_since(announced)
            if since is not None:
                self.observe("EndToEndLatency", since)
        elif outcome == "rejected":
            words = "".join(word.capitalize() for word in facts["reason"].split("_"))
            self.add(**{"Rejected": 1, f"Rejected{words}": 1})
        elif outcome == "stale":
            self.add(Stale=1)

    def lines(self, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
        """Yield the function's line, and one for each source that had an object in it."""
        yield self.line(environment)
        for name, metrics in self._sources.items():
            if metrics._counts["Pictures"]:
                yield metrics.line(environment, source=name)

    def line(
        self, environment: Mapping[str, str] = os.environ, *, source: str | None = None
    ) -> str:
        """Return the embedded metric format's JSON: all of the function, or some of a source.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
        """
        units = _UNITS | _SPREADS
        values: dict[str, float | list[float]] = {
            **dict.fromkeys(_UNITS, 0),
            **self._counts,
            "Seconds": round(time.monotonic() - self._began, 3),
            **{name: _at_most(_MOST_VALUES, found) for name, found in self._values.items()},
        }
        name = environment.get("AWS_LAMBDA_FUNCTION_NAME", "worker")
        dimensions = {"FunctionName": name}
        if source is not None:
            dimensions["Source"] = source
            values = {name: value for name, value in values.items() if name in _OF_SOURCES}
        directive = {
            "Namespace": _NAMESPACE,
            # Each combination of dimensions is a metric of its own and is paid for.
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": units.get(name, "Count")} for name in values],
        }
        about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        return json.dumps({"_aws": about, **dimensions, **values})


def _seconds_since(moment: str | None) -> float | None:
    """Return the seconds since an ISO 8601 time; None where there is none that can be read."""
    try:
        then = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    # S3's clock may be ahead of this one; nothing is done before it is announced.
    return max(0.0, (datetime.now(UTC) - then).total_seconds())


def _at_most(limit: int, values: list[float]) -> list[float]:
    """Return the values, or `limit` of them at even ranks: the percentiles stay what they are."""
    ordered = sorted(values)
    count = min(limit, len(ordered))
    return [ordered[(rank + 1) * len(ordered) // count - 1] for rank in range(count)]
