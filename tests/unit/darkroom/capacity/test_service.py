"""How long the worker takes: the model against the bench's figures, and batches."""

import io
import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.capacity.curve_fit import FIGURES_OFF, fitted, measured
from darkroom.capacity import service
from darkroom.capacity.service import Work
from darkroom.capacity.workload import TypicalPicture
from tests.unit.darkroom.capacity.conftest import estimate
from worker.imaging import memory_estimate
from worker.imaging.identify import open_picture

SERVICE = estimate().capacity.service
PICTURE = TypicalPicture("jpeg", 12, 1.0)


def test_the_model_is_near_the_figures_of_the_bench() -> None:
    """D6: the errors are within the bounds that docs/measurements/capacity.md shows."""
    off = [abs(figure.modelled() / figure.milliseconds - 1) for figure in measured()]
    assert len(off) > 20
    assert max(off) <= FIGURES_OFF[0]
    assert statistics.mean(off) <= FIGURES_OFF[1]


def test_the_model_is_the_fit_to_these_figures() -> None:
    """D6: after another benchmark, `python -m benchmarks.capacity` writes new constants."""
    ours = {"fixed": service.FIXED, "shrinking": service.SHRINKING}
    ours |= {f"{kind} source": each for kind, each in service.PER_SOURCE_MEGAPIXEL.items()}
    ours |= {name: service.ENCODING[name] for name in ("webp", "avif")}
    assert fitted(measured()) == pytest.approx(ours, rel=0.02)


@pytest.mark.parametrize(("image_format", "mode"), [("webp", "WEBP"), ("progressive", "JPEG")])
def test_memory_per_pixel_is_the_workers(image_format: str, mode: str) -> None:
    """P4: the same pictures are rejected here as there."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, mode, progressive=True)
    buffer.seek(0)
    with open_picture(buffer, 4_096) as picture:
        assert math.isclose(
            memory_estimate.bytes_per_pixel(picture), service.DECODING_BYTES[image_format]
        )


def test_what_is_too_large_is_rejected_for_its_limit() -> None:
    """P4: and costs no decoding."""
    assert SERVICE.outcome(TypicalPicture("jpeg", 99, 1)) == "done"
    assert SERVICE.outcome(TypicalPicture("jpeg", 101, 1)) == "max_megapixels"
    assert SERVICE.outcome(TypicalPicture("png", 40, 1)) == "max_file_size_mb"
    assert SERVICE.outcome(TypicalPicture("webp", 99, 1)) == "done"
    small = replace(SERVICE, stack=replace(SERVICE.stack, memory_megabytes=512))
    assert small.outcome(TypicalPicture("progressive", 95, 1)) == "MemorySize"
    assert small.work(TypicalPicture("progressive", 95, 1)).cpu < small.work(PICTURE).cpu


def test_a_small_picture_is_not_enlarged() -> None:
    """P2: its thumbnails are as wide as itself."""
    small = TypicalPicture("jpeg", 0.03, 1)
    assert [service.area(small, width) for width in (1200, 400, 128)] == pytest.approx(
        [0.03, 0.03, 0.012288]
    )


works = st.builds(
    Work,
    wait_before=st.floats(0, 2),
    cpu=st.floats(0, 2),
    wait_after=st.floats(0, 2),
)


@given(st.lists(works, min_size=1, max_size=12), st.sampled_from([512, 1024, 1792, 3538, 10240]))
def test_a_batch_takes_no_less_than_it_must_and_no_more_than_one_by_one(
    batch: list[Work], memory: int
) -> None:
    """R4: cores are shared, waiting overlaps."""
    own = replace(SERVICE, stack=replace(SERVICE.stack, memory_megabytes=memory), _known={})
    taken = own.batch(batch)
    share = min(1.0, own.cores)
    alone = [work.wait_before + work.cpu / share + work.wait_after for work in batch]
    least = max(max(alone), sum(work.cpu for work in batch) / own.cores)
    assert least - 1e-6 <= taken <= sum(alone) + 1e-6


def test_what_fits_the_threads_overlaps() -> None:
    """R4: four that only wait take as long as one, a fifth begins when one is done."""
    waiting = Work(0.5, 0.0, 0.5)
    assert SERVICE.threads == 4
    assert SERVICE.batch([waiting] * 4) == pytest.approx(1.0)
    assert SERVICE.batch([waiting] * 5) == pytest.approx(2.0)


def test_work_shares_the_cores() -> None:
    """R4: two on one core take twice as long as one."""
    own = replace(SERVICE, stack=replace(SERVICE.stack, memory_megabytes=1769), _known={})
    assert own.batch([Work(0, 1, 0)] * 2) == pytest.approx(2.0)
    two = replace(own, stack=replace(own.stack, memory_megabytes=2 * 1769), _known={})
    assert two.batch([Work(0, 1, 0)] * 2) == pytest.approx(1.0)


@given(st.floats(1, 5))
def test_a_batch_between_two_sizes_takes_a_time_between(size: float) -> None:
    low, high = SERVICE.seconds(math.floor(size)), SERVICE.seconds(math.ceil(size))
    assert low - 1e-9 <= SERVICE.seconds(size) <= high + 1e-9


def test_twice_the_speed_is_half_the_work() -> None:
    quick = replace(SERVICE, cpu_factor=2.0, _known={})
    assert quick.work(PICTURE).cpu == pytest.approx(SERVICE.work(PICTURE).cpu / 2)
    assert quick.seconds(5) < SERVICE.seconds(5)
