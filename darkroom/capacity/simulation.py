"""A discrete-event simulation of the queue, its pollers and the worker, to check the formulas."""

import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Self

import simpy

from darkroom.capacity.model import CapacityModel
from darkroom.capacity.service import Work

MAX_PICTURES = 200_000
"""Beyond this, demand and concurrency are divided by the same factor."""

MIN_BATCHES = 20
"""Concurrent batches that remain after that: fewer would behave differently."""

Event = Generator[simpy.Event, Any, None]


@dataclass
class _QueuedPicture:
    sent: float
    work: Work
    received: int = 0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The results of a simulation, in the units of the formulas."""

    scale: float
    """Factor by which demand and concurrency were divided."""

    seconds: float
    arrived: int
    done: int
    dead: int
    busiest: float
    """Pictures per second while there was a backlog of full batches; 0 without one."""

    rate: float
    """Pictures per second over the whole time."""

    backlog: float
    waiting: float
    """Messages waiting at the end."""

    oldest: float
    drained: float
    """Seconds from the end of the burst until nothing waits."""

    batch: float
    at_once: float


@dataclass
class Simulation:
    """One run: a warm-up, the burst or the outage, and the time after it; in seconds."""

    capacity: CapacityModel
    seed: int = 1
    warm_up: float = 300.0
    after: float = 0.0
    """How long the average rate continues after the burst or outage."""

    max_pictures: int = MAX_PICTURES

    _queue: deque[_QueuedPicture] = field(default_factory=deque, init=False)
    _waiting: deque[simpy.Event] = field(default_factory=deque, init=False)

    @classmethod
    def of(cls, capacity: CapacityModel, *, seed: int, max_pictures: int = MAX_PICTURES) -> Self:
        """Return a run that is long enough for the burst or outage to be over."""
        demand = capacity.demand
        seconds = demand.burst_seconds + demand.outage_seconds
        after = min(capacity.drained * 1.2, 3 * seconds) + 600
        if demand.outage_seconds or demand.failure_rate:
            after += min(sum(capacity.retries.ceilings()), 7 * 86_400)
        return cls(capacity, seed=seed, after=after, max_pictures=max_pictures)

    def __post_init__(self) -> None:
        """Compute how long the run is, and how much smaller than the demand."""
        demand = self.capacity.demand
        self._event_seconds = max(demand.burst_seconds, demand.outage_seconds)
        self.seconds = self.warm_up + self._event_seconds + self.after
        expected = demand.rate * (self.warm_up + self.after + demand.outage_seconds)
        expected += demand.peak * demand.burst_seconds
        most = self.capacity.polling.maximum
        self.scale = max(1.0, min(expected / self.max_pictures, most / MIN_BATCHES))
        self._environment = simpy.Environment()
        self._random = random.Random(self.seed)  # noqa: S311  # nosec B311 # no secret
        self._slots = self._running = self._most_running = 0
        self._busy_seconds = 0.0
        self._arrived = self._done = self._dead = self._batches = self._received = 0
        self._done_full = self._seconds_full = 0.0
        self._oldest = self._backlog = 0.0
        self._empty_at = 0.0

    def run(self, progress: Callable[[float, int], None] | None = None) -> Observation:
        """Return the results; `progress` gets the share of time that is over, and pictures done."""
        clock = self._environment
        polling = self.capacity.polling
        most = max(1, round(polling.maximum / self.scale))
        clock.process(self._arrive())
        clock.process(self._scale_up(most))
        start = max(1, min(most, round(self.capacity.start / self.scale)))
        for _ in range(start):
            self._add_slot()
        clock.process(self._measure(most))
        for step in range(1, 101):
            clock.run(until=self.seconds * step / 100)
            if progress:
                progress(step / 100, self._done)
        ended = self.warm_up + self._event_seconds
        return Observation(
            scale=self.scale,
            seconds=self.seconds,
            arrived=self._arrived,
            done=self._done,
            dead=self._dead,
            busiest=self.scale * self._done_full / self._seconds_full if self._seconds_full else 0,
            rate=self.scale * self._done / self.seconds,
            backlog=self._backlog * self.scale,
            waiting=len(self._queue) * self.scale,
            oldest=self._oldest,
            drained=max(0.0, self._empty_at - ended),
            batch=self._received / self._batches if self._batches else 0,
            at_once=self.scale * self._busy_seconds / self.seconds,
        )

    def _rate(self, now: float) -> float:
        demand = self.capacity.demand
        in_burst = self.warm_up <= now < self.warm_up + demand.burst_seconds
        return (demand.peak if in_burst else demand.rate) / self.scale

    def _arrive(self) -> Event:
        service = self.capacity.service
        changes = [self.warm_up, self.warm_up + self.capacity.demand.burst_seconds]
        drawn: list[Work] = []
        while True:
            now = self._environment.now
            pause = self._random.expovariate(self._rate(now))
            # At a change of the rate a new pause is drawn: exponential waiting has no memory.
            change = next((moment for moment in changes if now < moment < now + pause), None)
            if change is not None:
                yield self._environment.timeout(change - now)
                continue
            yield self._environment.timeout(pause)
            if not drawn:
                drawn = self._random.choices(service.works, service.shares, k=1000)
            self._arrived += 1
            self._send_picture(drawn.pop())

    def _send_picture(self, work: Work) -> None:
        self._send(_QueuedPicture(self._environment.now, work))

    def _send(self, message: _QueuedPicture) -> None:
        self._queue.append(message)
        if self._waiting:
            self._waiting.popleft().succeed()

    def _scale_up(self, most: int) -> Event:
        pause = self.scale / self.capacity.polling.per_second
        while self._slots < most:
            yield self._environment.timeout(pause)
            if self._queue:
                self._add_slot()

    def _add_slot(self) -> None:
        self._slots += 1
        self._environment.process(self._work())

    def _receive(self) -> Generator[simpy.Event, Any, list[_QueuedPicture]]:
        clock, stack = self._environment, self.capacity.service.stack
        while not self._queue:
            woken = clock.event()
            self._waiting.append(woken)
            yield woken
        batch = [self._queue.popleft()]
        until = clock.now + stack.window
        while True:
            while self._queue and len(batch) < stack.batch_size:
                batch.append(self._queue.popleft())
            if len(batch) == stack.batch_size or clock.now >= until:
                return batch
            woken = clock.event()
            self._waiting.appendleft(woken)
            yield woken | clock.timeout(until - clock.now)
            if not woken.triggered:
                self._waiting.remove(woken)

    def _work(self) -> Event:
        clock, service = self._environment, self.capacity.service
        while True:
            batch: list[_QueuedPicture] = yield from self._receive()
            for message in batch:
                if not message.received:
                    self._oldest = max(self._oldest, clock.now - message.sent)
                message.received += 1
            seconds = service.batch([message.work for message in batch])
            self._running += 1
            self._most_running = max(self._most_running, self._running)
            yield clock.timeout(seconds)
            self._running -= 1
            self._busy_seconds += seconds
            self._batches += 1
            self._received += len(batch)
            for message in batch:
                if self._fails():
                    self._return(message)
                else:
                    self._done += 1

    def _fails(self) -> bool:
        demand = self.capacity.demand
        in_outage = 0 <= self._environment.now - self.warm_up < demand.outage_seconds
        return in_outage or (
            demand.failure_rate > 0 and self._random.random() < demand.failure_rate
        )

    def _return(self, message: _QueuedPicture) -> None:
        """Delay a message as worker/retry.py does; without an SQS endpoint, as the queue does."""
        retries = self.capacity.retries
        if message.received >= retries.maximum:
            self._dead += 1
            return
        tries = message.received - 1
        seconds = self._random.randint(retries.shortest()[tries], retries.ceilings()[tries])
        self._environment.process(self._later(message, seconds))

    def _later(self, message: _QueuedPicture, seconds: float) -> Event:
        yield self._environment.timeout(seconds)
        self._send(message)

    def _measure(self, most: int) -> Event:
        """Sample the queue twice per batch."""
        size = self.capacity.service.stack.batch_size
        pause = min(1.0, self.capacity.service.seconds(size) / 2)
        before = 0
        while True:
            yield self._environment.timeout(pause)
            waiting = len(self._queue)
            self._backlog = max(self._backlog, waiting)
            is_full = self._slots >= most and waiting >= 4 * size * most
            if is_full:
                self._done_full += self._done - before
                self._seconds_full += pause
            before = self._done
            if waiting > most * size:
                self._empty_at = self._environment.now


def simulate(
    capacity: CapacityModel, *, seed: int, progress: Callable[[str], None] = lambda _: None
) -> Observation:
    """Return the results of a simulation; `progress` gets how far it is."""
    return Simulation.of(capacity, seed=seed).run(
        lambda part, done: progress(f"simulating: {part:.0%}, {done:,} pictures processed")
    )
