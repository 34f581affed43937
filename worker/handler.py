"""Each message of a batch by itself: what is done, what is rejected, what to try again and when."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import botocore.session
from botocore.config import Config

from worker import events, logs, reconcile, storage
from worker.deadline import no_request_after
from worker.events import SourceObject
from worker.imaging.memory import Memory, divided, return_what_is_freed
from worker.limits import CONCURRENT_REQUESTS
from worker.logs import LOGGER, fields
from worker.metrics import Metrics
from worker.process import process
from worker.results import Output
from worker.retry import Message, delay, suspects, tries
from worker.settings import Settings, parse

_THREADS = 2 * (os.cpu_count() or 1)
"""Messages worked on at once: while one waits for the network, another has the processor."""

_CONNECT_TIMEOUT = 2
_READ_TIMEOUT = 5
"""Seconds without a byte; S3 mostly answers within a tenth of one."""

_SPARE_TIME = 2.0
"""How many times the longest message so far must fit into the time left to begin another one."""


class Context(Protocol):
    """The part of Lambda's context object that is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation is ended."""


def handle(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Work on a batch of SQS messages and name those that must come back.

    Raises for what is not such a batch: then Lambda keeps all of it.
    """
    messages = event["Records"]
    return _worker().work(messages, context)


@cache
def _worker() -> Worker:
    """Set up once per execution environment: at the first event, so that importing needs no AWS."""
    settings = parse(os.environ)
    logs.configure(settings.log_level)
    return_what_is_freed()
    # Pillow warns of odd metadata in people's files; on standard error that would be loose text.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    session = botocore.session.get_session()
    config = Config(
        # Throttling and time-outs are tried again here first, well within one invocation.
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=CONCURRENT_REQUESTS + _THREADS,
        # A gateway endpoint is a way to its own region alone, not to s3.amazonaws.com.
        s3={"us_east_1_regional_endpoint": "regional"},
        tcp_keepalive=True,
    )
    threads, memory = divided(
        settings.memory_megabytes, threads=_THREADS, file_bytes=settings.max_object_bytes
    )
    return Worker(
        settings=settings,
        s3=session.create_client("s3", config=config),
        sqs=session.create_client("sqs", config=config) if settings.work_queue_url else None,
        memory=memory,
        threads=threads,
    )


@dataclass(frozen=True)
class Worker:
    """What every batch needs; `sqs` is None without an endpoint, `threads` work beside each other.

    Whatever they decode at the same time fits into `memory`.
    """

    settings: Settings
    s3: Any
    sqs: Any | None
    memory: Memory = field(default_factory=Memory)
    threads: int = 1

    def work(self, messages: Sequence[Message], context: Context) -> dict[str, Any]:
        """Return the partial batch response: the messages that are not done, and only those."""
        left = context.get_remaining_time_in_millis() / 1000
        # One that hangs must still end in time; where time is short anyway, the risk is worth it.
        last = time.monotonic() + left - min(_CONNECT_TIMEOUT + _READ_TIMEOUT, left / 4)
        with no_request_after(last, self.s3), ThreadPoolExecutor(CONCURRENT_REQUESTS) as requests:
            batch = _Batch(self, context, requests)
            failed = batch.work(messages)
        for line in batch.metrics.lines():
            print(line, flush=True)
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


class _Batch:
    """One invocation's messages, worked on by several threads."""

    def __init__(self, worker: Worker, context: Context, requests: Executor) -> None:
        self.metrics = Metrics([told.name for told in worker.settings.sources.values()])
        self._worker = worker
        self._context = context
        self._requests = requests
        self._longest = 0.0

    def work(self, messages: Sequence[Message]) -> list[str]:
        """Return the ids of those that have to come back."""
        suspected = suspects(messages)
        fresh = [message for message in messages if tries(message) < 2]
        done: dict[str, bool] = {}

        def work(message: Message) -> None:
            name = message["messageId"]
            done[name] = self._is_begun(message)
            if done[name] and suspected:
                # Should one of the others end this invocation, this one does not come back with it.
                self._delete(message)

        with ThreadPoolExecutor(self._worker.threads) as pool:
            list(pool.map(work, fresh))
        for message in suspected:
            work(message)
        return [message["messageId"] for message in messages if not done[message["messageId"]]]

    def _is_begun(self, message: Message) -> bool:
        """Work on a message if there is time for it; False if it has to come back."""
        time_left = self._context.get_remaining_time_in_millis() / 1000
        about = self._about(message)
        if time_left < self._longest * _SPARE_TIME:
            LOGGER.warning(
                "too little time left to begin this message",
                extra=fields(**about, outcome="retry", time_left=time_left),
            )
            self._come_back(message, 0)
            return False
        began = time.monotonic()
        done = self._is_done(message, about)
        if not done:
            timeout = self._worker.settings.visibility_timeout
            self._come_back(message, delay(message, visibility_timeout=timeout))
        self._longest = max(self._longest, time.monotonic() - began)
        return done

    def _is_done(self, message: Message, about: Mapping[str, Any]) -> bool:
        """Work on everything that one message announces; False if anything has to be done again."""
        try:
            announcement = events.parse(message["body"])
        except events.UnreadableMessageError as error:
            LOGGER.exception(
                "unreadable message: %s", error, extra=fields(**about, outcome="retry")
            )
            return False
        for problem in announcement.problems:
            LOGGER.error("unreadable %s", problem, extra=fields(**about, outcome="retry"))
        if not announcement.objects and not announcement.problems:
            LOGGER.info("S3's test event", extra=fields(**about, outcome="test_event"))
        results = [self._is_settled(source, about) for source in announcement.objects]
        return all(results) and not announcement.problems

    def _is_settled(self, source: SourceObject, about: Mapping[str, Any]) -> bool:
        worker = self._worker
        told = worker.settings.sources.get(source.bucket)
        name = told.name if told else None
        where = {
            **about,
            "source": name,
            "bucket": source.bucket,
            "key": source.key,
            "version": source.version,
        }
        try:
            ending = reconcile.settle(
                worker.s3, worker.settings, source, self._make, self._requests
            )
        except Exception:  # noqa: BLE001 -- whatever it is, this message alone goes back
            LOGGER.exception("this object has to wait", extra=fields(**where, outcome="retry"))
            return False
        LOGGER.info(
            ending.message,
            exc_info=ending.cause,
            extra=fields(**where, outcome=ending.outcome, **ending.facts),
        )
        self.metrics.end(ending.outcome, ending.facts, source.time, name)
        return True

    def _make(self, source: SourceObject) -> Sequence[Output]:
        worker = self._worker
        body = storage.read(worker.s3, source, limit=worker.settings.max_object_bytes)
        self.metrics.add(BytesIn=body.seek(0, os.SEEK_END))
        body.seek(0)
        began = time.monotonic()
        try:
            return process(body, worker.settings.sources[source.bucket], worker.memory)
        finally:  # what is rejected took its time as well
            self.metrics.observe("ProcessingTime", time.monotonic() - began)

    def _come_back(self, message: Message, seconds: int) -> None:
        """Have a message that is not done appear again after these seconds."""
        self.metrics.add(Retries=1)
        self._tell_queue(message, "change_message_visibility", VisibilityTimeout=seconds)

    def _delete(self, message: Message) -> None:
        self._tell_queue(message, "delete_message")

    def _tell_queue(self, message: Message, operation: str, **arguments: object) -> None:
        if self._worker.sqs is None:
            return
        try:
            getattr(self._worker.sqs, operation)(
                QueueUrl=self._worker.settings.work_queue_url,
                ReceiptHandle=message["receiptHandle"],
                **arguments,
            )
        except Exception:  # noqa: BLE001 -- the response says the same, only later
            LOGGER.exception("%s failed", operation, extra=fields(**self._about(message)))

    def _about(self, message: Message) -> dict[str, Any]:
        return {
            "request_id": self._context.aws_request_id,
            "message_id": message["messageId"],
        }
