from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates import specification
from templates.specification import Processing, Specification, SpecificationError

SHIPPED = Path(__file__).parents[2] / "params" / "pipeline.toml"


def test_the_shipped_file_states_the_defaults() -> None:
    """C1: what the file says is what leaving a key out means."""
    assert specification.load(SHIPPED) == Specification()


@pytest.mark.parametrize(
    ("content", "key", "allowed"),
    [
        ({"network": {"zones": 1}}, "network.zones", "greater than or equal to 2"),
        ({"network": {"zones": 5}}, "network.zones", "less than or equal to 4"),
        ({"network": {"zones": "2"}}, "network.zones", "integer"),
        ({"network": 2}, "network", "table"),
        ({"netwrk": {}}, "netwrk", "network, uploads, thumbnails, processing"),
        ({"uploads": {"prefix": []}}, "uploads.prefix", "prefixes, suffixes, follow_deletes"),
        ({"uploads": {"prefixes": "a/"}}, "uploads.prefixes", "list"),
        ({"uploads": {"prefixes": []}}, "uploads.prefixes", "at least 1"),
        ({"uploads": {"prefixes": [""]}}, "uploads.prefixes[0]", "empty"),
        ({"uploads": {"prefixes": ["a"]}}, "uploads.prefixes[0]", "'uploads/'"),
        ({"uploads": {"prefixes": ["/a/"]}}, "uploads.prefixes[0]", "'uploads/'"),
        ({"uploads": {"prefixes": ["*/"]}}, "uploads.prefixes[0]", "'*'"),
        ({"uploads": {"suffixes": ["jpg"]}}, "uploads.suffixes[0]", "'.jpg'"),
        ({"uploads": {"suffixes": [".Jpg"]}}, "uploads.suffixes[0]", "'.jpg'"),
        ({"thumbnails": {"widths": []}}, "thumbnails.widths", "at least 1"),
        ({"thumbnails": {"widths": [9, 90]}}, "thumbnails.widths[0]", "16"),
        ({"thumbnails": {"widths": [90, 90]}}, "thumbnails.widths", "twice"),
        ({"thumbnails": {"formats": {}}}, "thumbnails.formats", "at least 1"),
        ({"thumbnails": {"formats": {"gif": 1}}}, "thumbnails.formats.gif", "'avif'"),
        ({"thumbnails": {"formats": {"webp": 101}}}, "thumbnails.formats.webp", "100"),
        ({"processing": {"timeout_seconds": 901}}, "processing.timeout_seconds", "900"),
        ({"processing": {"maximum_receives": 1}}, "processing.maximum_receives", "2"),
    ],
)
def test_a_wrong_value_is_named_with_file_key_and_what_is_allowed(
    content: dict[str, Any], key: str, allowed: str
) -> None:
    """C1: an error is a sentence for people."""
    with pytest.raises(SpecificationError) as caught:
        specification.parse(content, origin="mine.toml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"mine.toml: {key}: ")
    assert allowed in line


@pytest.mark.parametrize(
    "uploads",
    [
        {"prefixes": ["in/", "in/raw/"]},
        {"prefixes": ["in/", "in/"]},
        {"suffixes": [".gz", ".tar.gz"]},
        {"suffixes": [".jpg", ".jpg"]},
    ],
)
def test_overlapping_filters_are_refused_by_name(uploads: dict[str, Any]) -> None:
    """Trap 12, T2: S3 would refuse them at deploy time."""
    with pytest.raises(SpecificationError, match=r"uploads: .*overlap"):
        specification.parse({"uploads": uploads}, origin="mine.toml")


def test_more_notifications_than_s3_takes_are_refused() -> None:
    """T2: 100 configurations a bucket."""
    prefixes = [f"p{number}/" for number in range(6)]
    with pytest.raises(SpecificationError, match="need 108 notifications; S3 takes 100"):
        specification.parse({"uploads": {"prefixes": prefixes}}, origin="mine.toml")
    deletes = {"prefixes": prefixes[:2], "follow_deletes": True}
    with pytest.raises(SpecificationError, match="3 kinds of event, need 108"):
        specification.parse({"uploads": deletes}, origin="mine.toml")


def test_every_fault_is_told_at_once() -> None:
    content = {"network": {"zones": 9}, "processing": {"batch_size": 0}}
    with pytest.raises(SpecificationError) as caught:
        specification.parse(content, origin="mine.toml")
    assert len(str(caught.value).splitlines()) == 2


def test_a_large_batch_needs_a_window() -> None:
    """Trap 49: Lambda refuses more than ten messages without one."""
    with pytest.raises(SpecificationError, match="batching_window_seconds of at least 1"):
        specification.parse({"processing": {"batch_size": 11}}, origin="mine.toml")
    specification.parse(
        {"processing": {"batch_size": 11, "batching_window_seconds": 1}}, origin="mine.toml"
    )


@given(st.integers(10, 900), st.integers(0, 300))
def test_visibility_covers_six_timeouts_and_the_window(timeout: int, window: int) -> None:
    """Trap 41, R4: derived, not typed twice, and within SQS's twelve hours."""
    processing = Processing(timeout_seconds=timeout, batching_window_seconds=window)
    assert 6 * timeout + window <= processing.visibility_seconds <= 43_200


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), (b"zones = ", "not TOML"), (b"\xff", "not UTF-8")],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "my pipeline.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecificationError, match=says) as caught:
        specification.load(path)
    assert str(caught.value).startswith(str(path))


def test_a_directory_is_no_specification(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="directory"):
        specification.load(tmp_path)
