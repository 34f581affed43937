"""worker/imaging/nclx.py: an AVIF is shown by the code points of its container."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import AvifImagePlugin, Image, ImageChops

from tests.unit.worker.imaging.corpus import profile_with_red_and_blue_swapped, quarters
from tests.unit.worker.imaging.heic_files import box
from worker.imaging import decoding, nclx
from worker.imaging.color_space import ColorSpace, by_code_points, to_srgb

SIZE = (48, 32)


def saved(mode: str = "RGB", primaries: int = 1, transfer: int = 13, **options: object) -> bytes:
    """Return an AVIF whose container names these code points; its frames those of sRGB."""
    buffer = io.BytesIO()
    quarters(SIZE).convert(mode).save(buffer, "AVIF", quality=90, speed=10, **options)
    old, new = (b"nclx" + struct.pack(">HH", *pair) for pair in ((1, 13), (primaries, transfer)))
    data = buffer.getvalue()
    assert old in data or "icc_profile" in options
    return data.replace(old, new)


def shown(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    assert isinstance(picture, AvifImagePlugin.AvifImageFile)
    return decoding.decode(picture, SIZE)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("code", [(12, 13), (9, 13), (12, 8), (9, 16), (9, 18), (1, 4), (6, 17)])
def test_code_points_are_applied(code: tuple[int, int], mode: str) -> None:
    """P8: the values themselves are those of the same file that says sRGB."""
    space = by_code_points(*code, video=True)
    assert space
    values = shown(saved(mode))
    expected = to_srgb(values, space)
    if code[1] != 13 or mode != "L":
        assert ImageChops.difference(values.convert("RGB"), expected.convert("RGB")).getbbox()
    assert shown(saved(mode, *code)) == expected


@pytest.mark.parametrize("code", [(1, 13), (1, 1), (1, 6), (1, 2), (2, 2), (2, 13), (1, 9), (0, 8)])
def test_what_means_srgb_or_nothing_changes_nothing(code: tuple[int, int]) -> None:
    """P8: browsers show the curve of television in an AVIF as sRGB's."""
    assert shown(saved("RGB", *code)) == shown(saved())


def test_a_profile_counts_before_code_points() -> None:
    """P8: as in browsers."""
    profile = profile_with_red_and_blue_swapped()
    with_profile = saved(icc_profile=profile)
    assert shown(saved("RGB", 12, 16, icc_profile=profile)) == shown(with_profile)
    assert shown(with_profile) != shown(saved())


def test_code_points_of_the_frames_count_where_the_container_has_none() -> None:
    """P8: unspecified is a value of its own."""
    pq = by_code_points(9, 16)
    assert nclx.color_space(saved().replace(b"nclx", b"none"), (9, 16)) == pq
    assert nclx.color_space(saved("RGB", 2, 2), (9, 16)) == ColorSpace()
    assert nclx.color_space(saved(), (9, 16)) == ColorSpace()
    assert nclx.color_space(b"", (9, 16)) == pq
    assert nclx.color_space(b"", None) is None


def colours(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">3HB", primaries, transfer, 6, 128))


PROPERTIES = [
    colours(1, 8),
    colours(9, 16),
    box(b"clli", struct.pack(">2H", 400, 90)),
    box(b"mdcv", struct.pack(">8H2I", *range(8), 40_000_000, 1)),
    box(b"colr", b"prof", bytes(20)),
    box(b"clli", bytes(4)),
]


def file(primary: int, *, of_other: list[int], of_primary: list[int]) -> bytes:
    """Return a container whose items 1, another one, and 2 have these properties, from 1."""
    rows = b"".join(
        struct.pack(">HB", item, len(own)) + bytes(own)
        for item, own in ((1, of_other), (2, of_primary))
    )
    ipma = box(b"ipma", bytes(4), struct.pack(">I", 2), rows)
    pitm = box(b"pitm", bytes(4), struct.pack(">H", primary))
    return box(b"meta", bytes(4), pitm, box(b"iprp", box(b"ipco", *PROPERTIES), ipma))


@pytest.mark.parametrize(
    ("own", "peak"), [([2], 1_000), ([2, 3, 4], 400), ([4, 2], 4_000), ([5, 2, 6, 4], 4_000)]
)
def test_only_properties_of_the_picture_to_show_count(own: list[int], peak: float) -> None:
    """P8: alpha, depth and gain maps may have their own; light is of pixels or of the screen."""
    found = nclx.color_space(file(2, of_other=[1, 3], of_primary=own), None)
    assert found == by_code_points(9, 16, peak)
    assert nclx.color_space(file(2, of_other=[2], of_primary=[]), None) is None


def test_a_track_has_its_own() -> None:
    """P8: an animation without a still picture."""
    entry = box(b"av01", bytes(78), PROPERTIES[0], PROPERTIES[2])
    table = box(b"stbl", box(b"stsd", bytes(8), entry))
    for name in (b"minf", b"mdia", b"trak", b"moov"):
        table = box(name, table)
    assert nclx.color_space(table, None) == by_code_points(1, 8)


@given(st.binary(max_size=40), st.integers(0, 200))
def test_damage_is_left_to_the_decoder(damage: bytes, at: int) -> None:
    """P5: it raises nothing here."""
    whole = file(2, of_other=[1], of_primary=[2, 3])
    nclx.color_space(whole[:at] + damage + whole[at + len(damage) :], None)
    nclx.color_space(whole[:at] + damage, None)
