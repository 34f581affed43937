"""What a month costs: the fixed part, and the part that depends on the pictures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from darkroom.capacity import log_archive
from darkroom.capacity.model import FIRST_BATCHES, CapacityModel
from darkroom.capacity.prices import Price
from darkroom.console.option_types import MONTH_SECONDS
from worker.metrics import Metrics

POLL_SECONDS = 20
"""An empty receive returns after this time: long polling (templates/queues.py)."""

LOG_BYTES_PER_PICTURE = 500
LOG_BYTES_PER_INVOCATION = 1_500
"""A picture's line of the worker; an invocation's metrics and Lambda's START and REPORT lines."""

BUCKET_KEY_SHARE = 0.01
"""Share of the requests to S3 that still reach KMS: bucket keys save "up to 99 percent".

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
"""

METRICS_PER_FILTER = 9
"""About: S3 has a metric for each type of request that occurs, for latencies and for errors."""

DNS_QUERIES = 4
"""Per invocation, at most: IPv4 and IPv6 addresses of both buckets, of which some are known."""

RECORDS = 1
"""PUTs per picture besides the thumbnails' (worker/reconcile.py)."""

TOPIC_DATA_KEY_SECONDS = 300
"""SNS reuses a data key for up to this time, and asks KMS twice for each publisher.

https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
"""

LISTS_AGAIN = 1
READS_AGAIN = 2
"""A LIST, and a GET and a HEAD, of what is stored: where a message is received again."""


@dataclass(frozen=True)
class BillLine:
    """One item of a monthly bill: `amount` units at the price named `price`."""

    item: str
    amount: float
    price: str
    usd: float


@dataclass(frozen=True)
class Bill:
    """What a month costs, in US dollars."""

    fixed: list[BillLine]
    """Costs without any pictures."""

    variable: list[BillLine]
    """Costs that depend on the number of pictures."""

    pictures: float

    @property
    def fixed_total(self) -> float:
        """Return the fixed cost per month."""
        return sum(line.usd for line in self.fixed)

    @property
    def total(self) -> float:
        """Return the cost per month."""
        return self.fixed_total + sum(line.usd for line in self.variable)

    @property
    def per_million(self) -> float:
        """Return the cost per million pictures, without the fixed cost."""
        return sum(line.usd for line in self.variable) / self.pictures * 1e6


def bill(capacity: CapacityModel, known: Mapping[str, Price], *, size: float | None = None) -> Bill:
    """Return what a month of this demand costs, also where it exceeds the throughput.

    `size` is the messages per batch; by default as the rate makes them.
    """
    service, stack = capacity.service, capacity.service.stack
    month = capacity.demand.rate * MONTH_SECONDS
    tries = month * capacity.retries.tries(capacity.demand.failure_rate)
    size = size or capacity.batch
    invocations = tries / size
    rejected = sum(service.rejected().values())
    outputs = len(stack.outputs)
    writes = month * ((1 - rejected) * outputs + rejected + RECORDS)
    again = tries - month
    gb_seconds = invocations * service.seconds(size) * stack.memory_megabytes / 1024
    kms = (month + writes + tries + again * (LISTS_AGAIN + READS_AGAIN)) * BUCKET_KEY_SHARE
    # A queue's producer encrypts and decrypts, its consumer decrypts, once per reuse period.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    kms += MONTH_SECONDS / stack.data_key_seconds * (2 + 1)
    if stack.has_record_topic:
        kms += MONTH_SECONDS / TOPIC_DATA_KEY_SECONDS * 2
    receives = stack.queues * FIRST_BATCHES * MONTH_SECONDS / POLL_SECONDS
    logs = log_bytes(capacity, size)

    def line(item: str, amount: float, price: str) -> BillLine:
        return BillLine(item, amount, price, amount * known[price].usd)

    events = [
        line(item, amount / 1e6, price)
        for is_sent, item, amount, price in (
            (stack.has_record_topic, "records to SNS, millions", month, "sns_million_requests"),
            (
                stack.sends_to_eventbridge,
                "events to EventBridge, millions",
                writes,
                "eventbridge_million_events",
            ),
        )
        if is_sent
    ]
    return Bill(
        fixed=[
            line("KMS key", stack.keys, "kms_key_month"),
            line(
                "SQS interface endpoint, zone-hours",
                stack.interface_endpoint_zones * MONTH_SECONDS / 3600,
                "interface_endpoint_hour",
            ),
            line(
                "provisioned pollers, hours",
                stack.minimum_pollers * MONTH_SECONDS / 3600,
                "lambda_event_poller_unit_hour",
            ),
            line("DNS firewall, domain names", stack.firewall_domains, "dns_firewall_domain_month"),
            line("alarms", stack.alarms, "cloudwatch_alarm_month"),
            line(
                "S3 request metrics",
                stack.request_metrics * METRICS_PER_FILTER,
                "cloudwatch_metric_month",
            ),
            line("dashboards", stack.dashboards, "cloudwatch_dashboard_month"),
            line("empty receives, millions", receives / 1e6, "sqs_million_requests"),
        ],
        variable=[
            line("thumbnail and record PUTs, thousands", writes / 1e3, "s3_thousand_writes"),
            line("upload PUTs, thousands", month / 1e3, "s3_thousand_writes"),
            line("LISTs, thousands", again * LISTS_AGAIN / 1e3, "s3_thousand_writes"),
            line(
                "GETs and HEADs, thousands",
                (tries + again * READS_AGAIN + invocations * stack.watermarks) / 1e3,
                "s3_thousand_reads",
            ),
            line("function, GB-seconds", gb_seconds, f"lambda_gb_second_{stack.architecture}"),
            line("function, million invocations", invocations / 1e6, "lambda_million_requests"),
            line(
                "queue requests, millions",
                (month + invocations * 2) / 1e6,
                "sqs_million_requests",
            ),
            line(
                "DNS firewall, million queries",
                (invocations * DNS_QUERIES if stack.firewall_domains else 0) / 1e6,
                "dns_firewall_million_queries",
            ),
            line("KMS requests, ten thousands", kms / 1e4, "kms_ten_thousand_requests"),
            line("logs, GB", logs / 1e9, "cloudwatch_logs_gb"),
            line("custom metrics", _metrics(), "cloudwatch_metric_month"),
            *(line(*one) for one in _flow_log(capacity, size)),
            *events,
            *(line(*one) for one in _log_archive(logs, invocations, size) if stack.archives_logs),
        ],
        pictures=month,
    )


def log_bytes(capacity: CapacityModel, size: float) -> float:
    """Return the bytes of the worker's log in a month, with this many messages per batch."""
    month = capacity.demand.rate * MONTH_SECONDS
    invocations = _invocations(capacity, size)
    return month * LOG_BYTES_PER_PICTURE + invocations * LOG_BYTES_PER_INVOCATION


def _invocations(capacity: CapacityModel, size: float) -> float:
    month = capacity.demand.rate * MONTH_SECONDS
    return month * capacity.retries.tries(capacity.demand.failure_rate) / size


def flow_log_bytes(capacity: CapacityModel, size: float) -> float:
    """Return at most how many bytes the flow log has in a month, with this many messages per batch.

    0 where the stack has none.
    """
    service = capacity.service
    if not service.stack.flow_log:
        return 0.0
    writes = len(service.stack.outputs) + RECORDS
    each = log_archive.flow_log_bytes(size, threads=service.threads, writes=writes)
    return _invocations(capacity, size) * each


def access_log_bytes(capacity: CapacityModel) -> float:
    """Return the bytes of a month's access logs: an upload, its GET, and what is written of it."""
    if not capacity.service.stack.keeps_access_logs:
        return 0.0
    requests = 2 + len(capacity.service.stack.outputs) + RECORDS
    return capacity.demand.rate * MONTH_SECONDS * requests * log_archive.ACCESS_RECORD_BYTES


def _flow_log(capacity: CapacityModel, size: float) -> list[tuple[str, float, str]]:
    """Return item, amount and price of the delivery of the flow log."""
    gigabytes = flow_log_bytes(capacity, size) / 1e9
    match capacity.service.stack.flow_log:
        case "log group":
            return [("flow log at most, GB", gigabytes, "cloudwatch_logs_gb")]
        case "bucket":
            # One for each five minutes with traffic.
            objects = min(_invocations(capacity, size), MONTH_SECONDS / log_archive.OBJECT_SECONDS)
            return [
                ("flow log to the archive at most, GB", gigabytes, "cloudwatch_vended_s3_gb"),
                ("flow log: PUTs, thousands", objects / 1e3, "s3_thousand_writes"),
            ]
    return []


def _log_archive(logs: float, invocations: float, size: float) -> list[tuple[str, float, str]]:
    """Return item, amount and price of what takes the log to its archive."""
    billed = invocations * log_archive.billed_bytes(size)
    objects = log_archive.objects(logs, invocations, MONTH_SECONDS)
    return [
        ("log archive: Firehose, GB in 5-KB steps", billed / 1e9, "firehose_gb"),
        ("log archive: decompression, GB", logs / 1e9, "firehose_decompressed_gb"),
        ("log archive: PUTs, thousands", objects / 1e3, "s3_thousand_writes"),
    ]


def _metrics() -> int:
    """Return how many metrics the worker emits, without those of rejections by reason."""
    metrics = Metrics()
    for name in ("EndToEndLatency", "ProcessingTime"):
        metrics.observe(name, 0)
    (group,) = json.loads(metrics.line({}))["_aws"]["CloudWatchMetrics"]
    return len(group["Metrics"])
