"""What the simulation does with given arrivals, second by second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from darkroom.capacity.model import CapacityModel
from darkroom.capacity.service import Service, Work
from darkroom.capacity.simulation import Event, Simulation


@dataclass(frozen=True)
class Moment:
    """One second; what waits at its end."""

    waiting: int
    """Messages."""

    oldest: float
    """Seconds since the first of them was sent; 0 without one."""

    running: int
    """Batches at once, at most."""


@dataclass(frozen=True)
class MeasuredService(Service):
    """A function whose batches take as long as measured."""

    batch_seconds: Mapping[int, float] = field(default_factory=dict)
    """Average seconds of a batch, by its number of messages; at least one."""

    def batch(self, works: Sequence[Work]) -> float:
        """Return the seconds of a batch of as many messages, or of the next number measured."""
        nearest = min(self.batch_seconds, key=lambda size: abs(size - len(works)))
        return self.batch_seconds[nearest] * len(works) / nearest

    def _mean(self, size: int) -> float:
        return self.batch([Work(0, 0, 0)] * size)


def replay(capacity: CapacityModel, arrivals: Sequence[float], seconds: int) -> list[Moment]:
    """Return the state after each of `seconds` seconds.

    Args:
        capacity: The pollers and the service; its demand is not used.
        arrivals: When messages are sent, in seconds from the start.
        seconds: How long to go on.
    """
    run = _Replay(capacity, warm_up=0, after=seconds + 0.5, max_pictures=10**9)
    run.arrivals = sorted(arrivals)
    run.run()
    return run.moments


class _Replay(Simulation):
    arrivals: Sequence[float] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.moments: list[Moment] = []
        self._environment.process(self._observe())

    def _arrive(self) -> Event:
        for moment in self.arrivals:
            yield self._environment.timeout(moment - self._environment.now)
            self._arrived += 1
            self._send_picture(Work(0, 0, 0))

    def _observe(self) -> Event:
        while True:
            yield self._environment.timeout(1)
            oldest = self._environment.now - self._queue[0].sent if self._queue else 0.0
            self.moments.append(Moment(len(self._queue), oldest, self._most_running))
            self._most_running = self._running
