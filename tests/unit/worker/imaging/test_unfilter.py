"""worker/imaging/unfilter.py: rows without their filters are what Pillow makes of them."""

from __future__ import annotations

import ctypes
import io
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from darkroom.bundle import imaging_library
from tests.unit.worker.imaging.test_png import chunk
from worker.imaging import png, resize, unfilter
from worker.imaging.inflate import Inflated

COLOR_TYPES = {"L": (0, 1), "RGB": (2, 3), "P": (3, 1), "RGBA": (6, 4)}
"""The type and the bytes of a pixel, by Pillow's mode."""


@pytest.fixture(autouse=True)
def _library() -> None:
    if not unfilter.is_vectorised("RGB"):
        pytest.skip("there is no ziglang, or this is not Linux")


def png_of(mode: str, size: tuple[int, int], filtered: bytes) -> bytes:
    """Return a PNG with these rows, each with its filter type in front."""
    header = struct.pack(">IIBBBBB", *size, 8, COLOR_TYPES[mode][0], 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if mode == "P" else b""
    data = chunk(b"IHDR", header) + palette + chunk(b"IDAT", zlib.compress(filtered, 0))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def unfiltered(mode: str, size: tuple[int, int], filtered: bytes, rows: int) -> list[Image.Image]:
    stream = Inflated(partial(iter, [zlib.compress(filtered, 0)]))
    return list(unfilter.strips(stream, mode, size, rows))


@given(
    st.sampled_from(list(COLOR_TYPES)),
    st.integers(1, 40),
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.integers(1, 13),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_every_filter_gives_what_pillow_decodes(
    mode: str, width: int, filters: list[int], rows: int, random: Random, is_extreme: bool
) -> None:
    """P1, P5: to the bit, of any width, order of filters and height of strips."""
    row_bytes = width * COLOR_TYPES[mode][1]
    values = (0, 1, 127, 128, 254, 255) if is_extreme else range(256)
    filtered = b"".join(
        bytes([kind, *(random.choice(values) for _ in range(row_bytes))]) for kind in filters
    )
    size = width, len(filters)
    found = unfiltered(mode, size, filtered, rows)
    assert [strip.height for strip in found[:-1]] == [rows] * (len(found) - 1)
    expected = Image.open(io.BytesIO(png_of(mode, size, filtered)))
    assert b"".join(strip.tobytes() for strip in found) == expected.tobytes()
    if mode == "RGB":  # the fourth byte of Pillow's pixels
        shown = b"".join(strip.tobytes("raw", "RGBX") for strip in found)
        assert shown == expected.tobytes("raw", "RGBX")


@pytest.mark.parametrize("filter_type", [5, 128, 255])
@pytest.mark.parametrize("mode", COLOR_TYPES)
def test_unknown_filters_are_refused_in_pillows_words(mode: str, filter_type: int) -> None:
    """P5: the same files are rejected, for the same reason, with the library and without."""
    row = bytes(5 * COLOR_TYPES[mode][1])
    filtered = b"\x04" + row + bytes([filter_type]) + row + b"\x04" + row
    picture = Image.open(io.BytesIO(png_of(mode, (5, 3), filtered)))
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(unfilter, "is_vectorised", lambda _: False)
        with pytest.raises(ValueError, match=r".") as expected:
            list(png.strips(picture, 2))
    with pytest.raises(ValueError, match=r".") as caught:
        list(png.strips(picture, 2))
    assert str(caught.value) == str(expected.value)


def test_rows_that_end_early_are_refused() -> None:
    """P5: half an image is never taken for a whole one."""
    with pytest.raises(ValueError, match="end early"):
        unfiltered("RGB", (5, 3), bytes(16 * 2), 2)


@pytest.fixture
def _restored() -> Iterator[None]:
    yield
    unfilter._function.cache_clear()
    imaging_library.use_here()


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("content", [None, b"", b"\x7fELF of another kind"])
def test_without_the_library_pillow_decodes(content: bytes | None, tmp_path: Path) -> None:
    """P8: a library that is missing, or for another system, costs time and nothing else."""
    library = tmp_path / "library.so"
    if content is not None:
        library.write_bytes(content)
    resize.use(library)
    assert not unfilter.is_vectorised("RGB")
    picture = Image.open(io.BytesIO(png_of("RGB", (2, 1), b"\x01" + bytes(range(6)))))
    assert [strip.tobytes() for strip in png.strips(picture, 1)] == [bytes([0, 1, 2, 3, 5, 7])]


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("result", [0, 1])
def test_a_library_that_does_otherwise_is_not_used(
    result: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P8: its results are looked at once, before it is used."""
    unfilter._function.cache_clear()
    function = type("Function", (), {"__call__": lambda *_: result})()
    library = type("Library", (), {"darkroom_unfilter": function})
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    assert not unfilter.is_vectorised("RGB")
