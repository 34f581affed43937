"""A watermark through the generated template: missing, put there, replaced."""

import io
from collections.abc import Callable

import pytest
from PIL import Image

from darkroom.checks.names import VERIFY
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline, Stored

LOGO = "watermarks/brand/logo.png"
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(scope="module")
def marked(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A stack whose pictures have the lower half covered by a watermark that is not there yet."""
    watermark = {"key": LOGO, "width": 100, "margin": 0, "opacity": 50}
    made = {"widths": [400, 100], "formats": {"png": 100}, "watermark": watermark}
    plan = specification.parse({"variants": {"default": made}}, origin="test")
    parameters = {**package_parameters, "NamePrefix": "marked"}
    stack = deployment.deploy(emulator, template(plan), stack_name="marked", parameters=parameters)
    return Pipeline(emulator, stack)


def png(size: tuple[int, int], color: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def put(pipeline: Pipeline, color: tuple[int, ...]) -> None:
    """Put the watermark as `aws s3 cp` does: the bucket encrypts it."""
    pipeline.s3.put_object(Bucket=pipeline.thumbnail_bucket, Key=LOGO, Body=png((40, 20), color))


def colors(stored: Stored) -> list[object]:
    """Return a color of the upper half, and one of the lower."""
    with Image.open(io.BytesIO(stored.body)) as picture:
        width, height = picture.size
        rgb = picture.convert("RGB")
        return [rgb.getpixel((width // 2, height * share // 4)) for share in (1, 3)]


def test_a_watermark_is_waited_for_seen_and_replaced(
    marked: Pipeline, terminal: Callable[[str], Operator]
) -> None:
    """Issue 15: nothing without it, the new one at once, and what was made before by a backfill."""
    operator = terminal("marked")
    others = [option for name in VERIFY if name != "watermarks" for option in ("--skip", name)]
    key = "uploads/first.png"
    version = marked.upload(key, png((400, 400), WHITE))

    def complaint() -> str | None:
        lines = [line for line in marked.log_lines() if line.get("key") == key]
        return next((one["message"] for one in lines if one["outcome"] == "retried"), None)

    place = f"s3://{marked.thumbnail_bucket}/{LOGO}"
    assert f"the watermark {place} is missing" in marked.until(complaint, "line in the log")
    assert marked.record(key) is None
    assert marked.stored(f"thumbnails/{key}/w400.png") is None
    (found,) = operator.reads("verify", *others, status=1)["checks"]
    assert place in found["message"]

    put(marked, RED)
    (found,) = operator.reads("verify", *others)["checks"]
    assert found["verdict"] == "pass"
    thumbnails = marked.thumbnails(key, version)
    assert colors(thumbnails["w400.png"]) == [WHITE, (255, 127, 127)]
    assert colors(thumbnails["w100.png"]) == [WHITE, WHITE]  # narrower than 200 pixels

    put(marked, BLUE)
    other = "uploads/second.png"
    after = marked.thumbnails(other, marked.upload(other, png((400, 400), WHITE)))
    assert colors(after["w400.png"]) == [WHITE, (127, 127, 255)]
    stale = operator.reads("backfill", "--rebuild-stale", "--yes")
    assert stale["sent"] == 1

    def rebuilt() -> bool | None:
        stored = marked.thumbnails(key, version)["w400.png"]
        return colors(stored) == [WHITE, (127, 127, 255)] or None

    assert marked.until(rebuilt, "thumbnail with the new watermark")
    assert operator.reads("backfill", "--rebuild-stale", "--yes")["sent"] == 0
    assert marked.waiting("DeadLetterQueueUrl") == 0
