"""A plan as text for people and as JSON; the same input gives the same bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from darkroom.capacity.cost import Bill, Line, bill
from darkroom.capacity.model import Capacity, Retries
from darkroom.capacity.prices import Price
from darkroom.capacity.quotas import Quota
from darkroom.capacity.simulation import Observation

MEMORIES = (512, 1024, 1792, 3538, 5307)
BATCH_SIZES = (1, 2, 4, 5, 8, 10)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What another memory, architecture or batch size would do."""

    memory_megabytes: int
    architecture: str
    batch_size: int
    seconds: float
    """Of a full batch."""

    slow_seconds: float
    """Of one with nothing but the slowest hundredth of pictures."""

    each: float
    """Pictures a second for each batch at once."""

    per_million: float
    """Dollars, at the demand's rate."""

    per_million_full: float
    """Dollars, with full batches."""

    rejected: float
    """The share of pictures."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that is said about a demand."""

    capacity: Capacity
    bill: Bill
    quotas: Sequence[Quota]
    choices: Sequence[Choice]
    prices: Mapping[str, Price]
    region: str
    observed: Observation | None = None

    @property
    def bottleneck(self) -> Quota:
        """Return what is used up first as pictures become more."""
        return min(self.quotas, key=lambda quota: quota.rate)

    def verdict(self) -> list[str]:
        """Return the sentences that matter: what limits, and what to do."""
        capacity, demand = self.capacity, self.capacity.demand
        least = self.bottleneck
        peak = "the burst's" if demand.burst_seconds and demand.factor > 1 else "the demand's"
        told = f"limited by {least.name}: {_rate(least.rate)}, of which {peak} {_rate(demand.peak)}"
        if least.is_exceeded:
            sentences = [f"{told} is {demand.peak / least.rate:.1f} times as much; {least.advice}"]
        else:
            sentences = [f"{told} takes {demand.peak / least.rate:.0%}"]
        if capacity.utilisation >= 1:
            sentences.append(
                "the backlog grows for ever: more arrives on the mean than is done"
                f" ({capacity.utilisation:.0%})"
            )
        retention = capacity.service.stack.retention
        if capacity.oldest > retention:
            sentences.append(
                f"messages are lost: they wait longer than the queue keeps them, {_time(retention)}"
            )
        elif capacity.backlog and capacity.needed(demand.peak) <= capacity.polling.most:
            sentences.append(
                f"the burst waits up to {_time(capacity.oldest)} because only"
                f" {capacity.polling.a_second * 60:,.0f} batches at once are added a minute"
            )
        return sentences

    def warnings(self) -> list[str]:
        """Return what is exceeded or too near, by name."""
        service, stack = self.capacity.service, self.capacity.service.stack
        found = [
            f"{quota.name}: {_amount(quota.need)} needed, {_amount(quota.limit)} there are;"
            f" {quota.advice}"
            for quota in self.quotas
            if quota.is_exceeded
        ]
        slow = service.slow_batch()
        if slow * 2 > stack.timeout:
            found.append(
                f"timeout_seconds: a batch of the slowest pictures takes {_time(slow)}, more than"
                f" half of {stack.timeout} s; a smaller batch_size, more memory or a longer timeout"
            )
        found.extend(
            f"{limit}: {share:.2%} of the pictures are rejected for it"
            for limit, share in service.rejected().items()
        )
        retries = self.capacity.retries
        longest = sum(retries.ceilings()) + stack.visibility
        if longest > stack.retention:
            found.append(
                f"max_receive_count: {retries.maximum} tries may last {_time(longest)}, longer than"
                f" the queue keeps a message ({_time(stack.retention)}): it is lost before it"
                " becomes a dead letter"
            )
        outage = self.capacity.demand.outage_seconds
        if self.capacity.dead_letters >= 1:
            found.append(
                f"an outage of {_time(outage)}: about {_amount(self.capacity.dead_letters)} dead"
                " letters; more max_receive_count, or redrive them afterwards"
            )
        return found


def choices(capacity: Capacity, known: Mapping[str, Price]) -> list[Choice]:
    """Return what other memories, architectures and batch sizes would do to this demand."""
    own = capacity.service.stack
    stacks = [
        replace(own, memory_megabytes=memory, architecture=architecture)
        for architecture in ("arm64", "x86_64")
        for memory in sorted({*MEMORIES, own.memory_megabytes})
    ] + [
        replace(own, batch_size=size, window=own.window or int(size > 10))
        for size in sorted({*BATCH_SIZES, own.batch_size} - {own.batch_size})
    ]
    found = []
    times: dict[tuple[int, int], dict[int, float]] = {}
    for stack in stacks:
        # Both architectures take the same time here: what --speed says.
        known_times = times.setdefault((stack.memory_megabytes, stack.batch_size), {})
        service = replace(capacity.service, stack=stack, _known=known_times)
        other = replace(capacity, service=service)
        found.append(
            Choice(
                memory_megabytes=stack.memory_megabytes,
                architecture=stack.architecture,
                batch_size=stack.batch_size,
                seconds=service.seconds(stack.batch_size),
                slow_seconds=service.slow_batch(),
                each=other.each,
                per_million=bill(other, known).per_million,
                per_million_full=bill(other, known, size=stack.batch_size).per_million,
                rejected=sum(service.rejected().values()),
            )
        )
    return found


def comparison(capacity: Capacity, observed: Observation) -> list[tuple[str, float, float]]:
    """Return what the formulas and the simulation say, by name; rates a second, and seconds."""
    demand, retries = capacity.demand, capacity.retries
    by_chance = max(0.0, observed.seconds - sum(retries.means())) * demand.rate
    dead = capacity.dead_letters + by_chance * retries.dead(demand.failures)
    found = []
    if observed.busiest:
        found.append(("pictures a second, with a backlog", capacity.throughput, observed.busiest))
    if demand.burst_seconds:
        found += [
            ("most messages waiting", capacity.backlog, observed.backlog),
            ("oldest message, s", capacity.oldest, observed.oldest),
            ("drained after, s", capacity.drained, observed.drained),
        ]
    elif not demand.outage_seconds:
        done = min(demand.rate * (1 - retries.dead(demand.failures)), capacity.throughput)
        left = max(0.0, demand.rate - capacity.throughput) * observed.seconds
        found += [
            ("pictures a second", done, observed.rate),
            ("batches at once", capacity.at_once(demand.rate), observed.at_once),
            ("messages in a batch", capacity.batch, observed.batch),
            ("messages waiting at the end", left, observed.waiting),
        ]
        if capacity.utilisation < 1:
            found.append(("oldest message, s", capacity.oldest, observed.oldest))
    if dead or observed.dead:
        found.append(("dead letters", dead, observed.dead * observed.scale))
    return found


def as_json(plan: Plan) -> str:
    """Return the plan as one JSON object; what is endless is null."""
    capacity, service = plan.capacity, plan.capacity.service
    retries = capacity.retries
    content = {
        "demand": {**asdict(capacity.demand), "peak": capacity.demand.peak},
        "stack": asdict(service.stack),
        "service": {
            "speed": service.speed,
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
            "batch": capacity.batch,
            "at_once": capacity.at_once(capacity.demand.rate),
            "needed_at_peak": capacity.needed(capacity.demand.peak),
            "backlog": capacity.backlog,
            "oldest_seconds": capacity.oldest,
            "drained_seconds": capacity.drained,
            "in_flight": capacity.in_flight,
        },
        "retries": {
            "mean_seconds": sum(retries.means()),
            "longest_seconds": sum(retries.ceilings()),
            "visibility_budget_seconds": retries.maximum * retries.visibility,
            "dead_share": retries.dead(capacity.demand.failures),
            "dead_letters_of_outage": capacity.dead_letters,
        },
        "quotas": [{**asdict(quota), "exceeded": quota.is_exceeded} for quota in plan.quotas],
        "cost": {
            "region": plan.region,
            "at_rest": plan.bill.at_rest,
            "month": plan.bill.total,
            "per_million": plan.bill.per_million,
            "lines": [asdict(line) for line in (*plan.bill.rest, *plan.bill.work)],
            "storage": asdict(plan.bill.storage),
            "prices": {name: asdict(price) for name, price in sorted(plan.prices.items())},
            **_break_even(plan),
        },
        "choices": [asdict(choice) for choice in plan.choices],
        "warnings": plan.warnings(),
        "verdict": plan.verdict(),
    }
    if plan.observed:
        content["simulation"] = {
            "scale": plan.observed.scale,
            "rows": [
                {"what": what, "formula": formula, "simulated": simulated}
                for what, formula, simulated in comparison(capacity, plan.observed)
            ],
        }
    return json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _break_even(plan: Plan) -> dict[str, float | None]:
    """Return what the door to SQS costs in pictures, and how much slower arm64 may be."""
    zones, hours = plan.capacity.service.stack.zones, 730
    door = zones * hours * plan.prices["interface_endpoint_hour"].usd
    each = plan.bill.per_million / 1e6
    arm, x86 = (
        plan.prices[f"lambda_gb_second_{architecture}"].usd for architecture in ("arm64", "x86_64")
    )
    return {
        "endpoint_month": door,
        "endpoint_costs_as_much_as_pictures": door / each if each else None,
        "arm64_may_be_slower_by": x86 / arm - 1 if arm else None,
    }


def as_text(plan: Plan) -> str:
    """Return the plan as tables; the last lines name the bottleneck."""
    capacity, service = plan.capacity, plan.capacity.service
    stack, demand, retries = service.stack, capacity.demand, capacity.retries
    even = _break_even(plan)
    asked = [("pictures", f"{_rate(demand.rate)}, {_amount(plan.bill.pictures)} a month")]
    if demand.burst_seconds:
        asked.append(("burst", f"{_rate(demand.peak)} for {_time(demand.burst_seconds)}"))
    if demand.failures:
        asked.append(
            (
                "tries that fail",
                f"{demand.failures:.3g}: {retries.tries(demand.failures):.3g} tries a picture,"
                f" {retries.dead(demand.failures):.2g} dead letters a picture",
            )
        )
    if demand.outage_seconds:
        asked.append(("outage", _time(demand.outage_seconds)))
    size = stack.batch_size
    work = [
        (
            "function",
            f"{stack.memory_megabytes:,} MB {stack.architecture}: {service.cores:.2f} cores,"
            f" {service.threads} messages in hand",
        ),
        (
            f"full batch ({size})",
            f"{service.seconds(size):.2f} s; {service.slow_batch():.2f} s of nothing but the"
            f" slowest hundredth; the timeout is {stack.timeout} s",
        ),
        ("batches at once", _at_once(capacity)),
        ("throughput", f"{_rate(capacity.throughput)} at most"),
        (
            "mean load",
            f"{capacity.utilisation:.1%}: {capacity.at_once(demand.rate):.3g} batches at once,"
            f" {capacity.batch:.2g} messages each",
        ),
    ]
    if demand.burst_seconds:
        work += [
            ("burst: backlog", f"{_amount(capacity.backlog)} messages"),
            ("burst: oldest", _time(capacity.oldest)),
            ("burst: drained", f"{_time(capacity.drained)} after its end"),
        ]
    work += [
        (
            "retries ride out",
            f"{_time(sum(retries.means()))} on the mean, {_time(sum(retries.ceilings()))} at most"
            f" ({retries.maximum} tries, {'back-off' if retries.has_back_off else 'visibility'})",
        ),
        (
            "visibility budget",
            f"{retries.maximum} × {_time(stack.visibility)} ="
            f" {_time(retries.maximum * stack.visibility)};"
            f" the queue keeps {_time(stack.retention)}",
        ),
    ]
    parts = [
        _pairs("Asked", asked),
        _pairs("Capacity", work),
        _quotas(plan.quotas),
        _costs(plan),
        _pairs(
            "Break-even",
            [
                (
                    "SQS endpoint",
                    f"{even['endpoint_month']:.2f} a month, as much as"
                    f" {_amount(even['endpoint_costs_as_much_as_pictures'] or math.inf)} pictures;"
                    f" with it a failed message is back after {_first_wait(retries):.0f} s on the"
                    f" mean, without it after {stack.visibility} s",
                ),
                (
                    "arm64",
                    f"cheaper than x86_64 as long as it is less than"
                    f" {even['arm64_may_be_slower_by'] or 0:.0%} slower",
                ),
            ],
        ),
        _choices(plan),
    ]
    if plan.observed:
        parts.append(_simulated(capacity, plan.observed))
    parts += ["\n".join(f"warning: {warning}" for warning in plan.warnings())]
    parts += ["\n".join(plan.verdict())]
    return "\n\n".join(part for part in parts if part)


def _first_wait(retries: Retries) -> float:
    """Return the mean seconds until the second try, were there a door to SQS."""
    return replace(retries, has_back_off=True).means()[0]


def _at_once(capacity: Capacity) -> str:
    polling = capacity.polling
    ramp = (polling.most - polling.first) / polling.a_second
    return (
        f"{polling.first:,.0f} at first, {polling.a_second * 60:,.0f} more a minute,"
        f" {polling.most:,.0f} at most (after {_time(ramp)})"
    )


def _quotas(found: Sequence[Quota]) -> str:
    rows = [
        (
            quota.name,
            _amount(quota.need),
            _amount(quota.limit),
            f"{quota.need / quota.limit:.1%}",
            "EXCEEDED" if quota.is_exceeded else "",
        )
        for quota in found
    ]
    return table("Quotas, at the peak", ("", "needed", "there are", "used", ""), rows)


def _costs(plan: Plan) -> str:
    def row(line: Line) -> tuple[str, ...]:
        price = plan.prices[line.price]
        read = "" if price.read == "source" else price.read
        return (
            f"  {line.what}",
            _amount(line.amount),
            f"{price.usd:.10f}".rstrip("0").rstrip("."),
            f"{line.usd:,.2f}",
            f"{price.date} {read}".rstrip(),
        )

    rows = [
        *map(row, plan.bill.rest),
        ("at rest", "", "", f"{plan.bill.at_rest:,.2f}", ""),
        *map(row, plan.bill.work),
        ("a month", "", "", f"{plan.bill.total:,.2f}", ""),
        ("a million pictures more", "", "", f"{plan.bill.per_million:,.2f}", ""),
        ("besides, each month kept:", "", "", "", ""),
        row(plan.bill.storage),
    ]
    title = f"Cost in {plan.region}, US dollars a month"
    return table(title, ("", "amount", "price", "USD", "price read"), rows)


def _choices(plan: Plan) -> str:
    own = plan.capacity.service.stack
    rows = [
        (
            f"{choice.memory_megabytes:,} MB {choice.architecture}, batches of {choice.batch_size}",
            f"{choice.seconds:.2f}",
            f"{choice.slow_seconds:.2f}",
            f"{choice.each:.2f}",
            f"{choice.per_million:.2f}",
            f"{choice.per_million_full:.2f}",
            f"{choice.rejected:.1%}",
            "as planned"
            if (choice.memory_megabytes, choice.architecture, choice.batch_size)
            == (own.memory_megabytes, own.architecture, own.batch_size)
            else "",
        )
        for choice in plan.choices
    ]
    head = (
        "",
        "batch s",
        "slow s",
        "pictures/s each",
        "USD a million",
        "full batches",
        "rejected",
        "",
    )
    return table("Choices", head, rows)


def _simulated(capacity: Capacity, observed: Observation) -> str:
    rows = [
        (what, f"{formula:,.4g}", f"{simulated:,.4g}")
        for what, formula, simulated in comparison(capacity, observed)
    ]
    scaled = f", {observed.scale:.3g} times smaller" if observed.scale > 1 else ""
    title = f"Simulated: {observed.arrived:,} pictures{scaled}"
    return table(title, ("", "formula", "simulated"), rows)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns that line up under a title; all but the first and words are numbers."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = [
        "  ".join(
            cell.rjust(width) if column and head[column] else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([title, *("  " + text for text in texts if text)])


def _pairs(title: str, pairs: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in pairs)
    return "\n".join([title, *(f"  {name.ljust(width)}  {value}" for name, value in pairs)])


def _rate(value: float) -> str:
    if math.isinf(value):
        return "any number of pictures"
    return f"{_amount(value)} pictures a second"


def _amount(value: float) -> str:
    if math.isinf(value):
        return "∞"
    if value >= 1e9:
        return f"{value:.4g}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _time(seconds: float) -> str:
    if math.isinf(seconds):
        return "never"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
