"""Draws a dashboard's body as CloudWatch would, each widget at its place."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmarks.dashboard import traffic
from darkroom.cloudformation import dashboards

MINUTES = 5  # of a point: CloudWatch's usual period
COLUMN, ROW = 0.58, 0.52  # inches
MARGIN = 0.12
GROUND, CARD, EDGE, INK, FAINT = "#f2f3f3", "#ffffff", "#d5dbdb", "#16191f", "#687078"
OK, ALARM = "#1d8102", "#d13212"
COLOURS = mpl.color_sequences["tab10"]
IN_ALARM = ("dead-letters",)
"""What is left of the afternoon's outage for somebody to do."""


def digest(widgets: list[dict[str, Any]]) -> str:
    """Return what the picture shows, as a hash: its charts; alarms come and go by name."""
    charts = [widget for widget in widgets if widget["type"] != "alarm"]
    return hashlib.sha256(json.dumps(charts, sort_keys=True).encode()).hexdigest()


def draw(widgets: list[dict[str, Any]], output: Path) -> None:
    """Write the picture of the page as a PNG; raises LookupError for what it cannot draw."""
    mpl.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 7.5,
            "axes.edgecolor": EDGE,
            "axes.titlesize": 9,
        }
    )
    places = dashboards.places(widgets)
    width = dashboards.COLUMNS * COLUMN + 2 * MARGIN
    height = max(one.y + one.height for one in places) * ROW + 2 * MARGIN
    figure = Figure(figsize=(width, height), facecolor=GROUND, dpi=100)
    for widget, place in zip(widgets, places, strict=True):
        left, top = MARGIN + place.x * COLUMN, MARGIN + place.y * ROW
        box = (left, height - top - place.height * ROW, place.width * COLUMN, place.height * ROW)
        _card(figure, box)
        try:
            draw_one = WIDGETS[widget["type"], widget["properties"].get("view", "timeSeries")]
        except KeyError:
            raise LookupError(f"no way to draw a widget like {widget}") from None
        draw_one(figure, box, widget)
    figure.savefig(output, metadata={"Software": None, "Description": digest(widgets)})


def _area(figure: Figure, box: tuple[float, ...], *inset: float) -> Axes:
    """Return axes in a box, less so many inches left, below, right and above."""
    width, height = figure.get_size_inches()
    left, below, right, above = inset
    x, y, wide, high = box
    return figure.add_axes(
        (
            (x + left) / width,
            (y + below) / height,
            (wide - left - right) / width,
            (high - below - above) / height,
        )
    )


def _card(figure: Figure, box: tuple[float, ...]) -> None:
    axes = _area(figure, box, 0.04, 0.04, 0.04, 0.04)
    axes.set(xticks=[], yticks=[], facecolor=CARD)


def _alarms(figure: Figure, box: tuple[float, ...], widget: dict[str, Any]) -> None:
    names = [arn.partition(":alarm:")[2] for arn in widget["properties"]["alarms"]]
    columns = 6 if len(names) > 4 else len(names)
    rows = math.ceil(len(names) / columns)
    axes = _area(figure, box, 0.14, 0.14, 0.14, 0.14)
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.axis("off")
    for number, name in enumerate(names):
        x, y = number % columns, number // columns
        failing = name.endswith(IN_ALARM)
        colour = ALARM if failing else OK
        shape = FancyBboxPatch(
            (x + 0.02, y + 0.08), 0.96, 0.84, "square,pad=0", fc=colour, ec=colour, alpha=0.12
        )
        axes.add_patch(shape)
        axes.plot([x + 0.02, x + 0.02], [y + 0.08, y + 0.92], color=colour, linewidth=3)
        state = "In alarm" if failing else "OK"
        axes.text(x + 0.05, y + 0.34, name, va="center", color=INK, fontweight="bold", fontsize=8)
        axes.text(x + 0.05, y + 0.68, state, va="center", color=colour, fontsize=7.5)


def _chart(figure: Figure, box: tuple[float, ...], widget: dict[str, Any]) -> None:
    drawn = _series(widget)
    columns = 4 if len(drawn) <= 4 else 3
    beneath = 0.42 + 0.15 * math.ceil(len(drawn) / columns)
    axes = _area(figure, box, 0.52, beneath, 0.5, 0.42)
    sides = {"left": axes}
    for number, (options, series) in enumerate(drawn):
        side = options.get("yAxis", "left")
        if side not in sides:
            sides[side] = axes.twinx()
        times = numpy.arange(len(series)) * MINUTES
        colour = COLOURS[number % len(COLOURS)]
        sides[side].plot(times, series, color=colour, linewidth=1.3, marker=".", markersize=2.5)
        # In the left one's legend, where it has its turn.
        axes.plot([], [], color=colour, label=options["label"])
    axes.set_title(widget["properties"]["title"], loc="left", fontweight="bold", color=INK)
    axes.set_xlim(0, traffic.MINUTES)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda minute, _: f"{13 + int(minute) // 60}:{int(minute) % 60:02}")
    )
    axes.grid(axis="y", color=GROUND)
    for one in sides.values():
        one.set_ylim(bottom=0)
        one.yaxis.set_major_locator(MaxNLocator(4))
        one.tick_params(colors=FAINT, length=0)
        one.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.06, -0.1), ncol=columns, frameon=False, fontsize=7,
        labelcolor=INK, handlelength=1, columnspacing=1.1, handletextpad=0.4, labelspacing=0.25,
    )  # fmt: skip


def _series(widget: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    """Return the options, with a label, and the values of each line that is shown."""
    told = traffic.tell()
    stat = widget["properties"]["stat"]
    by_id: dict[str, Any] = {}
    shown = []
    for line in dashboards.lines(widget):
        options = line.options
        if "expression" in options:
            formula = re.sub(r"PERIOD\(\w+\)", str(60 * MINUTES), options["expression"])
            series = eval(formula, {"__builtins__": {}}, by_id)  # noqa: S307 -- the template's arithmetic
        else:
            series = traffic.values(told, line, options.get("stat", stat), MINUTES)
        if "id" in options:
            by_id[options["id"]] = series
        if options.get("visible", True):
            shown.append(({"label": line.metric, **options}, series))
    return shown


WIDGETS = {("alarm", "timeSeries"): _alarms, ("metric", "timeSeries"): _chart}
"""How to draw each type and view; a widget without a view has CloudWatch's usual one."""
