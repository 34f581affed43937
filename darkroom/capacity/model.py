"""Formulas: throughput, backlog, the oldest message's age, what retries ride out.

Work is a fluid here: no chance, first in, first out. darkroom/capacity/simulation.py checks where that
holds; docs/capacity.md has the table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from darkroom.capacity.service import Service
from worker.retry import longest_delay

FIRST_POLLERS = 5
POLLERS_A_SECOND = 300 / 60
MOST_POLLED = 1_250
"""Batches at once: at the beginning, more each second, and at most.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

PROVISIONED_PER_POLLER = 10
PROVISIONED_A_SECOND = 1_000 / 60
MOST_PROVISIONED = 20_000
"""The same with provisioned pollers, each of which has ten batches in hand; the same page, and
https://aws.amazon.com/blogs/aws/aws-lambda-enhances-sqs-processing-with-new-provisioned-mode-3x-faster-scaling-16x-higher-capacity
"""

_GRID = 500
"""Steps of a numerical integral."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is asked: pictures a second, a burst of `factor` times that, and what goes wrong."""

    rate: float
    factor: float = 1.0
    burst_seconds: float = 0.0
    failures: float = 0.0
    """The share of tries that fail by chance."""

    outage_seconds: float = 0.0
    """How long every try fails."""

    @property
    def peak(self) -> float:
        """Return pictures a second within the burst."""
        return self.rate * (self.factor if self.burst_seconds else 1.0)


@dataclass(frozen=True, kw_only=True)
class Polling:
    """How many batches are in work at once: at first, more each second, at most."""

    first: float
    a_second: float
    most: float

    def at_once(self, start: float, seconds: float) -> float:
        """Return how many there are so long after `start` were, while there is a backlog."""
        return min(self.most, start + self.a_second * seconds)

    def done(self, start: float, seconds: float) -> float:
        """Return batch-seconds worked by then."""
        ramp = max(0.0, min(seconds, (self.most - start) / self.a_second))
        return (start + self.a_second * ramp / 2) * ramp + self.most * (seconds - ramp)


def polling(
    concurrency: float, *, account: float, pollers: tuple[int, int] | None = None
) -> Polling:
    """Return how batches are taken up, by Lambda's own pollers or by provisioned ones."""
    if pollers is None:
        most = min(concurrency, account, MOST_POLLED)
        return Polling(first=min(FIRST_POLLERS, most), a_second=POLLERS_A_SECOND, most=most)
    least, greatest = pollers
    most = min(greatest * PROVISIONED_PER_POLLER, account, MOST_PROVISIONED)
    return Polling(
        first=min(least * PROVISIONED_PER_POLLER, most), a_second=PROVISIONED_A_SECOND, most=most
    )


@dataclass(frozen=True, kw_only=True)
class Retries:
    """What becomes of tries that fail; seconds."""

    maximum: int
    visibility: int
    has_back_off: bool

    def ceilings(self) -> list[int]:
        """Return the longest wait after each try that another one follows."""
        if not self.has_back_off:
            return [self.visibility] * (self.maximum - 1)
        return [
            longest_delay(number, visibility_timeout=self.visibility)
            for number in range(1, self.maximum)
        ]

    def means(self) -> list[float]:
        """Return the mean wait after each of them: jitter takes anything from a second up."""
        if not self.has_back_off:
            return [float(self.visibility)] * (self.maximum - 1)
        return [(1 + ceiling) / 2 for ceiling in self.ceilings()]

    def tries(self, failures: float) -> float:
        """Return the mean number of tries of a message, when this share of tries fails."""
        return sum(failures**number for number in range(self.maximum))

    def dead(self, failures: float) -> float:
        """Return the share of messages whose every try fails."""
        return failures**self.maximum

    def waiting(self, failures: float) -> float:
        """Return the mean seconds that a message waits between its tries, in flight."""
        return sum(
            failures ** (number + 1) * seconds for number, seconds in enumerate(self.means())
        )

    def dead_in_outage(self, seconds: float) -> float:
        """Return the seconds' worth of arrivals that an outage turns into dead letters.

        A message that arrives with x seconds to go is dead if all of its waits fit into x.
        """
        if seconds <= 0 or seconds < self.maximum - 1:
            return 0.0
        if not self.has_back_off:
            return max(0.0, seconds - sum(self.ceilings()))
        if seconds >= sum(self.ceilings()):
            return seconds - sum(self.means())
        step = seconds / _GRID
        # How likely it is that the waits so far are together in each step; beyond the end: nothing.
        density = [1.0] + [0.0] * (_GRID - 1)
        for ceiling in self.ceilings():
            density = _spread(density, ceiling / step)
        # One that is dead within step n dies of all arrivals up to `seconds - n steps`.
        return sum(share * (_GRID - place - 0.5) * step for place, share in enumerate(density))


def _spread(density: list[float], width: float) -> list[float]:
    """Return the distribution of a sum with something even between 0 and `width` steps."""
    sums = [0.0]
    for share in density:
        sums.append(sums[-1] + share)
    if width <= 1:  # less than a step: half of it stays, as the middle of the step does
        return list(density)

    def up_to(place: float) -> float:
        place = min(max(place, 0.0), len(density))
        whole = int(place)
        part = place - whole
        return sums[whole] + (part * density[whole] if part else 0.0)

    return [(up_to(place + 1) - up_to(place + 1 - width)) / width for place in range(len(density))]


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What the pipeline does with a demand."""

    service: Service
    polling: Polling
    retries: Retries
    demand: Demand

    @property
    def each(self) -> float:
        """Return pictures a second that one batch at a time does, with full batches."""
        size = self.service.stack.batch_size
        return size / self.service.seconds(size) / self.retries.tries(self.demand.failures)

    @property
    def throughput(self) -> float:
        """Return pictures a second that are done while there is a backlog, fully scaled."""
        return self.polling.most * self.each

    @property
    def utilisation(self) -> float:
        """Return the mean rate's part of the throughput; from 1 on the backlog grows for ever."""
        return self.demand.rate / self.throughput

    def batch_at(self, rate: float) -> float:
        """Return the mean messages in a batch at this many pictures a second.

        Who waits for messages gets the first one at once: batches grow only as far as single ones
        would take more than all that may be in work at once, or as the window lets them.
        """
        size = self.service.stack.batch_size
        rate *= self.retries.tries(self.demand.failures)
        window = self.service.stack.window
        gathered = min(size, 1 + window * rate / max(self.polling.first, 1))
        if rate * self.service.seconds(gathered) / gathered <= self.polling.most:
            return gathered
        if rate * self.service.seconds(size) / size >= self.polling.most:
            return size
        low, high = gathered, float(size)
        for _ in range(50):
            middle = (low + high) / 2
            if rate * self.service.seconds(middle) / middle > self.polling.most:
                low = middle
            else:
                high = middle
        return high

    @property
    def batch(self) -> float:
        """Return the mean messages in a batch at the mean rate."""
        return self.batch_at(self.demand.rate)

    def at_once(self, rate: float) -> float:
        """Return batches in work at this rate."""
        size = self.batch_at(rate)
        tries = rate * self.retries.tries(self.demand.failures)
        return min(self.polling.most, tries * self.service.seconds(size) / size)

    def needed(self, rate: float) -> float:
        """Return how many batches at once this rate needs, with full batches."""
        return rate / self.each

    @property
    def start(self) -> float:
        """Return the batches at once that a burst finds."""
        return max(self.polling.first, self.at_once(self.demand.rate))

    def drain(self, backlog: float) -> float:
        """Return the seconds until a backlog is gone, while the mean rate goes on; maybe inf."""
        return self._until_done(backlog, self.demand.rate, self.start)

    def _until_done(self, backlog: float, rate: float, start: float) -> float:
        if backlog <= 0:
            return 0.0
        slope = self.polling.a_second
        ramp = max(0.0, (self.polling.most - start) / slope)
        # each · (start · t + slope · t² / 2) = backlog + rate · t
        half, linear = self.each * slope / 2, self.each * start - rate
        found = (-linear + math.sqrt(linear**2 + 4 * half * backlog)) / (2 * half)
        if found <= ramp:
            return found
        left = backlog + rate * ramp - self.each * self.polling.done(start, ramp)
        spare = self.throughput - rate
        return ramp + left / spare if spare > 0 else math.inf

    @property
    def _swells(self) -> bool:
        return bool(self.demand.burst_seconds) and self.demand.peak > self.each * self.start

    @property
    def backlog(self) -> float:
        """Return the most messages that wait because of the burst."""
        if not self._swells:
            return 0.0
        peak, start = self.demand.peak, self.start
        grows = min(
            self.demand.burst_seconds,
            (peak / self.each - start) / self.polling.a_second
            if peak < self.throughput
            else math.inf,
        )
        return max(0.0, peak * grows - self.each * self.polling.done(start, grows))

    @property
    def drained(self) -> float:
        """Return the seconds after the burst's end until its backlog is gone; maybe inf."""
        if not self._swells:
            return 0.0
        seconds, start = self.demand.burst_seconds, self.start
        left = self.demand.peak * seconds - self.each * self.polling.done(start, seconds)
        now = self.polling.at_once(start, seconds)
        return self._until_done(left, self.demand.rate, now)

    @property
    def oldest(self) -> float:
        """Return the most seconds that a message waits to be taken up the first time; maybe inf."""
        if self.utilisation >= 1:
            return math.inf
        # A batch waits for its window's end, or until it is full.
        stack = self.service.stack
        window = min(stack.window, (stack.batch_size - 1) * self.polling.first / self.demand.rate)
        if not self._swells:
            return window
        # Who comes later waits longer, until as much is taken up as arrives, or the burst ends.
        peak, start = self.demand.peak, self.start
        last = self.demand.burst_seconds
        if peak < self.throughput:
            balanced = max(0.0, (peak / self.each - start) / self.polling.a_second)
            last = min(last, self.each * self.polling.done(start, balanced) / peak)
        return max(window, self._until_done(peak * last, 0.0, start) - last)

    @property
    def dead_letters(self) -> float:
        """Return the dead letters that an outage makes."""
        return self.demand.rate * self.retries.dead_in_outage(self.demand.outage_seconds)

    @property
    def in_flight(self) -> float:
        """Return messages received and not yet deleted, at the most: in work, or put off."""
        received = self.throughput if self._swells else self.demand.peak
        in_work = self.at_once(self.demand.peak) * self.batch_at(self.demand.peak)
        put_off = min(self.demand.peak, received) * self.retries.waiting(self.demand.failures)
        # In an outage all that arrives is put off again and again, for as long as its tries last.
        outage = self.demand.rate * min(self.demand.outage_seconds, sum(self.retries.means()))
        return in_work + put_off + outage


def steps(seconds: float, count: int = 200) -> Iterator[float]:
    """Yield so many moments from 0 to `seconds`, for a plot."""
    for place in range(count + 1):
        yield seconds * place / count
