"""worker/metrics.py: a line that CloudWatch understands, and what it costs stays bounded."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import pytest

from worker.metrics import Metrics
from worker.results import Reason

FUNCTION = {"AWS_LAMBDA_FUNCTION_NAME": "darkroom-worker"}


class Slow(Counter[str]):
    """A counter that lets other threads in between reading and writing."""

    def __setitem__(self, name: str, value: int) -> None:
        time.sleep(0.0005)
        super().__setitem__(name, value)


def written(metrics: Metrics) -> dict[str, Any]:
    line = metrics.line(FUNCTION)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_the_line_has_the_format_that_cloudwatch_reads() -> None:
    """O3: each metric that is declared has its value beside, a timestamp in milliseconds."""
    metrics = Metrics()
    metrics.end("rejected", {"reason": "too_many_pixels"})
    line = written(metrics)
    assert abs(line["_aws"]["Timestamp"] - time.time() * 1000) < 60_000
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Darkroom"
    names = [metric["Name"] for metric in directive["Metrics"]]
    assert "RejectedTooManyPixels" in names
    assert len(set(names)) == len(names) <= 100  # the format's own limit
    assert all(isinstance(line[name], (int, float)) for name in names)
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert (units["BytesIn"], units["Seconds"], units["Rejected"]) == ("Bytes", "Seconds", "Count")


def test_the_functions_name_is_the_only_dimension() -> None:
    """O3: every combination of values is paid for; keys and reasons would multiply them."""
    line = written(Metrics())
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["FunctionName"]]
    assert line["FunctionName"] == "darkroom-worker"


def test_what_did_not_happen_is_zero() -> None:
    """O3: an alarm can tell none from silence; a reason appears when it occurs."""
    line = written(Metrics())
    assert [line[name] for name in ("Pictures", "Rejected", "Retries", "Stale")] == [0] * 4
    assert not [name for name in line if name.startswith("Rejected") and name != "Rejected"]


def test_each_ending_is_counted_as_what_it_is() -> None:
    """O3: pictures are the sum of all endings."""
    metrics = Metrics()
    metrics.end("written", {"outputs": 6, "bytes_out": 1_000, "seconds": 0.1})
    metrics.end("written", {"outputs": 3, "bytes_out": 500, "seconds": 0.1})
    for reason in get_args(Reason):
        metrics.end("rejected", {"reason": reason})
    metrics.end("stale", {})
    metrics.end("removed", {})
    line = written(metrics)
    assert line["Pictures"] == 4 + len(get_args(Reason))
    assert (line["Variants"], line["BytesOut"], line["Stale"]) == (9, 1_500, 1)
    assert line["Rejected"] == len(get_args(Reason))


def test_threads_lose_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """O3: several messages end at the same time."""
    metrics = Metrics()
    monkeypatch.setattr(metrics, "_counts", Slow())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: metrics.add(Retries=1), range(40)))
    assert written(metrics)["Retries"] == 40
