"""`darkroom plan`: the options, and what is worked out from them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from darkroom.capacity import cost, quotas, report, stack, workload
from darkroom.capacity import prices as lists
from darkroom.capacity.model import Capacity, Demand, Retries, polling
from darkroom.capacity.service import S3_LATENCY, Service
from darkroom.capacity.simulation import Observation, Simulation
from darkroom.console.output import add_output
from darkroom.console.progress import Progress
from darkroom.errors import UsageError
from templates.specification import DEFAULT

PARAMS = Path(__file__).parents[2] / "params"
PLOTS = (".png", ".svg", ".pdf")

Value = TypeVar("Value")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    demand = parser.add_argument_group("what arrives")
    demand.add_argument(
        "--rate",
        type=_read(workload.rate),
        default=workload.rate("1M/month"),
        metavar="N/UNIT",
        help="pictures, like 12/s, 300/min, 2M/day or 1M/month (default: 1M/month)",
    )
    demand.add_argument(
        "--burst",
        type=_read(workload.burst),
        default=workload.burst("10x10min"),
        metavar="FACTORxTIME",
        help="how many times the rate, and for how long (default: 10x10min; 1x1s for none)",
    )
    demand.add_argument(
        "--profile",
        choices=workload.PROFILES,
        default="phone",
        help="assumed sizes and formats (default: phone)",
    )
    demand.add_argument(
        "--megapixels",
        type=_read(workload.megapixels),
        metavar="MEDIAN[:P95]",
        help="sizes instead of a profile, like 12:24; with --kind",
    )
    demand.add_argument("--kind", choices=workload.KINDS, help="format (default: jpeg)")
    demand.add_argument(
        "--failures",
        type=_read(_share),
        default=0.0,
        metavar="SHARE",
        help="of tries that fail by chance, like 0.01 or 1%% (default: none)",
    )
    demand.add_argument(
        "--outage",
        type=_read(workload.duration),
        default=0.0,
        metavar="TIME",
        help="how long every try fails, like 30min (default: no outage)",
    )
    deployed = parser.add_argument_group("what is deployed")
    deployed.add_argument(
        "--pipeline",
        type=Path,
        default=PARAMS / "pipeline.toml",
        metavar="FILE.toml",
        help="the specification (default: params/pipeline.toml)",
    )
    deployed.add_argument(
        "--source",
        default=DEFAULT,
        metavar="NAME",
        help="whose queue and variants are meant, where there are several (default: default)",
    )
    deployed.add_argument(
        "--parameters",
        type=Path,
        metavar="FILE.json",
        help="a parameter file (default: params/prod.json)",
        default=PARAMS / "prod.json",
    )
    deployed.add_argument("--memory", type=_whole(128, 10_240), metavar="MB", help="MemorySize")
    deployed.add_argument(
        "--concurrency",
        type=_whole(1, 100_000),
        metavar="N",
        help="MaximumConcurrency; on paper more than a deployment takes",
    )
    deployed.add_argument("--architecture", choices=("arm64", "x86_64"))
    deployed.add_argument(
        "--pollers",
        type=_read(_pollers),
        metavar="LEAST:MOST",
        help="provisioned pollers in place of MaximumConcurrency; their price is left out",
    )
    account = parser.add_argument_group("where")
    account.add_argument("--region", default="us-east-1", metavar="REGION", help="of the prices")
    account.add_argument(
        "--prices",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.toml",
        help="prices of yours, in the form of darkroom/capacity/prices.toml",
    )
    account.add_argument(
        "--account-concurrency",
        type=_whole(1, 1_000_000),
        default=quotas.ACCOUNT_CONCURRENCY,
        metavar="N",
        help="what is left of the account's quota (default: 1000; new accounts have 10)",
    )
    account.add_argument(
        "--speed",
        type=_read(_positive),
        default=1.0,
        metavar="FACTOR",
        help="of a Lambda core to the bench's core (default: 1.0, which nobody measured)",
    )
    account.add_argument(
        "--s3-latency",
        type=_read(_positive),
        default=S3_LATENCY,
        metavar="SECONDS",
        help="to the first byte (default: 0.1)",
    )
    shown = parser.add_argument_group("what is shown")
    add_output(shown)
    shown.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="backlog and costs as a picture as well"
    )
    shown.add_argument(
        "--simulate", action="store_true", help="check the formulas by discrete events"
    )
    shown.add_argument("--seed", type=_whole(0, 2**31), default=1, help="of the simulation")


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; return 0, whatever it says: that is for people to judge."""
    plot: Path | None = arguments.plot
    if plot and plot.suffix not in PLOTS:
        raise UsageError(f"--plot {plot}: the name must end with {', '.join(PLOTS)}")
    plan = make(arguments)
    if arguments.simulate:
        plan = replace(plan, observed=simulate(plan.capacity, seed=arguments.seed))
    if plot:
        from darkroom.capacity.plot import draw

        draw(plan, plot)
    print(report.as_json(plan) if arguments.output == "json" else report.as_text(plan))
    return 0


def make(arguments: argparse.Namespace) -> report.Plan:
    """Return the plan that the options ask for."""
    if arguments.kind and not arguments.megapixels:
        raise UsageError("--kind needs --megapixels; a --profile has kinds of its own")
    parts = workload.PROFILES[arguments.profile]
    if arguments.megapixels:
        parts = (workload.Part(arguments.kind or "jpeg", 1.0, *arguments.megapixels),)
    given = {
        "MemorySize": arguments.memory,
        "MaximumConcurrency": arguments.concurrency,
        "Architecture": arguments.architecture,
    }
    deployed = stack.read(
        arguments.pipeline,
        [arguments.parameters],
        {name: value for name, value in given.items() if value is not None},
        source=arguments.source,
    )
    pollers = arguments.pollers or deployed.pollers
    factor, seconds = arguments.burst
    demand = Demand(
        rate=arguments.rate,
        factor=factor,
        burst_seconds=seconds if factor > 1 else 0.0,
        failures=arguments.failures,
        outage_seconds=arguments.outage,
    )
    capacity = Capacity(
        service=Service(deployed, workload.pictures(parts), arguments.speed, arguments.s3_latency),
        polling=polling(
            deployed.concurrency,
            account=arguments.account_concurrency,
            pollers=pollers,
        ),
        retries=Retries(
            maximum=deployed.max_receive_count,
            visibility=deployed.visibility,
            has_back_off=deployed.has_sqs_endpoint,
        ),
        demand=demand,
    )
    prices = lists.prices(arguments.region, arguments.prices)
    return report.Plan(
        capacity=capacity,
        bill=cost.bill(capacity, prices),
        quotas=quotas.quotas(
            capacity,
            account=arguments.account_concurrency,
            region=arguments.region,
            provisioned=pollers is not None,
        ),
        choices=report.choices(capacity, prices),
        prices=prices,
        region=arguments.region,
    )


def simulate(capacity: Capacity, *, seed: int) -> Observation:
    """Return what discrete events make of it, with progress on standard error."""
    progress = Progress()
    simulation = Simulation.of(capacity, seed=seed)

    def tell(part: float, done: int) -> None:
        progress.update(f"simulated: {part:.0%}, {done:,} pictures done")

    try:
        return simulation.run(tell)
    finally:
        progress.clear()


def _read(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return a type for argparse that says what its ValueError says."""

    def read(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is no whole number from {least:,} to {most:,}")
        return int(text)

    return _read(parse)


def _share(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text.strip())
    found = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= found < 1:
        raise ValueError(f"{text!r} is no share below 1: give one like 0.01 or 1%")
    return found


def _positive(text: str) -> float:
    match = re.fullmatch(r"\d+(?:\.\d+)?", text.strip())
    if not match or not 0.001 <= float(text) <= 1000:
        raise ValueError(f"{text!r} is no number from 0.001 to 1000")
    return float(text)


def _pollers(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4}):(\d{1,4})", text.strip())
    # https://docs.aws.amazon.com/lambda/latest/api/API_ProvisionedPollerConfig.html
    if match and 2 <= int(match[1]) <= 200 and int(match[1]) <= int(match[2]) <= 2000:
        return int(match[1]), int(match[2])
    raise ValueError(f"{text!r}: give LEAST:MOST, from 2 to 200 and up to 2000, like 5:200")
