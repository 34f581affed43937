"""worker/imaging/geometry.py: which part of an image a variant shows, and on what."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from tests.workload import outputs_of
from worker.imaging import geometry, thumbnails
from worker.imaging.memory import Memory
from worker.results import Rejection
from worker.settings import Variants

BASE = Variants(widths=(80, 40), formats={"jpeg": 90}, max_pixels=10_000_000)
WHITE = (255, 255, 255)


def halves(size: tuple[int, int], *, upright: bool) -> io.BytesIO:
    """Return a PNG that is red above and blue below, or red on the left and blue on the right."""
    image = Image.new("RGB", size, "red")
    width, height = size
    box = (0, height // 2, width, height) if upright else (width // 2, 0, width, height)
    image.paste("blue", box)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def made(source: io.BytesIO, variants: Variants) -> list[Image.Image]:
    outputs = outputs_of(thumbnails.make(source, [variants]))
    return [Image.open(io.BytesIO(output.body)) for output in outputs]


def colour(image: Image.Image) -> str:
    red, _, blue = ImageStat.Stat(image.convert("RGB")).mean
    return "red" if red > 5 * blue else "blue" if blue > 5 * red else "both"


@pytest.mark.parametrize(
    ("position", "seen"), [("center", "both"), ("top", "red"), ("bottom", "blue"), ("left", "both")]
)
def test_cover_fills_its_shape_from_its_position(position: str, seen: str) -> None:
    """P1: a tall image cropped to a wide shape: exact sizes, nothing stretched."""
    wide = replace(BASE, fit="cover", aspect_ratio=(4, 1), position=position)
    first, second = made(halves((200, 400), upright=True), wide)
    assert (first.size, second.size) == ((80, 20), (40, 10))
    assert colour(first) == colour(second) == seen


@pytest.mark.parametrize(("position", "seen"), [("left", "red"), ("right", "blue")])
def test_cover_crops_sides_too(position: str, seen: str) -> None:
    """P1: a wide image cropped to a tall shape."""
    tall = replace(BASE, fit="cover", aspect_ratio=(1, 4), position=position)
    first, _ = made(halves((400, 200), upright=False), tall)
    assert (first.size, colour(first)) == ((50, 200), seen)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((400, 200), [(80, 40), (40, 20)]),
        ((200, 400), [(30, 60), (10, 20)]),
        ((20, 10), [(20, 10), (20, 10)]),
    ],
)
def test_inside_is_within_width_and_height(
    size: tuple[int, int], expected: list[tuple[int, int]]
) -> None:
    """P1: the whole image, in its own ratio, within both; nothing is enlarged."""
    both = replace(BASE, heights=(60, 20))
    assert [image.size for image in made(halves(size, upright=True), both)] == expected


@pytest.mark.parametrize(
    ("focus", "seen"), [((0.5, 0.1), "red"), ((0.5, 0.9), "blue"), ((0.5, 0.5), "both")]
)
def test_cover_keeps_the_part_around_the_focus(focus: tuple[float, float], seen: str) -> None:
    """P1: also near an edge, where the focus cannot be in the middle."""
    wide = replace(BASE, fit="cover", aspect_ratio=(4, 1), position=focus)
    first, _ = made(halves((200, 400), upright=True), wide)
    assert (first.size, colour(first)) == ((80, 20), seen)


def test_the_focus_is_in_the_middle_of_what_is_kept() -> None:
    """P1: where there is room, to the pixel."""
    image = Image.new("RGB", (200, 100))
    image.putpixel((60, 50), (255, 255, 255))
    square = replace(BASE, fit="cover", aspect_ratio=(1, 1), position=(0.3, 0.5))
    part = geometry.crop(image, (100, 100), square)
    assert part.getpixel((50, 50)) == (255, 255, 255)


def test_cover_does_not_enlarge() -> None:
    """P1: of an image smaller than the variant, the largest part of that shape."""
    square = replace(BASE, fit="cover", aspect_ratio=(1, 1))
    first, second = made(halves((60, 30), upright=False), square)
    assert (first.size, second.size) == ((30, 30), (30, 30))


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (10, 10)])
def test_contain_has_that_size_whatever_the_image_is(size: tuple[int, int]) -> None:
    """P1: the whole image in the middle, on the background; small ones are not enlarged."""
    contain = replace(BASE, fit="contain", aspect_ratio=(2, 1), background=WHITE)
    first, second = made(halves(size, upright=True), contain)
    assert (first.size, second.size) == ((80, 40), (40, 20))
    assert first.format == "JPEG"
    corner = first.getpixel((0, 0))
    across, down = min(80, size[0]), min(40, size[1])
    if across < 80 and down < 40:
        assert isinstance(corner, tuple)
        assert min(corner) > 240


def test_contain_without_a_background_is_transparent_around() -> None:
    """P1: and so a PNG where no other format was asked for."""
    first, _ = made(halves((100, 400), upright=True), replace(BASE, fit="contain"))
    assert (first.format, first.mode, first.size) == ("PNG", "RGBA", (80, 80))
    assert first.getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_background_stands_behind_what_is_transparent() -> None:
    """P1: JPEG instead of PNG, with the colour that was asked for."""
    image = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 50, 100))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    buffer.seek(0)
    first, _ = made(buffer, replace(BASE, background=(0, 255, 0)))
    assert first.format == "JPEG"
    left, right = first.getpixel((10, 40)), first.getpixel((70, 40))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[2] > 200 > left[1]
    assert right[1] > 200 > right[2]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_sharpening_makes_edges_steeper_and_leaves_the_rest(mode: str) -> None:
    """P1: in every mode that a thumbnail has on its way; the next size starts unsharpened."""
    image = Image.new("RGB", (64, 64), (90, 90, 90))
    image.paste((160, 160, 160), (32, 0, 64, 64))
    image = image.resize((32, 32), Image.Resampling.LANCZOS).convert(mode)
    sharp = geometry.sharpen(image, replace(BASE, sharpen=150))
    plain = geometry.sharpen(image, BASE)
    assert plain is image
    assert sharp.mode == image.mode
    before, after = (one.convert("L") for one in (image, sharp))
    assert after.getextrema() != before.getextrema()
    corner = (0, 0, 8, 8)
    assert ImageChops.difference(before.crop(corner), after.crop(corner)).getbbox() is None


@given(
    st.integers(1, 5_000),
    st.integers(1, 5_000),
    st.sampled_from(["inside", "cover", "contain"]),
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.integers(16, 2_000), min_size=1, max_size=4, unique=True),
)
def test_every_plan_can_be_carried_out(
    width: int, height: int, fit: str, across: int, down: int, widths: list[int]
) -> None:
    """P5: nothing is enlarged, empty, larger than its canvas or than what it is cropped from."""
    variants = replace(
        BASE, widths=tuple(sorted(widths, reverse=True)), fit=fit, aspect_ratio=(across, down)
    )
    plan = geometry.resize_plan((width, height), variants)
    assert plan.full_size[0] <= width
    assert plan.full_size[1] <= height
    before = plan.full_size
    for wanted, variant in zip(variants.widths, plan.variants, strict=True):
        for side in (0, 1):
            assert 1 <= variant.image_size[side] <= before[side]
            assert variant.image_size[side] <= variant.canvas_size[side]
        assert variant.canvas_size[0] <= wanted
        before = variant.image_size


def test_a_canvas_larger_than_the_memory_is_refused() -> None:
    """P5: before it is made, whatever the image is."""
    contain = replace(BASE, widths=(4_000,), fit="contain", background=WHITE)
    with pytest.raises(Rejection, match="too_many_pixels"):
        outputs_of(thumbnails.make(halves((10, 10), upright=True), [contain], Memory(100_000_000)))
