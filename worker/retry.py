"""Messages that are delivered again: how long they wait, and in which order they are processed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

_FIRST_DELAY = 30
"""Seconds: the longest wait before the second try; it doubles with each try."""

_LONGEST_DELAY = 43_200 - 900
"""Seconds: SQS hides a message for at most 12 hours, a function's 15 minutes included."""

Message = Mapping[str, Any]


def receive_count(message: Message) -> int:
    """Return how often a message was received, this time included."""
    return int(message["attributes"]["ApproximateReceiveCount"])


def delay(message: Message, *, visibility_timeout: int) -> int:
    """Return the seconds to wait before the next try: exponential back-off with full jitter.

    Full jitter (anything from zero to the ceiling) spreads best what failed together.
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling = longest_delay(receive_count(message), visibility_timeout=visibility_timeout)
    return random.randint(1, ceiling)  # noqa: S311  # nosec B311 # spreads load, protects nothing


def longest_delay(tries: int, *, visibility_timeout: int) -> int:
    """Return the most seconds that `delay` waits after this many tries."""
    first = min(_FIRST_DELAY, visibility_timeout)
    ceiling: int = min(_LONGEST_DELAY, first * 2 ** min(tries - 1, 16))
    return ceiling


def redelivered(messages: Iterable[Message]) -> list[Message]:
    """Return the messages that came before, in an order that isolates a poison message.

    An image that exhausts memory or time ends the invocation, and everything queued behind it
    comes again with it. Messages with fewer tries run first. Among equals the order reverses with
    each try: messages queued behind the poison message run before it next time.
    """
    found = [message for message in messages if receive_count(message) > 1]
    found.sort(key=lambda message: str(message["messageId"]))
    reversed_ = [message for message in reversed(found) if receive_count(message) % 2]
    straight = [message for message in found if receive_count(message) % 2 == 0]
    return sorted(straight + reversed_, key=receive_count)
