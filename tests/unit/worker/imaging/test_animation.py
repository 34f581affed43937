"""worker/imaging/animation.py and gif.py: animations as animated WebPs."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageSequence, ImageStat

from tests.unit.worker.imaging import gif_files, webp_files
from tests.unit.worker.imaging.corpus import profile_with_red_and_blue_swapped, saved
from tests.unit.worker.imaging.gif_files import GifFrame, gif_of
from tests.unit.worker.imaging.webp_files import WebpFrame, webp_of
from tests.workload import outputs_of
from worker.imaging import animation, work_limits
from worker.imaging.memory import Memory
from worker.imaging.thumbnails import make
from worker.imaging.watermark import WatermarkImage
from worker.results import Output, Rejection
from worker.settings import Variants, Watermark

ANIMATED = Variants(
    widths=(40, 16), formats={"jpeg": 90, "webp": 100}, max_pixels=1_000_000, animated=True
)
COLORS = ((200, 30, 30), (30, 160, 30), (30, 30, 200), (240, 240, 240))
SCREEN = (48, 32)
CELL = 8
"""Pixels: of one color, so that the encoder loses little."""


def made(
    data: bytes, variants: Variants = ANIMATED, memory: Memory | None = None
) -> dict[str, Output]:
    outputs = outputs_of(make(io.BytesIO(data), [variants], memory or Memory()))
    return {output.name: output for output in outputs}


def shown(output: Output) -> list[tuple[Image.Image, int]]:
    """Return the frames of an animation as a browser shows them, with their milliseconds."""
    with Image.open(io.BytesIO(output.body), formats=("WEBP",)) as image:
        return [
            (frame.convert("RGBA"), frame.info["duration"])
            for frame in ImageSequence.Iterator(image)
            if frame.load()
        ]


def flat(color: int, size: tuple[int, int] = SCREEN) -> list[list[int]]:
    return [[color] * size[0]] * size[1]


def given_to_encoder(data: bytes, variants: Variants) -> dict[tuple[int, int], list[Image.Image]]:
    """Return the frames as they are encoded, by size."""
    found: dict[tuple[int, int], list[Image.Image]] = {}
    with pytest.MonkeyPatch.context() as patch:
        add = animation.Encoder.add

        def recorded(encoder: animation.Encoder, image: Image.Image, duration: int) -> None:
            found.setdefault(image.size, []).append(image.copy())
            add(encoder, image, duration)

        patch.setattr(animation.Encoder, "add", recorded)
        made(data, variants)
    return found


def check_frames(data: bytes, screens: Sequence[Image.Image], variants: Variants) -> None:
    """Check that each frame is the still thumbnail of what is seen with it."""
    frames = given_to_encoder(data, variants)
    for number, screen in enumerate(screens):
        stills = made(saved(screen), replace(variants, formats={"png": 100}, animated=False))
        for still in stills.values():
            expected = Image.open(io.BytesIO(still.body))
            frame = frames[expected.size][number]
            assert frame.mode == expected.mode
            assert frame.tobytes() == expected.tobytes(), number
    assert {len(some) for some in frames.values()} == {len(screens)}


@st.composite
def gif_frames(draw: st.DrawFn) -> list[GifFrame]:
    frames = []
    for _ in range(draw(st.integers(2, 5))):
        across, down = draw(st.integers(1, 6)), draw(st.integers(1, 4))
        cells = [[draw(st.integers(0, 3)) for _ in range(across)] for _ in range(down)]
        frames.append(
            GifFrame(
                [[cell for cell in row for _ in range(CELL)] for row in cells for _ in range(CELL)],
                CELL * draw(st.integers(0, 6 - across)),
                CELL * draw(st.integers(0, 4 - down)),
                colors=draw(st.sampled_from([(), COLORS[::-1], (COLORS[1], *COLORS[:3])])),
                hundredths=draw(st.integers(0, 2**16 - 1)),
                disposal=draw(st.integers(0, 3)),
                transparent=draw(st.none() | st.integers(0, 3)),
                interlaced=draw(st.booleans()),
            )
        )
    return frames


@given(gif_frames(), st.none() | st.integers(0, 2**16 - 1))
def test_every_frame_of_a_gif_is_the_still_of_what_is_seen(
    frames: list[GifFrame], repetitions: int | None
) -> None:
    """P8: palettes, places, disposal and transparency by definition; time and count by browsers."""
    data = gif_of(SCREEN, frames, COLORS, repetitions, background=3)
    screens = gif_files.screens(SCREEN, frames, COLORS)
    check_frames(data, screens, ANIMATED)
    output = made(data)["w40.webp"]
    expected = [100 if one.hundredths <= 1 else one.hundredths * 10 for one in frames]
    assert dict(output.metadata) == {
        **{"width": 40, "height": 27},
        **{"frames": len(frames), "duration_ms": sum(expected)},
    }
    with Image.open(io.BytesIO(output.body)) as image:
        # Frames that show the same are one of the sum of their times.
        if getattr(image, "n_frames", 1) == len(frames):
            assert [duration for _, duration in shown(output)] == expected
            assert image.info["loop"] == (
                1 if repetitions is None else repetitions and min(repetitions + 1, 65_535)
            )
    found = shown(output)
    if len(found) == len(frames):
        for (frame, _), screen in zip(found, screens, strict=True):
            wanted = Image.new("RGBA", frame.size, "gray")
            wanted.alpha_composite(screen.resize(frame.size, Image.Resampling.BICUBIC))
            seen = Image.new("RGBA", frame.size, "gray")
            seen.alpha_composite(frame)
            difference = ImageChops.difference(wanted.convert("L"), seen.convert("L"))
            assert ImageStat.Stat(difference).mean[0] < 6


@st.composite
def webp_frames(draw: st.DrawFn) -> list[WebpFrame]:
    frames = []
    for _ in range(draw(st.integers(2, 4))):
        across, down = draw(st.integers(1, 6)), draw(st.integers(1, 4))
        cells = Image.new("RGBA", (across, down))
        cells.putdata(
            [
                (*draw(st.sampled_from(COLORS)), draw(st.sampled_from([0, 255])))
                for _ in range(across * down)
            ]
        )
        frames.append(
            WebpFrame(
                cells.resize((across * CELL, down * CELL), Image.Resampling.NEAREST),
                CELL * draw(st.integers(0, 6 - across)),
                CELL * draw(st.integers(0, 4 - down)),
                duration=draw(st.integers(0, 2**24 - 1)),
                blended=draw(st.booleans()),
                cleared=draw(st.booleans()),
            )
        )
    return frames


@given(webp_frames(), st.integers(0, 2**16 - 1))
def test_every_frame_of_a_webp_is_the_still_of_what_is_seen(
    frames: list[WebpFrame], plays: int
) -> None:
    """P8: blending and disposal by definition; time and count are kept."""
    data = webp_of(SCREEN, frames, plays)
    check_frames(data, webp_files.screens(SCREEN, frames), ANIMATED)
    output = made(data)["w40.webp"]
    expected = [100 if one.duration <= 10 else one.duration for one in frames]
    assert (output.metadata["frames"], output.metadata["duration_ms"]) == (
        len(frames),
        sum(expected),
    )
    with Image.open(io.BytesIO(output.body)) as image:
        if getattr(image, "n_frames", 1) == len(frames):
            assert [duration for _, duration in shown(output)] == expected
            assert image.info["loop"] == plays


TWO = [GifFrame(flat(0)), GifFrame(flat(1, (16, 16)), 8, 8, hundredths=30)]


@pytest.mark.parametrize(
    "variants",
    [
        replace(ANIMATED, fit="cover", aspect_ratio=(1, 1), position="left"),
        replace(ANIMATED, fit="contain", aspect_ratio=(1, 1)),
        replace(ANIMATED, fit="contain", aspect_ratio=(4, 1), background=(1, 2, 3), sharpen=100),
        replace(ANIMATED, heights=(10, 8), sharpen=50),
        replace(ANIMATED, widths=(400,)),
        replace(
            ANIMATED,
            watermark=Watermark(
                "logo.png",
                min_width=20,
                opacity=60,
                image=WatermarkImage(Image.new("RGBa", (8, 4), (120, 60, 0, 128))),
            ),
        ),
    ],
    ids=["cover", "contain", "background", "heights", "not enlarged", "watermark"],
)
def test_each_frame_is_cut_padded_sharpened_and_marked_as_a_still(variants: Variants) -> None:
    """P8: by all that a variant may ask."""
    check_frames(gif_of(SCREEN, TWO, COLORS), gif_files.screens(SCREEN, TWO, COLORS), variants)


def test_other_formats_and_other_variants_show_the_first_frame() -> None:
    """P8: the JPEG is that of the GIF's first frame alone; so is a WebP that is not animated."""
    data = gif_of(SCREEN, TWO, COLORS)
    still = replace(ANIMATED, animated=False)
    first = made(gif_of(SCREEN, TWO[:1], COLORS), still)
    assert made(data)["w40"] == first["w40"]
    assert made(data, still) == first
    both = outputs_of(make(io.BytesIO(data), [still, replace(ANIMATED, name="moving")]))
    assert {output.name: output.metadata.get("frames") for output in both} == {
        **{"w40": None, "w40.webp": None, "w16": None, "w16.webp": None},
        **{"moving-w40": None, "moving-w40.webp": 2, "moving-w16": None, "moving-w16.webp": 2},
    }


def test_a_still_is_as_without_the_option() -> None:
    """P8: of any format; an animated PNG counts as one."""
    frames = [Image.new("RGB", SCREEN, color) for color in COLORS]
    for data in (
        gif_of(SCREEN, TWO[:1], COLORS),
        saved(frames[0], "WEBP"),
        saved(frames[0], "JPEG"),
        saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
    ):
        assert made(data) == made(data, replace(ANIMATED, animated=False))


def test_the_orientation_and_the_profile_of_a_webp_are_applied_to_each_frame() -> None:
    """P8: as of a still."""
    frames = [WebpFrame(Image.new("RGBA", SCREEN, (*color, 255))) for color in COLORS]
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    data = webp_of(SCREEN, frames, profile=profile_with_red_and_blue_swapped(), exif=exif)
    sizes = given_to_encoder(data, ANIMATED)
    assert list(sizes) == [(32, 48), (16, 24)]
    for frame, (red, green, blue) in zip(sizes[16, 24], COLORS, strict=True):
        found = frame.resize((1, 1)).tobytes()
        assert all(abs(a - b) < 12 for a, b in zip(found, (blue, green, red), strict=True))


@pytest.mark.parametrize(
    ("limit", "most", "reason"),
    [
        ("MOST_FRAMES", 2, "too_many_frames"),
        ("MOST_DECODED_PIXELS", 3 * 48 * 32, "too_many_pixels"),
        ("MOST_ENCODED_PIXELS", 3 * (40 * 27 + 16 * 11), "too_many_pixels"),
    ],
)
@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_above_a_limit_there_is_the_still_and_why(
    kind: str, limit: str, most: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5: no rejection, as the picture itself is fine; at the limit all frames are shown."""
    if kind == "gif":
        data = gif_of(SCREEN, [TWO[0], TWO[1], TWO[0]], COLORS)
    else:
        frames = [WebpFrame(Image.new("RGBA", SCREEN, (*color, 255))) for color in COLORS[:3]]
        data = webp_of(SCREEN, frames)
    monkeypatch.setattr(animation, limit, most + (limit == "MOST_FRAMES"))
    assert made(data)["w40.webp"].metadata["frames"] == 3
    monkeypatch.setattr(animation, limit, most - (limit != "MOST_FRAMES"))
    found, still = made(data), made(data, replace(ANIMATED, animated=False))
    assert found["w40.webp"] == replace(
        still["w40.webp"], metadata={"width": 40, "height": 27, "still": reason}
    )
    assert found["w40"] == still["w40"]


def test_a_frame_that_is_larger_than_the_screen_counts_with_all_its_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P5: it is decoded, even where it is not seen."""
    large = GifFrame(flat(1, (480, 320)), 30, 30)
    data = gif_of(SCREEN, [TWO[0], large], COLORS)
    check_frames(data, gif_files.screens(SCREEN, [TWO[0], large], COLORS), ANIMATED)
    monkeypatch.setattr(animation, "MOST_DECODED_PIXELS", 48 * 32 + 480 * 320 - 1)
    assert made(data)["w40.webp"].metadata["still"] == "too_many_pixels"


def test_what_the_memory_does_not_hold_is_a_still() -> None:
    """P5: the still's memory is enough for it."""
    data = gif_of(
        (100, 100), [GifFrame(flat(number % 4, (100, 100))) for number in range(100)], COLORS
    )
    memory = Memory(8_500_000)
    assert made(data, memory=memory)["w40.webp"].metadata["still"] == "too_many_pixels"
    assert made(data, memory=Memory(50_000_000))["w40.webp"].metadata["frames"] == 100


def test_another_pillow_without_this_encoder_makes_stills(monkeypatch: pytest.MonkeyPatch) -> None:
    """P8: and this one has it."""
    assert animation.has_encoder()
    monkeypatch.setattr("PIL._webp.WebPAnimEncoder", None)
    animation.has_encoder.cache_clear()
    try:
        found = made(gif_of(SCREEN, TWO, COLORS))
        assert found["w40.webp"].metadata["still"] == "no_encoder"
    finally:
        animation.has_encoder.cache_clear()


@pytest.mark.parametrize("kept", [1, 2])
def test_damage_ends_an_animation(kept: int) -> None:
    """P8: what came before it is shown, as in browsers."""
    frames = [*TWO, TWO[0]]
    whole = gif_of(SCREEN, frames, COLORS)
    start = len(gif_of(SCREEN, frames[:kept], COLORS)) - 1
    output = made(whole[: start + 40])["w40.webp"]
    assert output.metadata["frames"] == kept
    assert output.metadata["frames_left_out"] == 1
    assert len(shown(output)) == kept


def test_a_damaged_first_frame_is_a_rejection() -> None:
    """P8: as of a still."""
    with pytest.raises(Rejection, match="corrupt"):
        made(gif_of(SCREEN, TWO, COLORS)[:90])


@pytest.mark.parametrize("disposal", [3, 4])
def test_both_numbers_of_restoring_are_known(disposal: int) -> None:
    """P8: some encoders write 4."""
    frames = [TWO[0], replace(TWO[1], disposal=disposal), GifFrame([[2]])]
    wanted = [TWO[0], replace(TWO[1], disposal=3), GifFrame([[2]])]
    check_frames(
        gif_of(SCREEN, frames, COLORS), gif_files.screens(SCREEN, wanted, COLORS), ANIMATED
    )


def test_what_is_between_frames_is_passed_over() -> None:
    """P8: comments, other applications' data, ends of blocks too many."""
    data = gif_of(SCREEN, TWO, COLORS, repetitions=2)
    second = data.rindex(b"!\xf9")
    between = b"!\xfe\x03abc\0\0\0!\xff\x0bXMP DataXMP\x02ab\0"
    output = made(data[:second] + between + data[second:])["w40.webp"]
    with Image.open(io.BytesIO(output.body)) as image:
        assert (output.metadata["frames"], image.info["loop"]) == (2, 3)


def test_a_control_is_for_the_next_frame_only() -> None:
    """P8: a frame without one has no transparent color, is kept, and is shown for 100 ms."""
    second = GifFrame(flat(0, (16, 16)), 8, 8)
    marked = replace(TWO[0], transparent=0, disposal=gif_files.CLEAR, hundredths=50)
    data = gif_of(SCREEN, [marked, second, TWO[1]], COLORS)
    start = data.index(b"!\xf9", data.index(b"!\xf9") + 1)
    bare = data[:start] + data[start + 8 :]
    check_frames(bare, gif_files.screens(SCREEN, [marked, second, TWO[1]], COLORS), ANIMATED)
    assert made(bare)["w40.webp"].metadata["duration_ms"] == 500 + 100 + 300


def test_too_many_parts_are_rejected_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: blocks of one byte, as many as the file has bytes."""
    data = gif_of(SCREEN, TWO, COLORS)[:-1] + b"!\xfe" + b"\x01a" * 2_000 + b"\0;"
    assert made(data)["w40.webp"].metadata["frames"] == 2
    monkeypatch.setattr("worker.imaging.gif.MOST_READS", 1_000)
    with pytest.raises(Rejection) as rejected:
        made(data)
    assert rejected.value.detail == work_limits.too_many_parts().detail


def test_the_time_of_an_animation_ends_where_libwebp_counts_no_further() -> None:
    """P5: 128 frames of 4 hours and 40 minutes are 24 days."""
    frames = [
        WebpFrame(Image.new("RGBA", (16, 16), (number, 9, 9, 255)), duration=2**24 - 1)
        for number in range(140)
    ]
    output = made(webp_of((16, 16), frames))["w16.webp"]
    assert output.metadata["frames"] == 140
    assert output.metadata["duration_ms"] == 2**31 - 1


def test_a_frame_of_the_longest_time_of_a_gif_is_within_24_bits() -> None:
    """P8: and identical frames, which become one, are not beyond them."""
    frames = [GifFrame(flat(0), hundredths=65_535)] * 30
    output = made(gif_of(SCREEN, [*frames, TWO[1]], COLORS))["w40.webp"]
    assert sum(duration for _, duration in shown(output)) == 30 * 655_350 + 300
    assert struct.unpack_from("<4sI", output.body)[0] == b"RIFF"
