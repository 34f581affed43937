"""`darkroom diff`: compare two templates before one is deployed over the other."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darkroom.console.command import Command, format_option
from darkroom.console.tables import table

if TYPE_CHECKING:
    from darkroom.cloudformation.difference import Difference

EXAMPLES = """
  darkroom diff deployed.json new.json
  darkroom diff --format json deployed.json new.json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@format_option()
def command(old: Path, new: Path, format_: str) -> int:
    """Compare two templates: what deploying NEW over OLD would replace, delete or create.

    The exit status is 1 if an existing resource would be replaced or deleted.
    """
    from darkroom.cloudformation.difference import compare
    from darkroom.cloudformation.loader import load

    found = compare(load(old).content, load(new).content)
    print(json.dumps(asdict(found), indent=2) if format_ == "json" else _render_text(found))
    return 0 if found.is_safe else 1


def _render_text(found: "Difference") -> str:
    lines = []
    if found.changes:
        rows = [("action", "resource", "type", "properties", "consequence")]
        rows += [
            (
                change.action,
                change.resource,
                change.type.removeprefix("AWS::"),
                ", ".join(change.properties),
                change.consequence,
            )
            for change in found.changes
        ]
        lines += [table(rows), ""]
    for name in found.new_required_parameters:
        lines.append(f"The parameter {name} is new and has no default: pass a value.")
    for name in found.removed_parameters:
        lines.append(f"The parameter {name} was removed: stop passing it.")
    actions = [change.action for change in found.changes]
    counts = [f"{actions.count(action)} to {action}" for action in dict.fromkeys(actions)]
    lines.append(f"{', '.join(counts) or 'No changes'}.")
    return "\n".join(lines)
