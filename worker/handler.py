"""Each message of a batch by itself: what is done, what is rejected, what to try again and when."""

from __future__ import annotations

import os
import random
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import botocore.session
from botocore.config import Config

from worker import events, logs, settlement, storage
from worker.deadline import no_request_after
from worker.events import SourceObject
from worker.logs import LOGGER, fields
from worker.memory import Memory, divided
from worker.results import Output
from worker.settings import Settings, parse
from worker.workload import process

_FIRST_DELAY = 30
"""Seconds: the longest wait before the second try; it doubles with each try."""

_LONGEST_DELAY = 43_200 - 900
"""Seconds: SQS hides a message for 12 hours at most, a function's 15 minutes included."""

_CONNECTIONS = 10
"""Requests to S3 at once, each over a connection that is kept."""

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
    # Pillow warns of odd metadata in people's files; on standard error that would be loose text.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    session = botocore.session.get_session()
    config = Config(
        # Throttling and time-outs are tried again here first, well within one invocation.
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=_CONNECTIONS,
        # A gateway endpoint is a way to its own region alone, not to s3.amazonaws.com.
        s3={"us_east_1_regional_endpoint": "regional"},
        tcp_keepalive=True,
    )
    _, memory = divided(settings.memory_megabytes, threads=1, file_bytes=settings.max_object_bytes)
    return Worker(
        settings=settings,
        s3=session.create_client("s3", config=config),
        sqs=session.create_client("sqs", config=config) if settings.work_queue_url else None,
        memory=memory,
    )


@dataclass(frozen=True)
class Worker:
    """The settings and the clients that every message needs; `sqs` is None without an endpoint."""

    settings: Settings
    s3: Any
    sqs: Any | None
    memory: Memory = field(default_factory=Memory)

    def work(self, messages: Sequence[Mapping[str, Any]], context: Context) -> dict[str, Any]:
        """Return the partial batch response: the messages that are not done, and only those."""
        left = context.get_remaining_time_in_millis() / 1000
        # One that hangs must still end in time; where time is short anyway, the risk is worth it.
        last = time.monotonic() + left - min(_CONNECT_TIMEOUT + _READ_TIMEOUT, left / 4)
        with no_request_after(last, self.s3), ThreadPoolExecutor(_CONNECTIONS) as requests:
            return self._work(messages, context, requests)

    def _work(
        self, messages: Sequence[Mapping[str, Any]], context: Context, requests: Executor
    ) -> dict[str, Any]:
        failed: list[str] = []
        longest = 0.0
        for message in messages:
            time_left = context.get_remaining_time_in_millis() / 1000
            about = {"request_id": context.aws_request_id, "message_id": message["messageId"]}
            if time_left < longest * _SPARE_TIME:
                LOGGER.warning(
                    "too little time left to begin this message",
                    extra=fields(**about, outcome="retry", time_left=time_left),
                )
                self._hide(message, 0, about)
                failed.append(message["messageId"])
                continue
            began = time.monotonic()
            if not self._is_done(message, about, requests):
                self._hide(message, self._delay(message), about)
                failed.append(message["messageId"])
            longest = max(longest, time.monotonic() - began)
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}

    def _is_done(
        self, message: Mapping[str, Any], about: Mapping[str, Any], requests: Executor
    ) -> bool:
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
        done = not announcement.problems
        for source in announcement.objects:
            where = {**about, "bucket": source.bucket, "key": source.key, "version": source.version}
            try:
                ending = settlement.settle(self.s3, self.settings, source, self._make, requests)
            except Exception:  # noqa: BLE001 -- whatever it is, this message alone goes back
                LOGGER.exception("this object has to wait", extra=fields(**where, outcome="retry"))
                done = False
            else:
                LOGGER.info(
                    ending.message,
                    exc_info=ending.cause,
                    extra=fields(**where, outcome=ending.outcome, **ending.facts),
                )
        return done

    def _make(self, source: SourceObject) -> Sequence[Output]:
        body = storage.read(self.s3, source, limit=self.settings.max_object_bytes)
        return process(body, self.settings, self.memory)

    def _delay(self, message: Mapping[str, Any]) -> int:
        """Return seconds to wait before the next try: exponential, with full jitter.

        Full jitter (anything from nothing to the ceiling) spreads what failed together best.
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        tries = int(message["attributes"]["ApproximateReceiveCount"])
        first = min(_FIRST_DELAY, self.settings.visibility_timeout)
        ceiling = min(_LONGEST_DELAY, first * 2 ** min(tries - 1, 16))
        return random.randint(1, ceiling)  # noqa: S311 -- spreads load, protects nothing

    def _hide(self, message: Mapping[str, Any], seconds: int, about: Mapping[str, Any]) -> None:
        """Have a message that comes back appear after these seconds."""
        if self.sqs is None:
            return
        try:
            self.sqs.change_message_visibility(
                QueueUrl=self.settings.work_queue_url,
                ReceiptHandle=message["receiptHandle"],
                VisibilityTimeout=seconds,
            )
        except Exception:  # noqa: BLE001 -- only the wait is lost, not the message
            LOGGER.exception("the wait could not be set", extra=fields(**about))
