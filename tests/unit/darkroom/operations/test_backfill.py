"""Back-fill: where an interrupted run goes on, and what it says that all will cost."""

import re
from pathlib import Path

import pytest

from darkroom.commands.backfill import OUTPUT_USD, PICTURE_USD, Checkpoint
from darkroom.errors import UsageError

RUN = {"stack": "darkroom-prod", "source": "default", "since": "7d"}


@pytest.mark.parametrize("position", ["uploads/a b+ü.jpg", [3, 12]])
def test_a_checkpoint_is_found_again(tmp_path: Path, position: str | list[int]) -> None:
    """D6: of a listing and of an inventory."""
    path = tmp_path / "not" / "there yet.json"
    Checkpoint.open(path, RUN).save(position, 10)
    again = Checkpoint.open(path, RUN)
    assert (again.position, again.announced) == (position, 10)
    again.save(position, 5)
    assert Checkpoint.open(path, RUN).announced == 15
    again.remove()
    assert Checkpoint.open(path, RUN).position is None
    assert not list(path.parent.iterdir())


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    """D6: it would leave out what that run had done, and this one has not."""
    path = tmp_path / "checkpoint.json"
    Checkpoint.open(path, RUN).save("a", 10)
    with pytest.raises(UsageError, match="of another run, with another stack, since"):
        Checkpoint.open(path, {**RUN, "stack": "darkroom-dev", "since": None})


@pytest.mark.parametrize("content", ["", "[]", "{}", "nonsense", '{"position": "a"}'])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="is no checkpoint of a backfill"):
        Checkpoint.open(path, RUN)


def test_the_estimate_is_the_readmes() -> None:
    """D6: the table's, without the uploads' own writes and without what a month costs."""
    readme = Path(__file__).parents[4].joinpath("README.md").read_text("utf-8")
    (million,) = re.findall(
        r"per million pictures.*?\*\*together\*\* \| \*\*([\d.]+)", readme, re.S
    )
    uploads, metrics, outputs = 5.00, 3.00, 6
    ours = 1e6 * (PICTURE_USD + outputs * OUTPUT_USD)
    assert ours == pytest.approx(float(million) - uploads - metrics, abs=0.5)
