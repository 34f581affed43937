"""A backlog in simulated time: no message becomes a dead letter for lack of time."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates.specification import ProcessingQueue
from tests.unit.worker.memory_s3 import MemoryS3
from tests.unit.worker.shared_processor import InvocationEndedError, SharedProcessor
from tests.unit.worker.test_handler import SETTINGS, record
from tests.unit.worker.test_handler import message as message_of
from worker import handler, logs, time_budget
from worker.handler import Worker
from worker.results import Result


@dataclass
class Waiting:
    """A message in the queue."""

    name: str
    seconds: float
    visible_at: float = 0.0
    receives: int = 0
    first_receive: float = 0.0
    begun: int = 0


@dataclass
class Backlog:
    """A queue of images that all can be processed, and the workers that share it."""

    random: Random
    messages: list[Waiting]
    timeout: float
    batch_size: int
    max_receives: int = ProcessingQueue().max_receive_count
    workers: int = 1
    threads: int = 4
    processors: float = 1.0
    disorder: int = 0
    has_endpoint: bool = True
    dead: list[Waiting] = field(default_factory=list)
    done: int = 0
    ended: int = 0
    invocations: int = 0
    last: float = 0.0

    @property
    def visibility(self) -> int:
        return math.ceil(6 * self.timeout)

    def run(self) -> None:
        """Process all of it."""
        free = [0.0] * self.workers
        while self.messages:
            free.sort()
            now = max(free[0], min(message.visible_at for message in self.messages))
            batch = self._receive(now)
            free[0] = self._invoke(batch, now) if batch else now
            self.last = max(free)

    def _receive(self, now: float) -> list[Waiting]:
        visible = [message for message in self.messages if message.visible_at <= now]
        # Best-effort ordering: roughly as they were sent.
        visible.sort(key=lambda m: int(m.name) + self.random.uniform(0, self.disorder))
        batch: list[Waiting] = []
        for message in visible:
            if len(batch) == self.batch_size:
                break
            if message.receives == self.max_receives:
                self.dead.append(message)
                self.messages.remove(message)
                continue
            message.first_receive = message.first_receive if message.receives else now
            message.receives += 1
            message.visible_at = now + self.visibility
            batch.append(message)
        return batch

    def _invoke(self, batch: list[Waiting], now: float) -> float:
        self.invocations += 1
        by_name = {message.name: message for message in batch}
        clock = SharedProcessor(self.random, processors=self.processors)
        clock.now, clock.ends = now, now + self.timeout
        deleted = set()

        def reconcile(
            _s3: Any, _settings: Any, source: Any, process: Any, _requests: Any, **_: Any
        ) -> Result:
            list(process(SimpleNamespace(name=source.key), None))
            return Result("succeeded", "done")

        def processor(body: Any, _source: Any, _memory: Any) -> list[Any]:
            by_name[body.name].begun += 1
            if math.isinf(by_name[body.name].seconds):
                raise InvocationEndedError  # as if out of memory
            clock.use(by_name[body.name].seconds)
            return []

        def change_message_visibility(**arguments: Any) -> None:
            name = arguments["ReceiptHandle"].removeprefix("handle of ")
            by_name[name].visible_at = clock.now + arguments["VisibilityTimeout"]

        def delete_message(**arguments: Any) -> None:
            deleted.add(arguments["ReceiptHandle"].removeprefix("handle of "))

        sqs = SimpleNamespace(
            change_message_visibility=change_message_visibility,
            delete_message=delete_message,
            meta=MemoryS3().meta,
        )
        worker = Worker(
            settings=replace(SETTINGS, visibility_timeout=self.visibility),
            s3=MemoryS3(),
            sqs=sqs if self.has_endpoint else None,
            threads=self.threads,
            processor=processor,
        )
        context = SimpleNamespace(
            aws_request_id="r",
            get_remaining_time_in_millis=lambda: max(0.0, clock.ends - clock.now) * 1000,
        )
        events = [self._event(message) for message in batch]
        try:
            with simulated(clock, reconcile):
                response = worker.handle_batch(events, context)
        except InvocationEndedError:
            self.ended += 1
            gone = deleted
        else:
            failed = {item["itemIdentifier"] for item in response["batchItemFailures"]}
            gone = by_name.keys() - failed
        self.done += len(gone)
        self.messages = [message for message in self.messages if message.name not in gone]
        return clock.now

    def _event(self, message: Waiting) -> dict[str, Any]:
        event = message_of(message.name, record(key=message.name), tries=message.receives)
        first = str(round(message.first_receive * 1000))
        event["attributes"]["ApproximateFirstReceiveTimestamp"] = first
        return event


@contextmanager
def simulated(clock: SharedProcessor, reconcile: Any) -> Iterator[None]:
    """Let the handler run on this processor."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "time", clock)
        patch.setattr(time_budget, "time", clock)
        patch.setattr(time_budget, "Condition", lambda: clock)
        patch.setattr(handler, "ThreadPoolExecutor", clock.pool)
        patch.setattr(handler, "run_together", lambda pool, *work: list(pool.map(*work)))
        patch.setattr(handler, "reconcile", reconcile)
        patch.setattr(logs.LOGGER, "level", logging.CRITICAL)
        patch.setattr(logs.LOGGER, "disabled", True)
        patch.setattr("builtins.print", lambda *_, **__: None)
        yield


@st.composite
def backlogs(draw: st.DrawFn) -> Backlog:
    """Any queue of images that each fit into the timeout.

    Its batches are at most five times too large, or twice beside a poison message: every
    invocation takes one receive from each of its messages, and there are only so many.
    """
    random = Random(draw(st.integers(0, 2**32)))  # noqa: S311 -- to be had again
    timeout = draw(st.sampled_from([3, 10, 60, 900]))
    seconds = timeout * draw(st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7]))
    processors = draw(st.sampled_from([0.5, 1.0, 2.0]))
    fitting = max(1, int(timeout / seconds / 2))
    poison = draw(st.booleans())
    batch_size = draw(st.integers(1, min(100, (2 if poison else 5) * fitting)))
    shortest = draw(st.sampled_from([0.5, 1.0]))
    messages = [
        Waiting(str(number), seconds * min(1, processors) * random.uniform(shortest, 1))
        for number in range(draw(st.integers(1, 80)))
    ]
    if poison:
        random.choice(messages).seconds = math.inf
    return Backlog(
        random,
        messages,
        timeout=timeout,
        batch_size=batch_size,
        workers=draw(st.integers(1, 3)),
        threads=draw(st.integers(1, 8)),
        processors=processors,
        disorder=draw(st.sampled_from([0, 5, 50])),
    )


@given(backlogs())
@settings(max_examples=60)
def test_no_good_message_becomes_a_dead_letter(backlog: Backlog) -> None:
    """R2, pitfall 53: any batch size, timeout and duration, also beside a poison message."""
    count = len(backlog.messages)
    backlog.run()
    assert all(math.isinf(message.seconds) for message in backlog.dead)
    assert all(message.begun for message in backlog.dead)
    assert backlog.done + len(backlog.dead) == count
    assert backlog.ended == sum(message.begun for message in backlog.dead), "a good image cut off"


@pytest.mark.parametrize(
    ("batch_size", "seconds", "count"),
    [(5, 10, 60), (5, 8, 60), (10, 5, 80), (20, 3, 120), (100, 1, 300), (100, 0.61, 400)],
)
def test_the_backlogs_that_once_left_dead_letters(
    batch_size: int, seconds: float, count: int
) -> None:
    """R2, pitfall 53: with 60 seconds, and almost no invocation more than the images need."""
    messages = [Waiting(str(number), seconds) for number in range(count)]
    backlog = Backlog(Random(1), messages, timeout=60, batch_size=batch_size)  # noqa: S311 -- as above
    backlog.run()
    assert (backlog.done, backlog.dead, backlog.ended) == (count, [], 0)
    assert backlog.last <= count * seconds * 1.1
