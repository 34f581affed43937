"""Deliveries on one S3 in memory, one call at a time, in an order that the test chooses."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tests.unit.worker.memory_s3 import MemoryS3

_CURRENT = threading.local()


class Crash(BaseException):
    """The worker died: the rest of its work is not done."""


class Task:
    """A thread that stops before each of its calls to S3, and while it waits for others."""

    def __init__(self, delivery: Delivery, work: Callable[[], object], parent: Task | None) -> None:
        self.delivery = delivery
        self.parent = parent
        self.awaited: list[Task] = []
        self.ended = False
        self.error: BaseException | None = None
        self.value: Any = None
        self._go = threading.Semaphore(0)
        self._halted: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=[work], daemon=True).start()
        self._halted.get()

    def step(self) -> None:
        """Let it make its call, and run until it stops again."""
        self._go.release()
        self._halted.get()
        parent = self.parent
        if self.ended and parent and self in parent.awaited:
            parent.awaited.remove(self)
            if not parent.awaited:
                parent.step()

    def halt(self) -> None:
        """Wait, inside the thread, for the next step."""
        self._halted.put(None)
        self._go.acquire()
        if self.delivery.crashed:
            raise Crash

    def result(self) -> Any:
        """Return what its work returned, as a future does."""
        if self.error:
            raise self.error
        return self.value

    def _run(self, work: Callable[[], object]) -> None:
        _CURRENT.task = self
        try:
            self.value = work()
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
        return [task for task in self._tasks if not task.ended and not task.awaited]

    @property
    def error(self) -> BaseException | None:
        """Return the exception that the delivery ended with."""
        return self._main.error

    def crash(self) -> None:
        """Kill it where it is."""
        self.crashed = True
        while self.running:
            self.running[0].step()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Task:
        """Run a function beside what runs, as an executor does."""
        task = Task(self, partial(function, *arguments), _CURRENT.task)
        self._tasks.append(task)
        return task

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            _CURRENT.task.halt()
            if not self._s3.loses_answer(operation):
                return getattr(self._s3, operation)(**arguments)
            getattr(self._s3, operation)(**arguments)
            _CURRENT.task.halt()  # then botocore sends it again
            try:
                return getattr(self._s3, operation)(**arguments)
            except ClientError as error:
                error.response["ResponseMetadata"]["RetryAttempts"] = 1
                raise

        return call


def wait(tasks: Iterable[Task]) -> None:
    """Replace `concurrent.futures.wait`."""
    own: Task = _CURRENT.task
    own.awaited = [task for task in tasks if not task.ended]
    if own.awaited:
        own.halt()


class Lock:
    """Replaces `threading.Lock`: whoever waits for it takes turns as all others do."""

    def __init__(self) -> None:
        self._taken = False

    def __enter__(self) -> None:
        while self._taken:
            _CURRENT.task.halt()
        self._taken = True

    def __exit__(self, *_: object) -> None:
        self._taken = False
