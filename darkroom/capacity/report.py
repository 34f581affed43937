"""An estimate as JSON and as text; the same input gives the same bytes."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from darkroom.capacity.cost import BillLine
from darkroom.capacity.estimate import CapacityEstimate, break_even, comparison
from darkroom.capacity.model import CapacityModel, Retries
from darkroom.capacity.quotas import Quota
from darkroom.capacity.storage import Storage
from darkroom.capacity.text import amount, picture_rate, time
from darkroom.console.tables import table

Pairs = list[tuple[str, str]]


def as_json(estimate: CapacityEstimate) -> dict[str, Any]:
    """Return the estimate as a JSON object; null stands for a number without limit."""
    capacity, service = estimate.capacity, estimate.capacity.service
    retries = capacity.retries
    content = {
        "demand": {**asdict(capacity.demand), "peak": capacity.demand.peak},
        "stack": asdict(service.stack),
        "service": {
            "cpu_factor": service.cpu_factor,
            "s3_latency_seconds": service.latency,
            "cores": service.cores,
            "threads": service.threads,
            "full_batch_seconds": service.seconds(service.stack.batch_size),
            "slow_batch_seconds": service.slow_batch(),
            "rejected": service.rejected(),
        },
        "capacity": {
            "throughput": capacity.throughput,
            "utilisation": capacity.utilisation,
            "messages_per_batch": capacity.batch,
            "concurrent_batches": capacity.concurrent_batches(capacity.demand.rate),
            "concurrent_batches_needed": capacity.batches_needed(capacity.demand.peak),
            "backlog": capacity.backlog,
            "oldest_seconds": capacity.oldest,
            "drained_seconds": capacity.drained,
            "in_flight": capacity.in_flight,
        },
        "retries": {
            "average_seconds": sum(retries.means()),
            "longest_seconds": sum(retries.ceilings()),
            "visibility_budget_seconds": retries.maximum * retries.visibility,
            "dead_share": retries.dead(capacity.demand.failure_rate),
            "dead_letters_of_outage": capacity.dead_letters,
        },
        "quotas": [{**asdict(quota), "exceeded": quota.is_exceeded} for quota in estimate.quotas],
        "cost": {
            "region": estimate.region,
            "fixed_usd_per_month": estimate.bill.fixed_total,
            "usd_per_month": estimate.bill.total,
            "usd_per_million_pictures": estimate.bill.per_million,
            "lines": [asdict(line) for line in (*estimate.bill.fixed, *estimate.bill.variable)],
            "storage": {**asdict(estimate.storage), "advice": estimate.storage.advice},
            "prices": {
                name: price.model_dump(mode="json")
                for name, price in sorted(estimate.prices.items())
            },
            **break_even(estimate),
        },
        "alternatives": [asdict(alternative) for alternative in estimate.alternatives],
        "warnings": estimate.warnings(),
        "verdict": estimate.verdict(),
    }
    if estimate.observed:
        content["simulation"] = {
            "scale": estimate.observed.scale,
            "rows": [
                {"name": name, "formula": formula, "simulated": simulated}
                for name, formula, simulated in comparison(capacity, estimate.observed)
            ],
        }
    rounded: dict[str, Any] = _rounded(content)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def as_text(estimate: CapacityEstimate) -> str:
    """Return the estimate as tables; the last lines name the bottleneck."""
    capacity = estimate.capacity
    parts = [
        table([("Demand", ""), *_demand(estimate)]),
        table([("Capacity", ""), *_load(capacity), *_retries(capacity)]),
        _quotas(estimate.quotas),
        _costs(estimate),
        _stored(estimate.storage),
        table([("Break-even", ""), *_break_even(estimate)]),
        _alternatives(estimate),
    ]
    if estimate.observed:
        observed = estimate.observed
        scaled = f", {observed.scale:.3g} times smaller" if observed.scale > 1 else ""
        head = (f"Simulated: {observed.arrived:,} pictures{scaled}", "formula", "simulated")
        rows = [
            (name, f"{formula:,.4g}", f"{simulated:,.4g}")
            for name, formula, simulated in comparison(capacity, observed)
        ]
        parts.append(table([head, *rows], right=(1, 2)))
    parts.append("\n".join(f"warning: {warning}" for warning in estimate.warnings()))
    parts.append("\n".join(estimate.verdict()))
    return "\n\n".join(part for part in parts if part)


def _demand(estimate: CapacityEstimate) -> Pairs:
    demand, retries = estimate.capacity.demand, estimate.capacity.retries
    pairs = [
        ("pictures", f"{picture_rate(demand.rate)}, {amount(estimate.bill.pictures)} per month")
    ]
    if demand.burst_seconds:
        pairs.append(("burst", f"{picture_rate(demand.peak)} for {time(demand.burst_seconds)}"))
    if demand.failure_rate:
        pairs.append(
            (
                "failing tries",
                f"{demand.failure_rate:.3g}: {retries.tries(demand.failure_rate):.3g} tries and"
                f" {retries.dead(demand.failure_rate):.2g} dead letters per picture",
            )
        )
    if demand.outage_seconds:
        pairs.append(("outage", time(demand.outage_seconds)))
    return pairs


def _load(capacity: CapacityModel) -> Pairs:
    service, demand, polling = capacity.service, capacity.demand, capacity.polling
    stack, size = service.stack, service.stack.batch_size
    ramp = (polling.maximum - polling.first) / polling.per_second
    pairs = [
        (
            "function",
            f"{stack.memory_megabytes:,} MB {stack.architecture}: {service.cores:.2f} cores,"
            f" {service.threads} messages at once",
        ),
        (
            f"full batch ({size})",
            f"{service.seconds(size):,.2f} s; {service.slow_batch():,.2f} s if all are of the"
            f" slowest hundredth; the timeout is {stack.timeout:,} s",
        ),
        (
            "concurrent batches",
            f"{polling.first:,.0f} at first, {polling.per_second * 60:,.0f} more per minute,"
            f" {polling.maximum:,.0f} at most (after {time(ramp)})",
        ),
        ("throughput", f"{picture_rate(capacity.throughput)} at most"),
        (
            "average load",
            f"{capacity.utilisation:,.1%}: {amount(capacity.concurrent_batches(demand.rate))}"
            f" concurrent batches, messages per batch: {capacity.batch:.2g}",
        ),
    ]
    if demand.burst_seconds:
        pairs += [
            ("burst: backlog", f"{amount(capacity.backlog)} messages at most"),
            (
                "burst: oldest",
                "without limit"
                if math.isinf(capacity.oldest)
                else f"{time(capacity.oldest)} at most",
            ),
            (
                "burst: drained",
                _drained(capacity),
            ),
        ]
    return pairs


def _drained(capacity: CapacityModel) -> str:
    if math.isinf(capacity.drained):
        return "never"
    return f"{time(capacity.drained)} after its end" if capacity.backlog else "at once"


def _retries(capacity: CapacityModel) -> Pairs:
    retries, stack = capacity.retries, capacity.service.stack
    return [
        (
            "retries last",
            f"{time(sum(retries.means()))} on average, {time(sum(retries.ceilings()))} at most"
            f" ({retries.maximum} tries,"
            f" {'back-off' if retries.has_back_off else 'visibility timeout'})",
        ),
        (
            "visibility budget",
            f"{retries.maximum} × {time(stack.visibility)} ="
            f" {time(retries.maximum * stack.visibility)};"
            f" the queue keeps messages for {time(stack.retention)}",
        ),
    ]


def _break_even(estimate: CapacityEstimate) -> Pairs:
    even = break_even(estimate)
    capacity = estimate.capacity
    return [
        (
            "SQS endpoint",
            f"{even['endpoint_usd_per_month']:,.2f} USD per month, as much as"
            f" {amount(even['endpoint_cost_in_pictures'] or math.inf)} pictures; a failed message"
            f" returns after {_first_wait(capacity.retries):,.0f} s on average with it, after"
            f" {capacity.service.stack.visibility:,} s without it",
        ),
        (
            "arm64",
            "cheaper than x86_64 as long as it is less than"
            f" {even['arm64_may_be_slower_by'] or 0:.0%} slower",
        ),
    ]


def _first_wait(retries: Retries) -> float:
    """Return the average seconds until the second try, if there were an SQS endpoint."""
    return replace(retries, has_back_off=True).means()[0]


def _quotas(quotas: Sequence[Quota]) -> str:
    rows = [
        (
            quota.name,
            amount(quota.need),
            amount(quota.limit),
            f"{quota.need / quota.limit:,.1%}" + " EXCEEDED" * quota.is_exceeded,
        )
        for quota in quotas
    ]
    head = ("Quotas, at the peak", "needed", "limit", "used")
    return table([head, *rows], right=(1, 2))


def _costs(estimate: CapacityEstimate) -> str:
    def row(line: BillLine) -> tuple[str, ...]:
        price = estimate.prices[line.price]
        read = "" if price.read == "source" else price.read
        return (
            f"- {line.item}",
            amount(line.amount),
            f"{price.usd:.10f}".rstrip("0").rstrip("."),
            f"{line.usd:,.2f}",
            f"{price.date} {read}".rstrip(),
        )

    bill, stored = estimate.bill, estimate.storage
    rows = [
        *map(row, bill.fixed),
        ("fixed monthly cost", "", "", f"{bill.fixed_total:,.2f}", ""),
        *map(row, bill.variable),
        ("per month", "", "", f"{bill.total:,.2f}", ""),
        ("per million further pictures", "", "", f"{bill.per_million:,.2f}", ""),
        ("in addition, a month's pictures, per month kept:", "", "", "", ""),
        *map(row, stored.lines),
    ]
    if stored.move:
        rows += [("and once:", "", "", "", ""), row(stored.move)]
    head = (f"Cost per month, {estimate.region}", "amount", "price", "USD", "price read")
    legend = "price read: on AWS's page, or quoted by another one, or assumed and not read"
    return table([head, *rows], right=(1, 2, 3)) + f"\n{legend}"


def _stored(storage: Storage) -> str:
    """Return the bill of what is stored after some months, with and without the archive."""
    months = storage.months
    rows = [
        ("Storage at this rate, USD per month", *(f"month {one.months}" for one in months)),
        ("all in S3 Standard", *(f"{one.unarchived_usd:,.2f}" for one in months)),
    ]
    if storage.archive:
        archive = storage.archive
        name = f"with archive_after_days = {archive.days}, {archive.storage_class}"
        rows.append((name, *(f"{one.archived_usd or 0:,.2f}" for one in months)))
    found = table(rows, right=range(1, len(rows[0])))
    return f"{found}\n{storage.advice}" if storage.advice else found


def _alternatives(estimate: CapacityEstimate) -> str:
    own = estimate.capacity.service.stack
    current = (own.memory_megabytes, own.architecture, own.batch_size)
    rows = [
        (
            ("* " if (one.memory_megabytes, one.architecture, one.batch_size) == current else "")
            + f"{one.memory_megabytes:,} MB {one.architecture}, batch {one.batch_size}",
            f"{one.batch_seconds:,.2f}",
            f"{one.slow_batch_seconds:,.2f}",
            f"{one.batch_rate:,.2f}",
            f"{one.usd_per_million:,.2f}",
            f"{one.usd_per_million_full:,.2f}",
            f"{one.rejected:.1%}",
        )
        for one in estimate.alternatives
    ]
    head = ("Alternatives (* current)", "batch s", "slow s", "per s", "USD/M", "full", "rejected")
    legend = (
        "per s: pictures per second of one concurrent batch; USD/M: per million pictures at this"
        " rate; full: with full batches"
    )
    return table([head, *rows], right=range(1, len(head))) + f"\n{legend}"
