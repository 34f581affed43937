"""What a demand needs of AWS's quotas."""

import math
from dataclasses import dataclass

from darkroom.capacity import log_archive
from darkroom.capacity.cost import BUCKET_KEY_SHARE, LISTS_AGAIN, READS_AGAIN, RECORDS
from darkroom.capacity.model import MAX_BATCHES, MAX_PROVISIONED_BATCHES, CapacityModel

ACCOUNT_CONCURRENCY = 1_000
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

INVOCATIONS_PER_SECOND = 10
"""Per unit of the account's concurrency; the same page."""

NEW_ENVIRONMENTS_PER_SECOND = 100
"""1,000 per ten seconds. https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html"""

CONNECTIONS_PER_INTERFACE = 65_000
"""Per Hyperplane interface. https://docs.aws.amazon.com/lambda/latest/dg/foundation-networking.html"""

CONNECTIONS_PER_ENVIRONMENT = 15
"""The worker's pool to S3 with two cores, and one to SQS (worker/handler.py)."""

MAX_CONCURRENCY = 1_000
"""https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html"""

IN_FLIGHT = 120_000
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""

S3_WRITES, S3_READS = 3_500, 5_500
"""Per second and partitioned prefix; S3 adds partitions automatically, but not immediately.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
"""

KMS_REQUESTS = {
    **dict.fromkeys(("us-east-1", "us-west-2", "eu-west-1"), 100_000),
    **dict.fromkeys(
        (
            "us-east-2",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-northeast-1",
            "eu-central-1",
            "eu-west-2",
        ),
        20_000,
    ),
}
KMS_REQUESTS_ELSEWHERE = 10_000
"""Per second. https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html"""

SPARE = 0.8
"""Share of the concurrency that the peak should use, so that an estimate may be wrong."""


@dataclass(frozen=True)
class Quota:
    """What the peak needs of one quota; at `rate` pictures per second it is used up."""

    name: str
    need: float
    limit: float
    rate: float
    advice: str

    @property
    def is_exceeded(self) -> bool:
        """Return whether the peak needs more than the limit."""
        return self.need > self.limit


def quotas(capacity: CapacityModel, *, account: int, region: str, provisioned: bool) -> list[Quota]:
    """Return all quotas with what the peak of this demand needs of each.

    `account` is the account's unused concurrency; `provisioned`: there are provisioned pollers.
    """
    service, stack, demand = capacity.service, capacity.service.stack, capacity.demand
    peak, needed = demand.peak, capacity.batches_needed(demand.peak)
    outputs = len(stack.outputs)
    tries = capacity.retries.tries(demand.failure_rate)
    size = stack.batch_size
    enough = math.ceil(needed / SPARE)
    more_prefixes = (
        "split the uploads between two stacks"
        if stack.output_prefixes > 1
        else "set hash_prefix = true in the source, because S3 can then split thumbnails/ into 256"
        " prefixes; it does so gradually, and the worker repeats what S3 answers with 503 Slow Down"
        " until then"
    )

    def quota(name: str, need: float, limit: float, advice: str) -> Quota:
        rate = peak * limit / need if need > 0 else math.inf
        return Quota(name, need, limit, rate, advice)

    found = []
    if not provisioned:
        advice = (
            f"raise it to {enough:,}"
            if enough <= MAX_CONCURRENCY
            else f"use provisioned pollers, because {enough:,} concurrent batches are needed and"
            f" MaximumConcurrency can be at most {MAX_CONCURRENCY:,}"
        )
        found.append(quota("MaximumConcurrency", needed, stack.concurrency, advice))
    polled = MAX_PROVISIONED_BATCHES if provisioned else MAX_BATCHES
    looks = (LISTS_AGAIN + READS_AGAIN) * (tries - 1)
    kms = (1 + outputs + RECORDS + tries + looks) * BUCKET_KEY_SHARE * peak
    in_use = min(needed, capacity.polling.maximum)
    connections = in_use / stack.zones * CONNECTIONS_PER_ENVIRONMENT
    return [
        *found,
        quota("Lambda: concurrent executions", needed, account, f"request a quota of {enough:,}"),
        quota(
            "Lambda: concurrent batches per event source",
            needed,
            polled,
            "split the uploads between two stacks"
            if provisioned
            else "use provisioned pollers (--pollers)",
        ),
        quota(
            "Lambda: invocations per second",
            needed / service.seconds(size),
            INVOCATIONS_PER_SECOND * account,
            "choose a larger batch_size, or request more concurrency for the account",
        ),
        Quota(
            "Lambda: new environments per second",
            capacity.polling.per_second,
            NEW_ENVIRONMENTS_PER_SECOND,
            math.inf,
            "nothing: pollers never start that many",
        ),
        Quota(
            "Lambda: connections per network interface",
            connections,
            CONNECTIONS_PER_INTERFACE,
            math.inf,
            "use more zones; Lambda adds interfaces automatically, up to 500 per VPC",
        ),
        quota(
            "SQS: messages in flight",
            capacity.in_flight,
            IN_FLIGHT,
            "choose a smaller max_receive_count, or split the uploads between two queues",
        ),
        quota(
            "S3: uploads per second",
            peak,
            S3_WRITES * stack.prefixes,
            "use more prefixes, or keys that begin differently",
        ),
        quota(
            "S3: thumbnail and record PUTs per second",
            peak * (outputs + RECORDS),
            S3_WRITES * stack.output_prefixes,
            f"make fewer variants, or {more_prefixes}",
        ),
        quota(
            "S3: thumbnail and record reads per second",
            peak * looks,
            S3_READS * stack.output_prefixes,
            more_prefixes,
        ),
        quota(
            "KMS: requests per second",
            kms,
            KMS_REQUESTS.get(region, KMS_REQUESTS_ELSEWHERE),
            "request a higher quota",
        ),
        *([_log_archive(capacity, region)] if stack.archives_logs else []),
    ]


def _log_archive(capacity: CapacityModel, region: str) -> Quota:
    peak = capacity.demand.peak
    pictures = capacity.batch_at(peak)
    invocations = peak * capacity.retries.tries(capacity.demand.failure_rate) / pictures
    need = invocations * log_archive.record_bytes(pictures)
    limit = log_archive.bytes_per_second(region)
    return Quota(
        "Firehose: log bytes per second",
        need,
        limit,
        peak * limit / need,
        "request a higher throughput; until Firehose raises it by itself, CloudWatch Logs repeats"
        " what is refused for 24 hours",
    )
