"""Reads a dashboard's body as CloudWatch would: shorthand written out, each widget at its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
COLUMNS = 24
USUAL_SIZE = 6


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart: a metric, or an expression, whose `namespace` and `metric` are empty."""

    namespace: str
    metric: str
    dimensions: dict[str, str]
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a widget is, in columns from the left and rows from the top, and its size."""

    x: int
    y: int
    width: int
    height: int


def lines(widget: dict[str, Any]) -> Iterator[Line]:
    """Yield the lines of a metric widget.

    A dot stands for the same as in the line before, three of them for all of it but what follows.
    """
    before: list[str] = []
    for line in widget.get("properties", {}).get("metrics", []):
        words = [str(part) for part in line if not isinstance(part, dict)]
        options = {
            key: value for part in line if isinstance(part, dict) for key, value in part.items()
        }
        if words[:1] == ["..."]:
            words = [*before[: len(before) - len(words) + 1], *words[1:]]
        words = [
            before[at] if word == "." and at < len(before) else word
            for at, word in enumerate(words)
        ]
        before = words or before
        namespace, metric = words[:2] if words else ("", "")
        dimensions = dict(zip(words[2::2], words[3::2], strict=False))
        yield Line(namespace=namespace, metric=metric, dimensions=dimensions, options=options)


def places(widgets: list[dict[str, Any]]) -> list[Place]:
    """Return where each widget is; one without a place goes beside the one before, or below."""
    found = []
    x = y = below = 0
    for widget in widgets:
        width, height = (int(widget.get(side, USUAL_SIZE)) for side in ("width", "height"))
        if "x" in widget:
            x, y = int(widget["x"]), int(widget["y"])
        elif x + width > COLUMNS:
            x, y = 0, below
        found.append(Place(x=x, y=y, width=width, height=height))
        x, below = x + width, max(below, y + height)
    return found
