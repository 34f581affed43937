"""A load run's own logic: arrivals, what was measured each second, what is a problem."""

import random
from pathlib import Path
from typing import Any

import pytest

from darkroom import cli
from darkroom.capacity.replay import Moment
from darkroom.console.progress import Progress
from darkroom.errors import UsageError
from darkroom.operations import load, load_plot
from darkroom.operations.load import Step, _most_at_once, _seconds, _Sent, arrivals
from darkroom.operations.load_report import Second, SourceLoad, data, table_of

VOLUME = Path(__file__).parents[4] / "params" / "examples" / "volume.toml"


def measured(**changes: Any) -> SourceLoad:
    quiet = Second(arrived=2, waiting=0, oldest=0.0, running=1, latency=0.4)
    given = {
        "source": "default",
        "queue": "default",
        "concurrency": 2,
        "seconds": [quiet, quiet],
        "simulated": [Moment(0, 0.0, 1), Moment(1, 0.5, 2)],
        "latencies": [0.1, 0.2, 0.3, 0.4],
        "lost": [],
        **changes,
    }
    return SourceLoad(**given)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 -- to be had again


def test_arrivals_are_random_at_the_rate_of_each_step() -> None:
    """R4: and the same for the same seed."""
    profile = [Step(10, 100), Step(0, 50), Step(40, 50)]
    found = arrivals(profile, seeded(1))
    assert found == sorted(found) == arrivals(profile, seeded(1))
    assert found != arrivals(profile, seeded(2))
    parts = [sum(low <= one < high for one in found) for low, high in ((0, 100), (100, 150))]
    assert parts == [pytest.approx(1000, rel=0.1), 0]
    assert len(found) - parts[0] == pytest.approx(2000, rel=0.1)
    assert max(found) < 200


@pytest.mark.parametrize(
    ("batches", "most"),
    [
        ([], 0),
        ([(0.0, 1.0)], 0),  # it ended
        ([(0.5, 1.5), (1.6, 3.0)], 1),
        ([(0.5, 1.5), (1.2, 1.3), (1.3, 2.5)], 2),
        ([(0.5, 9.0), (0.6, 9.0), (1.9, 9.0)], 3),
        ([(2.0, 9.0)], 0),
    ],
)
def test_batches_at_once_are_those_at_one_moment(
    batches: list[tuple[float, float]], most: int
) -> None:
    """R4: of the second from 1 to 2; two that follow each other are not at once."""
    assert _most_at_once(batches, 1.0, 2.0) == most


def test_a_second_has_what_was_measured_in_it() -> None:
    """R4: the oldest is the one that no batch has, at the end of the second."""
    sent = [
        _Sent("default", "a", 100.2, begun=100.4, ended=100.9),
        _Sent("default", "b", 100.5, begun=101.5, ended=102.0),
        _Sent("default", "c", 100.7),
    ]
    first, second, third = _seconds(sent, [2, 1, 1], [(100.4, 100.9), (101.5, 102.0)], 100.0)
    assert (first.arrived, first.waiting, first.running) == (3, 2, 1)
    assert first.oldest == pytest.approx(0.5)
    assert first.latency == pytest.approx(0.7)
    assert [second.arrived, second.oldest] == pytest.approx([0, 1.3])
    assert (second.running, second.latency) == (1, None)
    assert third.running == 0
    assert third.latency == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lost": ["uploads/a.jpg"]}, "1 picture without a result: uploads/a.jpg"),
        ({"concurrency": 0}, "1 batches at once; allowed: 0"),
        ({"seconds": [Second(1, 3, 2.0, 1, None)]}, "3 messages left in the queue"),
    ],
)
def test_what_may_not_happen_under_load_is_a_problem(changes: dict[str, Any], problem: str) -> None:
    """R2, R4: lost pictures, a queue that is not emptied, more batches than allowed."""
    assert measured().problems == []
    assert measured(**changes).problems == [problem]


def test_results_are_for_people_and_programs(tmp_path: Path) -> None:
    """D6: a line for each source, and each second."""
    (text,) = table_of([measured()])
    assert "0.40 s" in text
    assert "1 of 2" in text
    (source,) = data([measured()])["sources"]
    assert source["latency_seconds"] == {"p50": 0.3, "p95": 0.4, "max": 0.4}
    assert source["pictures"] == 4
    assert [second["simulated_batches"] for second in source["seconds"]] == [1, 2]
    load_plot.draw([measured(), measured(latencies=[], simulated=[])], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "text", ["2/s:5s", "=2/s:5s", "default", "default=2/s", "default=2:x", "default=-1:5s", "a=0:"]
)
def test_a_wrong_profile_is_a_usage_error(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C1: with an example."""
    arguments = ["load", "--arrivals", text, "--output", str(tmp_path)]
    assert cli.main(arguments) == 2
    assert "example" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("profiles", "message"),
    [
        ({"scans": []}, "there is no source 'scans'; allowed: default, imports"),
    ],
)
def test_a_source_that_is_not_there_is_refused(
    profiles: dict[str, list[Step]], message: str
) -> None:
    """C1: before anything is started."""
    with pytest.raises(UsageError, match=message):
        load.run(VOLUME, profiles, concurrency=2, seed=1, progress=Progress())
