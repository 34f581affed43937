"""worker/imaging/webp.py: what libwebp shrinks while decoding looks like what Pillow resizes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from tests.unit.worker.imaging.corpus import quarters, saved, turned
from tests.unit.worker.imaging.webp_codes import with_many_codes
from tests.workload import outputs_of
from worker.imaging import decoding, libwebp, memory_estimate, webp
from worker.imaging.identify import open_picture
from worker.imaging.memory import Memory
from worker.imaging.thumbnails import make
from worker.results import Rejection
from worker.settings import Variants

VARIANTS = Variants(widths=(40, 10), formats={"jpeg": 80}, max_pixels=1_000_000)
COARSE = bytes([90, 60, 160, 200, 140, 90, 250, 120, 60, 150, 180, 100, 170, 220, 130, 110])


def opened(data: bytes) -> webp.WebpPicture:
    picture = open_picture(io.BytesIO(data), VARIANTS.max_pixels)
    assert isinstance(picture, webp.WebpPicture)
    return picture


@contextmanager
def without_libwebp() -> Iterator[None]:
    with mock.patch.object(libwebp, "is_usable", return_value=False):
        yield


def smooth(mode: str, size: tuple[int, int]) -> Image.Image:
    """Return a picture without detail of a pixel or two, so that filters hardly differ."""
    channels = 4 if mode == "RGBA" else 3
    coarse = Image.frombytes(mode, (2, 2), COARSE[: 4 * channels])
    return coarse.resize(size, Image.Resampling.BICUBIC)


def largest_difference(one: Image.Image, other: Image.Image) -> int:
    return max(ImageChops.difference(one, other).tobytes())


def test_the_installed_pillow_brings_a_usable_libwebp() -> None:
    """P1: else everything falls back to decoding in full, unnoticed."""
    assert libwebp.is_usable()


@pytest.mark.parametrize(("major", "is_usable"), [(2, True), (1, False), (3, False)])
def test_another_abi_is_not_used(
    major: int, is_usable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5: structures of another layout would be written to beyond their end."""
    monkeypatch.setattr(libwebp, "_ABI_VERSION", major << 8)
    libwebp.is_usable.cache_clear()
    try:
        assert libwebp.is_usable() is is_usable
    finally:
        libwebp.is_usable.cache_clear()


@given(
    st.sampled_from([("RGB", False), ("RGB", True), ("RGBA", True), ("RGBA", False)]),
    st.tuples(st.integers(24, 150), st.integers(24, 150)),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
)
def test_a_shrunk_picture_is_what_resizing_gives(
    kind: tuple[str, bool], full: tuple[int, int], wanted: tuple[int, int]
) -> None:
    """P1: for any size, odd and even, and with an alpha channel; nothing is shifted or cut."""
    mode, lossless = kind
    size = min(full[0], wanted[0]), min(full[1], wanted[1])
    data = saved(smooth(mode, full), "WEBP", lossless=lossless, quality=90, method=0)
    found = decoding.decode(opened(data), size)
    with without_libwebp():
        expected = decoding.decode(opened(data), size)
    assert found.size == expected.size == size
    assert found.mode == expected.mode
    assert largest_difference(found, expected) <= 16


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_at_its_own_size_is_bit_identical(mode: str, lossless: bool) -> None:
    """P1: nothing is gained by another result where nothing is shrunk."""
    data = saved(smooth(mode, (61, 47)), "WEBP", lossless=lossless)
    with Image.open(io.BytesIO(data)) as expected:
        assert opened(data).convert(mode).tobytes() == expected.convert(mode).tobytes()


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("hidden", [(0, 255, 0), (255, 255, 255)])
def test_transparent_colors_do_not_show_beside_others(
    hidden: tuple[int, int, int], lossless: bool
) -> None:
    """P1: what is transparent may have any color."""
    picture = Image.new("RGBA", (300, 200), (*hidden, 0))
    picture.paste((200, 40, 60, 255), (101, 67, 203, 133))
    data = saved(picture, "WEBP", lossless=lossless, exact=True, quality=95)
    small = decoding.decode(opened(data), (40, 27))
    assert small.mode == "RGBA"
    edges = 0
    for *color, alpha in zip(*[iter(small.tobytes())] * 4, strict=True):
        if alpha > 16:
            edges += alpha < 240
            assert all(abs(a - b) < 24 for a, b in zip(color, (200, 40, 60), strict=True))
    assert edges > 20


@pytest.mark.parametrize(
    ("mode", "lossless", "decoded"),
    [
        ("RGB", False, (60, 45)),
        ("RGB", True, (60, 45)),
        ("RGBA", True, (60, 45)),
        ("RGBA", False, (400, 300)),
    ],
)
def test_pictures_are_shrunk_where_that_looks_the_same(
    mode: str, lossless: bool, decoded: tuple[int, int]
) -> None:
    """P1: libwebp ignores transparency when it averages the colors of a lossy picture."""
    data = saved(smooth(mode, (400, 300)), "WEBP", lossless=lossless)
    picture = opened(data)
    assert picture.size == (400, 300)
    decoding.decode(picture, (40, 30))
    assert picture.size == decoded


def test_a_picture_is_never_enlarged() -> None:
    """P1: nor is it where the margin asks for more than there is."""
    picture = opened(saved(smooth("RGB", (50, 41)), "WEBP"))
    assert decoding.decode(picture, (40, 33)).size == (40, 33)
    assert picture.size == (50, 41)


@pytest.mark.parametrize("frames", [1, 3])
def test_an_animation_is_decoded_as_before(frames: int) -> None:
    """P1: its first frame may be smaller than the picture."""
    images = [quarters(), *(Image.new("RGB", (200, 100), (9 * n, 0, 0)) for n in range(frames))]
    data = saved(images[0], "WEBP", save_all=True, append_images=images[1:], lossless=True)
    picture = opened(data)
    assert memory_estimate.bytes_per_pixel(picture) == 19
    assert decoding.decode(picture, (20, 10)).getpixel((2, 2)) == pytest.approx(
        (220, 30, 30), abs=1
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_applied(orientation: int) -> None:
    """P1: to the shrunk picture, as to any other."""
    (found, _) = outputs_of(make(io.BytesIO(turned("WEBP", orientation)), [VARIANTS]))
    with Image.open(io.BytesIO(found.body)) as image:
        assert image.size == (40, 20)
        color: Any = image.convert("RGB").getpixel((3, 3))
    red, green, _ = color
    assert red > 190
    assert green < 60


def outcome(data: bytes) -> object:
    try:
        return [dict(output.metadata) for output in outputs_of(make(io.BytesIO(data), [VARIANTS]))]
    except Rejection as rejection:
        return rejection.reason, rejection.detail


EXIF = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" * 9
SEEDS = [
    saved(smooth(mode, (97, 64)), "WEBP", quality=60, **options)
    for mode, options in (
        *(("RGB", {}), ("RGBA", {}), ("RGB", {"lossless": True}), ("RGBA", {"lossless": True})),
        *(("RGB", {"exif": EXIF, "icc_profile": b"odd"}), ("RGBA", {"exif": EXIF})),
    )
]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 9_999), st.binary(min_size=1, max_size=3)), max_size=3),
    st.integers(0, 60),
)
def test_damage_is_judged_as_by_pillow(
    data: bytes, patches: list[tuple[int, bytes]], cut: int
) -> None:
    """P5: the same files are rejected, for the same reason; what ends early is among them."""
    damaged = bytearray(data)
    for place, patch in patches:
        place %= len(damaged)
        damaged[place : place + len(patch)] = patch
    data = bytes(damaged[: len(damaged) - max(0, cut - 50)])
    found = outcome(data)
    with without_libwebp():
        assert found == outcome(data)


def test_pixels_that_end_early_are_rejected() -> None:
    """P5: half of a picture is none, and the metadata behind the pixels are not pixels."""
    data = saved(Image.effect_noise((97, 64), 60).convert("RGB"), "WEBP", exif=EXIF)
    start = data.index(b"VP8 ") + 8
    size = int.from_bytes(data[start - 4 : start], "little")
    frame = data[start : start + size // 2 // 2 * 2]
    body = data[8 : start - 4] + len(frame).to_bytes(4, "little") + frame + data[start + size :]
    cut = b"RIFF" + len(body).to_bytes(4, "little") + body
    assert outcome(cut) == (
        "corrupt",
        "The image cannot be decoded: failed to read next frame.",
    )


def test_memory_is_reserved_for_tables_of_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: all that there is, but a picture that may need more is not refused for it."""
    data = with_many_codes(256)
    assert memory_estimate.unlikely_bytes(opened(data)) == 4_096 * 21_000
    assert memory_estimate.unlikely_bytes(opened(SEEDS[0])) == 0
    memory = Memory(60_000_000)
    held: list[int] = []
    reserved = memory.reserved

    def noted(size: int) -> AbstractContextManager[None]:
        held.append(size)
        return reserved(size)

    monkeypatch.setattr(memory, "reserved", noted)
    assert outputs_of(make(io.BytesIO(data), [VARIANTS], memory))
    assert max(held) == 60_000_000
