"""`python -m tests.mutations`: which tool notices which defect."""

import argparse
import copy
import functools
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from ops import linters
from ops.errors import UserError
from ops.rules import checking
from templates import pipeline, specification
from tests.mutations.defects import DEFECTS, Defect

# One of each partition: no defect is of a region, and all of them take three times as long.
REGIONS = ("eu-west-1", "cn-north-1", "us-gov-west-1")
CHUNK = 8  # templates a process lints in a row: few enough to share, many enough to start once


@dataclass(frozen=True)
class Result:
    """The rules of each tool that notice a defect and are silent without it."""

    defect: Defect
    noticed: dict[str, list[str]]


def generated() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        pipeline.render(pipeline.build(specification.parse({}, origin="mutations")))
    )
    return content


def mutants(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the template with each defect in turn, in the order of `DEFECTS`."""
    changed = []
    for defect in DEFECTS:
        mutant = copy.deepcopy(content)
        defect.apply(mutant)
        changed.append(mutant)
    return changed


def score(content: dict[str, Any], *, jobs: int) -> list[Result]:
    """Run every tool over the sound template and every mutant."""
    # What a defect needs and the default template lacks is no defect yet.
    sound = []
    for defect in DEFECTS:
        base = copy.deepcopy(content)
        if defect.on:
            defect.on(base)
        sound.append(base)
    bases = {json.dumps(one): one for one in sound}
    templates = [*bases.values(), *mutants(content)]
    chunks = [templates[at : at + CHUNK] for at in range(0, len(templates), CHUNK)]
    # First, for it may be missing; the linter takes minutes.
    found = {linters.CHECKOV: [_keys(one) for one in linters.run_checkov(templates)]}
    lint = functools.partial(linters.run_cfn_lint, regions=REGIONS)
    with ProcessPoolExecutor(jobs) as pool:
        lints = [one for part in pool.map(lint, chunks) for one in part]
    found[linters.CFN_LINT] = [_keys(one) for one in lints]
    found["rules"] = [_keys(list(checking.check(one, {}))) for one in templates]
    before = {name: index for index, name in enumerate(bases)}
    return [
        Result(
            defect,
            {
                tool: sorted(
                    {rule for rule, _ in sets[len(bases) + at] - sets[before[json.dumps(base)]]}
                )
                for tool, sets in found.items()
            },
        )
        for at, (defect, base) in enumerate(zip(DEFECTS, sound, strict=True))
    ]


def _keys(findings: list[checking.Finding]) -> set[tuple[str, str]]:
    return {(one.rule, one.resource) for one in findings}


def table(results: list[Result]) -> str:
    """Return a line for each defect and the score of each tool."""
    tools = (linters.CFN_LINT, linters.CHECKOV, "rules")
    width = max(len(one.defect.name) for one in results)
    lines = [f"{'defect':{width}}  {tools[0]:16} {tools[1]:22} {tools[2]}"]
    for one in results:
        cells = [", ".join(one.noticed[tool]) or "-" for tool in tools]
        lines.append(f"{one.defect.name:{width}}  {cells[0]:16} {cells[1]:22} {cells[2]}")
    lines.append("")
    total = len(results)
    for title, chosen in (
        *((tool, (tool,)) for tool in tools),
        ("cfn-lint and checkov together", tools[:2]),
        ("all three", tools),
    ):
        caught = sum(any(one.noticed[tool] for tool in chosen) for one in results)
        lines.append(f"{title}: {caught} of {total} defects noticed")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    arguments = parser.parse_args(argv)
    try:
        results = score(generated(), jobs=arguments.jobs)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(results))
    return 0 if all(any(one.noticed.values()) for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
