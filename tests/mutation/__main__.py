"""`python -m tests.mutation`: which tool notices which defect."""

import argparse
import copy
import functools
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from darkroom.errors import UserError
from darkroom.lint import engine, external, suppressions
from darkroom.lint.finding import Finding
from templates import pipeline, specification
from tests.mutation.defects import DEFECTS, Defect

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
    lint = functools.partial(external.run_cfn_lint, regions=REGIONS)
    found = {}
    with ProcessPoolExecutor(jobs) as pool:
        # checkov first, for it may be missing.
        for tool, run in (
            (suppressions.CHECKOV, external.run_checkov),
            (suppressions.CFN_LINT, lint),
        ):
            parts = pool.map(run, chunks)
            found[tool] = [_keys(findings) for part in parts for findings in part]
    found["rules"] = [_keys(list(engine.check(one, {}))) for one in templates]
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


def _keys(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(one.rule, one.resource) for one in findings}


def table(results: list[Result]) -> str:
    """Return a line for each defect and the score of each tool."""
    tools = (suppressions.CFN_LINT, suppressions.CHECKOV, "rules")
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


# What names or describes, and functions' own arguments: taking these away is no defect to find.
BESIDE = {"Description", "GroupDescription", "Metadata", "PolicyName", "Sid", "Tags", "Type"}


def deletions(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the template with each property, list item and resource in turn left out."""

    def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        keys: Iterable[Any] = ()
        if isinstance(value, dict):
            keys = (key for key in value if key not in BESIDE | {"Ref"} and "Fn::" not in key)
        elif isinstance(value, list):
            keys = range(len(value))
        for key in keys:
            yield (*path, key)
            yield from places(value[key], (*path, key))

    for path in places(content["Resources"]):
        mutant = copy.deepcopy(content)
        place = mutant["Resources"]
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        yield "/".join(map(str, path)), mutant


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--deletions",
        action="store_true",
        help="instead, leave out each property in turn, and list what our rules do not notice:"
        " what is a default, a matter of taste, or what cfn-lint finds missing",
    )
    arguments = parser.parse_args(argv)
    if arguments.deletions:
        left = list(deletions(generated()))
        kept = [name for name, mutant in left if not any(engine.check(mutant, {}))]
        print("\n".join(kept))
        print(f"\nrules: {len(left) - len(kept)} of {len(left)} deletions noticed")
        return 0
    try:
        results = score(generated(), jobs=arguments.jobs)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(results))
    return 0 if all(any(one.noticed.values()) for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
