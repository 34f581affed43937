"""Backfill: where an interrupted run continues, which filters exclude each other, and the cost."""

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from darkroom.aws import objects, records
from darkroom.aws.objects import ExistingObject
from darkroom.aws.queues import DeployedQueue, DeployedSource
from darkroom.console.option_types import timestamp
from darkroom.console.progress import Progress
from darkroom.errors import UsageError
from darkroom.operations.backfill import (
    Backfill,
    Checkpoint,
    Filters,
    retrieval_usd,
    usd_per_object,
)
from worker.events import SourceObject
from worker.settings import Source

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
    """D6: the table's, without the uploads' writes, the logs and what a month costs."""
    readme = Path(__file__).parents[4].joinpath("README.md").read_text("utf-8")
    (million,) = re.findall(
        r"per million pictures.*?\*\*together\*\* \| \*\*([\d.]+)", readme, re.S
    )
    uploads, metrics, logs, outputs = 5.00, 2.70, 0.16 + 0.46, 5
    looks = 5.00 + 2 * 0.40  # not a first delivery: a LIST, a GET and a HEAD more
    ours = 1e6 * usd_per_object(outputs)
    assert ours == pytest.approx(float(million) - uploads - metrics - logs + looks, abs=0.1)


def test_the_estimate_has_the_retrieval_of_archived_uploads() -> None:
    """D6, pitfall 83: 0.03 USD per GB and 0.01 per thousand GETs instead of 0.0004."""
    assert retrieval_usd(1_000_000, 4_000 * 10**9) == pytest.approx(120.00 + 10.00 - 0.40)
    assert retrieval_usd(0, 0) == 0


def selected(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    filtered: tuple[str, ...] = (),
    **options: Any,
) -> tuple[list[str], dict[str, int]]:
    """The keys that a run would send, and what it would skip; `done` in a key: it has a record."""
    monkeypatch.chdir(tmp_path)
    settings = Source("default", (), "no-cache", suffixes=filtered)
    queue = DeployedQueue("default", "https://work", "https://dead", "worker")
    source = DeployedSource("uploads", settings, queue, ("in/",), (".jpg",))
    outputs = {"ThumbnailBucketName": "thumbnails"}
    stack: Any = SimpleNamespace(
        name="s", region="r", client=lambda _: None, output=outputs.__getitem__
    )
    keys = ["in/", "in/a.jpg", "in/cat.Jpg", "in/done.Jpg", "in/done.jpg", "in/old.txt"]
    existing = [
        ExistingObject(SourceObject("uploads", key, "1", "e", size=1), datetime.now(UTC), key)
        for key in keys
    ]
    monkeypatch.setattr(objects, "list_objects", lambda *_: iter(existing))
    monkeypatch.setattr(records, "read_record", lambda _s3, _bucket, key, _source: key)
    monkeypatch.setattr(records, "is_processed", lambda record, *_: "done" in record)
    monkeypatch.setattr(records, "is_stale", lambda record, *_: "old" in record)
    run = Backfill(stack, source, Filters(**options), Progress())
    return [found.source.key for found in run._objects()], dict(run.skipped)


def test_what_was_never_announced_is_selected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """D6, R2: no key that a notification names, no folder, and nothing that has a record."""
    keys, skipped = selected(monkeypatch, tmp_path, unannounced=True)
    assert keys == ["in/cat.Jpg", "in/old.txt"]
    assert skipped == {"announced, or a folder": 3, "processed already": 1}
    assert selected(monkeypatch, tmp_path, unannounced=True, skip_processed=True)[0] == keys
    stale, _ = selected(monkeypatch, tmp_path, unannounced=True, rebuild_stale=True)
    assert stale == ["in/old.txt"]
    assert selected(monkeypatch, tmp_path)[0] == ["in/a.jpg", "in/done.jpg"]


def test_what_the_worker_would_skip_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """R2, T5: the worker compares the suffixes of an existing bucket itself."""
    with pytest.raises(UsageError, match="the worker itself compares the suffixes of default"):
        selected(monkeypatch, tmp_path, filtered=(".jpg",), unannounced=True)


def test_a_checkpoint_holds_times_as_they_were_written() -> None:
    """D6: `7d` is another moment with each run, and the same filter."""
    first, second = (Filters(since=timestamp("7d")).data() for _ in range(2))
    assert first == second
    assert first["since"] == "7d"
    assert first["until"] is None
