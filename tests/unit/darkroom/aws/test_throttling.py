"""The pace of requests to a service that throttles: a token bucket and eight threads, simulated."""

import heapq
import itertools

import pytest

from darkroom.aws.throttling import Pace
from darkroom.aws.upload_api import THROTTLED_TRIES

LATENCY_SECONDS = 0.03
THREADS = 8


def simulate(rate: float, burst: int, count: int) -> tuple[float, int, int]:
    """Return the seconds for `count` requests, the 429s, and the most for one request."""
    pace, order = Pace(), itertools.count()
    tokens, last, left = float(burst), 0.0, count
    refused = worst = 0
    # time, order, what: a thread that wants to send, sends, or has its answer; its tries
    events = [(0.0, next(order), "want", 0) for _ in range(THREADS)]
    now = 0.0
    while events:
        now, _, what, tries = heapq.heappop(events)
        if what == "want":
            if tries or left > 0:
                left -= not tries
                heapq.heappush(events, (now + pace.reserve(now), next(order), "send", tries))
        elif what == "send":
            tokens, last = min(burst, tokens + rate * (now - last)), now
            passes = tokens >= 1
            tokens -= passes
            answer = "passed" if passes else "throttled"
            heapq.heappush(events, (now + LATENCY_SECONDS, next(order), answer, tries))
        elif what == "passed":
            pace.answered()
            heapq.heappush(events, (now, next(order), "want", 0))
        else:
            refused, worst = refused + 1, max(worst, tries + 1)
            pace.throttled(now)
            heapq.heappush(events, (now, next(order), "want", tries + 1))
    return now, refused, worst


@pytest.mark.parametrize(("rate", "burst"), [(20, 40), (20, 1), (100, 2), (5, 5), (1, 1)])
def test_each_request_passes_in_time(rate: float, burst: int) -> None:
    """A1: after a few tries, and most of what the limit lets through is used."""
    count = 2000 if rate > 5 else 300
    seconds, refused, worst = simulate(rate, burst, count)
    assert 0 < refused < count / 3
    assert worst < THROTTLED_TRIES
    assert seconds < 2.5 * count / rate


def test_without_throttling_there_is_no_distance() -> None:
    pace = Pace()
    assert [pace.reserve(3.0) for _ in range(3)] == [0, 0, 0]


def test_what_the_service_asks_for_is_kept() -> None:
    """A1: Retry-After, for every request."""
    pace = Pace()
    pace.throttled(10.0, 7.0)
    assert pace.reserve(10.0) == pytest.approx(7)
    assert pace.reserve(12.0) == pytest.approx(5.01)
