"""Bursts and sizes as options, and the assumed workloads."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.capacity import options, workload


@pytest.mark.parametrize("text", ["10", "x10min", "0x10min", "10x", "10x5", "10x2years", "1e9x1s"])
def test_what_is_not_a_burst_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="example"):
        options.burst(text)


@pytest.mark.parametrize("text", ["", "0", "12:6", "1e9", "12:", "a:b"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="examples: 12, 12:24"):
        options.megapixels(text)


def test_a_burst_is_a_factor_and_seconds() -> None:
    assert options.burst("2.5x10min") == (2.5, 600)


@given(st.floats(0.01, 1e4), st.floats(1, 50))
def test_sizes_have_the_median_and_the_percentile_asked_for(median: float, spread: float) -> None:
    found = workload.Component("jpeg", 1.0, median, median * spread).pictures()
    sizes = [picture.megapixels for picture in found]
    assert sizes == sorted(sizes)
    assert math.isclose((sizes[49] + sizes[50]) / 2, median, rel_tol=0.01)
    assert sizes[94] <= median * spread * 1.0001 <= sizes[95] * 1.0002


@pytest.mark.parametrize("name", workload.WORKLOADS)
def test_the_shares_of_a_workload_are_all_pictures(name: str) -> None:
    components = workload.WORKLOADS[name]
    assert math.isclose(sum(picture.share for picture in workload.pictures(components)), 1)
    assert {one.image_format for one in components} <= set(workload.IMAGE_FORMATS)
