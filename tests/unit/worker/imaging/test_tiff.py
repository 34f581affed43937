"""worker/imaging/tiff.py: layouts of samples, and bounds on directories."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from tests.unit.worker.imaging.corpus import long, quarters, saved, short, tiff
from tests.unit.worker.imaging.tiff_files import COMPRESSIONS, Layout, Plane, tiff_of
from worker.imaging import decoding
from worker.imaging.decoding import decode, upright
from worker.imaging.exif import orientation
from worker.imaging.identify import open_picture
from worker.imaging.thumbnails import make
from worker.imaging.tiff import MOST_NUMBERS, numbers
from worker.results import Properties, Rejection
from worker.settings import Variants

# Pillow warns of what is odd in a file, which does not matter here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
VARIANTS = Variants((40,), {"jpeg": 85}, 1_000_000)
HUGE = MOST_NUMBERS + 1


def shorts(tag: int, count: int) -> tuple[int, int, int, bytes]:
    return tag, 3, count, bytes(2 * count)


def exif(count: int) -> bytes:
    """A TIFF whose Exif directory has an entry of so many numbers."""
    size = len(tiff(long(0x8769, 0)))
    inner = struct.pack("<HHHII", 1, 0x9286, 3, count, size + 18) + bytes(4)
    return tiff(long(0x8769, size)) + inner + bytes(2 * count)


def big(count: int) -> bytes:
    """A BigTIFF with an entry of so many numbers."""
    return struct.pack("<2sHHHQQHHQQQ", b"II", 43, 8, 0, 16, 1, 258, 3, count, 44, 0)


@pytest.mark.parametrize(
    "data",
    [
        tiff(shorts(258, HUGE)),
        tiff(shorts(273, HUGE // 2), shorts(279, HUGE - HUGE // 2)),
        exif(HUGE),
        big(HUGE),
        big(2**63),
        b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x02\x00\x03\x7f\xff\xff\xff\x00\x00\x00\x00",
    ],
    ids=["one entry", "two entries", "inner", "BigTIFF", "beyond the file", "big-endian"],
)
def test_more_numbers_than_any_picture_needs_are_rejected(data: bytes) -> None:
    """P5: 24 million in a file of 48 MB would take a gigabyte, and seconds, as objects."""
    with pytest.raises(Rejection) as caught:
        list(make(io.BytesIO(data), [VARIANTS]))
    assert caught.value.reason == "unsupported_format"
    assert "more than 200,000 numbers" in caught.value.detail


@pytest.mark.parametrize("count", [0, 1, 100])
@pytest.mark.parametrize("build", [exif, big, lambda count: tiff(shorts(258, count))])
def test_numbers_are_counted(build: Callable[[int], bytes], count: int) -> None:
    """P5: bytes and texts are no numbers; a directory's offset is one."""
    file = io.BytesIO(build(count))
    assert numbers(file) == count + (build is exif)
    assert file.tell() == 0


def test_what_is_no_number_may_be_long() -> None:
    """P1: profiles and descriptions are bytes."""
    texts = [(270, 2, HUGE, bytes(HUGE)), (34675, 7, HUGE, bytes(HUGE))]
    assert numbers(io.BytesIO(tiff(*texts, short(256, 1)))) == 1


def test_directories_that_name_each_other_end() -> None:
    """P5: each is counted once."""
    data = tiff(long(0x8769, 8), long(0x8825, 8))
    assert numbers(io.BytesIO(data)) == 2


def test_ordinary_pictures_are_far_below() -> None:
    """P1: with one strip per row too."""
    picture = quarters((300, 200))
    plain, strips = (
        saved(picture, "TIFF"),
        saved(picture, "TIFF", compression="tiff_deflate", tiffinfo={278: 1}),
    )
    assert 0 < numbers(io.BytesIO(plain)) < 100
    assert 400 <= numbers(io.BytesIO(strips)) < 500
    assert len(list(make(io.BytesIO(strips), [VARIANTS]))) == 2


@given(
    st.binary(max_size=200),
    st.sampled_from([b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00\x00\x00", b""]),
)
def test_any_bytes_are_counted(data: bytes, start: bytes) -> None:
    """P5: never an exception; the decoder says what is wrong."""
    file = io.BytesIO(start + data)
    assert numbers(file) >= 0
    assert file.tell() == 0


SIXTEEN = [
    Layout(16, order=order, compression=compression, rows_per_strip=rows, tile=tile, big=big)
    for order in "<>"
    for compression in COMPRESSIONS
    for rows, tile, big in ((None, None, False), (3, None, order == "<"), (None, (16, 16), False))
]


def grey(bits: int, size: tuple[int, int] = (37, 11)) -> Plane:
    """Rows of all kinds of values, black and white among them."""
    white = 2**bits - 1
    count = size[0] * size[1]
    values = [((white * place // (count - 1)) ^ (place * 5 & 3)) & white for place in range(count)]
    return [values[size[0] * y : size[0] * (y + 1)] for y in range(size[1])]


def decoded(data: bytes) -> Image.Image:
    """The pixels that thumbnails are made of, at full size and upright."""
    with open_picture(io.BytesIO(data), 1_000_000) as picture:
        turned = orientation(picture)
        return upright(decode(picture, picture.size), turned)


def rows_of(image: Image.Image) -> list[list[int]]:
    assert image.mode == "L"
    data = image.tobytes()
    return [list(data[image.width * y : image.width * (y + 1)]) for y in range(image.height)]


@pytest.mark.parametrize("layout", SIXTEEN, ids=str)
def test_sixteen_bits_of_grey_in_either_byte_order(layout: Layout) -> None:
    """P1: strips and tiles, raw and compressed: each value is a 257th."""
    plane = grey(16)
    assert rows_of(decoded(tiff_of([plane], layout))) == [
        [value // 257 for value in row] for row in plane
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_grey_are_turned_upright(order: str, orientation: int) -> None:
    """P1: as eight bits are."""
    plane = grey(8)
    narrow = tiff_of([plane], Layout(orientation=orientation))
    wide = tiff_of(
        [[[value * 257 for value in row] for row in plane]],
        Layout(16, order=order, orientation=orientation),
    )
    assert rows_of(decoded(wide)) == rows_of(decoded(narrow))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_white_is_zero_at_any_depth(bits: int, order: str, compression: int) -> None:
    """P1: the same values with black as zero are its negative, in strips and in tiles."""
    plane, white = grey(bits), 2**bits - 1
    inverted = [[white - value for value in row] for row in plane]
    for tile in (None, (16, 16)):
        negative = Layout(bits, 0, order, compression, tile=tile)
        positive = replace(negative, photometric=1)
        assert decoded(tiff_of([plane], negative)) == decoded(tiff_of([inverted], positive))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "sample_format"), [(16, 2), (32, 2), (32, 3)])
def test_white_is_zero_with_a_sign_or_a_fraction(bits: int, sample_format: int, order: str) -> None:
    """P1: the largest number is black then."""
    plane = grey(8)
    negative = decoded(tiff_of([plane], Layout(bits, 0, order, sample_format=sample_format)))
    positive = decoded(tiff_of([plane], Layout(bits, 1, order, sample_format=sample_format)))
    assert rows_of(ImageChops.invert(negative)) == rows_of(positive) == plane


def test_without_a_photometric_interpretation_black_is_zero() -> None:
    """P1: as libtiff takes it."""
    plane = grey(16)
    tagless = decoded(tiff_of([plane], Layout(16, without=(262,))))
    assert tagless == decoded(tiff_of([plane], Layout(16)))


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("width", [1, 2, 3, 16, 37])
def test_packed_samples_are_their_highest_eight_bits(bits: int, width: int) -> None:
    """P1: a row is filled up to whole bytes, whatever the depth and the width."""
    plane = grey(bits, (width, 11))
    highest = [[value >> bits - 8 for value in row] for row in plane]
    lowest = [[255 - value for value in row] for row in highest]
    for order, fill_order, big in ("<", 1, True), ("<", 2, False), (">", 1, False):
        layout = Layout(bits, order=order, fill_order=fill_order, big=big)
        assert rows_of(decoded(tiff_of([plane], layout))) == highest
        assert rows_of(decoded(tiff_of([plane], replace(layout, photometric=0)))) == lowest


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("fill_order", [1, 2])
@pytest.mark.parametrize(("rows", "tile"), [(3, None), (None, (16, 16)), (None, (48, 16))])
def test_packed_samples_in_strips_and_tiles(
    bits: int, compression: int, fill_order: int, rows: int | None, tile: tuple[int, int] | None
) -> None:
    """P1: with any compression of bytes."""
    plane = grey(bits)
    layout = Layout(
        bits, compression=compression, fill_order=fill_order, rows_per_strip=rows, tile=tile
    )
    assert rows_of(decoded(tiff_of([plane], layout))) == [
        [value >> bits - 8 for value in row] for row in plane
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_packed_samples_are_turned_upright(orientation: int) -> None:
    """P1: the record has the size as shown, too."""
    plane = grey(8)
    narrow = tiff_of([plane], Layout(orientation=orientation))
    deep = [[value << 4 for value in row] for row in plane]
    packed = tiff_of([deep], Layout(12, orientation=orientation))
    assert rows_of(decoded(packed)) == rows_of(decoded(narrow))
    for output in make(io.BytesIO(packed), [VARIANTS]):
        if isinstance(output, Properties):
            assert (output.source["width"] > output.source["height"]) == (orientation < 5)


def test_packed_samples_read_in_bands_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: saving memory changes no pixel."""
    data = tiff_of([grey(12, (61, 301))], Layout(12))
    whole = list(make(io.BytesIO(data), [VARIANTS]))
    monkeypatch.setattr(decoding, "_BAND_PIXELS", 1_000)
    assert list(make(io.BytesIO(data), [VARIANTS])) == whole


def test_packed_samples_that_end_early_are_rejected() -> None:
    """P3: no picture that is black from there on."""
    for compression in COMPRESSIONS:
        data = tiff_of([grey(12, (61, 301))], Layout(12, compression=compression))
        with pytest.raises(Rejection) as caught:
            list(make(io.BytesIO(data[: len(data) // 2]), [VARIANTS]))
        assert caught.value.reason == "corrupt"


def planes(count: int, bits: int) -> list[Plane]:
    """Samples that differ in each plane."""
    rows = grey(bits)
    step = 37 << bits - 8
    return [
        [[value + number * step & 2**bits - 1 for value in row] for row in rows]
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("photometric", "extra", "count"),
    [
        *((0, (), 1), (1, (), 1), (2, (), 3), (2, (0,), 4), (2, (1,), 4), (2, (2,), 4)),
        (5, (), 4),
    ],
    ids=["white is zero", "grey", "RGB", "RGBX", "premultiplied", "RGBA", "CMYK"],
)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("bits", [8, 16])
def test_separate_planes_are_as_those_together(
    photometric: int, extra: tuple[int, ...], count: int, order: str, compression: int, bits: int
) -> None:
    """P1: whatever the depth and compression, in strips and tiles."""
    for rows, tile in (None, None), (4, None), (None, (16, 16)):
        layout = Layout(
            bits, photometric, order, compression, extra=extra, rows_per_strip=rows, tile=tile
        )
        together = decoded(tiff_of(planes(count, bits), layout))
        assert decoded(tiff_of(planes(count, bits), replace(layout, planar=2))) == together


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize(("photometric", "count"), [(1, 1), (2, 3)])
def test_separate_planes_of_reversed_bits(
    photometric: int, count: int, tile: tuple[int, int] | None
) -> None:
    """P1: FillOrder says so, as scanners for fax do."""
    layout = Layout(8, photometric, fill_order=2, tile=tile)
    together = decoded(tiff_of(planes(count, 8), layout))
    assert decoded(tiff_of(planes(count, 8), replace(layout, planar=2))) == together


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_a_fourth_plane_without_a_meaning_is_alpha(tile: tuple[int, int] | None) -> None:
    """P1: as where the samples are together."""
    layout = Layout(8, 2, tile=tile)
    together = decoded(tiff_of(planes(4, 8), layout))
    assert decoded(tiff_of(planes(4, 8), replace(layout, planar=2))) == together


@pytest.mark.parametrize(
    ("layout", "count"),
    [
        (Layout(8, 1, extra=(2,)), 2),
        (Layout(16, 1, extra=(0,)), 2),
        (Layout(16, 2), 4),
        (Layout(8, 6), 3),
        (Layout(8, 8), 3),
        (Layout(8, 2, extra=(2, 0)), 5),
    ],
    ids=["grey and alpha", "16 bit grey and more", "no meaning", "YCbCr", "CIELAB", "and more"],
)
@pytest.mark.parametrize("compression", [1, 8])
def test_planes_that_would_come_out_wrong_are_rejected(
    layout: Layout, count: int, compression: int
) -> None:
    """P1: rather no thumbnail than one in other colors."""
    data = tiff_of(planes(count, layout.bits), replace(layout, planar=2, compression=compression))
    with pytest.raises(Rejection) as caught:
        decoded(data)
    assert caught.value.reason == "unsupported_format"
    assert "in separate planes" in caught.value.detail


@pytest.mark.parametrize(
    ("layout", "count", "name"),
    [
        (Layout(32, 2, sample_format=3), 3, "RGB with 3 floating-point samples of 32 bits"),
        (Layout(16, 8), 3, "CIELAB with 3 samples of 16 bits"),
        (Layout(8, 5, extra=(2,)), 5, "CMYK with 5 samples of 8 bits"),
        (Layout(12, 2), 3, "RGB with 3 samples of 12 bits"),
        (Layout(12, 1, sample_format=2), 1, "grey with 1 signed sample of 12 bits"),
        (Layout(24, 1), 1, "grey with 1 sample of 24 bits"),
        (Layout(16, 32803), 1, "a color filter array with 1 sample of 16 bits"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [1, 8])
def test_sound_but_unsupported_layouts_are_named(
    layout: Layout, count: int, name: str, order: str, compression: int
) -> None:
    """P3: another try does not help, and neither is the file damaged."""
    layout = replace(layout, order=order, compression=compression)
    data = tiff_of(planes(count, layout.bits), layout)
    with pytest.raises(Rejection) as caught:
        decoded(data)
    assert caught.value.reason == "unsupported_format"
    assert f"TIFF of {name}" in caught.value.detail
    # What ends before its pixels is damaged.
    with pytest.raises(Rejection) as caught:
        list(make(io.BytesIO(data[:150]), [VARIANTS]))
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("compression", [34712, 34887, 50001])
def test_unsupported_compressions_are_named(compression: int) -> None:
    """P3: JPEG 2000, LERC and WebP."""
    data = tiff_of([grey(8)], Layout(8)).replace(
        struct.pack("<HHII", 259, 3, 1, 1), struct.pack("<HHII", 259, 3, 1, compression)
    )
    with pytest.raises(Rejection) as caught:
        decoded(data)
    assert caught.value.reason == "unsupported_format"
    assert f"compression {compression}" in caught.value.detail


def test_dng_is_named() -> None:
    """P3: a camera's raw data."""
    data = tiff(
        *(short(256, 8), short(257, 8), short(258, 16), short(259, 1), short(262, 32803)),
        *(long(273, 8), short(277, 1), long(279, 128), (50706, 1, 4, b"\1\4\0\0")),
    )
    with pytest.raises(Rejection) as caught:
        decoded(data)
    assert caught.value.reason == "unsupported_format"
    assert "DNG" in caught.value.detail


@pytest.mark.parametrize("compression", [1, 8])
def test_grey_with_premultiplied_alpha(compression: int) -> None:
    """P1: as with alpha that is not multiplied in."""
    shades = [[[100] * 9] * 9, [[200] * 9] * 9]
    image = decoded(tiff_of(shades, Layout(8, extra=(1,), compression=compression)))
    assert image.getpixel((4, 4)) == (127, 127, 127, 200)
