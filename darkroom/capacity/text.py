"""Numbers of an estimate as people read them."""

import math


def picture_rate(value: float) -> str:
    """Return a rate: `313 pictures per second`."""
    if math.isinf(value):
        return "any number of pictures"
    return f"{amount(value)} pictures per second"


def amount(value: float) -> str:
    """Return a number with three digits at least: `1,234`, `0.38`; `∞` where there is no limit."""
    if math.isinf(value):
        return "∞"
    if value >= 1e9:
        return f"{value:.4g}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def time(seconds: float) -> str:
    """Return a duration: `90 s`, `7.5 min`, `4 d`; `never` for one that does not end."""
    if math.isinf(seconds):
        return "never"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{amount(seconds / length)} {unit}"
    return f"{amount(seconds)} s"
