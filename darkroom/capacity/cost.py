"""What the stack costs: at rest, and for the pictures of a month; every price is dated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from darkroom.capacity.model import FIRST_POLLERS, Capacity
from darkroom.capacity.prices import Price
from darkroom.capacity.service import areas
from darkroom.capacity.stack import Stack
from darkroom.capacity.workload import MONTH, Picture
from worker.metrics import Metrics

POLL_SECONDS = 20
"""An empty receive of the pollers returns after that long (templates/queues.py)."""

LOG_BYTES_A_PICTURE = 500
LOG_BYTES_AN_INVOCATION = 1_500
"""One line each of the worker, and its metrics; the latter with Lambda's own start and report."""

WITH_BUCKET_KEY = 0.01
"""Of the requests to S3 that go on to KMS: "up to 99 percent" fewer, says S3's documentation.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
"""

METRICS_A_FILTER = 9
"""About: S3 counts requests of each kind that there is, latencies and errors, each a metric."""

LISTS = 1
LOOKS = 1
"""Requests beside reading and writing, for each picture (worker/reconcile.py)."""


@dataclass(frozen=True)
class Line:
    """One position of a bill, for a month."""

    what: str
    amount: float
    """How many of the units that `price` is for."""

    price: str

    usd: float


@dataclass(frozen=True)
class Bill:
    """What a month costs."""

    rest: list[Line]
    """Whether there are pictures or not."""

    work: list[Line]
    """Because of the pictures."""

    storage: Line
    """For each month that one month's uploads and thumbnails are kept; not in the sums."""

    pictures: float

    @property
    def at_rest(self) -> float:
        """Return dollars a month without a picture."""
        return sum(line.usd for line in self.rest)

    @property
    def total(self) -> float:
        """Return dollars a month."""
        return self.at_rest + sum(line.usd for line in self.work)

    @property
    def per_million(self) -> float:
        """Return dollars for a million pictures, without what is paid at rest."""
        return sum(line.usd for line in self.work) / self.pictures * 1e6


# Bytes for a thumbnail's pixel: the bench's tables of likeness and of encoders.
_THUMBNAIL_BYTES = {"jpeg": 0.24, "webp": 0.16, "avif": 0.13}


def bill(capacity: Capacity, known: Mapping[str, Price], *, size: float | None = None) -> Bill:
    """Return what a month of this demand costs; beyond the throughput, what was asked is billed.

    `size` is of the batches; None: as they will be at this rate.
    """
    service, stack = capacity.service, capacity.service.stack
    month = capacity.demand.rate * MONTH
    tries = month * capacity.retries.tries(capacity.demand.failures)
    size = size or capacity.batch
    invocations = tries / size
    rejected = sum(service.rejected().values())
    variants = len(stack.widths) * len(stack.formats)
    writes = month * ((1 - rejected) * variants + rejected)
    gb_seconds = invocations * service.seconds(size) * stack.memory_megabytes / 1024
    kms = (month + writes + tries * (1 + LISTS + LOOKS)) * WITH_BUCKET_KEY
    # Of a queue: a producer encrypts and decrypts, a consumer decrypts, once a reuse period.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    kms += MONTH / stack.data_key_seconds * (2 + 1)
    receives = stack.queues * FIRST_POLLERS * MONTH / POLL_SECONDS
    logs = month * LOG_BYTES_A_PICTURE + invocations * LOG_BYTES_AN_INVOCATION
    stored = month * sum(
        picture.share * (picture.file_bytes + _thumbnail_bytes(stack, picture))
        for picture in service.pictures
    )

    def line(what: str, amount: float, price: str) -> Line:
        return Line(what, amount, price, amount * known[price].usd)

    return Bill(
        rest=[
            line("encryption key", stack.keys, "kms_key_month"),
            line(
                "SQS interface endpoint, each zone and hour",
                stack.interface_endpoint_zones * MONTH / 3600,
                "interface_endpoint_hour",
            ),
            line("alarms", stack.alarms, "cloudwatch_alarm_month"),
            line(
                "request metrics of S3",
                stack.request_metrics * METRICS_A_FILTER,
                "cloudwatch_metric_month",
            ),
            line("dashboards", stack.dashboards, "cloudwatch_dashboard_month"),
            line("empty receives of the pollers", receives / 1e6, "sqs_million_requests"),
        ],
        work=[
            line("thumbnail writes", writes / 1e3, "s3_thousand_writes"),
            line("uploads", month / 1e3, "s3_thousand_writes"),
            line("lists", tries * LISTS / 1e3, "s3_thousand_writes"),
            line("reads and looks", tries * (1 + LOOKS) / 1e3, "s3_thousand_reads"),
            line("function, GB-seconds", gb_seconds, f"lambda_gb_second_{stack.architecture}"),
            line("function, invocations", invocations / 1e6, "lambda_million_requests"),
            line(
                "queue: sends, receives, deletes",
                (month + invocations * 2) / 1e6,
                "sqs_million_requests",
            ),
            line("KMS requests, with bucket keys", kms / 1e4, "kms_ten_thousand_requests"),
            line("logs, GB", logs / 1e9, "cloudwatch_logs_gb"),
            line("custom metrics", _metrics(), "cloudwatch_metric_month"),
        ],
        storage=line("uploads and thumbnails, GB", stored / 1e9, "s3_gb_month"),
        pictures=month,
    )


def _metrics() -> int:
    """Return how many metrics the worker's line has, rejections by reason left aside."""
    metrics = Metrics()
    for name in ("EndToEndLatency", "ProcessingTime"):
        metrics.observe(name, 0)
    (group,) = json.loads(metrics.line({}))["_aws"]["CloudWatchMetrics"]
    return len(group["Metrics"])


def _thumbnail_bytes(stack: Stack, picture: Picture) -> float:
    each = sum(_THUMBNAIL_BYTES[name] for name in stack.formats)
    return sum(areas(picture, stack.widths)) * 1e6 * each
