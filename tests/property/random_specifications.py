"""`python -m tests.property.random_specifications`: check random specifications with every tool.

The same count and seed give the same specifications.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any

from cfnlint.helpers import REGIONS
from hypothesis import HealthCheck, Phase, given, seed, settings

from darkroom.commands import validate
from darkroom.console.progress import Progress
from darkroom.errors import UserError
from darkroom.lint import external, suppressions
from darkroom.lint.finding import Finding
from tests.property.properties import faults, rendered, unnoticed, unsuppressed
from tests.property.strategies import Tables, parsed, tables

# One of each partition: what differs by region, the default template and the examples are for.
PARTITIONS = ("eu-west-1", "cn-north-1", "us-gov-west-1")
CHUNK = 16  # templates a process lints in a row: checkov's start takes seconds

Linter = Callable[[Sequence[dict[str, Any]]], list[list[Finding]]]


@dataclass(frozen=True)
class Result:
    """A specification with the size of its template, in bytes, and what is wrong with it."""

    tables: Tables
    size: int
    resources: int
    findings: list[str]


def drawn(count: int, chosen: int) -> list[Tables]:
    """Return that many specifications, each another."""
    found: dict[str, Tables] = {}

    @seed(chosen)
    @settings(
        max_examples=2 * count,
        database=None,
        derandomize=False,  # the tests' profile would put its own seed in the place of this one
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(tables())
    def draw(one: Tables) -> None:
        found.setdefault(json.dumps(one, sort_keys=True), one)

    draw()
    return list(found.values())[:count]


def examine(
    chunk: Sequence[Tables], *, linters: Sequence[str], regions: Sequence[str]
) -> list[Result]:
    """Return what our rules and the IAM test find in each, and the external ones of `linters`."""
    plans = [parsed(one) for one in chunk]
    texts = [rendered(plan) for plan in plans]
    contents: list[dict[str, Any]] = [json.loads(text) for text in texts]
    said: list[list[Finding]] = [[] for _ in contents]
    lint = partial(external.run_cfn_lint, regions=regions)
    runs: dict[str, Linter] = {
        suppressions.CFN_LINT: lint,
        suppressions.CHECKOV: external.run_checkov,
    }
    for tool, run in runs.items():
        if tool in linters:
            for findings, found in zip(said, run(contents), strict=True):
                findings += found
    return [
        Result(
            one,
            len(text.encode()),
            len(content["Resources"]),
            [
                *faults(plan, text),
                *(f"not noticed: {change}" for change in unnoticed(plan, text)),
                *unsuppressed(content, findings, [one for one in linters if one in runs]),
            ],
        )
        for one, plan, text, content, findings in zip(
            chunk, plans, texts, contents, said, strict=True
        )
    ]


def main(argv: list[str] | None = None) -> int:
    """Examine them and say what was found: 0 for nothing, 1 for something."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.property.random_specifications", description=__doc__
    )
    parser.add_argument("--count", type=int, default=100, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="which (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument(
        "--all-regions", action="store_true", help="cfn-lint for each region, not each partition"
    )
    parser.add_argument(
        "--linters",
        type=validate.linters,
        default=validate.LINTERS,
        metavar="TOOL[,TOOL]",
        help=f"which to run; the rules always (default: {','.join(validate.LINTERS)})",
    )
    options = parser.parse_args(argv)
    if options.count < 1 or options.jobs < 1:
        parser.error("--count and --jobs take whole numbers of at least 1")
    progress = Progress()
    chosen = drawn(options.count, options.seed)
    chunks = [chosen[at : at + CHUNK] for at in range(0, len(chosen), CHUNK)]
    regions = tuple(REGIONS) if options.all_regions else PARTITIONS
    results: list[Result] = []
    status = 0
    # Ctrl-C is for this process: it lets the others end what they are at.
    pool = ProcessPoolExecutor(
        options.jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    try:
        look = partial(examine, linters=options.linters, regions=regions)
        work = [pool.submit(look, one) for one in chunks]
        for done in as_completed(work):
            results += done.result()
            wrong = sum(bool(one.findings) for one in results)
            progress.update(f"{len(results):,} of {len(chosen):,} specifications, {wrong} wrong")
    except KeyboardInterrupt:
        status = 130
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    finally:
        pool.shutdown(cancel_futures=True)
    progress.clear()
    tell(results)
    return status or int(any(one.findings for one in results))


def tell(results: Sequence[Result]) -> None:
    """Print what is wrong with which, and the largest."""
    for one in results:
        if one.findings:
            print(json.dumps(one.tables))
            print("".join(f"  {finding}\n" for finding in one.findings))
    wrong = sum(bool(one.findings) for one in results)
    print(f"{len(results):,} specifications, {wrong:,} with findings")
    if results:
        largest = max(results, key=lambda one: one.size)
        print(f"largest: {largest.size:,} bytes, {largest.resources} resources")
        print(json.dumps(largest.tables))


if __name__ == "__main__":
    sys.exit(main())
