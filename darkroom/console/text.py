"""Words and numbers in the form that people read."""

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Return the number with its noun: `1 thumbnail`, `1,200 thumbnails`, `2 entries`.

    `nouns` is the plural where it is not the noun with an `s`.
    """
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def elapsed(seconds: float) -> str:
    """Return whole units of a duration or an age, at least two of each: `90 s`, `36 h`, `4 d`."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds // length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def printable(text: str) -> str:
    """Return `text` with its control characters replaced: an object key may hold any of them."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
