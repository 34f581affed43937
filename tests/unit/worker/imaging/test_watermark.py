"""worker/imaging/watermark.py: where it is, how large, and which pixels; what cannot be one."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from tests.unit.worker.imaging.corpus import profile_with_red_and_blue_swapped, saved
from tests.workload import outputs_of
from worker.imaging import watermark
from worker.imaging.memory import Memory
from worker.imaging.thumbnails import make
from worker.imaging.watermark import WatermarkImage
from worker.limits import KEPT_SIZES, MOST_WATERMARK_PIXELS
from worker.results import WatermarkError
from worker.settings import Variants, Watermark

BYTE = st.integers(0, 255)
RED_HALF = (255, 0, 0, 128)
MARK = Watermark("watermarks/logo.png", min_width=1)


def decoded(image: Image.Image, format_name: str = "PNG", **options: Any) -> WatermarkImage:
    return watermark.decoded(saved(image, format_name, **options), 100_000_000, Memory())


def flat(color: tuple[int, ...], size: tuple[int, int] = (40, 20)) -> WatermarkImage:
    """Return a watermark of one color."""
    return decoded(Image.new("RGBA", size, color))


def composited(
    over: tuple[int, ...], under: tuple[int, ...], opacity: int = 100
) -> tuple[float, ...]:
    """Return what simple alpha compositing is by definition; colors are not premultiplied.

    https://www.w3.org/TR/compositing-1/#simplealphacompositing
    """
    alpha, behind = over[3] / 255 * opacity / 100, under[3] / 255
    whole = alpha + behind * (1 - alpha)
    if not whole:
        return (0, 0, 0, 0)
    mixed = (
        (alpha * one + (1 - alpha) * behind * other) / whole
        for one, other in zip(over[:3], under[:3], strict=True)
    )
    return (*mixed, whole * 255)


@given(
    over=st.tuples(BYTE, BYTE, BYTE, BYTE),
    under=st.tuples(BYTE, BYTE, BYTE),
    opacity=st.integers(1, 100),
)
def test_it_is_composited_over_the_thumbnail(
    over: tuple[int, int, int, int], under: tuple[int, int, int], opacity: int
) -> None:
    """Issue 15: each value by the definition of compositing."""
    mark = replace(MARK, image=flat(over), opacity=opacity, position="center")
    thumbnail = Image.new("RGB", (80, 60), under)
    expected = composited(over, (*under, 255), opacity)
    marked = watermark.place(thumbnail, mark).convert("RGBA")
    found: Any = marked.getpixel((40, 30))
    pairs = zip(found, expected, strict=True)
    assert all(abs(one - other) <= 2 for one, other in pairs), (found, expected)
    assert marked.getpixel((2, 2)) == thumbnail.convert("RGBA").getpixel((2, 2))


@pytest.mark.parametrize("under", [(0, 0, 0, 0), (0, 0, 255, 255), (0, 0, 255, 100)])
@pytest.mark.parametrize("opacity", [100, 40])
def test_it_is_composited_over_transparency(under: tuple[int, int, int, int], opacity: int) -> None:
    """Issue 15: on what is transparent it keeps its own alpha; nothing dark comes in."""
    mark = replace(MARK, image=flat(RED_HALF), opacity=opacity, position="center")
    marked = watermark.place(Image.new("RGBA", (80, 60), under), mark)
    assert marked.mode == "RGBA"
    found: Any = marked.getpixel((40, 30))
    assert found == pytest.approx(composited(RED_HALF, under, opacity), abs=2)
    assert marked.getpixel((2, 2)) == under


def test_a_grey_thumbnail_takes_its_color() -> None:
    """Issue 15: a red watermark on a grey picture is red."""
    mark = replace(MARK, image=flat((255, 0, 0, 255)), position="center")
    assert watermark.place(Image.new("L", (80, 60), 90), mark).getpixel((40, 30)) == (255, 0, 0)


def test_its_edges_have_no_other_color() -> None:
    """Issue 15: what is transparent in the file has no part in the color of an edge."""
    image = Image.new("RGBA", (400, 200), (0, 255, 0, 0))  # green, that nobody sees
    image.paste((255, 0, 0, 255), (100, 50, 300, 150))
    mark = replace(MARK, image=decoded(image), width=33, margin=0)
    marked = watermark.place(Image.new("RGB", (301, 200), (0, 0, 0)), mark)
    assert marked.getchannel("G").getextrema() == (0, 0)
    assert marked.getchannel("R").getextrema() == (0, 255)


def test_the_thumbnail_itself_stays_as_it_is() -> None:
    """Issue 15: the next size is made of it, without the watermark."""
    for mode in ("RGB", "RGBA", "L"):
        thumbnail = Image.new(mode, (80, 60))
        before = thumbnail.copy()
        watermark.place(thumbnail, replace(MARK, image=flat((255, 255, 255, 255))))
        assert ImageChops.difference(thumbnail, before).getbbox() is None


@pytest.mark.parametrize(
    ("position", "corner"),
    [
        ("center", (300, 150)),
        ("top", (300, 16)),
        ("bottom", (300, 284)),
        ("left", (16, 150)),
        ("right", (584, 150)),
        ("top-left", (16, 16)),
        ("top-right", (584, 16)),
        ("bottom-left", (16, 284)),
        ("bottom-right", (584, 284)),
    ],
)
def test_positions_and_margins(position: str, corner: tuple[int, int]) -> None:
    """Issue 15: 25 % of 800 pixels are 200, and a margin of 2 % is 16, where it is at a side."""
    mark = replace(MARK, position=position, width=25, margin=2)
    assert watermark.box((800, 400), (400, 200), mark) == ((200, 100), corner)


@pytest.mark.parametrize(
    ("thumbnail", "image", "size"),
    [
        ((1200, 800), (300, 100), (300, 100)),
        ((400, 267), (300, 100), (100, 33)),
        ((2400, 800), (300, 100), (600, 200)),  # enlarged
        ((1200, 100), (300, 100), (156, 52)),  # between margins of 24 pixels
        ((1200, 20), (300, 100), (3, 1)),  # which leave nothing
    ],
)
def test_it_is_scaled_to_the_thumbnail(
    thumbnail: tuple[int, int], image: tuple[int, int], size: tuple[int, int]
) -> None:
    """Issue 15: a share of the width, in its own ratio, within the height."""
    assert watermark.box(thumbnail, image, MARK)[0] == size


@given(
    thumbnail=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    image=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    position=st.sampled_from(["center", "top", "left", "bottom-right", "top-left"]),
    width=st.integers(1, 50),
    margin=st.integers(0, 25),
)
def test_it_is_always_within_the_thumbnail(
    thumbnail: tuple[int, int],
    image: tuple[int, int],
    position: str,
    width: int,
    margin: int,
) -> None:
    """Issue 15: whatever the ratios, all of it is seen."""
    mark = replace(MARK, position=position, width=width, margin=margin)
    size, corner = watermark.box(thumbnail, image, mark)
    for start, length, whole in zip(corner, size, thumbnail, strict=True):
        assert start >= 0
        assert length >= 1
        assert start + length <= whole


def test_a_narrow_thumbnail_has_none() -> None:
    """Issue 15: on 199 pixels nobody could read a quarter of the width."""
    mark = replace(MARK, min_width=200, image=flat((255, 0, 0, 255)))
    for width, is_marked in ((199, False), (200, True)):
        thumbnail = Image.new("RGB", (width, 100))
        assert (watermark.place(thumbnail, mark).getbbox() is not None) is is_marked


def test_one_that_was_not_read_is_never_left_out() -> None:
    """Issue 15: no thumbnail is made without it."""
    with pytest.raises(ValueError, match="was not read"):
        watermark.place(Image.new("RGB", (400, 400)), MARK)


def variants(mark: Watermark | None, **more: Any) -> Variants:
    return Variants((400, 300, 100), {"png": 100}, 1_000_000, watermark=mark, **more)


def outputs(image: Image.Image, each: Variants) -> list[Image.Image]:
    made = outputs_of(make(io.BytesIO(saved(image, "PNG")), [each]))
    return [Image.open(io.BytesIO(output.body)) for output in made]


def test_each_thumbnail_has_it_once() -> None:
    """Issue 15: a smaller size is not made from a larger one's, and the smallest has none."""
    mark = replace(MARK, min_width=200, width=50, margin=0, image=flat((255, 0, 0, 255)))
    black = Image.new("RGB", (800, 600))
    found = [one.getbbox() for one in outputs(black, variants(mark))]
    assert found == [(200, 200, 400, 300), (150, 150, 300, 225), None]


def test_it_lies_on_the_background_and_on_the_picture_not_on_the_frame() -> None:
    """Issue 15: `contain` pads around it; `background` is behind it."""
    mark = replace(MARK, width=50, margin=0, image=flat(RED_HALF))
    framed = variants(mark, fit="contain", aspect_ratio=(2, 1), background=(0, 0, 255))
    widest = outputs(Image.new("RGBA", (200, 200)), framed)[0]
    assert widest.mode == "RGB"
    # A picture of 200 × 200 in the middle of 400 × 200.
    expected = composited(RED_HALF, (0, 0, 255, 255))[:3]
    assert widest.getpixel((290, 190)) == pytest.approx(expected, abs=2)
    assert widest.getpixel((310, 190)) == (0, 0, 255)


def test_sharpening_leaves_it_as_it_is() -> None:
    """Issue 15: it is put on what is sharpened."""
    mark = replace(MARK, width=50, margin=0, image=flat((200, 100, 50, 255)))
    widest = outputs(Image.new("RGB", (400, 400), (90, 90, 90)), variants(mark, sharpen=200))[0]
    assert widest.getcolors() == [(20_000, (200, 100, 50)), (140_000, (90, 90, 90))]


def test_its_file_goes_through_the_decoder_of_pictures() -> None:
    """Issue 15: orientation, profile and transparency count as in a picture."""
    image = Image.new("RGB", (30, 10), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decoded(image, "JPEG", exif=exif, quality=100).image
    assert (turned.size, turned.mode) == ((10, 30), "RGBa")
    swapped = decoded(image, icc_profile=profile_with_red_and_blue_swapped()).image
    assert swapped.convert("RGBA").getpixel((5, 5)) == pytest.approx((0, 0, 255, 255), abs=3)
    transparent = decoded(Image.new("RGBA", (30, 10)), "GIF").image
    assert transparent.getchannel("a").getextrema() == (0, 0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"not a picture", "not an image"),
        (saved(Image.new("RGB", (99, 99)), "PNG")[:60], "decoded"),
        (saved(Image.new("1", (2001, 2000)), "PNG"), f"{MOST_WATERMARK_PIXELS:,}"),
    ],
)
def test_what_cannot_be_decoded_is_no_rejection(content: bytes, problem: str) -> None:
    """Issue 15: it is the operator's fault, and no picture is rejected for it."""
    with pytest.raises(WatermarkError, match=problem):
        watermark.decoded(content, 100_000_000, Memory())
    # The pictures' limit stays theirs, for all threads.
    assert Image.MAX_IMAGE_PIXELS == 100_000_000


def test_a_small_function_decodes_it_alone() -> None:
    """Issue 15, P5: it never asks for more than all of the memory."""
    memory = Memory(1_000)
    content = saved(Image.new("RGB", (99, 99)), "PNG")
    assert watermark.decoded(content, 100_000_000, memory).image.size == (99, 99)


def test_few_small_sizes_are_kept() -> None:
    """Issue 15: frames of an animation have one size; what is kept has a bound, and no opacity."""
    shown = flat((255, 0, 0, 255), (400, 200))
    first = shown.at((100, 50))
    assert shown.at((100, 50)) is first
    assert shown.at((1000, 500)) is not shown.at((1000, 500))
    watermark.place(Image.new("RGB", (400, 400)), replace(MARK, image=shown, opacity=10))
    assert shown.at((100, 50)).getchannel("A").getextrema() == (255, 255)
    for width in range(101, 101 + 2 * KEPT_SIZES):
        shown.at((width, 50))
        assert len(shown._resized) <= KEPT_SIZES


def test_each_frame_of_an_animation_has_it() -> None:
    """Issue 15: once, where it is on a still, and also over what a frame leaves as it was."""
    buffer = io.BytesIO()
    first, *others = [Image.new("RGB", (400, 300), color) for color in ("#004", "#040", "#044")]
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=200)
    mark = replace(MARK, width=50, margin=0, image=flat((255, 0, 0, 255)))
    moving = Variants((400, 300), {"webp": 100}, 1_000_000, animated=True, watermark=mark)
    for output in outputs_of(make(io.BytesIO(buffer.getvalue()), [moving])):
        assert output.metadata["frames"] == 3
        with Image.open(io.BytesIO(output.body)) as made:
            width, height = made.size
            for number in range(3):
                made.seek(number)
                frame = made.convert("RGB")
                inside: Any = frame.getpixel((width - 9, height - 9))
                outside: Any = frame.getpixel((9, height - 9))
                assert inside == pytest.approx((255, 0, 0), abs=8)
                assert outside[0] < 9
