"""worker/imaging/jpeg.py: scans that a thumbnail does not show are found and left out."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFile

from worker.imaging.identify import open_picture
from worker.imaging.jpeg import (
    _enough_as_means,
    _segments,
    has_partial_scans,
    holds_luma_and_chroma,
    scan_components,
    unsupported,
    without_fine_detail,
)
from worker.imaging.memory_estimate import bytes_per_pixel
from worker.results import Rejection


def photograph(mode: str = "RGB", size: tuple[int, int] = (321, 203)) -> Image.Image:
    """Return noise over a gradient: detail in every block and means that differ."""
    noise = Image.effect_noise(size, 60)
    bands = [
        Image.blend(noise.rotate(90 * turn), Image.linear_gradient("L").resize(size), 0.6)
        for turn in range(len(mode))
    ]
    return Image.merge(mode, bands)


def saved(image: Image.Image, *, progressive: bool = True, subsampling: int = 2) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, progressive=progressive, subsampling=subsampling)
    return buffer.getvalue()


def decoded(data: bytes, scale: int) -> bytes:
    image = Image.open(io.BytesIO(data))
    assert isinstance(image, ImageFile.ImageFile)
    image.draft(None, (image.width // scale, image.height // scale))
    assert image.width < 321 // scale + 2
    return image.tobytes()


def channels(data: bytes, scale: int) -> list[Image.Image]:
    """Return luma and both of chroma, or all there are, as libjpeg decodes them at a scale."""
    with Image.open(io.BytesIO(data)) as image:
        mode = "YCbCr" if image.mode == "RGB" else None
        image.draft(mode, (image.width // scale, image.height // scale))
        return list(image.split())


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_an_eighth_is_bit_identical(mode: str, subsampling: int) -> None:
    """P1: the shortcut costs time, not color."""
    data = saved(photograph(mode), subsampling=subsampling)
    shorter = without_fine_detail(data)
    assert len(shorter) < len(data) * 0.75
    assert decoded(shorter, 8) == decoded(data, 8)
    # That the test can fail: at a quarter the detail left out is missed.
    assert decoded(shorter, 4) != decoded(data, 4)


def test_chroma_at_half_resolution_keeps_its_means() -> None:
    """P1: a thumbnail has chroma at half its resolution too, and there nothing is missed."""
    data = saved(photograph(size=(640, 400)), subsampling=2)
    shorter = without_fine_detail(data, has_chroma=True)
    assert len(shorter) < len(without_fine_detail(data))
    (luma, *some), (expected_luma, *all_of_it) = channels(shorter, 8), channels(data, 8)
    assert luma.tobytes() == expected_luma.tobytes()
    for found, expected in zip(some, all_of_it, strict=True):
        assert found.tobytes() != expected.tobytes()
        difference = ImageChops.difference(found.reduce(2), expected.reduce(2))
        assert max(difference.tobytes()) <= 2


@pytest.mark.parametrize(
    ("factors", "enough"),
    [
        ((0x11,), ({1}, {1})),
        ((0x11, 0x11, 0x11), ({1, 2, 3}, {1, 2, 3})),
        ((0x22, 0x11, 0x11), ({1}, {1, 2, 3})),
        ((0x21, 0x11, 0x11), ({1, 2, 3}, {1, 2, 3})),
        ((0x41, 0x11, 0x11), ({1, 2, 3}, {1, 2, 3})),
        ((0x44, 0x11, 0x22), ({1}, {1, 3})),
    ],
)
def test_chroma_at_less_than_half_resolution_stays_whole(
    factors: tuple[int, ...], enough: tuple[set[int], set[int]]
) -> None:
    """P1: a mean of 32 × 32 pixels would be too coarse for a thumbnail."""
    frame = bytes([0xFF, 0xC2, 0, 0, 8, 0, 9, 0, 9, len(factors)])
    frame += b"".join(bytes([number, both, 0]) for number, both in enumerate(factors, 1))
    for has_chroma in (False, True):
        assert _enough_as_means(frame, has_chroma=has_chroma) == enough[has_chroma]


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 17), (4_200, 600)])
def test_empty_scans_end_where_the_picture_does(size: tuple[int, int]) -> None:
    """P1: also in a file with restarts, and of more blocks than one symbol covers."""
    buffer = io.BytesIO()
    image = Image.linear_gradient("L").resize(size)
    image.save(buffer, "JPEG", quality=90, progressive=True, restart_marker_blocks=7)
    data = buffer.getvalue()
    shorter = without_fine_detail(data)
    assert shorter != data
    with Image.open(io.BytesIO(shorter)) as found, Image.open(io.BytesIO(data)) as expected:
        for each in (found, expected):
            each.draft(None, (max(1, size[0] // 8), max(1, size[1] // 8)))
        assert found.tobytes() == expected.tobytes()


def test_other_files_are_returned_unchanged() -> None:
    """P1: in a file that is not progressive, each scan is needed."""
    for data in (saved(photograph(), progressive=False), b"", b"\xff\xd8", b"\xff\xd8\xff\xff\xff"):
        assert without_fine_detail(data) == data


def test_what_follows_the_picture_stays() -> None:
    """P1: other images, or whatever a camera appends."""
    data = saved(photograph())
    assert without_fine_detail(data + data).endswith(b"\xff\xd9" + data)


def test_scans_are_counted() -> None:
    """P5: and not what looks like one in a comment."""
    buffer = io.BytesIO()
    photograph().save(buffer, "JPEG", progressive=True, comment=b"\xff\xda" * 30)
    assert len(scan_components(buffer.getvalue())) == 10  # libjpeg's own script for colour
    assert scan_components(saved(photograph(), progressive=False)) == [3]


def test_scans_that_are_kept_until_the_last_are_known() -> None:
    """P5: progressive ones, and a baseline file's with one component each."""
    assert not has_partial_scans(saved(photograph(), progressive=False))
    assert not has_partial_scans(saved(photograph("L"), progressive=False))
    assert has_partial_scans(saved(photograph()))
    assert has_partial_scans(saved(photograph("L")))
    interleaved = bytearray(saved(photograph(), progressive=False))
    scan = interleaved.index(b"\xff\xda")
    interleaved[scan : scan + 14] = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    assert has_partial_scans(bytes(interleaved))


def test_what_is_stored_as_luma_and_chroma_is_known() -> None:
    """P1: libjpeg cannot return them for others, so in doubt the answer is no."""
    buffer = io.BytesIO()
    photograph().save(buffer, "JPEG", keep_rgb=True)
    rgb, ycbcr = buffer.getvalue(), saved(photograph(), progressive=False)
    assert holds_luma_and_chroma(ycbcr)
    assert holds_luma_and_chroma(saved(photograph()))
    assert not holds_luma_and_chroma(rgb)
    marker = rgb.index(b"\xff\xee")
    assert not holds_luma_and_chroma(rgb[:marker] + rgb[marker + 16 :])  # the names say it too
    assert not holds_luma_and_chroma(rgb.replace(b"R\x11", b"\1\x11").replace(b"G\x11", b"\2\x11"))
    assert not holds_luma_and_chroma(saved(photograph("L")))
    assert not holds_luma_and_chroma(saved(photograph("CMYK")))
    assert not holds_luma_and_chroma(ycbcr.replace(b"\xff\xc0", b"\xff\xc3"))  # lossless
    assert not holds_luma_and_chroma(b"")


BETWEEN = {
    "a fill byte": b"\xff",
    "fill bytes": b"\xff" * 9,
    "TEM": b"\xff\x01",
    "RST": b"\xff\xd3",
    "other bytes": b"a\x00b\xff\x00",
    "other bytes and fill bytes": b"a\xff\xff",
}
"""What libjpeg passes by on its way to a marker."""


def with_between(data: bytes, between: bytes) -> bytes:
    """Return a JPEG with these bytes before each of its markers but the first two."""
    segments = list(_segments(data))[1:]
    pieces = [data[segment.start : segment.end] for segment in segments]
    return between.join((data[: segments[0].start], *pieces, data[segments[-1].end :]))


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
def test_bytes_before_markers_hide_nothing(between: bytes) -> None:
    """P5: scans are counted, and coefficients known to stay, as without them."""
    for image in (photograph(), photograph("L")):
        for data in (saved(image), saved(image, progressive=False)):
            other = with_between(data, between)
            if between != BETWEEN["TEM"]:  # Pillow refuses it in the header
                assert decoded(other, 1) == decoded(data, 1)
            assert scan_components(other) == scan_components(data)
            assert has_partial_scans(other) == has_partial_scans(data)
            assert holds_luma_and_chroma(other) == holds_luma_and_chroma(data)
            assert unsupported(other) is None
            shorter = len(without_fine_detail(other)) < len(other)
            assert shorter == (without_fine_detail(data) != data)


@pytest.mark.parametrize("between", [value for name, value in BETWEEN.items() if name != "TEM"])
def test_detail_between_such_bytes_is_left_out(between: bytes) -> None:
    """P1: what stays is bit-identical at an eighth."""
    data = saved(photograph())
    shorter = without_fine_detail(with_between(data, between))
    assert decoded(shorter, 8) == decoded(data, 8)


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
def test_too_many_scans_are_rejected_and_memory_is_reserved(between: bytes) -> None:
    """P5: one byte more would have taken eight times the memory reserved."""
    data = saved(photograph())
    last = data.rindex(b"\xff\xda")
    scans = (data[last:-2] + between) * 101
    with pytest.raises(Rejection) as caught:
        open_picture(io.BytesIO(data[:last] + scans + data[-2:]), 1_000_000)
    assert caught.value.reason == "too_many_scans"
    frame = data.index(b"\xff\xc2")
    before = b"" if between == BETWEEN["TEM"] else between  # Pillow refuses it in the header
    with_one = data[:frame] + before + data[frame:]
    plain, filled = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(with_one))
    assert isinstance(plain, ImageFile.ImageFile)
    assert isinstance(filled, ImageFile.ImageFile)
    assert bytes_per_pixel(filled) == bytes_per_pixel(plain) > 2


@given(st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=6)), max_size=6))
def test_any_damage_is_survived(patches: list[tuple[int, bytes]]) -> None:
    """P5: no exception, no endless loop, nothing added but empty scans."""
    data = bytearray(PROGRESSIVE)
    for place, patch in patches:
        at = place % len(data)
        data[at : at + len(patch)] = patch
    assert len(without_fine_detail(bytes(data))) <= len(data) + 100_000
    has_partial_scans(bytes(data))
    holds_luma_and_chroma(bytes(data))


PROGRESSIVE = saved(photograph())
