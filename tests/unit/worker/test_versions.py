"""worker/versions.py: S3's sequencers in their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.events import SourceObject
from worker.versions import compare, is_of, order

SOURCE = SourceObject("uploads", "k", "v1", etag="e1", sequencer="0A")


def test_sequencers_are_compared_padded_on_the_right() -> None:
    """Pitfall 14: their lengths differ, so neither plain text nor a number compares them."""
    assert order("0A") < order("0A1")
    assert order("0A") == order("0A00") == order("0a")
    assert order("9") > order("10")
    assert order("0055AED6DCD90281E5") < order("0055AED6DCD90281E6AA")
    assert order(None) == order("") < order("01")


@given(*(st.text("0123456789abcdefABCDEF", min_size=1, max_size=20) for _ in range(2)))
def test_the_order_is_that_of_padded_numbers(one: str, other: str) -> None:
    """Pitfall 14: the rule as S3 words it, for any two."""
    length = max(len(one), len(other))
    left, right = (int(text.ljust(length, "0"), 16) for text in (one, other))
    assert (order(one) < order(other)) == (left < right)


@pytest.mark.parametrize(
    ("sequencer", "version", "expected"),
    [
        ("09", "v0", "older"),
        ("0A", "v1", "same"),
        ("0A00", "v1", "same"),
        ("0B", "v1", "newer"),
        (None, "v1", "older"),
    ],
)
def test_a_result_is_older_the_same_or_newer(
    sequencer: str | None, version: str, expected: str
) -> None:
    """P6: by sequencer alone; a result without one is older than any version that has one."""
    metadata = {"source-version": version, "source-etag": "e1"}
    if sequencer:
        metadata["source-sequencer"] = sequencer
    assert compare(metadata, SOURCE) == expected


def test_without_sequencers_only_the_same_version_is_the_same() -> None:
    """P6: of two versions without an order, the later delivery wins."""
    source = SourceObject("uploads", "k", "v1", etag="e1")
    metadata = {"source-version": "v1", "source-etag": "e1"}
    assert is_of(metadata, source)
    assert compare(metadata, source) == "same"
    assert compare(metadata | {"source-version": "v0"}, source) == "older"
    assert compare(metadata | {"source-sequencer": "01"}, source) == "newer"
    assert not is_of({}, SourceObject("uploads", "k"))  # without versions, nothing tells
