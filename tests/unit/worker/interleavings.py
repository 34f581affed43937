"""Deliveries on one S3 in memory, one call at a time, in an order that the test chooses."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from typing import Any

from tests.unit.worker.memory_s3 import MemoryS3

_CURRENT = threading.local()


class Crash(BaseException):
    """The worker died: the rest of its work is not done."""


class Task:
    """A thread that stops before each of its calls to S3, and while its children run."""

    def __init__(self, delivery: Delivery, work: Callable[[], object], parent: Task | None) -> None:
        self.delivery = delivery
        self.parent = parent
        self.children = 0
        self.ended = False
        self.error: BaseException | None = None
        self._go = threading.Semaphore(0)
        self._halted: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=[work], daemon=True).start()
        self._halted.get()

    def step(self) -> None:
        """Let it make its call, and run until it stops again."""
        self._go.release()
        self._halted.get()
        if self.ended and self.parent:
            self.parent.children -= 1
            if not self.parent.children:
                self.parent.step()

    def halt(self) -> None:
        """Wait, inside the thread, for the next step."""
        self._halted.put(None)
        self._go.acquire()
        if self.delivery.crashed:
            raise Crash

    def _run(self, work: Callable[[], object]) -> None:
        _CURRENT.task = self
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- a crash is one as well
            self.error = error
        self.ended = True
        self._halted.put(None)


class Delivery:
    """One delivery of one message: the client of its worker, and its tasks."""

    def __init__(self, s3: MemoryS3, work: Callable[[Delivery], object]) -> None:
        self.crashed = False
        self._s3 = s3
        self._tasks: list[Task] = []
        self._main = Task(self, lambda: work(self), None)
        self._tasks.append(self._main)

    @property
    def running(self) -> list[Task]:
        """Return the tasks that wait before a call."""
        return [task for task in self._tasks if not task.ended and not task.children]

    @property
    def error(self) -> BaseException | None:
        """Return the exception that the delivery ended with."""
        return self._main.error

    def crash(self) -> None:
        """Kill it where it is."""
        self.crashed = True
        while self.running:
            self.running[0].step()

    def run_together(
        self, _requests: Executor, function: Callable[[Any], Any], items: Iterable[Any]
    ) -> list[Any]:
        """Replace `reconcile._run_together`: one task per item."""
        results: dict[int, Any] = {}
        own: Task = _CURRENT.task

        def work(number: int, item: object) -> None:
            results[number] = function(item)

        tasks = [Task(self, partial(work, number, item), own) for number, item in enumerate(items)]
        own.children = sum(not task.ended for task in tasks)
        self._tasks += tasks
        if own.children:
            own.halt()
        for task in tasks:
            if task.error:
                raise task.error
        return [results[number] for number in range(len(tasks))]

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            _CURRENT.task.halt()
            return getattr(self._s3, operation)(**arguments)

        return call


def run_together(requests: Any, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Replace `reconcile._run_together`; the executor is the delivery."""
    results: list[Any] = requests.run_together(requests, function, items)
    return results
