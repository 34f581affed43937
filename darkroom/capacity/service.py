"""How long the worker takes for a batch: a model fitted to the bench, and S3's waiting time."""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

from darkroom.capacity.stack import Stack
from darkroom.capacity.workload import Picture
from worker.imaging.memory import divide_memory

# Milliseconds of one core, fitted by `tox -e capacity` to the figures in docs/performance.md (least
# squares of the relative error; docs/capacity.md shows how far each is off). A source's pixels cost
# what its kind says; a thumbnail's pixels are shrunk once for each width, encoded once a format.
FIXED = 12.4
PER_SOURCE_MEGAPIXEL = {
    "jpeg": 1.57,
    "progressive": 3.20,
    "cmyk": 7.36,
    "png": 27.9,
    "rgba": 52.2,
    "webp": 21.5,
}
SHRINKING = 40.2
ENCODING = {"jpeg": 17.8, "png": 84.4, "webp": 47.3, "avif": 69.5}
"""Of a megapixel of thumbnails; JPEG and PNG are from the bench's table of encoders."""

MEGABYTES_OF_A_CORE = 1769
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

MOST_CORES = 6
"""At 10,240 MB; the same page."""

S3_LATENCY = 0.1
"""Seconds to the first byte, the better end of what S3's documentation names (0.1 to 0.2).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
"""

S3_BANDWIDTH = 85e6
"""Bytes a second of one connection.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
"""

ROUND_TRIPS_AFTER = 2
"""One list and then one look, after the outputs are written (worker/reconcile.py)."""

WRITES_AT_ONCE = 10
"""worker/handler.py"""

# Bytes that decoding takes for a pixel, and encoding for a thumbnail's: worker/imaging/memory_estimate.py.
DECODING_BYTES = {"progressive": 3.2, "webp": 19.0}
ENCODING_BYTES = 36
FIXED_BYTES = 8_000_000

SHAPE = 3 / 4
"""Height to width of every picture, as most cameras have it."""

_SAMPLED = 800
"""Pictures drawn for the mean of a batch."""


@dataclass(frozen=True)
class Work:
    """What one picture asks for, in seconds: waiting, then a core, then waiting."""

    wait_before: float
    cpu: float
    wait_after: float


@dataclass(frozen=True)
class Service:
    """The function's execution environment, and the pictures that come to it."""

    stack: Stack
    pictures: Sequence[Picture]
    speed: float = 1.0
    """Of a Lambda core, to the core that the bench ran on."""

    latency: float = S3_LATENCY
    _known: dict[int, float] = field(default_factory=dict, compare=False, repr=False)

    @property
    def cores(self) -> float:
        """Return the share of the processor that the memory buys."""
        return min(self.stack.memory_megabytes / MEGABYTES_OF_A_CORE, MOST_CORES)

    @cached_property
    def _divided(self) -> tuple[int, int]:
        # Two threads a core that the function sees; it sees two, however little of them it gets.
        threads = 2 * max(2, math.ceil(self.cores))
        number, memory = divide_memory(
            self.stack.memory_megabytes, threads=threads, file_bytes=self.stack.maximum_bytes
        )
        return number, memory.capacity or 0

    @property
    def threads(self) -> int:
        """Return how many messages the worker has in hand at once."""
        return self._divided[0]

    def outcome(self, picture: Picture) -> str:
        """Return `done`, or the limit that a picture is rejected for."""
        if picture.file_bytes > self.stack.maximum_bytes:
            return "max_file_size_mb"
        if picture.megapixels > self.stack.max_megapixels:
            return "max_megapixels"
        if self._memory(picture) > self._divided[1]:
            return "MemorySize"
        return "done"

    def _memory(self, picture: Picture) -> float:
        widest = max(areas(picture, self.stack.widths), default=0)
        decoding = picture.megapixels * 1e6 * DECODING_BYTES.get(picture.kind, 0)
        return FIXED_BYTES + decoding + widest * 1e6 * ENCODING_BYTES

    def work(self, picture: Picture) -> Work:
        """Return what a picture asks for; one that is rejected is not decoded."""
        outcome = self.outcome(picture)
        is_read = outcome != "max_file_size_mb"
        before = self.latency + (picture.file_bytes / S3_BANDWIDTH if is_read else 0)
        writes = len(self.stack.widths) * len(self.stack.formats) if outcome == "done" else 1
        rounds = ROUND_TRIPS_AFTER + math.ceil(writes / WRITES_AT_ONCE)
        cpu = cpu_milliseconds(picture, self.stack.widths, self.stack.formats)
        if outcome != "done":
            cpu = FIXED
        return Work(before, cpu / 1000 / self.speed, rounds * self.latency)

    @cached_property
    def works(self) -> list[Work]:
        """Return what each of the pictures asks for."""
        return [self.work(picture) for picture in self.pictures]

    @cached_property
    def shares(self) -> list[float]:
        """Return how often each of them comes."""
        return [picture.share for picture in self.pictures]

    def rejected(self) -> dict[str, float]:
        """Return the share that is rejected, by the limit."""
        found: dict[str, float] = {}
        for picture in self.pictures:
            outcome = self.outcome(picture)
            if outcome != "done":
                found[outcome] = found.get(outcome, 0) + picture.share
        return found

    def seconds(self, size: float) -> float:
        """Return the mean time of a batch of `size` messages, of any size from 1 on."""
        steps = _steps(self.stack.batch_size)
        size = min(max(size, 1), self.stack.batch_size)
        place = min(max(bisect(steps, size) - 1, 0), max(len(steps) - 2, 0))
        low, high = steps[place], steps[min(place + 1, len(steps) - 1)]
        if low == high:
            return self._mean(low)
        part = (size - low) / (high - low)
        return self._mean(low) * (1 - part) + self._mean(high) * part

    def _mean(self, size: int) -> float:
        if size not in self._known:
            draw = random.Random(size)  # noqa: S311  # nosec B311 # no secret
            rounds = max(20, _SAMPLED // size)
            drawn = draw.choices(self.works, self.shares, k=size * rounds)
            self._known[size] = (
                sum(self.batch(drawn[at : at + size]) for at in range(0, len(drawn), size)) / rounds
            )
        return self._known[size]

    def slow_batch(self) -> float:
        """Return the time of a full batch of nothing but the slowest hundredth of pictures."""
        ranked = sorted(zip(self.works, self.shares, strict=True), key=lambda pair: pair[0].cpu)
        left = 0.01 * sum(self.shares)
        chosen = ranked[-1][0]
        for work, share in reversed(ranked):
            chosen = work
            left -= share
            if left <= 0:
                break
        return self.batch([chosen] * self.stack.batch_size)

    def batch(self, works: Sequence[Work]) -> float:
        """Return the seconds until the last of these is done.

        Threads take one after the other; those that need the processor at the same time share it,
        and none has more than one core, as in worker/handler.py.
        """
        coming = list(reversed(works))
        running: list[list[float]] = []  # which step is under way, and what is left of each
        now = 0.0
        while coming or running:
            while coming and len(running) < self.threads:
                work = coming.pop()
                running.append([0, work.wait_before, work.cpu, work.wait_after])
            busy = sum(1 for record in running if record[0] == 1)
            share = min(1.0, self.cores / busy) if busy else 1.0
            rates = [share if record[0] == 1 else 1.0 for record in running]
            length = min(
                record[int(record[0]) + 1] / rate
                for record, rate in zip(running, rates, strict=True)
            )
            now += length
            still = []
            for record, rate in zip(running, rates, strict=True):
                step = int(record[0])
                record[step + 1] -= length * rate
                if record[step + 1] <= 1e-9:
                    record[0] += 1
                if record[0] < 3:
                    still.append(record)
            running = still
        return now


@cache
def _steps(largest: int) -> list[int]:
    return [*(size for size in (1, 2, 3, 4, 5, 6, 8, 10, 20, 50) if size < largest), largest]


def areas(picture: Picture, widths: Sequence[int]) -> list[float]:
    """Return the megapixels of each width's thumbnail; none is wider than its source."""
    own = math.sqrt(picture.megapixels * 1e6 / SHAPE)
    return [min(width, own) ** 2 * SHAPE / 1e6 for width in widths]


def cpu_milliseconds(picture: Picture, widths: Sequence[int], formats: Sequence[str]) -> float:
    """Return the time of one core of the bench's machine."""
    return modelled(picture.kind, picture.megapixels, sum(areas(picture, widths)), formats)


def modelled(kind: str, megapixels: float, area: float, formats: Sequence[str]) -> float:
    """Return milliseconds for a source of this kind and `area` megapixels of thumbnails."""
    encoders = ["png" if (kind, name) == ("rgba", "jpeg") else name for name in formats]
    return (
        FIXED
        + PER_SOURCE_MEGAPIXEL[kind] * megapixels
        + area * (SHRINKING + sum(ENCODING[name] for name in encoders))
    )
