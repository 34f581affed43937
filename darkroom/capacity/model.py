"""Formulas for throughput, backlog, the age of the oldest message, and retries.

They treat messages as a fluid, first in, first out, without randomness. simulation.py checks where
that holds; docs/measurements/capacity.md has the comparison.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from darkroom.capacity.service import Service
from worker.retry import longest_delay, shortest_delay

FIRST_BATCHES = 5
BATCHES_PER_SECOND = 300 / 60
MAX_BATCHES = 1_250
"""Concurrent batches: at first, more per second, and at most.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

BATCHES_PER_PROVISIONED_POLLER = 10
PROVISIONED_BATCHES_PER_SECOND = 1_000 / 60
MAX_PROVISIONED_BATCHES = 20_000
"""The same with provisioned pollers, each of which has ten concurrent batches; the same page, and
https://aws.amazon.com/blogs/aws/aws-lambda-enhances-sqs-processing-with-new-provisioned-mode-3x-faster-scaling-16x-higher-capacity
"""

_GRID = 500
"""Steps of a numerical integral."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What arrives: pictures per second, a burst of `burst_factor` times that, and failures."""

    rate: float
    burst_factor: float = 1.0
    burst_seconds: float = 0.0
    failure_rate: float = 0.0
    """Share of tries that fail at random."""

    outage_seconds: float = 0.0
    """Seconds for which every try fails."""

    @property
    def peak(self) -> float:
        """Return pictures per second during the burst."""
        return self.rate * (self.burst_factor if self.burst_seconds else 1.0)


@dataclass(frozen=True, kw_only=True)
class Polling:
    """How many batches run concurrently: at first, more per second, at most."""

    first: float
    per_second: float
    maximum: float

    def concurrency(self, start: float, seconds: float) -> float:
        """Return how many run `seconds` after `start` of them ran, while there is a backlog."""
        return min(self.maximum, start + self.per_second * seconds)

    def batch_seconds(self, start: float, seconds: float) -> float:
        """Return the batch-seconds worked in the `seconds` after `start` of them ran."""
        ramp = max(0.0, min(seconds, (self.maximum - start) / self.per_second))
        return (start + self.per_second * ramp / 2) * ramp + self.maximum * (seconds - ramp)


def polling(
    concurrency: float, *, account: float, pollers: tuple[int, int] | None = None
) -> Polling:
    """Return how batches are received, by Lambda's own pollers or by provisioned ones.

    `account` is the account's concurrency; `pollers` are minimum and maximum.
    """
    if pollers is None:
        most = min(concurrency, account, MAX_BATCHES)
        return Polling(first=min(FIRST_BATCHES, most), per_second=BATCHES_PER_SECOND, maximum=most)
    least, greatest = pollers
    most = min(greatest * BATCHES_PER_PROVISIONED_POLLER, account, MAX_PROVISIONED_BATCHES)
    return Polling(
        first=min(least * BATCHES_PER_PROVISIONED_POLLER, most),
        per_second=PROVISIONED_BATCHES_PER_SECOND,
        maximum=most,
    )


@dataclass(frozen=True, kw_only=True)
class Retries:
    """When failed tries are repeated: at most `maximum` tries, `visibility` in seconds."""

    maximum: int
    visibility: int
    has_back_off: bool

    def ceilings(self) -> list[int]:
        """Return the longest wait, in seconds, after each try but the last."""
        if not self.has_back_off:
            return [self.visibility] * (self.maximum - 1)
        return [
            longest_delay(number, visibility_timeout=self.visibility)
            for number in range(1, self.maximum)
        ]

    def shortest(self) -> list[int]:
        """Return the shortest wait, in seconds, after each of them."""
        ceilings = self.ceilings()
        return [shortest_delay(one) for one in ceilings] if self.has_back_off else ceilings

    def means(self) -> list[float]:
        """Return the average wait, in seconds, after each of them."""
        waits = zip(self.shortest(), self.ceilings(), strict=True)
        return [(least + most) / 2 for least, most in waits]

    def tries(self, failure_rate: float) -> float:
        """Return the average number of tries per message, when this share of tries fails."""
        return sum(failure_rate**number for number in range(self.maximum))

    def dead(self, failure_rate: float) -> float:
        """Return the share of messages all of whose tries fail."""
        return failure_rate**self.maximum

    def waiting(self, failure_rate: float) -> float:
        """Return the average seconds that a message waits between its tries, in flight."""
        return sum(
            failure_rate ** (number + 1) * seconds for number, seconds in enumerate(self.means())
        )

    def dead_in_outage(self, seconds: float) -> float:
        """Return the arrivals that an outage turns into dead letters, in seconds of arrivals.

        A message that arrives x seconds before the outage ends becomes a dead letter if the sum of
        its waits is at most x.
        """
        if seconds <= sum(self.shortest()):
            return 0.0
        if not self.has_back_off:
            return max(0.0, seconds - sum(self.ceilings()))
        if seconds >= sum(self.ceilings()):
            return seconds - sum(self.means())
        step = seconds / _GRID
        # Probability that the waits so far add up to each step; longer sums are ignored.
        density = [1.0] + [0.0] * (_GRID - 1)
        for least, most in zip(self.shortest(), self.ceilings(), strict=True):
            density = _spread(density, least / step, most / step)
        # A sum in step n makes dead letters of all arrivals up to `seconds - n steps`.
        return sum(share * (_GRID - place - 0.5) * step for place, share in enumerate(density))


def _spread(density: list[float], least: float, most: float) -> list[float]:
    """Return the distribution of the sum with a uniform value from `least` to `most` steps."""
    sums = [0.0]
    for share in density:
        sums.append(sums[-1] + share)
    width = most - least
    if width <= 1:  # less than a step
        moved = round((least + most) / 2)
        return ([0.0] * moved + density)[: len(density)]

    def up_to(place: float) -> float:
        place = min(max(place, 0.0), len(density))
        whole = int(place)
        part = place - whole
        return sums[whole] + (part * density[whole] if part else 0.0)

    return [
        (up_to(place + 1 - least) - up_to(place + 1 - most)) / width
        for place in range(len(density))
    ]


@dataclass(frozen=True, kw_only=True)
class CapacityModel:
    """What the pipeline does with a demand; rates per second, times in seconds."""

    service: Service
    polling: Polling
    retries: Retries
    demand: Demand

    @property
    def batch_rate(self) -> float:
        """Return the pictures per second of one concurrent batch, with full batches."""
        size = self.service.stack.batch_size
        return size / self.service.seconds(size) / self.retries.tries(self.demand.failure_rate)

    @property
    def throughput(self) -> float:
        """Return the pictures per second while there is a backlog, fully scaled."""
        return self.polling.maximum * self.batch_rate

    @property
    def utilisation(self) -> float:
        """Return the average rate's share of the throughput; from 1 on, the backlog grows."""
        return self.demand.rate / self.throughput

    def batch_at(self, rate: float) -> float:
        """Return the average messages per batch at this many pictures per second.

        A waiting poller gets the first message immediately: batches grow only where batches of one
        would need more than the maximum concurrency, or as far as the window lets them.
        """
        size = self.service.stack.batch_size
        rate *= self.retries.tries(self.demand.failure_rate)
        window = self.service.stack.window
        gathered = min(size, 1 + window * rate / max(self.polling.first, 1))
        if rate * self.service.seconds(gathered) / gathered <= self.polling.maximum:
            return gathered
        if rate * self.service.seconds(size) / size >= self.polling.maximum:
            return size
        low, high = gathered, float(size)
        for _ in range(50):
            middle = (low + high) / 2
            if rate * self.service.seconds(middle) / middle > self.polling.maximum:
                low = middle
            else:
                high = middle
        return high

    @property
    def batch(self) -> float:
        """Return the average messages per batch at the average rate."""
        return self.batch_at(self.demand.rate)

    def concurrent_batches(self, rate: float) -> float:
        """Return how many batches run concurrently at this rate."""
        size = self.batch_at(rate)
        tries = rate * self.retries.tries(self.demand.failure_rate)
        return min(self.polling.maximum, tries * self.service.seconds(size) / size)

    def batches_needed(self, rate: float) -> float:
        """Return how many concurrent batches this rate needs, with full batches."""
        return rate / self.batch_rate

    @property
    def start(self) -> float:
        """Return how many batches run concurrently when a burst begins."""
        return max(self.polling.first, self.concurrent_batches(self.demand.rate))

    def drain(self, backlog: float) -> float:
        """Return the seconds until a backlog is gone, while the average rate goes on; maybe inf."""
        return self._until_done(backlog, self.demand.rate, self.start)

    def _until_done(self, backlog: float, rate: float, start: float) -> float:
        if backlog <= 0:
            return 0.0
        slope = self.polling.per_second
        ramp = max(0.0, (self.polling.maximum - start) / slope)
        # batch_rate · (start · t + slope · t² / 2) = backlog + rate · t
        half, linear = self.batch_rate * slope / 2, self.batch_rate * start - rate
        found = (-linear + math.sqrt(linear**2 + 4 * half * backlog)) / (2 * half)
        if found <= ramp:
            return found
        left = backlog + rate * ramp - self.batch_rate * self.polling.batch_seconds(start, ramp)
        spare = self.throughput - rate
        return ramp + left / spare if spare > 0 else math.inf

    @property
    def _has_backlog(self) -> bool:
        return bool(self.demand.burst_seconds) and self.demand.peak > self.batch_rate * self.start

    @property
    def backlog(self) -> float:
        """Return how many messages wait at most because of the burst."""
        if not self._has_backlog:
            return 0.0
        peak, start = self.demand.peak, self.start
        grows = min(
            self.demand.burst_seconds,
            (peak / self.batch_rate - start) / self.polling.per_second
            if peak < self.throughput
            else math.inf,
        )
        return max(0.0, peak * grows - self.batch_rate * self.polling.batch_seconds(start, grows))

    @property
    def drained(self) -> float:
        """Return the seconds after the burst's end until its backlog is gone; maybe inf."""
        if not self._has_backlog:
            return 0.0
        seconds, start = self.demand.burst_seconds, self.start
        left = self.demand.peak * seconds - self.batch_rate * self.polling.batch_seconds(
            start, seconds
        )
        now = self.polling.concurrency(start, seconds)
        return self._until_done(left, self.demand.rate, now)

    @property
    def oldest(self) -> float:
        """Return how long a message waits at most before it is first received; maybe inf."""
        if self.utilisation >= 1:
            return math.inf
        # A batch waits for the end of its window, or until it is full.
        stack = self.service.stack
        window = min(stack.window, (stack.batch_size - 1) * self.polling.first / self.demand.rate)
        if not self._has_backlog:
            return window
        # Later messages wait longer, until as many are received as arrive, or the burst ends.
        peak, start = self.demand.peak, self.start
        last = self.demand.burst_seconds
        if peak < self.throughput:
            balanced = max(0.0, (peak / self.batch_rate - start) / self.polling.per_second)
            last = min(last, self.batch_rate * self.polling.batch_seconds(start, balanced) / peak)
        return max(window, self._until_done(peak * last, 0.0, start) - last)

    @property
    def dead_letters(self) -> float:
        """Return the number of dead letters that an outage makes."""
        return self.demand.rate * self.retries.dead_in_outage(self.demand.outage_seconds)

    @property
    def in_flight(self) -> float:
        """Return how many messages are in flight at most: being processed, or delayed."""
        received = self.throughput if self._has_backlog else self.demand.peak
        processed = self.concurrent_batches(self.demand.peak) * self.batch_at(self.demand.peak)
        delayed = min(self.demand.peak, received) * self.retries.waiting(self.demand.failure_rate)
        # In an outage everything that arrives is delayed repeatedly, for as long as its tries last.
        outage = self.demand.rate * min(self.demand.outage_seconds, sum(self.retries.means()))
        return processed + delayed + outage


def steps(seconds: float, count: int = 200) -> Iterator[float]:
    """Yield `count` + 1 times from 0 to `seconds`, for a plot."""
    for place in range(count + 1):
        yield seconds * place / count
