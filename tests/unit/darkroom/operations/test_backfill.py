"""Backfill: where an interrupted run continues, which filters exclude each other, and the cost."""

import re
from pathlib import Path

import pytest

from darkroom.console.option_types import timestamp
from darkroom.errors import UsageError
from darkroom.operations.backfill import Checkpoint, Filters, retrieval_usd, usd_per_object

RUN = {"stack": "darkroom-prod", "source": "default", "since": "7d"}


@pytest.mark.parametrize("position", ["uploads/a b+ü.jpg", [3, 12]])
def test_a_checkpoint_is_found_again(tmp_path: Path, position: str | list[int]) -> None:
    """D6: of a listing and of an inventory."""
    path = tmp_path / "not" / "there yet.json"
    Checkpoint.open(path, RUN).save(position, 10)
    again = Checkpoint.open(path, RUN)
    assert (again.position, again.sent) == (position, 10)
    again.save(position, 5)
    assert Checkpoint.open(path, RUN).sent == 15
    again.remove()
    assert Checkpoint.open(path, RUN).position is None
    assert not list(path.parent.iterdir())


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    """D6: it would skip what that run has sent and this one has not."""
    path = tmp_path / "checkpoint.json"
    Checkpoint.open(path, RUN).save("a", 10)
    with pytest.raises(UsageError, match="of a run with another stack, since"):
        Checkpoint.open(path, {**RUN, "stack": "darkroom-dev", "since": None})


@pytest.mark.parametrize("content", ["", "[]", "{}", "nonsense", '{"position": "a"}'])
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="not a checkpoint of a backfill"):
        Checkpoint.open(path, RUN)


def test_the_estimate_is_the_readmes() -> None:
    """D6: the table's, without the uploads' own writes and without what a month costs."""
    readme = Path(__file__).parents[4].joinpath("README.md").read_text("utf-8")
    (million,) = re.findall(
        r"per million pictures.*?\*\*together\*\* \| \*\*([\d.]+)", readme, re.S
    )
    uploads, metrics, outputs = 5.00, 2.70, 5
    looks = 5.00 + 2 * 0.40  # not a first delivery: a LIST, a GET and a HEAD more
    ours = 1e6 * usd_per_object(outputs)
    assert ours == pytest.approx(float(million) - uploads - metrics + looks, abs=0.1)


def test_the_estimate_has_the_retrieval_of_archived_uploads() -> None:
    """D6, pitfall 83: 0.03 USD per GB and 0.01 per thousand GETs instead of 0.0004."""
    assert retrieval_usd(1_000_000, 4_000 * 10**9) == pytest.approx(120.00 + 10.00 - 0.40)
    assert retrieval_usd(0, 0) == 0


def test_a_checkpoint_holds_times_as_they_were_written() -> None:
    """D6: `7d` is another moment with each run, and the same filter."""
    first, second = (Filters(since=timestamp("7d")).data() for _ in range(2))
    assert first == second
    assert first["since"] == "7d"
    assert first["until"] is None
