"""Values of options: what is meant, and a sentence for what is not."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ops import values


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T12:30", "2026-11-01T12:30:00+00:00"),
        ("2026-11-01T12:30+02:00", "2026-11-01T10:30:00+00:00"),
        ("2026-11-01T12:30Z", "2026-11-01T12:30:00+00:00"),
    ],
)
def test_a_moment_is_utc(text: str, moment: str) -> None:
    assert values.moment(text).at.isoformat() == moment


def test_a_moment_may_be_so_long_ago() -> None:
    found = values.moment("36h")
    assert abs(datetime.now(UTC) - timedelta(hours=36) - found.at) < timedelta(minutes=1)
    assert found.text == "36h"  # a checkpoint compares what was written


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500", 500), ("20k", 20_000), ("1.5MB", 1_500_000), ("2G", 2e9)]
)
def test_a_size_is_bytes(text: str, size: float) -> None:
    assert values.size(text) == size


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (values.moment, "yesterday"),
        (values.moment, "7"),
        (values.moment, "999999999d"),
        (values.size, "-1"),
        (values.size, "big"),
        (values.positive, "0"),
        (values.positive, "1.5"),
        (values.positive, "²"),
    ],
)
def test_what_is_none_is_told(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=text.replace(".", r"\.")):
        read(text)
