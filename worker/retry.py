"""Messages that are delivered again: how long they wait, and in which order they are processed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_FIRST_DELAY = 30
"""Seconds: the longest wait before the second try; it doubles with each try."""

_LONGEST_DELAY = 43_200 - 900
"""Seconds: SQS hides a message for at most 12 hours, a function's 15 minutes included."""

_HAND_BACK_GROWTH = 8
_HAND_BACK_STEPS = 3
_LONGEST_HAND_BACK = 10_800
"""Seconds: three hours, so that even dozens of receives fit into the days that a message is kept.

tests/unit/worker/test_backlog.py simulates what these three are for.
"""

_LATE = 300
"""Seconds: five minutes, sooner than which nobody looks into a dead letter and sends it again."""

Message = Mapping[str, Any]


def receive_count(message: Message) -> int:
    """Return how often a message was received, this time included."""
    return int(message["attributes"]["ApproximateReceiveCount"])


def delay(message: Message, *, visibility_timeout: int) -> int:
    """Return the seconds to wait before the next try: exponential back-off with equal jitter.

    Equal jitter (anything from half the ceiling to the ceiling) spreads what failed together, and
    has a minimum: eight receives take at least 15 + 30 + ... + 960 s, over half an hour. With full
    jitter they could be over within seconds.
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling = longest_delay(receive_count(message), visibility_timeout=visibility_timeout)
    shortest = shortest_delay(ceiling)
    return random.randint(shortest, ceiling)  # noqa: S311  # nosec B311 # protects nothing


def longest_delay(tries: int, *, visibility_timeout: int) -> int:
    """Return the most seconds that `delay` waits after this many tries."""
    first = min(_FIRST_DELAY, visibility_timeout)
    ceiling: int = min(_LONGEST_DELAY, first * 2 ** min(tries - 1, 16))
    return ceiling


def shortest_delay(ceiling: int) -> int:
    """Return the fewest seconds that `delay` waits, of its most."""
    return (ceiling + 1) // 2


def hand_back_delay(message: Message, place: int, *, seconds: float) -> int:
    """Return the seconds to wait for a message that there was no time for.

    The first of a batch comes back at once, each further one after the time that those before it
    take. All at once they would fill the next batch, and lose a receive each for nothing. Where
    batches are far too large for the function's timeout, that happens nevertheless: then the waits
    grow until few enough come back together.

    Args:
        message: The message.
        place: Number of messages of the same batch that were handed back before it.
        seconds: What the longest of the batch took.
    """
    growth: int = _HAND_BACK_GROWTH ** min(receive_count(message) - 1, _HAND_BACK_STEPS)
    return round(min(place * seconds * growth, _LONGEST_HAND_BACK))


def in_order(messages: Sequence[Message]) -> list[Message]:
    """Return a batch in the order to process it: what was received most often goes first.

    It has the fewest receives left, and what is last may find too little time. So no message runs
    out of receives behind others that have more.

    An image that exhausts memory or time ends the invocation, and everything behind it comes again
    with it. Such a poison message runs out of receives before those that met it later, which come
    again with one receive more than when they met it. Those that met it at their first receive have
    as many as it has: among equals the order reverses with each receive, so that what was behind it
    is before it next time.
    """
    new = [message for message in messages if receive_count(message) < 2]
    found = [message for message in messages if receive_count(message) > 1]
    found.sort(key=lambda message: str(message["messageId"]))
    straight = [message for message in found if receive_count(message) % 2 == 0]
    reversed_ = [message for message in reversed(found) if receive_count(message) % 2]
    return [*sorted(straight + reversed_, key=receive_count, reverse=True), *new]


def may_be_poison(message: Message, *, visibility_timeout: int, now: float) -> bool:
    """Return whether a message came back as those do whose invocation was ended.

    They are hidden for a whole visibility timeout each time. What a worker hands back comes sooner,
    unless there is a backlog.

    Args:
        message: The message.
        visibility_timeout: The queue's, in seconds.
        now: In seconds since the epoch.
    """
    first = float(message["attributes"]["ApproximateFirstReceiveTimestamp"]) / 1000
    # One receive may have been a hand-back.
    ended = max(1, receive_count(message) - 2)
    return receive_count(message) > 1 and now - first >= ended * visibility_timeout


def is_late(event_time: str | None, *, now: float) -> bool:
    """Return whether an event's message may be a dead letter that was sent again.

    A message move task makes new messages, which count their receives from one.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html

    Args:
        event_time: ISO 8601 in UTC; None where the event has none.
        now: Seconds since the epoch.
    """
    if event_time is None:
        return True
    try:
        happened = datetime.fromisoformat(event_time).timestamp()
    except ValueError:
        return True
    return now - happened > _LATE
