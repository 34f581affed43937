"""`darkroom capacity`: options, one estimate, a report."""

from dataclasses import replace
from pathlib import Path

import click

from darkroom.capacity.options import BURST, MEGAPIXELS, POLLERS, SHARE
from darkroom.capacity.workload import IMAGE_FORMATS, WORKLOADS, Component
from darkroom.console.command import Command, format_option
from darkroom.console.option_types import DURATION, RATE
from darkroom.errors import UsageError

PARAMS = Path(__file__).parents[2] / "params"
PLOTS = (".png", ".svg", ".pdf")
FILE = click.Path(dir_okay=False, path_type=Path)
EXAMPLES = """
  darkroom capacity
  darkroom capacity --rate 60M/month --burst 20x10min --plot capacity.png
  darkroom capacity --megapixels 24:46 --failures 1% --outage 30min --simulate
  darkroom capacity --rate 1G/month --concurrency 10000 --format json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "--rate",
    type=RATE,
    default="1M/month",
    show_default=True,
    help="Pictures per second, like 12/s; /min, /h, /day and /month as well.",
)
@click.option(
    "--burst",
    type=BURST,
    metavar="FACTORxDURATION",
    default="10x10min",
    show_default=True,
    help="How many times the rate, and for how long; 1x1s for none.",
)
@click.option(
    "--workload",
    type=click.Choice(list(WORKLOADS)),
    default="phone",
    show_default=True,
    help="Assumed mix of picture sizes and formats.",
)
@click.option("--megapixels", type=MEGAPIXELS, help="Picture sizes in place of --workload: 12:24.")
@click.option(
    "--image-format",
    type=click.Choice(IMAGE_FORMATS),
    help="Format of the pictures of --megapixels; default: jpeg.",
)
@click.option(
    "--failures",
    type=SHARE,
    default="0",
    help="Share of tries that fail at random, like 0.01 or 1%; default: none.",
)
@click.option("--outage", type=DURATION, help="How long every try fails, like 30min.")
@click.option(
    "--pipeline",
    "specification",
    type=FILE,
    metavar="FILE.toml",
    default=PARAMS / "pipeline.toml",
    help="Specification; default: params/pipeline.toml.",
)
@click.option(
    "--source",
    metavar="NAME",
    default="default",
    show_default=True,
    help="Source whose queue and variants are estimated.",
)
@click.option(
    "--parameters",
    "parameter_file",
    type=FILE,
    metavar="FILE.json",
    default=PARAMS / "prod.json",
    help="Parameter file; default: params/prod.json.",
)
@click.option(
    "--memory", type=click.IntRange(128, 10_240), metavar="MB", help="In place of MemorySize."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="In place of MaximumConcurrency; may be more than Lambda allows.",
)
@click.option(
    "--architecture", type=click.Choice(["arm64", "x86_64"]), help="In place of Architecture."
)
@click.option(
    "--pollers",
    type=POLLERS,
    help="Provisioned pollers in place of MaximumConcurrency; their price is not included.",
)
@click.option(
    "--region", metavar="REGION", default="us-east-1", show_default=True, help="Region of prices."
)
@click.option(
    "--prices",
    "price_files",
    type=FILE,
    metavar="FILE.toml",
    multiple=True,
    help="Prices of your own, in the form of darkroom/capacity/prices.toml.",
)
@click.option(
    "--account-concurrency",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    default=1000,
    show_default="1,000",
    help="Unused concurrency of the account; new accounts have 10.",
)
@click.option(
    "--cpu-factor",
    type=click.FloatRange(0.001, 1000),
    metavar="FACTOR",
    default=1.0,
    show_default=True,
    help="Speed of a Lambda core relative to the benchmark's core; the default is an assumption.",
)
@click.option(
    "--s3-latency",
    type=click.FloatRange(0.001, 1000),
    metavar="SECONDS",
    default=0.1,
    show_default=True,
    help="Seconds to S3's first byte.",
)
@format_option()
@click.option("--plot", type=FILE, metavar="FILE.png", help="Draw backlog and cost into this file.")
@click.option(
    "--simulate", is_flag=True, help="Check the formulas with a discrete-event simulation."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    metavar="N",
    default=1,
    show_default=True,
    help="Seed of the simulation.",
)
def command(
    *,
    rate: float,
    burst: tuple[float, float],
    workload: str,
    megapixels: tuple[float, float] | None,
    image_format: str | None,
    failures: float,
    outage: float | None,
    specification: Path,
    source: str,
    parameter_file: Path,
    memory: int | None,
    concurrency: int | None,
    architecture: str | None,
    pollers: tuple[int, int] | None,
    region: str,
    price_files: tuple[Path, ...],
    account_concurrency: int,
    cpu_factor: float,
    s3_latency: float,
    format_: str,
    plot: Path | None,
    simulate: bool,
    seed: int,
) -> None:
    """Estimate throughput, burst behavior, quotas and cost, without an AWS account.

    The exit status is 0 whatever the estimate says.
    """
    from darkroom.capacity import report
    from darkroom.capacity.estimate import Question, estimate
    from darkroom.capacity.model import Demand
    from darkroom.capacity.simulation import simulate as run_simulation
    from darkroom.console.output import print_result
    from darkroom.console.progress import Progress

    if plot and plot.suffix not in PLOTS:
        raise UsageError(f"--plot {plot}: the name must end with {', '.join(PLOTS)}")
    if image_format and not megapixels:
        raise UsageError("--image-format needs --megapixels; a --workload has its own formats")
    components = WORKLOADS[workload]
    if megapixels:
        components = (Component(image_format or "jpeg", 1.0, *megapixels),)
    overrides: dict[str, int | str | None] = {
        "MemorySize": memory,
        "MaximumConcurrency": concurrency,
        "Architecture": architecture,
    }
    burst_factor, burst_seconds = burst
    progress = Progress()
    result = estimate(
        Question(
            demand=Demand(
                rate=rate,
                burst_factor=burst_factor,
                burst_seconds=burst_seconds if burst_factor > 1 else 0.0,
                failure_rate=failures,
                outage_seconds=outage or 0.0,
            ),
            workload=components,
            specification=specification,
            parameter_file=parameter_file,
            source=source,
            overrides={name: value for name, value in overrides.items() if value is not None},
            pollers=pollers,
            region=region,
            price_files=price_files,
            account_concurrency=account_concurrency,
            cpu_factor=cpu_factor,
            s3_latency=s3_latency,
        ),
        progress.update,
    )
    if simulate:
        observed = run_simulation(result.capacity, seed=seed, progress=progress.update)
        result = replace(result, observed=observed)
    if plot:
        from darkroom.capacity.plot import draw

        draw(result, plot)
    print_result(report.as_json(result), report.as_text(result), format_)
