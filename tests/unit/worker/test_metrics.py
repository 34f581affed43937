"""worker/metrics.py: a line that CloudWatch understands, and what it costs stays bounded."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from worker import imaging, storage
from worker.metrics import Metrics
from worker.results import Result

FUNCTION = {"AWS_LAMBDA_FUNCTION_NAME": "darkroom-worker"}
ALL_REASONS = (*storage.REASONS, *imaging.REASONS)
REASONS = ("corrupt", "empty", "not_an_image", "too_many_pixels")
SUCCEEDED = Result("succeeded", "", output_count=6, bytes_out=1_000)
SUPERSEDED = Result("superseded", "")
DOCUMENT = Path(__file__).parents[3] / "docs" / "observability.md"
UNITS = {"Milliseconds", "Bytes", "Count"}  # of the many that the specification knows


class Slow(Counter[str]):
    """A counter that lets other threads in between reading and writing."""

    def __setitem__(self, name: str, value: int) -> None:
        time.sleep(0.0005)
        super().__setitem__(name, value)


def rejected(reason: str) -> Result:
    return Result("rejected", "", reason=reason)


def sent(metrics: Metrics) -> dict[str, Any]:
    line = metrics.line(FUNCTION)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def everything(images: int = 1) -> Metrics:
    """Return an invocation in which all that is counted happened."""
    metrics = Metrics(reasons=REASONS)
    for reason in (*REASONS, "not_listed"):
        metrics.record(rejected(reason))
    for _ in range(images):
        result = replace(SUCCEEDED, bytes_in=5_000, processing_ms=100)
        metrics.record(result, event_time=datetime.now(UTC).isoformat())
    metrics.record(SUPERSEDED)
    metrics.add(Retries=1)
    return metrics


def numbers(value: Any) -> list[float]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("metrics", [Metrics(), everything(), everything(images=250)])
def test_the_line_has_the_format_that_cloudwatch_reads(metrics: Metrics) -> None:
    """O3: the specification's rules; CloudWatch drops in silence what does not keep them.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    line = sent(metrics)
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
    (directive,) = sent(everything())["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Darkroom"
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units["RejectedTooManyPixels"] == "Count"
    assert (units["BytesIn"], units["Rejected"]) == ("Bytes", "Count")
    assert units["EndToEndLatency"] == units["ProcessingTime"] == "Milliseconds"


def test_the_document_lists_every_metric_and_its_unit() -> None:
    """O3, C1: a table that is true, with every reason for a rejection."""
    metrics = Metrics(reasons=ALL_REASONS)
    for reason in (*ALL_REASONS, "not_listed"):
        metrics.record(rejected(reason))
    metrics.record(replace(SUCCEEDED, processing_ms=1), event_time=datetime.now(UTC).isoformat())
    (directive,) = sent(metrics)["_aws"]["CloudWatchMetrics"]
    table = DOCUMENT.read_text(encoding="utf-8").split("## Metrics")[1].split("\n## ")[0]
    documented = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE))
    reasons = set(re.findall(r"`(Rejected\w+)`", table)) - set(documented)
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == documented | dict.fromkeys(reasons, "Count")


def test_the_functions_name_is_the_only_dimension() -> None:
    """O3: each combination of values is charged for; keys and reasons would multiply them."""
    line = sent(Metrics())
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["FunctionName"]]
    assert line["FunctionName"] == "darkroom-worker"


def test_each_of_several_sources_has_its_own_line() -> None:
    """O3, T5: a line for each that had an object; three metrics, for each one costs."""
    metrics = Metrics(["default", "scans", "quiet"], REASONS)
    metrics.record(SUCCEEDED, event_time=datetime.now(UTC).isoformat(), source="scans")
    metrics.record(rejected("corrupt"), source="scans")
    metrics.record(SUPERSEDED, source="default")
    metrics.add(Retries=1)
    function, *others = map(json.loads, metrics.lines(FUNCTION))
    assert (function["ImagesProcessed"], function["Rejected"], "Source" in function) == (
        3,
        1,
        False,
    )
    by_source = {line["Source"]: line for line in others}
    assert {
        name: (line["ImagesProcessed"], line["Rejected"]) for name, line in by_source.items()
    } == {"default": (1, 0), "scans": (2, 1)}
    for line in others:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["FunctionName", "Source"]]
        assert line["FunctionName"] == "darkroom-worker"
        named = {metric["Name"] for metric in directive["Metrics"]}
        assert named <= {"ImagesProcessed", "Rejected", "EndToEndLatency"}
        assert set(line) == {"_aws", "FunctionName", "Source", *named}


@pytest.mark.parametrize("sources", [[], ["default"]])
def test_a_function_with_one_source_has_one_line(sources: list[str]) -> None:
    """O3: there is nothing to distinguish, and so nothing to pay for."""
    metrics = Metrics(sources)
    metrics.record(SUCCEEDED, source="default")
    assert len(list(metrics.lines(FUNCTION))) == 1


def test_what_did_not_happen_is_zero() -> None:
    """O3: an alarm can tell zero from silence; a reason appears when it occurs."""
    line = sent(Metrics())
    assert [
        line[name] for name in ("ImagesProcessed", "Rejected", "Retries", "SupersededEvents")
    ] == [0] * 4
    assert not [name for name in line if name.startswith("Rejected") and name != "Rejected"]
    # A latency of zero would be a lie, and an empty list is no value.
    assert not {"EndToEndLatency", "ProcessingTime"} & set(line)


def test_each_result_is_counted_as_what_it_is() -> None:
    """O3: images processed are the sum of all outcomes."""
    metrics = Metrics(reasons=REASONS)
    metrics.record(SUCCEEDED)
    metrics.record(replace(SUCCEEDED, output_count=3, bytes_out=500))
    for reason in REASONS:
        metrics.record(rejected(reason))
    metrics.record(SUPERSEDED)
    metrics.record(Result("deleted", "", reason="deleted"))
    metrics.record(Result("skipped", ""))
    line = sent(metrics)
    assert line["ImagesProcessed"] == 5 + len(REASONS)
    assert (line["ThumbnailsWritten"], line["BytesOut"], line["SupersededEvents"]) == (9, 1_500, 1)
    assert line["Rejected"] == len(REASONS)


def test_reasons_that_are_not_listed_are_counted_together() -> None:
    """O3: a processor may reject for any reason, and each metric costs."""
    metrics = Metrics(reasons=REASONS)
    for reason in ("corrupt", "out_of_focus", "too_dark"):
        metrics.record(rejected(reason))
    line = sent(metrics)
    assert {name: line[name] for name in line if name.startswith("Rejected")} == {
        "Rejected": 3,
        "RejectedCorrupt": 1,
        "RejectedOther": 2,
    }


def test_what_was_read_and_processed_is_counted_whatever_the_outcome() -> None:
    """O3: a rejection takes its time as well."""
    metrics = Metrics(reasons=REASONS)
    metrics.record(replace(SUCCEEDED, bytes_in=10, processing_ms=70))
    metrics.record(replace(rejected("corrupt"), bytes_in=5, processing_ms=30))
    metrics.record(rejected("empty"))
    line = sent(metrics)
    assert (line["BytesIn"], line["ProcessingTime"]) == (15, [30, 70])


def test_latency_is_from_the_event_until_it_is_written() -> None:
    """O3: one value per image, however its time is written; for no other outcome."""
    metrics = Metrics()
    now = datetime.now(UTC)
    for seconds, zone in ((3.0, "Z"), (5.0, "+00:00"), (7.0, "")):
        then = (now - timedelta(seconds=seconds)).replace(tzinfo=None)
        metrics.record(SUCCEEDED, event_time=then.isoformat(timespec="milliseconds") + zone)
    early = (now - timedelta(days=1)).isoformat()
    metrics.record(rejected("corrupt"), event_time=early)
    metrics.record(SUPERSEDED, event_time=early)
    assert sent(metrics)["EndToEndLatency"] == pytest.approx([3_000, 5_000, 7_000], abs=1_000)


def test_a_clock_that_is_ahead_makes_no_negative_latency() -> None:
    """O3: S3's clock is not this one."""
    metrics = Metrics()
    ahead = datetime.now(UTC) + timedelta(minutes=1)
    metrics.record(SUCCEEDED, event_time=ahead.isoformat())
    assert sent(metrics)["EndToEndLatency"] == [0]


@pytest.mark.parametrize("event_time", [None, "", "yesterday", "2026-13-01T00:00:00Z", "\0", "1e9"])
def test_a_time_that_is_missing_or_garbled_has_no_latency(event_time: str | None) -> None:
    """O3, P5: the image counts all the same."""
    metrics = Metrics()
    metrics.record(SUCCEEDED, event_time=event_time)
    line = sent(metrics)
    assert "EndToEndLatency" not in line
    assert line["ImagesProcessed"] == 1


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 1_000])
def test_more_values_than_the_format_takes_keep_their_percentiles(count: int) -> None:
    """O3: a batch of 100 messages may have more images; the worst is never left out."""
    metrics = Metrics()
    for number in range(count, 0, -1):
        metrics.observe("ProcessingTime", number)
    values = sent(metrics)["ProcessingTime"]
    assert len(values) == min(count, 100)
    assert max(values) == count
    assert values[len(values) // 2 - 1] == pytest.approx(count / 2, abs=max(1, count / 100))


def test_threads_lose_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """O3: several messages end at the same time."""
    metrics = Metrics()
    monkeypatch.setattr(metrics, "_counts", Slow())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: metrics.add(Retries=1), range(40)))
    assert sent(metrics)["Retries"] == 40
