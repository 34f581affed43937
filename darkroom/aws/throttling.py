"""The pace of requests to a service that throttles, which the threads of a client share."""

import random
import threading
from dataclasses import dataclass, field

FIRST_DISTANCE_SECONDS = 0.01
LONGEST_DISTANCE_SECONDS = 2.0
"""Twice that of one request per second, the lowest `ApiRate`."""

GROWTH, DECAY = 2.0, 0.99
PAUSE_SECONDS = (0.5, 1.0)
"""Without a time of the service's own."""


@dataclass
class Pace:
    """When each request may be sent, by the client's clock.

    The distance between requests is doubled by a throttled one, and shrinks with each other
    answer. Without it each thread repeats its request together with the others, which use up what
    the limit lets through.
    """

    _distance: float = 0.0
    _next: float = 0.0
    _pause_end: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def reserve(self, now: float) -> float:
        """Return the seconds until a new request may be sent; the following ones come later."""
        with self._lock:
            start = max(now, self._next)
            self._next = start + self._distance
            return start - now

    def throttled(self, now: float, least: float = 0.0) -> None:
        """Let nobody send for `least` seconds, which the service asked for, or about a second."""
        pause = max(least, random.uniform(*PAUSE_SECONDS))  # noqa: S311  # nosec B311 # no secret
        with self._lock:
            if now >= self._pause_end:  # not for each request that was on its way
                grown = max(FIRST_DISTANCE_SECONDS, GROWTH * self._distance)
                self._distance = min(LONGEST_DISTANCE_SECONDS, grown)
                self._pause_end = now + pause
            self._next = max(self._next, self._pause_end, now + least)

    def answered(self) -> None:
        """Let the following requests be closer to each other, after one that was not throttled."""
        with self._lock:
            self._distance *= DECAY
