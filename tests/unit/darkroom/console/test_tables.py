"""Columns for terminals."""

from darkroom.console.tables import printable, table


def test_columns_are_aligned_whatever_the_script() -> None:
    """Wide letters take two columns, accents none."""
    rows = [("name", "size", "end"), ("写真", "5", "x"), ("e\u0301", "12,000", "a long one")]
    assert table(rows, right=(1,)).splitlines() == [
        "name    size  end",
        "写真       5  x",
        "e\u0301     12,000  a long one",
    ]


def test_what_upsets_a_terminal_is_not_printed() -> None:
    assert printable("a\x1b[2J\n\u202eb é") == "a�[2J��b é"
