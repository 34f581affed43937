"""How long the worker takes for a batch: a model fitted to the benchmark, plus S3's latency."""

import math
import random
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

from darkroom.capacity.stack import StackFigures
from darkroom.capacity.workload import TypicalPicture
from worker import limits
from worker.imaging.memory import divide_memory

# Milliseconds of one core, fitted by `python -m benchmarks.capacity` to the figures in
# docs/measurements/capacity-figures.md (least squares of the relative error;
# docs/measurements/capacity.md has the error of each). A source's pixels cost what its format says;
# a thumbnail's pixels are shrunk once per width and encoded once per format.
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
"""Per megapixel of thumbnails; JPEG and PNG are from the benchmark's table of encoders."""

MEGABYTES_PER_CORE = 1769
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

MAX_CORES = 6
"""At 10,240 MB; the same page."""

S3_LATENCY = 0.1
"""Seconds to the first byte, the better end of the range that S3 documents (0.1 to 0.2).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
"""

S3_BANDWIDTH = 85e6
"""Bytes per second of one connection.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
"""

ROUND_TRIPS_AFTER = 1
"""The record, after the outputs are written (worker/reconcile.py)."""

# Bytes of memory per pixel, by format; what the others take shrinks with the thumbnails.
DECODING_BYTES = {
    "progressive": limits.BYTES_BESIDE_COEFFICIENTS + 1.5 * limits.BYTES_PER_COEFFICIENT,  # 4:2:0
    "webp": limits.BYTES_PER_PIXEL["WEBP"],
}

SHAPE = 3 / 4
"""Height to width of every picture, as most cameras have it."""

_SAMPLED = 800
"""Pictures drawn for the average of a batch."""


@dataclass(frozen=True)
class Work:
    """What one picture takes, in seconds: waiting, then a core, then waiting."""

    wait_before: float
    cpu: float
    wait_after: float


@dataclass(frozen=True)
class Service:
    """The function's execution environment, and the pictures that arrive."""

    stack: StackFigures
    pictures: Sequence[TypicalPicture]
    cpu_factor: float = 1.0
    """Speed of a Lambda core relative to the core that the benchmark ran on."""

    latency: float = S3_LATENCY
    _known: dict[int, float] = field(default_factory=dict, compare=False, repr=False)

    @property
    def cores(self) -> float:
        """Return the processor cores that Lambda gives for the memory."""
        return min(self.stack.memory_megabytes / MEGABYTES_PER_CORE, MAX_CORES)

    @cached_property
    def _divided(self) -> tuple[int, int]:
        # Two threads per core that the function sees; it always sees at least two.
        threads = 2 * max(2, math.ceil(self.cores))
        number, memory = divide_memory(
            self.stack.memory_megabytes,
            threads=threads,
            file_bytes=self.stack.maximum_bytes,
            kept_bytes=self.stack.watermarks * limits.BYTES_PER_WATERMARK,
        )
        return number, memory.capacity or 0

    @property
    def threads(self) -> int:
        """Return how many messages the worker works on at once."""
        return self._divided[0]

    def outcome(self, picture: TypicalPicture) -> str:
        """Return `done`, or the limit that a picture exceeds and is rejected for."""
        if picture.file_bytes > self.stack.maximum_bytes:
            return "max_file_size_mb"
        if picture.megapixels > self.stack.max_megapixels:
            return "max_megapixels"
        if self._memory(picture) > self._divided[1]:
            return "MemorySize"
        return "done"

    def _memory(self, picture: TypicalPicture) -> float:
        widest = area(picture, max(self.stack.widths))
        decoding = picture.megapixels * 1e6 * DECODING_BYTES.get(picture.image_format, 0)
        return limits.FIXED_BYTES + decoding + widest * 1e6 * limits.BYTES_PER_THUMBNAIL_PIXEL

    def work(self, picture: TypicalPicture) -> Work:
        """Return what a picture takes; a rejected one is not decoded."""
        outcome = self.outcome(picture)
        is_read = outcome != "max_file_size_mb"
        before = self.latency + (picture.file_bytes / S3_BANDWIDTH if is_read else 0)
        writes = len(self.stack.outputs) if outcome == "done" else 1
        rounds = ROUND_TRIPS_AFTER + math.ceil(writes / limits.CONCURRENT_REQUESTS)
        cpu = self._milliseconds(picture)
        if outcome != "done":
            cpu = FIXED
        return Work(before, cpu / 1000 / self.cpu_factor, rounds * self.latency)

    def _milliseconds(self, picture: TypicalPicture) -> float:
        """Return milliseconds of one core of the benchmark's machine."""
        encoded: dict[str, float] = {}
        for width, format_name in self.stack.outputs:
            encoded[format_name] = encoded.get(format_name, 0) + area(picture, width)
        resized = sum(area(picture, width) for width in self.stack.widths)
        return modelled(picture.image_format, picture.megapixels, resized, encoded)

    @cached_property
    def works(self) -> list[Work]:
        """Return what each of the pictures takes."""
        return [self.work(picture) for picture in self.pictures]

    @cached_property
    def shares(self) -> list[float]:
        """Return the share of each of them."""
        return [picture.share for picture in self.pictures]

    def rejected(self) -> dict[str, float]:
        """Return the share of pictures that is rejected, by limit."""
        found: dict[str, float] = {}
        for picture in self.pictures:
            outcome = self.outcome(picture)
            if outcome != "done":
                found[outcome] = found.get(outcome, 0) + picture.share
        return found

    def seconds(self, size: float) -> float:
        """Return the average seconds of a batch of `size` messages, partly interpolated."""
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
        """Return the seconds of a full batch that holds only pictures of the slowest hundredth."""
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

        As in worker/handler.py, each thread takes one after the other; threads that need the
        processor at the same time share it, and each uses one core at most.
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


def area(picture: TypicalPicture, width: int) -> float:
    """Return the megapixels of the thumbnail of a width; it is not wider than its source."""
    own = math.sqrt(picture.megapixels * 1e6 / SHAPE)
    return min(width, own) ** 2 * SHAPE / 1e6


def modelled(
    image_format: str, megapixels: float, resized: float, encoded: Mapping[str, float]
) -> float:
    """Return milliseconds of one core of the benchmark's machine.

    Args:
        image_format: The source's.
        megapixels: The source's.
        resized: Megapixels of all thumbnails, each once.
        encoded: Megapixels of all thumbnails of each format.
    """
    return (
        FIXED
        + PER_SOURCE_MEGAPIXEL[image_format] * megapixels
        + SHRINKING * resized
        + sum(
            ENCODING["png" if (image_format, name) == ("rgba", "jpeg") else name] * size
            for name, size in encoded.items()
        )
    )
