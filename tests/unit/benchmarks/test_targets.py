"""The targets: from measurements to hit or miss."""

from pathlib import Path

import pytest

from benchmarks.results import BASELINE, SHIPPED, Measurement, Run, Series, SourceImage
from benchmarks.targets import Verdict, geometric_mean, verdicts

ONE = SourceImage("one", Path("one"), (40, 30), frozenset({"jpeg", "plain", "baseline"}))
TWO = SourceImage("two", Path("two"), (40, 30), frozenset({"jpeg", "plain", "progressive"}))
CMYK = SourceImage("three", Path("three"), (40, 30), frozenset({"jpeg", "cmyk"}))
HUGE = SourceImage("jpeg-101mp", Path(__file__), (400, 300), frozenset({"jpeg", "huge"}))


def verdict(run: Run, end: str) -> Verdict:
    return next(verdict for verdict in verdicts(run) if verdict.name.endswith(end))


def run_with(*measurements: Measurement, workload: str = "b", encoding: str = BASELINE) -> Run:
    series = Series(workload, encoding, measurements)
    return Run([ONE, TWO, HUGE], [series], memory=[], similarities={}, startup=None)


def test_the_mean_of_ratios_treats_twice_and_half_alike() -> None:
    assert geometric_mean([2, 0.5]) == pytest.approx(1)
    assert geometric_mean([1, 4, 16]) == pytest.approx(4)


def test_a_peer_that_takes_longer_is_a_hit_and_the_worst_picture_counts_by_itself() -> None:
    run = run_with(
        Measurement("worker", "one", 1.0),
        Measurement("worker", "two", 1.0),
        Measurement("sharp-cascade", "one", 4.0),
        Measurement("sharp-cascade", "two", 0.5),
    )
    mean, worst = (
        verdict(run, "2 JPEGs without CMYK: sharp cascade / ours"),
        verdict(run, "every JPEG: sharp cascade / ours"),
    )
    assert mean.value == pytest.approx(2**0.5)
    assert mean.is_hit
    assert (worst.value, worst.worst, worst.is_hit) == (0.5, "two", False)


def test_cmyk_flatters_no_mean() -> None:
    series = Series(
        "b",
        BASELINE,
        [
            Measurement("worker", "one", 1.0),
            Measurement("worker", "three", 1.0),
            Measurement("sharp-cascade", "one", 1.1),
            Measurement("sharp-cascade", "three", 5.0),
        ],
    )
    run = Run([ONE, CMYK], [series], memory=[], similarities={}, startup=None)
    found = verdict(run, "1 JPEGs without CMYK: sharp cascade / ours")
    assert (found.value, found.is_hit) == (1.1, False)


def test_with_all_formats_the_faster_peer_counts_on_every_picture() -> None:
    run = run_with(
        Measurement("worker", "one", 1.0),
        Measurement("worker", "two", 1.0),
        Measurement("sharp-cascade", "one", 3.0),
        Measurement("sharp-cascade", "two", 3.0),
        Measurement("pyvips-cascade", "one", 0.9),
        Measurement("pyvips-cascade", "two", 4.0),
        workload="d",
        encoding=SHIPPED,
    )
    found = verdict(run, "best of both cascades / ours")
    assert (found.value, found.worst, found.is_hit) == (0.9, "one", False)


def test_one_missing_measurement_leaves_the_target_unjudged_instead_of_flattered() -> None:
    run = run_with(
        Measurement("worker", "one", 1.0),
        Measurement("worker", "two", 1.0),
        Measurement("sharp-per-size", "one", 9.0),
        Measurement("sharp-per-size", "two", problem="no sharp"),
    )
    found = verdict(run, "JPEGs without CMYK: sharp per size / ours")
    assert found.value is None
    assert not found.is_hit


def test_the_floor_is_judged_by_kind_of_source() -> None:
    run = run_with(
        Measurement("worker", "one", 1.05),
        Measurement("floor", "one", 1.0),
        Measurement("worker", "two", 0.5),
        Measurement("floor", "two", 1.0),
        workload="a",
    )
    baseline = verdict(run, "1 baseline JPEGs: ours / floor")
    progressive = verdict(run, "1 progressive JPEGs: ours / floor")
    assert (baseline.value, baseline.is_hit) == (1.05, True)
    assert (progressive.value, progressive.is_hit) == (0.5, False)


def test_memory_beyond_the_file_is_compared_with_the_peer_that_needs_least() -> None:
    file = HUGE.bytes
    run = Run(
        [HUGE],
        series=[],
        memory=[
            Measurement("worker", HUGE.name, peak=file + 36),
            Measurement("sharp-cascade", HUGE.name, peak=file + 100),
            Measurement("sharp-per-size", HUGE.name, peak=file + 60),
        ],
        similarities={},
        startup=None,
    )
    found = verdict(run, "our peak beyond the file / the best peer's")
    assert (found.value, found.is_hit) == (0.6, False)


def test_similarity_is_compared_at_each_width_over_all_opaque_pictures() -> None:
    run = Run(
        [ONE, TWO, SourceImage("three", Path("three"), (40, 30), frozenset({"transparent"}))],
        series=[],
        memory=[],
        similarities={
            "worker": {
                "one": {400: 0.96, 128: 0.90},
                "two": {400: 0.96, 128: 0.90},
                "three": {400: 0.96, 128: 0.96},
            },
            "sharp-cascade": {
                "one": {400: 0.95, 128: 0.90},
                "two": {400: 0.96, 128: 0.91},
                "three": {400: 0.5, 128: 0.5},
            },
        },
        startup=None,
    )
    at_400, at_128 = (
        verdict(run, "at 400, opaque: ours - sharp cascade"),
        verdict(run, "at 128, opaque: ours - sharp cascade"),
    )
    assert at_400.value == pytest.approx(0.005)
    assert at_400.is_hit
    assert at_128.value == pytest.approx(-0.005)
    assert not at_128.is_hit
