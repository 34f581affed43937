"""The picture in the documents shows the page that the template has."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.dashboard import traffic
from benchmarks.dashboard.__main__ import PICTURE, page
from benchmarks.dashboard.drawing import digest, draw
from darkroom.cloudformation.dashboards import Line


def test_every_widget_can_be_drawn(tmp_path: Path) -> None:
    """O4: each type, metric, statistic and expression of the page; small enough for a page."""
    output = tmp_path / "page.png"
    draw(page(), output)
    with Image.open(output) as picture:
        colours = picture.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 100
    assert output.stat().st_size < 200_000


def test_the_picture_is_of_this_page() -> None:
    """O4, C1: when this fails, `tox run -e dashboard` draws it anew."""
    with Image.open(PICTURE) as picture:
        assert picture.info["Description"] == digest(page())
    assert PICTURE.stat().st_size < 200_000


@pytest.mark.parametrize(
    "change",
    [
        {"type": "explorer"},
        {"properties": {"view": "pie", "stat": "Sum", "title": "x", "metrics": []}},
        {"properties": {"stat": "Sum", "title": "x", "metrics": [["Darkroom", "Unknown"]]}},
    ],
    ids=["type", "view", "metric"],
)
def test_what_cannot_be_drawn_is_said(change: dict[str, Any], tmp_path: Path) -> None:
    """O4: a widget that is new to the picture is not left out in silence."""
    with pytest.raises(LookupError):
        draw([{"type": "metric", **change}], tmp_path / "page.png")


def test_the_story_goes_as_it_says() -> None:
    """O4: calm, a burst that makes work wait, an outage, dead letters, recovery."""
    told = traffic.tell()

    def most(metric: str, stat: str = "Maximum", queue: str = "x-work") -> list[float]:
        dimensions = {"QueueName": queue} if queue else {}
        line = Line(namespace="N", metric=metric, dimensions=dimensions, options={})
        return list(traffic.values(told, line, stat, 5))

    outage = [at // 5 for at in traffic.OUTAGE]
    waiting = most("ApproximateNumberOfMessagesVisible")
    assert waiting[0] == waiting[-1] == 0 < waiting[outage[0]] < max(waiting)
    assert [at for at, errors in enumerate(most("Errors")) if errors] == sorted(set(outage))
    assert math.isnan(most("EndToEndLatency", "p99")[outage[0]])
    dead = most("ApproximateNumberOfMessagesVisible", queue="x-dead-letters")
    assert dead[0] == 0 < dead[-1]
    assert sum(most("ThumbnailsWritten", "Sum")) <= 6 * sum(most("ImagesProcessed", "Sum"))
