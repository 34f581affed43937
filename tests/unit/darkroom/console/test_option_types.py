"""Values of options: what is meant, and a sentence for what is not."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from darkroom.console import option_types


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
    assert option_types.moment(text).at.isoformat() == moment


def test_a_moment_may_be_so_long_ago() -> None:
    found = option_types.moment("36h")
    assert abs(datetime.now(UTC) - timedelta(hours=36) - found.at) < timedelta(minutes=1)
    assert found.text == "36h"  # a checkpoint compares what was written


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500", 500), ("20k", 20_000), ("1.5MB", 1_500_000), ("2G", 2e9)]
)
def test_a_size_is_bytes(text: str, size: float) -> None:
    assert option_types.size(text) == size


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (option_types.moment, "yesterday"),
        (option_types.moment, "7"),
        (option_types.moment, "999999999d"),
        (option_types.size, "-1"),
        (option_types.size, "big"),
        (option_types.positive, "0"),
        (option_types.positive, "1.5"),
        (option_types.positive, "²"),
    ],
)
def test_what_is_none_is_told(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=text.replace(".", r"\.")):
        read(text)
