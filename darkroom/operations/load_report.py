"""The results of a load run, for people and for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from darkroom.capacity.replay import Moment
from darkroom.console.tables import table
from darkroom.console.text import plural

NOT_IN_THE_EMULATOR = (
    "It has no batching window: a poller takes what is there.",
    "It begins with all of MaximumConcurrency: Lambda begins with five batches and adds five a"
    " second.",
    "Its functions share this computer's processors, whatever their MemorySize.",
)
"""What a load run cannot show."""


@dataclass(frozen=True)
class Second:
    """What was measured in one second of a source's queue."""

    arrived: int
    waiting: int
    """Messages that no batch has, as SQS counts them, at the end."""

    oldest: float
    """Seconds that the first of those without a batch has waited, at the end."""

    running: int
    """Batches, at most."""

    latency: float | None
    """95th percentile of the seconds from upload to record, of those that ended."""


@dataclass(frozen=True)
class SourceLoad:
    """What a source's pictures met: measured, and simulated with the measured batches."""

    source: str
    queue: str
    concurrency: int
    seconds: Sequence[Second]
    simulated: Sequence[Moment]
    latencies: Sequence[float]
    """Seconds from upload to record, sorted."""

    lost: Sequence[str]
    """Keys without an outcome, or in the dead-letter queue."""

    @property
    def most_running(self) -> int:
        """Return how many batches ran at once, at most."""
        return max(second.running for second in self.seconds)

    @property
    def drained(self) -> bool:
        """Return whether nothing waits at the end."""
        return self.seconds[-1].waiting == 0

    @property
    def problems(self) -> list[str]:
        """Return what a pipeline must not do under load, as sentences."""
        found = []
        if self.lost:
            found.append(f"{plural(len(self.lost), 'picture')} without a result: {self.lost[0]}")
        if not self.drained:
            found.append(f"{plural(self.seconds[-1].waiting, 'message')} left in the queue")
        if self.most_running > self.concurrency:
            found.append(f"{self.most_running} batches at once; allowed: {self.concurrency}")
        return found

    def percentile(self, share: float) -> float:
        """Return a percentile of the latency in seconds; 0 without any."""
        if not self.latencies:
            return 0.0
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


def table_of(sources: Sequence[SourceLoad]) -> list[str]:
    """Return a table with a line for each source, for people."""
    titles = ["source", "pictures", "batches at once", "waiting", "oldest", "p50", "p95", "slowest"]
    rows = [titles] + [
        [
            one.source,
            f"{sum(second.arrived for second in one.seconds):,}",
            f"{one.most_running} of {one.concurrency}",
            f"{max(second.waiting for second in one.seconds):,}",
            f"{max(second.oldest for second in one.seconds):.1f} s",
            *(f"{one.percentile(share):.2f} s" for share in (0.5, 0.95, 1)),
        ]
        for one in sources
    ]
    return [table(rows, right=range(1, len(titles)))]


def data(sources: Sequence[SourceLoad]) -> dict[str, Any]:
    """Return a run as JSON has it."""
    return {
        "emulator": list(NOT_IN_THE_EMULATOR),
        "sources": [
            {
                "source": one.source,
                "queue": one.queue,
                "maximum_concurrency": one.concurrency,
                "pictures": sum(second.arrived for second in one.seconds),
                "most_batches_at_once": one.most_running,
                "most_waiting": max(second.waiting for second in one.seconds),
                "latency_seconds": {
                    "p50": round(one.percentile(0.5), 3),
                    "p95": round(one.percentile(0.95), 3),
                    "max": round(one.percentile(1), 3),
                },
                "problems": one.problems,
                "seconds": [
                    {
                        "second": number,
                        "arrived": second.arrived,
                        "waiting": second.waiting,
                        "oldest": round(second.oldest, 2),
                        "batches": second.running,
                        "latency_p95": second.latency and round(second.latency, 3),
                        "simulated_waiting": simulated.waiting,
                        "simulated_batches": simulated.running,
                    }
                    for number, (second, simulated) in enumerate(
                        zip(one.seconds, one.simulated, strict=False), start=1
                    )
                ],
            }
            for one in sources
        ],
    }
