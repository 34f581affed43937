"""Which request of the worker meets which fault: a seed decides, not the clock."""

import random
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "500 instead of a response",
    "500 after the request was processed",
    "503 SlowDown",
    "connection closed without a response",
    "slow response",
    "response cut off half way",
    "no response until the time-out",
    "worker killed before its request",
    "worker killed after its request",
]

ANY: Mapping[Fault, float] = {
    "500 instead of a response": 0.015,
    "500 after the request was processed": 0.01,
    "503 SlowDown": 0.02,
    "connection closed without a response": 0.01,
    "slow response": 0.005,
    "no response until the time-out": 0.0004,
    "worker killed before its request": 0.001,
    "worker killed after its request": 0.001,
}
"""Share of requests that meet each fault.

An image takes 5 to 15 requests, and a batch has several images: about one batch in ten loses its
worker, and one in three meets a fault of S3.
"""

BODIES: Mapping[Fault, float] = {"response cut off half way": 0.02}
"""Share of the requests that read: only they have a body that can be cut off."""


@dataclass
class FaultPlan:
    """Draws the fault of each request from the seed, the request and how often it came before.

    So the order in which requests arrive changes nothing for any of them.

    Attributes:
        seed: Chooses the faults.
        poison: Decoded paths, `/bucket/key`: a worker that reads one of them is killed each time.
        active: False stops all other faults.
    """

    seed: int
    poison: Collection[str] = ()
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
        if method == "GET" and path in self.poison:
            return "worker killed before its request"
        if not self.active:
            return None
        # A text seed is hashed, which gives the same on every host.
        seed = f"{self.seed} {occurrence} {method} {path}"
        drawn = random.Random(seed).random()  # noqa: S311 -- chooses faults
        rates = {**ANY, **BODIES} if method == "GET" else ANY
        for fault, rate in rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return None
