"""worker/imaging/tiff_strips.py: some strips at a time are what Pillow decodes as a whole."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.unit.worker.imaging.corpus import saved
from tests.unit.worker.imaging.tiff_files import COMPRESSIONS, Layout, tiff_of
from worker.imaging import decoding, tiff, tiff_strips
from worker.imaging.decoding import decode, upright
from worker.imaging.exif import orientation
from worker.imaging.identify import open_picture, rejecting_damage
from worker.imaging.thumbnails import make
from worker.results import Properties, Rejection
from worker.settings import Variants

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
VARIANTS = Variants((40,), {"jpeg": 85}, 1_000_000)
SIZE = 61, 47


@pytest.fixture(autouse=True)
def _small_pictures_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_strips, "LEAST_PIXELS", 0)
    monkeypatch.setattr(decoding, "_BAND_PIXELS", 700)


def picture(mode: str) -> Image.Image:
    noise = Image.effect_noise(SIZE, 90)
    ramp = Image.linear_gradient("L").resize(SIZE)
    both = Image.merge("RGBA", (noise, ramp, noise.rotate(180), ramp.rotate(180)))
    return both.convert("RGB").convert(mode) if mode in {"CMYK", "LAB"} else both.convert(mode)


def strips_of(data: bytes) -> tiff_strips.Strips | None:
    with open_picture(io.BytesIO(data), 1_000_000) as opened:
        assert isinstance(opened, tiff.TiffPicture)
        return opened.strips


def decoded(data: bytes) -> Image.Image | str:
    """The pixels that thumbnails are made of, at full size and upright; or why there are none."""
    try:
        with rejecting_damage(1_000_000), open_picture(io.BytesIO(data), 1_000_000) as opened:
            return upright(decode(opened, opened.size), orientation(opened))
    except Rejection as rejection:
        return f"{rejection.reason}: {rejection.detail}"


def decoded_whole(data: bytes) -> Image.Image | str:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(tiff_strips, "LEAST_PIXELS", 1 << 40)
        return decoded(data)


def joined(data: bytes, rows: int) -> bytes:
    with open_picture(io.BytesIO(data), 1_000_000) as opened:
        found = list(tiff.bands(opened, rows))
        assert [band.height for band in found[:-1]] == [rows] * (len(found) - 1)
        assert sum(band.height for band in found) == opened.height
        assert all(band.getpalette() == opened.getpalette() for band in found)
        return b"".join(band.tobytes() for band in found)


@pytest.mark.parametrize("rows", [1, 7, 46, 47, 1_000])
@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        *(("RGB", name) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd")),
        *((mode, "tiff_lzw") for mode in ("1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "LAB")),
        *((mode, "jpeg") for mode in ("L", "RGB", "YCbCr", "CMYK")),
    ],
)
def test_strips_are_what_pillow_decodes(mode: str, compression: str, rows: int) -> None:
    """P1, P5: to the bit, whatever the rows of a band and of a strip."""
    data = saved(picture(mode), "TIFF", compression=compression, strip_size=2_000)
    if mode == "YCbCr" and compression != "jpeg":
        assert strips_of(data) is None  # libtiff converts it in another way
        return
    assert strips_of(data)
    assert joined(data, rows) == Image.open(io.BytesIO(data)).tobytes()


LAYOUTS = st.builds(
    Layout,
    bits=st.sampled_from([1, 2, 4, 8, 16]),
    photometric=st.sampled_from([0, 1]),
    order=st.sampled_from("<>"),
    compression=st.sampled_from([one for one in COMPRESSIONS if one != 1]),
    fill_order=st.sampled_from([1, 2]),
    rows_per_strip=st.sampled_from([1, 2, 5, 16]),
    tile=st.sampled_from([None, None, (16, 16), (32, 16), (16, 48)]),
    orientation=st.integers(1, 8),
    big=st.booleans(),
)


@given(LAYOUTS, st.integers(1, 40), st.integers(1, 30), st.sampled_from([1, 3, 4]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_layout_is_decoded_as_a_whole_one(
    layout: Layout, width: int, height: int, count: int
) -> None:
    """P1, P5: depths, byte orders, strips and tiles that end beyond the picture, orientations."""
    most = (1 << layout.bits) - 1
    planes = [
        [[(x * 7 + y * 31 + number * 5) * 13 & most for x in range(width)] for y in range(height)]
        for number in range(count)
    ]
    layout = replace(layout, big=layout.big and layout.order == "<")  # Pillow reads no others
    if count > 1:
        extra = (2,) if count == 4 else ()
        layout = replace(layout, bits=max(8, layout.bits), photometric=2, extra=extra, fill_order=1)
    data = tiff_of(planes, layout)
    whole = decoded_whole(data)
    assert decoded(data) == whole
    assert isinstance(whole, str) or strips_of(data)


@given(
    st.sampled_from(["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]),
    st.integers(0, 20_000),
    st.integers(0, 255),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_said_in_the_same_words(
    compression: str, place: int, value: int, is_cut: bool
) -> None:
    """P5: the same files are rejected, and for the same reason."""
    damaged = bytearray(saved(picture("RGB"), "TIFF", compression=compression, strip_size=2_000))
    place %= len(damaged)
    damaged[place] = value
    data = bytes(damaged[:place] if is_cut else damaged)
    found, whole = decoded(data), decoded_whole(data)
    if found != whole:
        # libtiff lets the last JPEG of a file say that it is higher than its strip: see the module.
        assert compression == "jpeg"
        assert isinstance(found, Image.Image)
        assert whole == "corrupt: The image cannot be decoded: decoder error -2."


def test_thumbnails_have_the_upright_size() -> None:
    """P1: the orientation is still to be applied then; the record has the size as shown."""
    layout = Layout(compression=8, rows_per_strip=3, orientation=6)
    data = tiff_of([[[x * 5 & 255 for x in range(60)] for _ in range(30)]], layout)
    assert strips_of(data)
    *_, properties = make(io.BytesIO(data), [VARIANTS])
    assert isinstance(properties, Properties)
    assert (properties.source["width"], properties.source["height"]) == (30, 60)


def _with_lengths(data: bytes, length: int) -> bytes:
    """Return a file whose strips have this length, from one that has them as LONGs."""
    changed = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, _, number, place = struct.unpack_from("<HHII", data, entry)
        if tag == 279:
            changed[place : place + 4 * number] = struct.pack("<I", length) * number
    return bytes(changed)


@pytest.mark.parametrize(
    "data",
    [
        saved(picture("RGB"), "TIFF"),
        saved(picture("1"), "TIFF", compression="group4", strip_size=100),
        saved(picture("F"), "TIFF", compression="tiff_lzw", strip_size=1_000),
        _with_lengths(tiff_of([[[1] * 20] * 20], Layout(compression=8, rows_per_strip=3)), 500),
        _with_lengths(tiff_of([[[1] * 20] * 20], Layout(compression=8, rows_per_strip=3)), 0),
        tiff_of([[[1] * 20] * 20], Layout(compression=8, rows_per_strip=3))[:-1],
        tiff_of([[[1] * 20] * 20] * 3, Layout(8, 2, compression=8, planar=2, rows_per_strip=3)),
        tiff_of([[[1] * 20] * 20], Layout(12, compression=8, rows_per_strip=3)),
        tiff_of([[[1] * 20] * 20], Layout(compression=8, rows_per_strip=3, without=(279,))),
    ],
    ids=[
        *("not compressed", "fax", "floating point", "strips that overlap", "strips of no bytes"),
        *("a file that is cut off", "planes", "packed samples", "strips without a length"),
    ],
)
def test_other_layouts_are_decoded_whole(data: bytes) -> None:
    """P1, P5: rare ones, and those in which strips would be read many times."""
    assert strips_of(data) is None


def test_large_strips_and_small_pictures_are_decoded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: where parts would save no memory."""
    data: Any = saved(picture("RGB"), "TIFF", compression="tiff_lzw", strip_size=2_000)
    monkeypatch.setattr(tiff_strips, "_MOST_PIXELS", 600)
    assert strips_of(data) is None
    monkeypatch.setattr(tiff_strips, "_MOST_PIXELS", 1_000)
    assert strips_of(data)
    monkeypatch.setattr(tiff_strips, "LEAST_PIXELS", SIZE[0] * SIZE[1] + 1)
    assert strips_of(data) is None
