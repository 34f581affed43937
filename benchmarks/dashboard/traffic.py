"""A made-up afternoon, minute by minute: calm, a burst, an outage of ten minutes, recovery."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy

from darkroom.cloudformation.dashboards import Line

MINUTES = 180
BURST = range(40, 50)
OUTAGE = range(100, 110)
CALM_RATE, BURST_RATE, CAPACITY = 40, 420, 150  # pictures a minute
BATCH = 5  # pictures of an invocation
REASONS = ("NotAnImage", "Corrupt", "UnsupportedFormat", "TooLarge", "TooManyPixels")

Samples = list[list[float]]
"""What was measured in each minute."""


@cache
def tell() -> dict[str, Samples]:
    """Return the samples of each metric, the dead-letter queue's as `DeadLetters`."""
    chance = random.Random(33)  # noqa: S311 -- the same afternoon each time
    found: dict[str, Samples] = defaultdict(lambda: [[] for _ in range(MINUTES)])
    waiting: deque[int] = deque()
    dead = 0
    for minute in range(MINUTES):
        mean = BURST_RATE if minute in BURST else CALM_RATE
        arrived = round(chance.gauss(mean, mean**0.5))
        waiting.extend([minute] * arrived)
        failing = minute in OUTAGE
        done = 0 if failing else min(len(waiting), CAPACITY)
        tried = min(len(waiting), CAPACITY // 3) if failing else done
        invocations = -(-tried // BATCH)
        rejected = 0
        for _ in range(done):
            since = minute - waiting.popleft()
            work = 0.12 * chance.lognormvariate(0, 0.5)
            found["ProcessingTime"][minute].append(1000 * work)
            found["EndToEndLatency"][minute].append(1000 * (60 * since + 0.8 + 4 * work))
            if chance.random() < 0.02:
                rejected += 1
                reason = chance.choices(REASONS, weights=(8, 4, 3, 1, 1))[0]
                found[f"Rejected{reason}"][minute].append(1)
        if minute == OUTAGE[-1]:
            dead = 4
        age = 60.0 * (minute - waiting[0]) + 20 if waiting else chance.choice((0, 1, 2))
        counts = {
            "NumberOfMessagesSent": arrived,
            "ApproximateNumberOfMessagesVisible": len(waiting),
            "ApproximateNumberOfMessagesNotVisible": tried // (1 if failing else 12),
            "ApproximateAgeOfOldestMessage": age,
            "DeadLetters": dead,
            "ImagesProcessed": done,
            "ThumbnailsWritten": 6 * (done - rejected),
            "Retries": tried if failing else int(chance.random() < 0.05),
            "Errors": invocations // 4 if failing else 0,
            "Throttles": chance.randrange(3, 9) if done == CAPACITY else 0,
        }
        for name, count in counts.items():
            found[name][minute].append(count)
        seconds = 60 if failing else 0.4 * BATCH / 2
        found["Duration"][minute] = [1000 * chance.gauss(seconds, seconds / 20)] * invocations
    return found


def values(story: dict[str, Samples], line: Line, stat: str, minutes: int) -> Any:
    """Return an array of a metric's statistic, a value for every so many minutes."""
    name = line.metric
    if line.dimensions.get("QueueName", "").endswith("dead-letters"):
        name = "DeadLetters"
    quiet = name.startswith("Rejected")  # by reason: sent when it occurs
    if name not in story and not quiet:
        raise LookupError(f"the story does not tell {line.namespace} {line.metric}")
    return numpy.array(
        [
            _statistic([one for minute in story[name][at : at + minutes] for one in minute], stat)
            for at in range(0, MINUTES, minutes)
        ]
    )


def _statistic(samples: Sequence[float], stat: str) -> float:
    if not samples:
        return float("nan")
    if stat.startswith("p"):
        return float(numpy.percentile(samples, float(stat[1:])))
    return {"Sum": sum(samples), "Maximum": max(samples)}[stat]
