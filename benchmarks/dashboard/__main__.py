"""`python -m benchmarks.dashboard`: draw the default template's dashboard into docs/dashboard.png."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.dashboard.drawing import draw
from darkroom.cloudformation.model import TemplateModel
from templates import pipeline, specification

PICTURE = Path(__file__).parents[2] / "docs" / "dashboard.png"


def page() -> list[dict[str, Any]]:
    """Return the widgets of the default template's dashboard."""
    template = pipeline.build(specification.parse({}, origin="dashboard"))
    stack = TemplateModel(json.loads(pipeline.render(template)), {})
    body = json.loads(stack.properties("Dashboard")["DashboardBody"])
    widgets: list[dict[str, Any]] = body["widgets"]
    return widgets


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--output", type=Path, default=PICTURE, metavar="FILE.png")
    arguments = parser.parse_args()
    draw(page(), arguments.output)
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
