"""One line for each invocation that CloudWatch turns into metrics, without a call to its API."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
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


class Metrics:
    """Counts of one invocation, from several threads."""

    def __init__(self) -> None:
        """Begin at zero, now."""
        self._counts: Counter[str] = Counter()
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def add(self, **counts: int) -> None:
        """Add to the counts of these names, each one of Pictures, Variants, BytesIn …"""
        with self._lock:
            self._counts.update(counts)

    def end(self, outcome: str, facts: Mapping[str, Any]) -> None:
        """Count how an object ended, with the facts that its line in the log has."""
        self.add(Pictures=1)
        if outcome == "written":
            self.add(Variants=facts["outputs"], BytesOut=facts["bytes_out"])
        elif outcome == "rejected":
            words = "".join(word.capitalize() for word in facts["reason"].split("_"))
            self.add(**{"Rejected": 1, f"Rejected{words}": 1})
        elif outcome == "stale":
            self.add(Stale=1)

    def line(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return the embedded metric format's JSON.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
        """
        seconds = {"Seconds": round(time.monotonic() - self._began, 3)}
        values = {**dict.fromkeys(_UNITS, 0), **self._counts, **seconds}
        directive = {
            "Namespace": _NAMESPACE,
            # Each combination of dimensions is a metric of its own and is paid for.
            "Dimensions": [["FunctionName"]],
            "Metrics": [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in values],
        }
        about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        name = environment.get("AWS_LAMBDA_FUNCTION_NAME", "worker")
        return json.dumps({"_aws": about, "FunctionName": name, **values})
