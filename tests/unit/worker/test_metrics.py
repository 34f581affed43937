"""worker/metrics.py: a line that CloudWatch understands, and what it costs stays bounded."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from worker.metrics import Metrics
from worker.results import Reason

FUNCTION = {"AWS_LAMBDA_FUNCTION_NAME": "darkroom-worker"}
WRITTEN = {"outputs": 6, "bytes_out": 1_000, "seconds": 0.1}
DOCUMENT = Path(__file__).parents[3] / "docs" / "observability.md"
UNITS = {"Seconds", "Bytes", "Count"}  # of the many that the specification knows


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


def everything(pictures: int = 1) -> Metrics:
    """Return an invocation in which all that is counted happened."""
    metrics = Metrics()
    for reason in get_args(Reason):
        metrics.end("rejected", {"reason": reason})
    for _ in range(pictures):
        metrics.observe("ProcessingTime", 0.1)
        metrics.end("written", WRITTEN, datetime.now(UTC).isoformat())
    metrics.end("stale", {})
    metrics.add(BytesIn=5_000, Retries=1)
    return metrics


def numbers(value: Any) -> list[float]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("metrics", [Metrics(), everything(), everything(pictures=250)])
def test_the_line_has_the_format_that_cloudwatch_reads(metrics: Metrics) -> None:
    """O3: the specification's rules; CloudWatch drops in silence what does not keep them.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    line = written(metrics)
    assert len(json.dumps(line)) < 256 * 1024  # of the limits that were published, the lower
    about = line["_aws"]
    assert set(about) == {"Timestamp", "CloudWatchMetrics"}
    # From two weeks ago to two hours ahead is taken.
    assert isinstance(about["Timestamp"], int)
    assert abs(about["Timestamp"] - time.time() * 1000) < 60_000
    for directive in about["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert re.fullmatch(r"[^:].{0,254}", directive["Namespace"])
        assert directive["Dimensions"]
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 30
            assert all(isinstance(line[name], str) and line[name] for name in dimensions)
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert 1 <= len(set(names)) == len(names) <= 100
        assert not set(names) & set(directive["Dimensions"][0])
        for metric in directive["Metrics"]:
            assert set(metric) == {"Name", "Unit"}
            assert metric["Unit"] in UNITS
            values = numbers(line[metric["Name"]])
            assert 1 <= len(values) <= 100
            assert all(type(value) in (int, float) and math.isfinite(value) for value in values)


def test_a_metric_has_its_name_and_unit() -> None:
    """O3: what alarms and the dashboard ask for."""
    (directive,) = written(everything())["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Darkroom"
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units["RejectedTooManyPixels"] == "Count"
    assert (units["BytesIn"], units["Seconds"], units["Rejected"]) == ("Bytes", "Seconds", "Count")
    assert units["EndToEndLatency"] == units["ProcessingTime"] == "Seconds"


def test_the_document_tells_every_metric_and_its_unit() -> None:
    """O3, C1: a table that is true, with a reason for each rejection."""
    (directive,) = written(everything())["_aws"]["CloudWatchMetrics"]
    table = DOCUMENT.read_text(encoding="utf-8").split("## Metrics")[1].split("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE))
    reasons = set(re.findall(r"`(Rejected\w+)`", table)) - set(told)
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == told | dict.fromkeys(reasons, "Count")


def test_the_functions_name_is_the_only_dimension() -> None:
    """O3: every combination of values is paid for; keys and reasons would multiply them."""
    line = written(Metrics())
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["FunctionName"]]
    assert line["FunctionName"] == "darkroom-worker"


def test_each_of_several_sources_is_told_apart() -> None:
    """O3, T5: a line for each that had an object; three metrics, for each is paid for."""
    metrics = Metrics(["default", "scans", "quiet"])
    metrics.end("written", WRITTEN, datetime.now(UTC).isoformat(), "scans")
    metrics.end("rejected", {"reason": "corrupt"}, None, "scans")
    metrics.end("stale", {}, None, "default")
    metrics.add(Retries=1)
    function, *sources = map(json.loads, metrics.lines(FUNCTION))
    assert (function["Pictures"], function["Rejected"], "Source" in function) == (3, 1, False)
    told = {line["Source"]: line for line in sources}
    assert {name: (line["Pictures"], line["Rejected"]) for name, line in told.items()} == {
        "default": (1, 0),
        "scans": (2, 1),
    }
    for line in sources:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["FunctionName", "Source"]]
        assert line["FunctionName"] == "darkroom-worker"
        named = {metric["Name"] for metric in directive["Metrics"]}
        assert named <= {"Pictures", "Rejected", "EndToEndLatency"}
        assert set(line) == {"_aws", "FunctionName", "Source", *named}


@pytest.mark.parametrize("sources", [[], ["default"]])
def test_a_function_with_one_source_has_one_line(sources: list[str]) -> None:
    """O3: there is nothing to tell apart, and so nothing to pay for."""
    metrics = Metrics(sources)
    metrics.end("written", WRITTEN, None, "default")
    assert len(list(metrics.lines(FUNCTION))) == 1


def test_what_did_not_happen_is_zero() -> None:
    """O3: an alarm can tell none from silence; a reason appears when it occurs."""
    line = written(Metrics())
    assert [line[name] for name in ("Pictures", "Rejected", "Retries", "Stale")] == [0] * 4
    assert not [name for name in line if name.startswith("Rejected") and name != "Rejected"]
    # A latency of zero would be a lie, and an empty list is no value.
    assert not {"EndToEndLatency", "ProcessingTime"} & set(line)


def test_each_ending_is_counted_as_what_it_is() -> None:
    """O3: pictures are the sum of all endings."""
    metrics = Metrics()
    metrics.end("written", WRITTEN)
    metrics.end("written", {"outputs": 3, "bytes_out": 500, "seconds": 0.1})
    for reason in get_args(Reason):
        metrics.end("rejected", {"reason": reason})
    metrics.end("stale", {})
    metrics.end("removed", {})
    line = written(metrics)
    assert line["Pictures"] == 4 + len(get_args(Reason))
    assert (line["Variants"], line["BytesOut"], line["Stale"]) == (9, 1_500, 1)
    assert line["Rejected"] == len(get_args(Reason))


def test_latency_is_from_the_event_until_it_is_written() -> None:
    """O3: a value for each picture, whatever way its time is written; of no other ending."""
    metrics = Metrics()
    now = datetime.now(UTC)
    for seconds, zone in ((3.0, "Z"), (5.0, "+00:00"), (7.0, "")):
        announced = (now - timedelta(seconds=seconds)).replace(tzinfo=None)
        metrics.end("written", WRITTEN, announced.isoformat(timespec="milliseconds") + zone)
    early = (now - timedelta(days=1)).isoformat()
    metrics.end("rejected", {"reason": "corrupt"}, early)
    metrics.end("stale", {}, early)
    assert written(metrics)["EndToEndLatency"] == pytest.approx([3, 5, 7], abs=1)


def test_a_clock_that_is_ahead_makes_no_negative_latency() -> None:
    """O3: S3's clock is not this one."""
    metrics = Metrics()
    metrics.end("written", WRITTEN, (datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    assert written(metrics)["EndToEndLatency"] == [0]


@pytest.mark.parametrize("announced", [None, "", "yesterday", "2026-13-01T00:00:00Z", "\0", "1e9"])
def test_a_time_that_is_missing_or_garbled_has_no_latency(announced: str | None) -> None:
    """O3, P5: the picture counts all the same."""
    metrics = Metrics()
    metrics.end("written", WRITTEN, announced)
    line = written(metrics)
    assert "EndToEndLatency" not in line
    assert line["Pictures"] == 1


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 1_000])
def test_more_values_than_the_format_takes_keep_their_percentiles(count: int) -> None:
    """O3: a batch of 100 messages may announce more pictures; the worst is never left out."""
    metrics = Metrics()
    for number in range(count, 0, -1):
        metrics.observe("ProcessingTime", number)
    values = written(metrics)["ProcessingTime"]
    assert len(values) == min(count, 100)
    assert max(values) == count
    assert values[len(values) // 2 - 1] == pytest.approx(count / 2, abs=max(1, count / 100))


def test_threads_lose_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """O3: several messages end at the same time."""
    metrics = Metrics()
    monkeypatch.setattr(metrics, "_counts", Slow())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: metrics.add(Retries=1), range(40)))
    assert written(metrics)["Retries"] == 40
