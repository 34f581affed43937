"""Metrics of one invocation as log lines, which CloudWatch reads without a call to its API."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from worker.results import Result

_NAMESPACE = "Darkroom"

_COUNTERS = {
    "ImagesProcessed": "Count",
    "ThumbnailsWritten": "Count",
    "BytesIn": "Bytes",
    "BytesOut": "Bytes",
    "Rejected": "Count",
    "Retries": "Count",
    "SupersededEvents": "Count",
}
"""Units by name. Always sent, so that an alarm can tell zero from silence."""

_TIMES = {"EndToEndLatency": "Milliseconds", "ProcessingTime": "Milliseconds"}
"""One value per image, so that CloudWatch can compute percentiles; absent where there is none."""

_PER_SOURCE = ("ImagesProcessed", "Rejected", "EndToEndLatency")
"""What is also sent for each source, where there are several: each one costs as much again."""

_MOST_VALUES = 100
"""The format's limit of values for one metric in one line."""


class Metrics:
    """Counts of one invocation, from several threads."""

    def __init__(self, sources: Collection[str] = (), reasons: Collection[str] = ()) -> None:
        """Start at zero.

        Args:
            sources: The names of all sources there may be.
            reasons: The reasons for rejections that have a metric of their own.
        """
        self._sources = {name: Metrics() for name in sources} if len(sources) > 1 else {}
        self._reasons = frozenset(reasons)
        self._counts: Counter[str] = Counter()
        self._values: defaultdict[str, list[int]] = defaultdict(list)
        self._lock = threading.Lock()

    def add(self, **counts: int) -> None:
        """Add to the counters of these names: Retries, BytesIn and so on."""
        with self._lock:
            self._counts.update(counts)

    def observe(self, name: str, milliseconds: int) -> None:
        """Record one image's EndToEndLatency or ProcessingTime."""
        with self._lock:
            self._values[name].append(milliseconds)

    def record(
        self, result: Result, *, event_time: str | None = None, source: str | None = None
    ) -> None:
        """Count how one object ended.

        Args:
            result: What `reconcile` returned.
            event_time: When the event happened, as its notification says (ISO 8601).
            source: The name of the object's source.
        """
        if source in self._sources:
            self._sources[source].record(result, event_time=event_time)
        self.add(ImagesProcessed=1, BytesIn=result.bytes_in or 0)
        if result.processing_ms is not None:
            self.observe("ProcessingTime", result.processing_ms)
        if result.outcome == "succeeded":
            self.add(ThumbnailsWritten=result.output_count or 0, BytesOut=result.bytes_out or 0)
            latency = _milliseconds_since(event_time)
            if latency is not None:
                self.observe("EndToEndLatency", latency)
        elif result.outcome == "rejected":
            self.add(**{"Rejected": 1, self._reason_metric(result.reason): 1})
        elif result.outcome == "superseded":
            self.add(SupersededEvents=1)

    def lines(self, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
        """Yield the function's line, and one for each source that had an object in it."""
        yield self.line(environment)
        for name, metrics in self._sources.items():
            if metrics._counts["ImagesProcessed"]:
                yield metrics.line(environment, source=name)

    def line(
        self, environment: Mapping[str, str] = os.environ, *, source: str | None = None
    ) -> str:
        """Return one line in the embedded metric format: of the function, or of one source.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
        """
        units = _COUNTERS | _TIMES
        values: dict[str, int | list[int]] = {
            **dict.fromkeys(_COUNTERS, 0),
            **self._counts,
            **{name: _sample(found, _MOST_VALUES) for name, found in self._values.items()},
        }
        dimensions = {"FunctionName": environment.get("AWS_LAMBDA_FUNCTION_NAME", "worker")}
        if source is not None:
            dimensions["Source"] = source
            values = {name: value for name, value in values.items() if name in _PER_SOURCE}
        directive = {
            "Namespace": _NAMESPACE,
            # CloudWatch charges for each combination of dimensions as a metric of its own.
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": units.get(name, "Count")} for name in values],
        }
        header = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        return json.dumps({"_aws": header, **dimensions, **values}, separators=(",", ":"))

    def _reason_metric(self, reason: str | None) -> str:
        """Return the metric that counts rejections for this reason; their number is bounded."""
        if reason not in self._reasons:
            return "RejectedOther"
        return "Rejected" + "".join(word.capitalize() for word in reason.split("_"))


def _milliseconds_since(moment: str | None) -> int | None:
    """Return the milliseconds since an ISO 8601 time; None where it is absent or unreadable."""
    try:
        then = datetime.fromisoformat(moment or "")
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    # S3's clock may be ahead of this one; nothing ends before its event.
    return max(0, round((datetime.now(UTC) - then).total_seconds() * 1000))


def _sample(values: list[int], limit: int) -> list[int]:
    """Return the values, or `limit` of them at even ranks: the percentiles stay what they are."""
    ordered = sorted(values)
    count = min(limit, len(ordered))
    return [ordered[(rank + 1) * len(ordered) // count - 1] for rank in range(count)]
