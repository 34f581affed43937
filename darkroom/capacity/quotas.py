"""What the demand needs of AWS's quotas, and which of them is the bottleneck."""

from __future__ import annotations

import math
from dataclasses import dataclass

from darkroom.capacity.cost import LISTS, LOOKS, WITH_BUCKET_KEY
from darkroom.capacity.model import MOST_POLLED, MOST_PROVISIONED, Capacity

ACCOUNT_CONCURRENCY = 1_000
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

INVOCATIONS_A_SECOND = 10
"""For each unit of the account's concurrency; the same page."""

NEW_ENVIRONMENTS_A_SECOND = 100
"""1,000 every ten seconds. https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html"""

CONNECTIONS_AN_INTERFACE = 65_000
"""Of one Hyperplane interface. https://docs.aws.amazon.com/lambda/latest/dg/foundation-networking.html"""

CONNECTIONS_AN_ENVIRONMENT = 15
"""The worker's pool to S3 with two cores, and one to SQS (worker/handler.py)."""

IN_FLIGHT = 120_000
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""

S3_WRITES, S3_READS = 3_500, 5_500
"""A second and partitioned prefix, of which S3 makes more by itself, but not at once.

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
"""A second. https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html"""

SPARE = 0.8
"""The part of the concurrency that the peak should take, so that an estimate may be wrong."""


@dataclass(frozen=True)
class Quota:
    """What the peak needs of one quota; `rate` is the pictures a second at which it is used up."""

    name: str
    need: float
    limit: float
    rate: float
    advice: str

    @property
    def is_exceeded(self) -> bool:
        """Return whether the peak needs more than there is."""
        return self.need > self.limit


def quotas(capacity: Capacity, *, account: int, region: str, provisioned: bool) -> list[Quota]:
    """Return all quotas with what the peak of this demand needs of each."""
    service, stack, demand = capacity.service, capacity.service.stack, capacity.demand
    peak, needed = demand.peak, capacity.needed(demand.peak)
    variants = len(stack.widths) * len(stack.formats)
    tries = capacity.retries.tries(demand.failures)
    size = stack.batch_size
    enough = math.ceil(needed / SPARE)

    def quota(name: str, need: float, limit: float, advice: str) -> Quota:
        rate = peak * limit / need if need > 0 else math.inf
        return Quota(name, need, limit, rate, advice)

    found = []
    if not provisioned:
        most = min(enough, 1_000)
        advice = f"raise it to {most:,}" + (
            "" if enough <= 1_000 else f"; {enough:,} are needed, with provisioned pollers"
        )
        found.append(quota("MaximumConcurrency", needed, stack.concurrency, advice))
    polled = MOST_PROVISIONED if provisioned else MOST_POLLED
    kms = (1 + variants + (1 + LISTS + LOOKS) * tries) * WITH_BUCKET_KEY * peak
    in_use = min(needed, capacity.polling.most)
    connections = in_use / stack.zones * CONNECTIONS_AN_ENVIRONMENT
    return [
        *found,
        quota("Lambda: concurrent executions", needed, account, f"ask for {enough:,}"),
        quota(
            "Lambda: batches of one event source at once",
            needed,
            polled,
            "split the uploads over two stacks"
            if provisioned
            else "provisioned pollers (--pollers)",
        ),
        quota(
            "Lambda: invocations a second",
            needed / service.seconds(size),
            INVOCATIONS_A_SECOND * account,
            "a larger batch_size, or more concurrency in the account",
        ),
        Quota(
            "Lambda: new environments a second",
            capacity.polling.a_second,
            NEW_ENVIRONMENTS_A_SECOND,
            math.inf,
            "none: the pollers never ask for that many",
        ),
        Quota(
            "Lambda: connections of a network interface",
            connections,
            CONNECTIONS_AN_INTERFACE,
            math.inf,
            "more zones; Lambda adds interfaces by itself, within 500 a VPC",
        ),
        quota(
            "SQS: messages in flight",
            capacity.in_flight,
            IN_FLIGHT,
            "fewer max_receive_count, or split the uploads over two queues",
        ),
        quota("S3: uploads a second", peak, S3_WRITES * stack.prefixes, "more prefixes"),
        quota(
            "S3: thumbnails written a second",
            peak * variants,
            S3_WRITES,
            "fewer variants; S3 splits thumbnails/ by itself, answers 503 until then",
        ),
        quota(
            "S3: thumbnails listed and looked at a second",
            peak * tries * (LISTS + LOOKS),
            S3_READS,
            "S3 splits thumbnails/ by itself, and answers 503 until then",
        ),
        quota(
            "KMS: requests a second, with bucket keys",
            kms,
            KMS_REQUESTS.get(region, KMS_REQUESTS_ELSEWHERE),
            "ask for more",
        ),
    ]
