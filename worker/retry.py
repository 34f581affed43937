"""Messages that come again: how long until then, and who has to go last."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

_FIRST_DELAY = 30
"""Seconds: the longest wait before the second try; it doubles with each try."""

_LONGEST_DELAY = 43_200 - 900
"""Seconds: SQS hides a message for 12 hours at most, a function's 15 minutes included."""

Message = Mapping[str, Any]


def tries(message: Message) -> int:
    """Return how often a message was received, this time included."""
    return int(message["attributes"]["ApproximateReceiveCount"])


def delay(message: Message, *, visibility_timeout: int) -> int:
    """Return seconds to wait before the next try: exponential, with full jitter.

    Full jitter (anything from nothing to the ceiling) spreads what failed together best.
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling = longest_delay(tries(message), visibility_timeout=visibility_timeout)
    return random.randint(1, ceiling)  # noqa: S311  # nosec B311 # spreads load, protects nothing


def longest_delay(tries_so_far: int, *, visibility_timeout: int) -> int:
    """Return the most seconds that `delay` waits after so many tries."""
    first = min(_FIRST_DELAY, visibility_timeout)
    ceiling: int = min(_LONGEST_DELAY, first * 2 ** min(tries_so_far - 1, 16))
    return ceiling


def suspects(messages: Iterable[Message]) -> list[Message]:
    """Return those that came before, in an order in which one that kills ends alone.

    A picture that takes all memory or time ends the invocation, and everything behind it comes
    again with it. Those with fewer tries go first. Among equals the order turns around with each
    try, so that whoever was behind the killer is in front of it next time.
    """
    found = [message for message in messages if tries(message) > 1]
    found.sort(key=lambda message: str(message["messageId"]))
    turned = [message for message in reversed(found) if tries(message) % 2]
    straight = [message for message in found if tries(message) % 2 == 0]
    return sorted(straight + turned, key=tries)
