"""The time of one invocation, shared by the messages that are processed at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition

_RESERVE = 2.0
"""How many times the longest image so far must fit into the time left to start another one."""


class NoTimeLeftError(Exception):
    """Too little of the invocation is left to process another image."""


@dataclass
class Started:
    """A message that was started.

    Attributes:
        received: How often it was received, this time included.
        is_expected: Its first image has not started yet.
    """

    received: int
    is_expected: bool = True


class TimeBudget:
    """Starts images so that all that are started end in time.

    How long an image takes is known only once one has ended: the first is processed alone. After it
    as many are processed at once as would all end in time if they shared one processor. A message
    that was received more often goes first, because it has fewer receives left.
    """

    def __init__(self, remaining: Callable[[], float]) -> None:
        """Start with no image.

        Args:
            remaining: Returns the seconds until the invocation is ended.
        """
        self._remaining = remaining
        self._changed = Condition()
        self._expected: Counter[int] = Counter()
        self._active = 0
        self._longest = 0.0
        self._share = 0.0
        self._counted_until = 0.0

    @property
    def longest(self) -> float:
        """Return the seconds that the longest image would have taken alone; 0 before the first."""
        return self._longest

    def is_spent(self) -> bool:
        """Return whether too little time is left for another image, even alone."""
        return not self._fits(1)

    @contextmanager
    def message(self, received: int) -> Iterator[Started]:
        """Process a message that was received this often; give its images to `image`."""
        message = Started(received)
        with self._changed:
            self._expected[received] += 1
        try:
            yield message
        finally:
            with self._changed:
                self._expect_no_longer(message)

    @contextmanager
    def image(self, message: Started) -> Iterator[None]:
        """Process an image of this message as soon as there is time for it beside the others.

        Raises:
            NoTimeLeftError: Too little is left to process it even alone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.is_spent() or self._may_start(message))
            self._expect_no_longer(message)
            if self.is_spent():
                raise NoTimeLeftError("too little time left to process this image")
            self._count()
            share, processor = self._share, time.thread_time()
            self._active += 1
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            with self._changed:
                self._count()
                # More than one processor gives an image more than its share of one: then its
                # thread's time is longer. Less than one gives its thread less than the time that
                # passes: then its share is longer.
                alone = max(self._share - share, time.thread_time() - processor)
                # A rejection, which may take no time at all, says nothing of what others take.
                if succeeded or self._longest:
                    self._longest = max(self._longest, alone)
                self._active -= 1
                self._changed.notify_all()

    def _may_start(self, message: Started) -> bool:
        if any(count and other > message.received for other, count in self._expected.items()):
            return False
        if not self._active:
            return True
        return self._longest > 0 and self._fits(self._active + 1)

    def _fits(self, images: int) -> bool:
        return self._remaining() >= self._longest * _RESERVE * images

    def _expect_no_longer(self, message: Started) -> None:
        if message.is_expected:
            message.is_expected = False
            self._expected[message.received] -= 1
            self._changed.notify_all()

    def _count(self) -> None:
        """Add the time since the last call to what an image has had as its share of one processor.

        Two images that are processed at once for one second have had half a second each.
        """
        now = time.monotonic()
        if self._active:
            self._share += (now - self._counted_until) / self._active
        self._counted_until = now
