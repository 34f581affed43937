"""`darkroom diff`: compare two templates before one is deployed over the other."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darkroom.console.command import Command, format_option

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
    from darkroom.deploy.report import changes_table

    lines = [
        *(
            f"The parameter {name} is new and has no default: pass a value."
            for name in found.new_required_parameters
        ),
        *(
            f"The parameter {name} was removed: stop passing it."
            for name in found.removed_parameters
        ),
    ]
    return "\n".join([*lines, changes_table(found.changes)])
