"""Which request of the worker meets which fault: decided by a seed, not by the clock."""

import random
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "500 instead of an answer",
    "500 after the work was done",
    "503 SlowDown",
    "connection closed without an answer",
    "answer slow",
    "answer broken off half way",
    "no answer until the time-out",
    "worker killed before its request",
    "worker killed after its request",
]

ANY: Mapping[Fault, float] = {
    "500 instead of an answer": 0.015,
    "500 after the work was done": 0.01,
    "503 SlowDown": 0.02,
    "connection closed without an answer": 0.01,
    "answer slow": 0.005,
    "no answer until the time-out": 0.0004,
    "worker killed before its request": 0.001,
    "worker killed after its request": 0.001,
}
"""Share of requests that meet each fault. A picture takes 5 to 15 requests, a batch has several
pictures: about one batch in ten loses its worker, one in three meets a fault of S3."""

BODIES: Mapping[Fault, float] = {"answer broken off half way": 0.02}
"""Only where there is a body to break: share of the requests that read."""


@dataclass
class Plan:
    """Draws the fault of each request from the seed, the request and how often it came before.

    So the order in which requests happen to arrive changes nothing for any of them. A worker that
    reads one of `doomed` (decoded paths, `/bucket/key`) is killed each time; nothing else happens
    while the plan is not `active`.
    """

    seed: int
    doomed: Collection[str] = ()
    active: bool = True

    def __post_init__(self) -> None:
        self.injected: Counter[Fault] = Counter()
        self.requests = 0
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def draw(self, method: str, path: str) -> Fault | None:
        """Return what happens to the next request with this method and decoded path."""
        with self._lock:
            self.requests += 1
            self._seen[method, path] += 1
            fault = self._choose(method, path, self._seen[method, path])
            if fault is not None:
                self.injected[fault] += 1
            return fault

    def _choose(self, method: str, path: str, occurrence: int) -> Fault | None:
        if method == "GET" and path in self.doomed:
            return "worker killed before its request"
        if not self.active:
            return None
        # Text as the seed: its digest is used, which is the same on every host.
        seed = f"{self.seed} {occurrence} {method} {path}"
        drawn = random.Random(seed).random()  # noqa: S311 -- chooses faults
        rates = {**ANY, **BODIES} if method == "GET" else ANY
        for fault, rate in rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None
