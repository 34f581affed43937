"""Words and numbers for people."""

import pytest

from darkroom.console.text import elapsed, plural, printable


def test_a_noun_agrees_with_its_number() -> None:
    assert plural(1, "thumbnail") == "1 thumbnail"
    assert plural(0, "thumbnail") == "0 thumbnails"
    assert plural(1200, "entry", "entries") == "1,200 entries"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (119.6, "120 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
    ],
)
def test_a_duration_has_at_least_two_of_its_unit(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text


def test_control_characters_are_replaced() -> None:
    assert printable("a\x1b[2J\n\u202eb é") == "a�[2J��b é"
