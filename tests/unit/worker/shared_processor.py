"""Simulated time, and a simulated processor that the threads of an invocation share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from random import Random
from typing import Any


class InvocationEndedError(BaseException):
    """Lambda ended the invocation: its time was over."""


class _Thread:
    """A thread that runs only between a call of `resume` and its next pause."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.processor_left = 0.0
        self.processor_used = 0.0
        self.blocked_by: Callable[[], bool] | None = None
        self.ended = self.is_cut_off = False
        self.error: BaseException | None = None
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._work = work
        threading.Thread(target=self._run, daemon=True).start()

    def resume(self) -> None:
        self._go.release()
        self._paused.acquire()

    def pause(self) -> None:
        self._paused.release()
        self._go.acquire()
        if self.is_cut_off:
            raise InvocationEndedError

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 -- also the invocation's end
            self.error = error
        self.ended = True
        self._paused.release()


class SharedProcessor:
    """Stands for `time`, `Condition` and `ThreadPoolExecutor`: nothing sleeps."""

    def __init__(self, random: Random, *, processors: float = 1.0) -> None:
        """Start at second zero; `random` chooses which of several ready threads runs next."""
        self.now = 0.0
        self.ends = float("inf")
        self._random = random
        self._processors = processors
        self._threads: list[_Thread] = []
        self._current: _Thread | None = None
        self._own = 0.0

    # `time`
    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self.now

    time = monotonic

    def thread_time(self) -> float:
        """Return the processor's seconds of the current thread."""
        return self._current.processor_used if self._current else self._own

    def use(self, seconds: float) -> None:
        """Take so much of the processor."""
        if self._current:
            thread = self._current
            thread.processor_left = seconds
            thread.pause()
        else:
            self._own += seconds
            self.now += seconds / min(1.0, self._processors)
        if self.now > self.ends:
            raise InvocationEndedError

    # `Condition`
    def __enter__(self) -> None:
        """Lock: only one thread runs at a time anyway."""

    def __exit__(self, *_: object) -> None:
        """Unlock."""

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Pause the current thread until this holds."""
        if not holds():
            assert self._current, "no other thread can make it hold"
            self._current.blocked_by = holds
            self._current.pause()

    def notify_all(self) -> None:
        """Do nothing: what threads wait for is looked at before each step."""

    def pool(self, threads: int) -> Pool:
        """Stand for ThreadPoolExecutor."""
        return Pool(self, threads)

    def run(self, works: Iterable[Callable[[], object]]) -> None:
        """Run threads until all have ended; raise the first error."""
        self._threads = [_Thread(work) for work in works]
        while running := [thread for thread in self._threads if not thread.ended]:
            ready = [
                one
                for one in running
                if not one.processor_left and (one.blocked_by is None or one.blocked_by())
            ]
            if ready:
                self._current = self._random.choice(ready)
                self._current.blocked_by = None
                self._current.resume()
                error, self._current = self._current.error, None
                if error:
                    self._cut_off()
                    raise error
                continue
            busy = [thread for thread in running if thread.processor_left]
            assert busy, "all threads wait for each other"
            step = min(thread.processor_left for thread in busy)
            self.now += step * len(busy) / min(len(busy), self._processors)
            for thread in busy:
                thread.processor_used += step
                left = thread.processor_left - step
                thread.processor_left = left if left > 1e-9 else 0.0

    def _cut_off(self) -> None:
        for thread in self._threads:
            thread.is_cut_off = True
            while not thread.ended:
                thread.resume()


class Pool:
    """Stands for an executor of some threads; only `map` is there."""

    def __init__(self, processor: SharedProcessor, threads: int) -> None:
        self._processor = processor
        self._threads = threads

    def __enter__(self) -> Pool:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """All have ended."""

    def map(self, function: Callable[[Any], object], items: Iterable[Any]) -> list[None]:
        """Call the function with each item, in order, as many at once as there are threads."""
        left = iter(list(items))

        def work() -> None:
            for item in left:
                function(item)

        self._processor.run([work] * self._threads)
        return []
