"""Implementations in processes of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import measuring
from benchmarks.implementations import Task
from benchmarks.results import SourceImage

PLAIN = {"progressive": False, "optimize": False}
TASK = Task((96, 32), {"jpeg": 85}, {"jpeg": [PLAIN, PLAIN]})


@pytest.fixture
def picture(tmp_path: Path) -> SourceImage:
    path = tmp_path / "picture"
    Image.radial_gradient("L").convert("RGB").resize((640, 480)).save(path, "JPEG")
    return SourceImage("picture", path, (640, 480), frozenset({"jpeg"}))


@pytest.fixture
def processes() -> Iterator[measuring.Processes]:
    with measuring.Processes(node_directory=None) as started:
        yield started


def test_every_side_gives_the_same_thumbnails_by_name_and_size(
    processes: measuring.Processes, picture: SourceImage, tmp_path: Path
) -> None:
    implementations = ["worker", "naive", "floor"]
    measurements = measuring.interleaved(
        processes, implementations, picture, TASK, rounds=1, output=tmp_path / "out"
    )
    assert [(m.implementation, m.problem) for m in measurements] == [
        (implementation, None) for implementation in implementations
    ]
    for implementation in implementations:
        for width in TASK.widths:
            with Image.open(tmp_path / "out" / implementation / f"w{width}.jpeg") as thumbnail:
                assert thumbnail.size == (width, width * 3 // 4)
                # The worker's own choice is overridden: all implementations encode alike.
                assert not thumbnail.info.get("progressive")


def test_the_worker_tells_how_it_encodes(
    processes: measuring.Processes, picture: SourceImage
) -> None:
    found = measuring.encoders(processes, picture, TASK)
    assert len(found["jpeg"]) == len(TASK.widths)
    assert all(options.keys() <= {"progressive", "optimize"} for options in found["jpeg"])


def test_a_side_that_cannot_is_a_row_that_says_why(
    processes: measuring.Processes, picture: SourceImage, tmp_path: Path
) -> None:
    broken = SourceImage("broken", tmp_path / "broken", (1, 1), frozenset())
    broken.path.write_bytes(b"no picture")
    naive, sharp = measuring.interleaved(
        processes, ["naive", "sharp-cascade"], broken, TASK, rounds=1, output=None
    )
    assert naive.problem is not None
    assert "UnidentifiedImageError" in naive.problem
    assert sharp.problem == "sharp is not installed"
    (next_one,) = measuring.interleaved(processes, ["naive"], picture, TASK, rounds=1, output=None)
    assert next_one.problem is None


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_peak_memory_grows_with_the_picture(picture: SourceImage, tmp_path: Path) -> None:
    large = SourceImage("large", tmp_path / "large", (6000, 4000), frozenset())
    Image.new("RGB", large.size).save(large.path, "JPEG")
    small_peak, large_peak = (
        measuring.alone("naive", each, TASK, node_directory=None).peak for each in (picture, large)
    )
    assert small_peak is not None
    assert large_peak is not None
    assert large_peak - small_peak > 6000 * 4000 * 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot pin to a core here")
def test_one_core_is_given_back() -> None:
    before = os.sched_getaffinity(0)
    with measuring.one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
