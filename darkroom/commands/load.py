"""`darkroom load`: measures the pipeline under load on this computer."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from darkroom.console.command import Command, format_option, pipeline_option
from darkroom.console.option_types import DIRECTORY, OptionType, duration, rate

if TYPE_CHECKING:
    from darkroom.operations.load import Profile

RISING_AND_BURST = "default=2/s:15s,6/s:15s,12/s:15s,60/s:10s,2/s:15s"

EXAMPLES = """
  darkroom load
  darkroom load --concurrency 4 --output build/load
  darkroom load --pipeline params/examples/volume.toml \\
    --arrivals default=2/s:60s --arrivals imports=0:15s,40/s:15s
"""


def _arrivals(text: str) -> "tuple[str, Profile]":
    from darkroom.operations.load import Step

    source, equals, profile = text.partition("=")
    steps = [part.partition(":") for part in profile.split(",")]
    if not equals or not source or not all(seconds for _, _, seconds in steps):
        raise ValueError(
            f"{text!r} is not SOURCE=RATE:DURATION,…; example: default=2/s:30s,20/s:10s"
        )
    return source, [
        Step(0.0 if per == "0" else rate(per), duration(seconds)) for per, _, seconds in steps
    ]


@click.command(cls=Command, examples=EXAMPLES)
@pipeline_option("Specification to run")
@click.option(
    "--arrivals",
    type=OptionType("SOURCE=RATE:DURATION,…", _arrivals),
    multiple=True,
    default=[RISING_AND_BURST],
    show_default=True,
    help="Pictures per second that are uploaded to a source, step by step; 0 for none. Once for"
    " each source.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(2, 1000),
    default=2,
    show_default=True,
    help="MaximumConcurrency of each queue.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=1,
    show_default=True,
    help="Seed of the random moments of arrivals.",
)
@click.option(
    "--output",
    type=DIRECTORY,
    default=Path("build/load"),
    show_default=True,
    help="Directory for load.png and load.json.",
)
@format_option()
def command(
    pipeline: Path,
    arrivals: "tuple[tuple[str, Profile], ...]",
    concurrency: int,
    seed: int,
    output: Path,
    format_: str,
) -> int:
    """Run the pipeline under load on this computer, on an emulator of AWS, and measure it.

    Each second: arrivals, messages that wait, the oldest of them, batches at once and the latency
    from upload to record. A simulation of the queue gets the same arrivals, and batches as long as
    the measured ones.

    The exit status is 1 if a picture has no result, if messages are left, or if more batches ran
    than MaximumConcurrency allows.
    """
    import json

    from darkroom.console.output import print_result
    from darkroom.console.progress import Progress
    from darkroom.errors import UsageError
    from darkroom.operations import load, load_plot, load_report

    profiles = dict(arrivals)
    if len(profiles) < len(arrivals):
        raise UsageError("--arrivals names a source twice; give all of its steps in one")
    progress = Progress()
    sources = load.run(pipeline, profiles, concurrency=concurrency, seed=seed, progress=progress)
    output.mkdir(parents=True, exist_ok=True)
    facts = load_report.data(sources)
    (output / "load.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    load_plot.draw(sources, output / "load.png")
    text = [*load_report.table_of(sources), "", "The emulator:", *load_report.NOT_IN_THE_EMULATOR]
    text += ["", f"Picture: {(output / 'load.png').resolve().as_uri()}"]
    problems = [f"{one.source}: {problem}" for one in sources for problem in one.problems]
    print_result(facts, "\n".join([*text, *(f"problem: {one}" for one in problems)]), format_)
    return 1 if problems else 0
