"""Values of options: their meaning, and a sentence for what is not allowed."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from darkroom.console import option_types


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T12:30", "2026-11-01T12:30:00+00:00"),
        ("2026-11-01T12:30+02:00", "2026-11-01T10:30:00+00:00"),
        ("2026-11-01T12:30Z", "2026-11-01T12:30:00+00:00"),
    ],
)
def test_a_timestamp_is_utc(text: str, time: str) -> None:
    assert option_types.timestamp(text).time.isoformat() == time


@pytest.mark.parametrize(
    ("text", "hours"), [("36h", 36), ("90min", 1.5), ("90m", 1.5), ("2w", 336)]
)
def test_a_timestamp_may_be_an_age(text: str, hours: float) -> None:
    found = option_types.timestamp(text)
    assert abs(datetime.now(UTC) - timedelta(hours=hours) - found.time) < timedelta(minutes=1)
    assert found.text == text  # a checkpoint compares the text


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500", 500), ("20k", 20_000), ("1.5MB", 1_500_000), ("2G", 2e9)]
)
def test_a_size_is_in_bytes(text: str, size: float) -> None:
    assert option_types.size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10min", 600), ("10m", 600), ("1.5h", 5400), ("1d", 86_400)]
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    assert option_types.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "per_second"),
    [
        ("50", 50),
        ("50/s", 50),
        ("300/min", 5),
        ("300/m", 5),
        ("36k/h", 10),
        ("2M/day", 2e6 / 86_400),
        ("1M/month", 1e6 / (730 * 3600)),
    ],
)
def test_a_rate_is_per_second(text: str, per_second: float) -> None:
    """The bare number of `backfill --rate` and `capacity`'s periods are one grammar."""
    assert option_types.rate(text) == pytest.approx(per_second)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (option_types.timestamp, "yesterday"),
        (option_types.timestamp, "7"),
        (option_types.timestamp, "999999999d"),
        (option_types.timestamp, "7month"),
        (option_types.size, "-1"),
        (option_types.size, "big"),
        (option_types.size, "5m"),
        (option_types.duration, "0s"),
        (option_types.duration, "10"),
        (option_types.duration, "2y"),
        (option_types.duration, "400d"),
        (option_types.rate, "0"),
        (option_types.rate, "5m/h"),
        (option_types.rate, "5/fortnight"),
        (option_types.rate, "²"),
    ],
)
def test_a_wrong_value_is_repeated_with_examples(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=rf"^'{re.escape(text)}' is not a .*examples: "):
        parse(text)


def test_a_wrong_option_is_wrong_usage() -> None:
    @click.command
    @click.option("--since", type=option_types.TIMESTAMP, default="1d")
    def command(since: option_types.Timestamp) -> None:
        print(since.text)

    assert CliRunner().invoke(command).output == "1d\n"
    wrong = CliRunner().invoke(command, ["--since", "soon"])
    assert wrong.exit_code == 2
    assert "Invalid value for '--since': 'soon' is not a time" in wrong.output
    assert "--since TIME" in CliRunner().invoke(command, ["--help"]).output
