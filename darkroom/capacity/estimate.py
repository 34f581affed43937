"""The estimate for a demand: capacity, cost, quotas, alternatives, and what limits it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from darkroom.capacity import cost, quotas, stack, storage
from darkroom.capacity.model import CapacityModel, Demand, Retries, polling
from darkroom.capacity.prices import Price, prices
from darkroom.capacity.quotas import ACCOUNT_CONCURRENCY, Quota
from darkroom.capacity.service import S3_LATENCY, Service
from darkroom.capacity.simulation import Observation
from darkroom.capacity.text import amount, picture_rate, time
from darkroom.capacity.workload import Component, pictures
from templates.specification_values import DEFAULT

MEMORIES = (512, 1024, 1792, 3538, 5307)
BATCH_SIZES = (1, 2, 4, 5, 8, 10)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What an estimate is asked for.

    `overrides` are stack parameters by name, which win over those of the parameter file. `pollers`
    are minimum and maximum, in place of MaximumConcurrency.
    """

    demand: Demand
    workload: Sequence[Component]
    specification: Path
    parameter_file: Path
    source: str = DEFAULT
    overrides: Mapping[str, int | str] = field(default_factory=dict)
    pollers: tuple[int, int] | None = None
    region: str = "us-east-1"
    price_files: Sequence[Path] = ()
    account_concurrency: int = ACCOUNT_CONCURRENCY
    cpu_factor: float = 1.0
    s3_latency: float = S3_LATENCY


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """What another memory, architecture or batch size would do."""

    memory_megabytes: int
    architecture: str
    batch_size: int
    batch_seconds: float
    """Seconds of a full batch."""

    slow_batch_seconds: float
    """Seconds of a full batch that holds only pictures of the slowest hundredth."""

    batch_rate: float
    """Pictures per second of one concurrent batch."""

    usd_per_million: float
    """US dollars per million pictures at the demand's rate."""

    usd_per_million_full: float
    """US dollars per million pictures with full batches."""

    rejected: float
    """Share of the pictures that is rejected."""


@dataclass(frozen=True, kw_only=True)
class CapacityEstimate:
    """Everything that is reported for a demand; prices are of `region`."""

    capacity: CapacityModel
    bill: cost.Bill
    storage: storage.Storage
    quotas: Sequence[Quota]
    alternatives: Sequence[Alternative]
    prices: Mapping[str, Price]
    region: str
    observed: Observation | None = None

    @property
    def bottleneck(self) -> Quota:
        """Return the quota that is used up first as pictures increase."""
        return min(self.quotas, key=lambda quota: quota.rate)

    def verdict(self) -> list[str]:
        """Return the conclusions: what limits, and what to do about it."""
        capacity, demand = self.capacity, self.capacity.demand
        first = self.bottleneck
        what = (
            "The burst brings"
            if demand.burst_seconds and demand.burst_factor > 1
            else "The demand is"
        )
        text = (
            f"The first limit is {first.name}: it allows {picture_rate(first.rate)}. {what}"
            f" {picture_rate(demand.peak)},"
        )
        if first.is_exceeded:
            times = amount(demand.peak / first.rate)
            sentences = [f"{text} {times} times that. To do: {first.advice}."]
        else:
            sentences = [f"{text} {demand.peak / first.rate:.0%} of that."]
        if capacity.utilisation >= 1:
            sentences.append(
                "The backlog grows without limit: on average"
                f" {amount(capacity.utilisation)} times as much arrives as can be processed."
            )
        retention = capacity.service.stack.retention
        if capacity.oldest > retention:
            sentences.append(
                f"Messages are lost: they wait longer than the queue keeps them, {time(retention)}."
            )
        elif capacity.backlog and capacity.batches_needed(demand.peak) <= capacity.polling.maximum:
            sentences.append(
                f"The burst waits up to {time(capacity.oldest)}, because only"
                f" {capacity.polling.per_second * 60:,.0f} concurrent batches are added per minute."
            )
        return sentences

    def warnings(self) -> list[str]:
        """Return what is exceeded or too close to its limit, by name."""
        service, figures = self.capacity.service, self.capacity.service.stack
        found = [
            f"{quota.name}: {amount(quota.need)} needed, the limit is {amount(quota.limit)};"
            f" {quota.advice}"
            for quota in self.quotas
            if quota.is_exceeded
        ]
        slow = service.slow_batch()
        if slow * 2 > figures.timeout:
            found.append(
                f"timeout_seconds: a batch of the slowest pictures takes {time(slow)}, more than"
                f" half of {figures.timeout:,} s; a smaller batch_size, more memory or a longer"
                " timeout"
            )
        found.extend(
            f"{limit}: {share:.2%} of the pictures exceed it and are rejected"
            for limit, share in service.rejected().items()
        )
        retries = self.capacity.retries
        longest = sum(retries.ceilings()) + figures.visibility
        if longest > figures.retention:
            found.append(
                f"max_receive_count: {retries.maximum} tries may last {time(longest)}, longer than"
                f" the queue keeps a message ({time(figures.retention)}): it is lost before it"
                " becomes a dead letter"
            )
        outage = self.capacity.demand.outage_seconds
        if self.capacity.dead_letters >= 1:
            found.append(
                f"an outage of {time(outage)}: about {amount(self.capacity.dead_letters)} dead"
                " letters; a larger max_receive_count, or redrive them afterwards"
            )
        return found


def estimate(
    question: Question, progress: Callable[[str], None] = lambda _: None
) -> CapacityEstimate:
    """Return the estimate for a question; `progress` gets what is being computed.

    Raises:
        UsageError: A file is wrong or cannot be read, or there are no prices of the region.
    """
    known = prices(question.region, list(question.price_files))
    progress("generating the template")
    deployed = stack.read(
        question.specification,
        [question.parameter_file],
        question.overrides,
        source=question.source,
    )
    pollers = question.pollers or deployed.pollers
    if pollers:
        added = pollers[0] - (deployed.pollers or (0,))[0]
        deployed = replace(deployed, minimum_pollers=deployed.minimum_pollers + added)
    capacity = CapacityModel(
        service=Service(
            deployed, pictures(question.workload), question.cpu_factor, question.s3_latency
        ),
        polling=polling(
            deployed.concurrency, account=question.account_concurrency, pollers=pollers
        ),
        retries=Retries(
            maximum=deployed.max_receive_count,
            visibility=deployed.visibility,
            has_back_off=deployed.has_sqs_endpoint,
        ),
        demand=question.demand,
    )
    found = []
    for alternative in _alternatives(capacity, known):
        found.append(alternative)
        progress(f"computing alternatives: {len(found)} done")
    return CapacityEstimate(
        capacity=capacity,
        bill=cost.bill(capacity, known),
        storage=storage.storage(capacity, known),
        quotas=quotas.quotas(
            capacity,
            account=question.account_concurrency,
            region=question.region,
            provisioned=pollers is not None,
        ),
        alternatives=found,
        prices=known,
        region=question.region,
    )


def _alternatives(capacity: CapacityModel, known: Mapping[str, Price]) -> Iterator[Alternative]:
    """Yield what other memories, architectures and batch sizes would do with this demand."""
    own = capacity.service.stack
    stacks = [
        replace(own, memory_megabytes=memory, architecture=architecture)
        for architecture in ("arm64", "x86_64")
        for memory in sorted({*MEMORIES, own.memory_megabytes})
    ] + [
        replace(own, batch_size=size, window=own.window or int(size > 10))
        for size in sorted({*BATCH_SIZES, own.batch_size} - {own.batch_size})
    ]
    times: dict[tuple[int, int], dict[int, float]] = {}
    for figures in stacks:
        # Both architectures take the same time here; --cpu-factor changes it.
        known_times = times.setdefault((figures.memory_megabytes, figures.batch_size), {})
        service = replace(capacity.service, stack=figures, _known=known_times)
        other = replace(capacity, service=service)
        yield Alternative(
            memory_megabytes=figures.memory_megabytes,
            architecture=figures.architecture,
            batch_size=figures.batch_size,
            batch_seconds=service.seconds(figures.batch_size),
            slow_batch_seconds=service.slow_batch(),
            batch_rate=other.batch_rate,
            usd_per_million=cost.bill(other, known).per_million,
            usd_per_million_full=cost.bill(other, known, size=figures.batch_size).per_million,
            rejected=sum(service.rejected().values()),
        )


def comparison(capacity: CapacityModel, observed: Observation) -> list[tuple[str, float, float]]:
    """Return what formulas and simulation say, by name; rates per second, times in seconds."""
    demand, retries = capacity.demand, capacity.retries
    by_chance = max(0.0, observed.seconds - sum(retries.means())) * demand.rate
    dead = capacity.dead_letters + by_chance * retries.dead(demand.failure_rate)
    found = []
    if observed.busiest:
        found.append(("pictures per second, with a backlog", capacity.throughput, observed.busiest))
    if demand.burst_seconds:
        found += [
            ("maximum backlog", capacity.backlog, observed.backlog),
            ("oldest message, s", capacity.oldest, observed.oldest),
            ("drained after, s", capacity.drained, observed.drained),
        ]
    elif not demand.outage_seconds:
        done = min(demand.rate * (1 - retries.dead(demand.failure_rate)), capacity.throughput)
        left = max(0.0, demand.rate - capacity.throughput) * observed.seconds
        found += [
            ("pictures per second", done, observed.rate),
            ("concurrent batches", capacity.concurrent_batches(demand.rate), observed.at_once),
            ("messages per batch", capacity.batch, observed.batch),
            ("backlog at the end", left, observed.waiting),
        ]
        if capacity.utilisation < 1:
            found.append(("oldest message, s", capacity.oldest, observed.oldest))
    if dead or observed.dead:
        found.append(("dead letters", dead, observed.dead * observed.scale))
    return found


def break_even(estimate: CapacityEstimate) -> dict[str, float | None]:
    """Return the SQS endpoint's price in pictures, and how much slower arm64 may be."""
    zones, hours = estimate.capacity.service.stack.zones, 730
    endpoint = zones * hours * estimate.prices["interface_endpoint_hour"].usd
    each = estimate.bill.per_million / 1e6
    arm, x86 = (
        estimate.prices[f"lambda_gb_second_{architecture}"].usd
        for architecture in ("arm64", "x86_64")
    )
    return {
        "endpoint_usd_per_month": endpoint,
        "endpoint_cost_in_pictures": endpoint / each if each else None,
        "arm64_may_be_slower_by": x86 / arm - 1 if arm else None,
    }
