"""What arrives, as people write it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.capacity import workload


@pytest.mark.parametrize(
    ("text", "a_second"),
    [
        ("12/s", 12),
        ("300/min", 5),
        ("7.2k/h", 2),
        ("864k/day", 10),
        ("1M/month", 1e6 / 2_628_000),
        ("1G/month", 1e9 / 2_628_000),
    ],
)
def test_a_rate_is_pictures_a_second(text: str, a_second: float) -> None:
    assert math.isclose(workload.rate(text), a_second)


@pytest.mark.parametrize("text", ["", "12", "12/", "/s", "-1/s", "0/s", "1/year", "1e99/s", "x/s"])
def test_what_is_no_rate_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="like 12/s"):
        workload.rate(text)


@pytest.mark.parametrize("text", ["10", "x10min", "0x10min", "10x", "10x5", "10x2years", "1e9x1s"])
def test_what_is_no_burst_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="like "):
        workload.burst(text)


@pytest.mark.parametrize("text", ["", "0", "12:6", "1e9", "12:", "a:b"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="like 12 or 12:24"):
        workload.megapixels(text)


def test_a_burst_is_a_factor_and_seconds() -> None:
    assert workload.burst("2.5x10min") == (2.5, 600)


@given(st.floats(0.01, 1e4), st.floats(1, 50))
def test_sizes_have_the_median_and_the_percentile_asked_for(median: float, spread: float) -> None:
    found = workload.Part("jpeg", 1.0, median, median * spread).pictures()
    sizes = [picture.megapixels for picture in found]
    assert sizes == sorted(sizes)
    assert math.isclose((sizes[49] + sizes[50]) / 2, median, rel_tol=0.01)
    assert sizes[94] <= median * spread * 1.0001 <= sizes[95] * 1.0002


@pytest.mark.parametrize("name", workload.PROFILES)
def test_the_shares_of_a_profile_are_all_pictures(name: str) -> None:
    parts = workload.PROFILES[name]
    assert math.isclose(sum(picture.share for picture in workload.pictures(parts)), 1)
    assert {part.kind for part in parts} <= set(workload.KINDS)
