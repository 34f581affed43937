"""worker/imaging/memory.py: images processed together stay within the function's memory."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.imaging.memory import Memory, divide_memory

MEGABYTE = 1 << 20


def test_callers_wait_until_enough_is_free() -> None:
    """P5: ten large images at once take no more than there is, and all are processed."""
    memory = Memory(100)
    lock = threading.Lock()
    together: list[int] = []
    most = 0

    def work(size: int) -> None:
        nonlocal most
        with memory.reserved(size):
            with lock:
                together.append(size)
                most = max(most, sum(together))
            time.sleep(0.01)
            with lock:
                together.remove(size)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(work, [60, 30, 100, 10, 20, 50, 70, 1, 99, 40]))
    assert 50 < most <= 100
    assert together == []


def test_what_never_fits_is_an_error() -> None:
    """P5: waiting for it would never end."""
    memory = Memory(100)
    assert memory.holds(100)
    assert not memory.holds(101)
    with pytest.raises(ValueError, match="101"), memory.reserved(101):
        pass


def test_a_failure_gives_back_what_it_held() -> None:
    """P5: otherwise a few damaged images would leave nothing for the good ones."""
    memory = Memory(100)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), memory.reserved(60):
            raise ZeroDivisionError
    with memory.reserved(100):
        pass


def test_outside_of_lambda_there_is_no_bound() -> None:
    """P5: the memory is not known."""
    threads, memory = divide_memory(None, threads=4, file_bytes=10**9)
    assert threads == 4
    assert memory.holds(1 << 60)


@pytest.mark.parametrize(
    ("megabytes", "file_megabytes", "expected"),
    [(512, 50, 2), (1_792, 50, 4), (10_240, 50, 4), (512, 400, 1), (1_792, 400, 1)],
)
def test_files_do_not_crowd_out_pictures(
    megabytes: int, file_megabytes: int, expected: int
) -> None:
    """P5: threads become fewer before the files that they hold take more than their share."""
    threads, memory = divide_memory(megabytes, threads=4, file_bytes=file_megabytes * MEGABYTE)
    assert threads == expected
    assert memory.capacity is not None
    files = threads * file_megabytes * MEGABYTE
    assert files + memory.capacity < max(megabytes, file_megabytes + 160) * MEGABYTE
    if expected > 1:
        assert memory.capacity >= 2 * files


def test_the_smallest_function_takes_the_pictures_that_cameras_make() -> None:
    """P5: 512 MB, 50 MB files: 12 megapixels of AVIF, the hungriest format, at 1200 pixels."""
    _, memory = divide_memory(512, threads=4, file_bytes=50_000_000)
    assert memory.holds(12_000_000 * 18 + 1_200 * 900 * 36 - 32_000_000)
