"""The handler on batches of several sizes, one core, and an S3 that answers after 0.1 s."""

import contextlib
import io
import json
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from darkroom.capacity.service import S3_LATENCY, Service, Work
from tests.unit.worker.memory_s3 import MemoryS3
from worker.handler import Worker
from worker.settings import Settings, Source, Variants

SIZES = (1, 2, 4, 5, 8, 10)
SAMPLE = Path(__file__).parents[2] / "darkroom" / "emulator" / "samples" / "chelsea.png"
VARIANTS = Variants(widths=(1200, 400, 128), formats={"jpeg": 85, "webp": 80}, max_pixels=10**8)
SETTINGS = Settings(
    sources={"uploads": Source(name="default", variants=(VARIANTS,), cache_control="no-cache")},
    thumbnail_bucket="thumbnails",
    encryption_key_arn="key",
    work_queue_url=None,
    max_object_bytes=50_000_000,
    visibility_timeout=360,
    log_level="INFO",
)


@dataclass(frozen=True)
class Batch:
    """The seconds of one batch: measured, and modeled from those of a picture alone."""

    size: int
    measured: float
    modelled: float


def measure(service: Service) -> list[Batch]:
    """Return batches of a 12-megapixel JPEG, medians of five, in seconds.

    They run on one core of this machine, with the service's threads. Other processes take a part of
    that core, so each batch is preceded by a picture alone, with an S3 that answers immediately;
    its time is the model's input.

    Raises:
        RuntimeError: The worker did not process a message.
    """
    with _one_core(), contextlib.redirect_stdout(io.StringIO()):
        found = []
        for size in SIZES:
            alone, together = [], []
            for _ in range(5):
                alone.append(_seconds(1, service.threads, latency=0.0))
                together.append(_seconds(size, service.threads, latency=S3_LATENCY))
            work = Work(S3_LATENCY, statistics.median(alone), 2 * S3_LATENCY)
            batch = service.batch([work] * size)
            found.append(Batch(size, statistics.median(together), batch))
    return found


def _seconds(size: int, threads: int, *, latency: float) -> float:
    s3 = MemoryS3(before=lambda _operation, _arguments: time.sleep(latency))
    worker = Worker(settings=SETTINGS, s3=s3, sqs=None, threads=threads)
    messages = []
    for number in range(size):
        s3.upload("uploads", f"uploads/{number}.jpg", "v", _picture())
        messages.append(_message(number))
    context: Any = SimpleNamespace(aws_request_id="r", get_remaining_time_in_millis=lambda: 60_000)
    began = time.perf_counter()
    failed = worker.handle_batch(messages, context)["batchItemFailures"]
    if failed:
        raise RuntimeError(f"the worker returned messages: {failed}")
    return time.perf_counter() - began


@cache
def _picture() -> bytes:
    buffer = io.BytesIO()
    with Image.open(SAMPLE) as image:
        image.convert("RGB").resize((4000, 3000)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _message(number: int) -> dict[str, Any]:
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": datetime.now(UTC).isoformat(),  # a first delivery, which is not late
        "s3": {
            "bucket": {"name": "uploads"},
            "object": {"key": f"uploads/{number}.jpg", "versionId": "v", "sequencer": "0A"},
        },
    }
    return {
        "messageId": str(number),
        "receiptHandle": str(number),
        "body": json.dumps({"Records": [record]}),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "ApproximateFirstReceiveTimestamp": "0",
        },
    }


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
