"""Types of the capacity command's options that no other command has."""

import re

from darkroom.console.option_types import NUMBER, OptionType, duration

MIN_POLLERS, MAX_POLLERS = 2, 2_000
MAX_MINIMUM_POLLERS = 200
"""https://docs.aws.amazon.com/lambda/latest/api/API_ProvisionedPollerConfig.html"""


def burst(text: str) -> tuple[float, float]:
    """Return factor and seconds of `10x10min`.

    Raises:
        ValueError: The text is not a burst.
    """
    found = re.fullmatch(rf"{NUMBER}x(.+)", text.strip())
    if not found or not 1 <= float(found[1]) <= 1e6:
        raise ValueError(f"{text!r} is not a burst FACTORxDURATION; example: 10x10min")
    return float(found[1]), duration(found[2])


def megapixels(text: str) -> tuple[float, float]:
    """Return median and 95th percentile of `12:24`; of `12`, both are 12.

    Raises:
        ValueError: The text is neither.
    """
    found = re.fullmatch(rf"{NUMBER}(?::{NUMBER})?", text.strip())
    if found:
        median, p95 = float(found[1]), float(found[2] or found[1])
        if 0.0001 <= median <= p95 <= 1e5:
            return median, p95
    raise ValueError(f"{text!r} is not MEDIAN or MEDIAN:P95 in megapixels; examples: 12, 12:24")


def share(text: str) -> float:
    """Return the share of `0.01` or `1%`.

    Raises:
        ValueError: The text is not a share from 0 to below 1.
    """
    found = re.fullmatch(rf"{NUMBER}(%?)", text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value < 1:
        raise ValueError(f"{text!r} must be a share below 1; examples: 0.01, 1%")
    return value


def pollers(text: str) -> tuple[int, int]:
    """Return the minimum and the maximum of `5:200`.

    Raises:
        ValueError: The text is not a range that Lambda allows.
    """
    found = re.fullmatch(r"(\d{1,4}):(\d{1,4})", text.strip())
    if found:
        low, high = int(found[1]), int(found[2])
        if MIN_POLLERS <= low <= MAX_MINIMUM_POLLERS and low <= high <= MAX_POLLERS:
            return low, high
    raise ValueError(
        f"{text!r} is not MIN:MAX, with MIN from {MIN_POLLERS} to {MAX_MINIMUM_POLLERS} and MAX up"
        f" to {MAX_POLLERS:,}; example: 5:200"
    )


BURST = OptionType("FACTORxDURATION", burst)
MEGAPIXELS = OptionType("MEDIAN[:P95]", megapixels)
SHARE = OptionType("SHARE", share)
POLLERS = OptionType("MIN:MAX", pollers)
