"""The Lambda handler: each message of a batch succeeds or returns to the queue on its own."""

from __future__ import annotations

import gc

# What is imported stays. Looking for garbage among it, again and again while it grows, would take a
# tenth of a cold start, and now and then the time of a picture.
gc.disable()

import itertools
import os
import time
import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any, BinaryIO, Protocol, TypeAlias

import botocore.session
from botocore.config import Config
from botocore.handlers import add_expect_header

from worker import events, logs, process
from worker.connections import send_first_request_alone
from worker.deadline import no_request_after
from worker.destination import run_together
from worker.events import Notification, SourceObject
from worker.imaging import watermark
from worker.imaging.memory import Memory, configure_malloc, divide_memory
from worker.limits import BYTES_PER_WATERMARK, CONCURRENT_REQUESTS
from worker.logs import LOGGER, fields
from worker.metrics import Metrics
from worker.reconcile import reconcile
from worker.results import Output, Properties, Result, WatermarkError
from worker.retry import (
    Message,
    delay,
    hand_back_delay,
    in_order,
    is_late,
    may_be_poison,
    receive_count,
)
from worker.session import create_session
from worker.settings import Settings, Source
from worker.time_budget import NoTimeLeftError, Started, TimeBudget
from worker.watermarks import Watermarks

gc.freeze()
gc.enable()

Processor: TypeAlias = Callable[[BinaryIO, Source, Memory], Iterable[Output | Properties]]
"""What `worker.process.process` is."""

_THREADS = 2 * (os.cpu_count() or 1)
"""Messages processed at once: while one waits for the network, another has the processor."""

_CONNECT_TIMEOUT = 2
_READ_TIMEOUT = 5
"""Seconds without a byte; S3 mostly answers within 0.1 s."""


class Context(Protocol):
    """The part of Lambda's context object that is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation is ended."""


def handle(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Process a batch of SQS messages and report those that must come back.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html

    Raises:
        KeyError: The event is not such a batch. Lambda then keeps all of it in the queue.
    """
    messages = event["Records"]
    is_cold_start = not _worker.cache_info().currsize
    return _worker().handle_batch(messages, context, cold_start=is_cold_start)


@cache
def _worker() -> Worker:
    """Set up once per execution environment: at the first event, so that importing needs no AWS."""
    settings = Settings.from_environment(os.environ)
    logs.configure(settings.log_level, os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "worker"))
    configure_malloc()
    # Pillow warns of odd metadata in files; on standard error that would not be a JSON line.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    session = create_session()
    threads, memory = divide_memory(
        settings.memory_megabytes,
        threads=_THREADS,
        file_bytes=settings.max_object_bytes,
        kept_bytes=len(settings.watermark_keys) * BYTES_PER_WATERMARK,
    )
    return Worker(
        settings=settings,
        s3=s3_client(session),
        sqs=send_first_request_alone(session.create_client("sqs", config=client_config()))
        if settings.work_queue_url
        else None,
        memory=memory,
        threads=threads,
    )


def s3_client(session: botocore.session.Session) -> Any:
    """Return a client of S3 that sends what it writes at once, without `Expect: 100-continue`.

    The header would make it wait for one more answer before each body, and these are small.
    """
    client = session.create_client("s3", config=client_config())
    client.meta.events.unregister("before-call.s3", add_expect_header)
    return send_first_request_alone(client)


def client_config() -> Config:
    """Return the configuration of the clients of S3 and SQS."""
    return Config(
        # Throttling and time-outs are retried here first, well within one invocation.
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=CONCURRENT_REQUESTS + _THREADS,
        # A gateway endpoint leads to its own region only, not to s3.amazonaws.com.
        s3={"us_east_1_regional_endpoint": "regional"},
        tcp_keepalive=True,
    )


@dataclass(frozen=True)
class Worker:
    """What all batches share.

    Attributes:
        settings: The function's settings.
        s3: An S3 client.
        sqs: An SQS client; None where the network has no endpoint for SQS.
        memory: What the processors may take together.
        threads: Messages that are processed at once.
        processor: Turns bytes into outputs.
        reasons: The reasons for rejections that have a metric of their own.
    """

    settings: Settings
    s3: Any
    sqs: Any | None
    memory: Memory = field(default_factory=Memory)
    threads: int = 1
    processor: Processor = process.process
    reasons: Collection[str] = process.REASONS

    @cached_property
    def watermarks(self) -> Watermarks:
        """Return the watermarks, kept for as long as the execution environment is."""
        decode = partial(watermark.decoded, memory=self.memory)
        return Watermarks(self.s3, self.settings.thumbnail_bucket, decode)

    # Threads wait for work between invocations too, as frozen as the rest; none has any then.
    @cached_property
    def processing(self) -> Executor:
        """Return the threads that process messages."""
        return ThreadPoolExecutor(self.threads)

    @cached_property
    def requests(self) -> Executor:
        """Return the threads that send requests to S3 which need not wait for each other."""
        return ThreadPoolExecutor(CONCURRENT_REQUESTS)

    def handle_batch(
        self, messages: Sequence[Message], context: Context, *, cold_start: bool = False
    ) -> dict[str, Any]:
        """Return the partial batch response: the messages that have to come back, and only those.

        Args:
            messages: The event's records.
            context: The invocation's context.
            cold_start: This is the first invocation of its execution environment.
        """
        left = context.get_remaining_time_in_millis() / 1000
        # A request that hangs must end in time; where time is short anyway, the risk is worth it.
        last = time.monotonic() + left - min(_CONNECT_TIMEOUT + _READ_TIMEOUT, left / 4)
        with no_request_after(last, self.s3, self.sqs):
            batch = _Batch(self, context, cold_start=cold_start)
            failed = batch.process_messages(messages)
        for line in batch.metrics.lines():
            print(line, flush=True)
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


class _Batch:
    """One invocation's messages, processed by several threads."""

    def __init__(self, worker: Worker, context: Context, *, cold_start: bool) -> None:
        self.metrics = Metrics(
            [source.name for source in worker.settings.sources.values()], worker.reasons
        )
        self._worker = worker
        self._context = context
        self._cold_start = cold_start
        self._budget = TimeBudget(lambda: context.get_remaining_time_in_millis() / 1000)
        self._handed_back = itertools.count()
        self._with_watermarks = worker.watermarks.of_invocation()

    def process_messages(self, messages: Sequence[Message]) -> list[str]:
        """Return the ids of the messages that have to come back."""
        redelivered = any(receive_count(message) > 1 for message in messages)
        done: dict[str, bool] = {}

        def process_one(message: Message) -> None:
            name = message["messageId"]
            done[name] = self._process_in_time(message)
            if done[name] and redelivered:
                # Should another message end this invocation, this one does not come back with it.
                self._call_sqs(message, "delete_message")

        for one_by_one, group in itertools.groupby(in_order(messages), self._may_be_poison):
            if one_by_one:
                for message in group:
                    process_one(message)
            else:
                run_together(self._worker.processing, process_one, group)
        return [message["messageId"] for message in messages if not done[message["messageId"]]]

    def _may_be_poison(self, message: Message) -> bool:
        timeout = self._worker.settings.visibility_timeout
        return may_be_poison(message, visibility_timeout=timeout, now=time.time())

    def _process_in_time(self, message: Message) -> bool:
        """Process a message if there is time for it; return False if it has to come back."""
        if self._budget.is_spent():
            self._hand_back(message)
            return False
        try:
            with self._budget.message(receive_count(message)) as started:
                done = self._process_message(message, started)
        except NoTimeLeftError:
            self._hand_back(message)
            return False
        if not done:
            timeout = self._worker.settings.visibility_timeout
            self._return_to_queue(message, delay(message, visibility_timeout=timeout))
        return done

    def _hand_back(self, message: Message) -> None:
        """Return a message that there is no time for; those behind it come back after it."""
        place = next(self._handed_back)
        LOGGER.warning(
            "too little time left to process this message",
            extra=fields(
                **self._fields(message),
                outcome="retried",
                remaining_ms=self._context.get_remaining_time_in_millis(),
            ),
        )
        self._return_to_queue(
            message, hand_back_delay(message, place, seconds=self._budget.longest)
        )

    def _process_message(self, message: Message, started: Started) -> bool:
        """Process every object of one message; return False if any has to be processed again.

        Raises:
            NoTimeLeftError: There is no time for one of them.
        """
        about = self._fields(message)
        try:
            notification = events.parse(message["body"])
        except events.UnreadableMessageError as error:
            LOGGER.exception(
                "unreadable message: %s", error, extra=fields(**about, outcome="retried")
            )
            return False
        for problem in notification.problems:
            LOGGER.error("unreadable %s", problem, extra=fields(**about, outcome="retried"))
        for event in notification.skipped:
            skipped = Result("skipped", f"skipped: {event} is not about an object's content")
            LOGGER.info(skipped.message, extra=fields(**about, outcome=skipped.outcome))
            self.metrics.record(skipped)
        if notification == Notification():
            LOGGER.info("S3 test event", extra=fields(**about, outcome="test_event"))
        succeeded = [
            self._process_object(source, about, started) for source in notification.objects
        ]
        return all(succeeded) and not notification.problems

    def _process_object(
        self, source: SourceObject, about: Mapping[str, Any], message: Started
    ) -> bool:
        """Process one object; return False if it has to be processed again."""
        worker = self._worker
        source_settings = worker.settings.sources.get(source.bucket)
        name = source_settings.name if source_settings else None
        about = {
            **about,
            "source": name,
            "bucket": source.bucket,
            "key": source.key,
            "version_id": source.version_id,
        }

        def process(body: BinaryIO, source: Source) -> Generator[Output | Properties]:
            with self._budget.image(message):
                yield from worker.processor(body, source, worker.memory)

        started = time.monotonic()
        try:
            result = reconcile(
                worker.s3,
                worker.settings,
                source,
                process,
                worker.requests,
                first=message.received == 1 and not is_late(source.time, now=time.time()),
                with_watermarks=self._with_watermarks,
            )
        except NoTimeLeftError:
            raise
        except WatermarkError as error:
            LOGGER.error(
                "%s; message returned to queue",
                error,
                extra=fields(**about, outcome="retried", duration_ms=_milliseconds_since(started)),
            )
            return False
        except Exception:  # noqa: BLE001 -- whatever it is, only this message returns
            LOGGER.exception(
                "processing failed; message returned to queue",
                extra=fields(**about, outcome="retried", duration_ms=_milliseconds_since(started)),
            )
            return False
        LOGGER.info(
            result.message,
            exc_info=result.cause,
            extra=fields(
                **about,
                outcome=result.outcome,
                reason=result.reason,
                output_count=result.output_count,
                bytes_in=result.bytes_in,
                bytes_out=result.bytes_out,
                duration_ms=_milliseconds_since(started),
                processing_ms=result.processing_ms,
            ),
        )
        self.metrics.record(result, event_time=source.time, source=name)
        return True

    def _return_to_queue(self, message: Message, seconds: int) -> None:
        """Make a message visible again after this time."""
        self.metrics.add(Retries=1)
        self._call_sqs(message, "change_message_visibility", VisibilityTimeout=seconds)

    def _call_sqs(self, message: Message, operation: str, **arguments: object) -> None:
        if self._worker.sqs is None:
            return
        try:
            getattr(self._worker.sqs, operation)(
                QueueUrl=self._worker.settings.work_queue_url,
                ReceiptHandle=message["receiptHandle"],
                **arguments,
            )
        except Exception:  # noqa: BLE001 -- the response says the same, only later
            LOGGER.exception("%s failed", operation, extra=fields(**self._fields(message)))

    def _fields(self, message: Message) -> dict[str, Any]:
        return {
            "function_request_id": self._context.aws_request_id,
            "cold_start": self._cold_start,
            "message_id": message["messageId"],
            "receive_count": receive_count(message),
        }


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
