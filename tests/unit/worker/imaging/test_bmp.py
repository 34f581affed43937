"""worker/imaging/bmp.py: bit fields of any order and width, and run lengths."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from tests.unit.worker.imaging.bmp_files import bit_fields, run_lengths
from tests.unit.worker.imaging.corpus import VARIANTS, saved
from worker.imaging import bmp, decoding, memory_estimate, thumbnails
from worker.imaging.identify import open_picture
from worker.results import Rejection

PIXELS = 1_000_000


def opened(data: bytes) -> bmp.BmpPicture:
    picture = open_picture(io.BytesIO(data), PIXELS)
    assert isinstance(picture, bmp.BmpPicture)
    return picture


def shown(value: int, mask: int) -> int:
    """Return a field in eight bits: white is white, and of more than eight bits the highest."""
    bits = mask.bit_count()
    if not bits:
        return 0
    field = (value & mask) // (mask & -mask)
    return field >> bits - 8 if bits > 8 else round(field * 255 / ((1 << bits) - 1))


def pixels_of(picture: bmp.BmpPicture, rows: int) -> list[tuple[int, ...]]:
    picture.set_transparency()
    found: list[tuple[int, ...]] = []
    for band in bmp.bands(picture, rows):
        data, count = band.tobytes(), len(band.getbands())
        found += [tuple(data[place : place + count]) for place in range(0, len(data), count)]
    return found


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, list[int]]:
    """Return bits per pixel, and masks of red, green, blue, alpha in any order and width."""
    bits = draw(st.sampled_from([16, 32]))
    cuts = sorted(draw(st.lists(st.integers(0, bits), min_size=8, max_size=8)))
    masks = [(1 << high) - (1 << low) for low, high in zip(cuts[::2], cuts[1::2], strict=True)]
    return bits, draw(st.permutations(masks))


@given(st.data(), layouts(), st.integers(1, 7), st.integers(1, 5), st.booleans())
def test_any_bit_fields_are_shown(
    data: st.DataObject, layout: tuple[int, list[int]], width: int, height: int, top_down: bool
) -> None:
    """P1: whatever the order, the widths, the header and the direction of the rows."""
    bits, masks = layout
    header = data.draw(st.sampled_from([56, 108, 124, 40]))
    if header == 40 and not masks[3]:
        compression = data.draw(st.sampled_from([3, 6]))
    else:
        compression = 6 if header == 40 else 3
    if not any(masks):
        return
    count = width * height
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=count, max_size=count))
    file = bit_fields(
        (width, height),
        values,
        bits,
        masks,
        header=header,
        compression=compression,
        top_down=top_down,
        gap=data.draw(st.sampled_from([0, 4])),
    )
    picture = opened(file)
    alphas = [shown(value, masks[3]) for value in values]
    expected = [tuple(shown(value, mask) for mask in masks[:3]) for value in values]
    if any(alphas):
        expected = [(*colour, alpha) for colour, alpha in zip(expected, alphas, strict=True)]
    assert pixels_of(picture, data.draw(st.integers(1, 6))) == expected


NAMED = {
    "5-5-5": (16, (0x7C00, 0x3E0, 0x1F)),
    "5-6-5": (16, (0xF800, 0x7E0, 0x1F)),
    "4-4-4": (16, (0xF00, 0xF0, 0xF)),
    "2-3-1": (16, (0x30, 0xE, 0x1)),
    "10-10-10": (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    "11-11-10": (32, (0xFFE00000, 0x1FFC00, 0x3FF)),
    "red first": (32, (0xFF, 0xFF00, 0xFF0000)),
    "blue in the middle": (32, (0xFF000000, 0xFF, 0xFF00)),
}


@pytest.mark.parametrize(("bits", "masks"), NAMED.values(), ids=NAMED)
@pytest.mark.parametrize(("header", "compression"), [(40, 3), (52, 3), (56, 3), (108, 3), (124, 3)])
def test_a_thumbnail_of_bit_fields_has_its_colours(
    bits: int, masks: tuple[int, int, int], header: int, compression: int
) -> None:
    """P1: red in full with the least of green, right of black."""
    orange = masks[0] | masks[1] & -masks[1]
    file = bit_fields(
        (8, 4), [0, orange] * 16, bits, (*masks, 0), header=header, compression=compression
    )
    image = decoding.decode(opened(file), (8, 4))
    assert image.mode == "RGB"
    assert image.getpixel((0, 3)) == (0, 0, 0)
    assert image.getpixel((1, 0)) == (255, shown(orange, masks[1]), 0)


def test_alpha_that_hides_all_means_nothing() -> None:
    """P1: as in browsers; many programs leave zeros there."""
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    assert decoding.decode(opened(bit_fields((2, 1), [255, 255], 32, masks)), (2, 1)).mode == "RGB"
    half = opened(bit_fields((2, 1), [255, 0x80 << 24 | 255], 32, masks))
    found = decoding.decode(half, (2, 1))
    assert found.getchannel("A").tobytes() == b"\x00\x80"


@pytest.mark.parametrize(
    "masks", [(0xFF, 0xFF, 0xFF00, 0), (0xF0F, 0xF000, 0xF0, 0)], ids=["overlap", "gap"]
)
def test_masks_without_a_meaning_are_rejected(masks: tuple[int, ...]) -> None:
    """P5: browsers show nothing."""
    with pytest.raises(Rejection) as caught:
        opened(bit_fields((2, 1), [1, 2], 32, masks))
    assert caught.value.reason == "unsupported_format"


def test_what_bmp_cannot_hold_here_is_named() -> None:
    """P5: sound, but unsupported: a JPEG in a BMP."""
    data = bytearray(saved(Image.new("RGB", (9, 9)), "BMP"))
    data[30] = 4
    with pytest.raises(Rejection) as caught:
        opened(bytes(data))
    assert caught.value.reason == "unsupported_format"
    assert "compression" in caught.value.detail


def test_bit_fields_that_end_early_are_damaged() -> None:
    """P5: as any picture."""
    data = bit_fields((9, 9), range(81), 32, (0xFF, 0xFF00, 0xFF0000, 0))
    with pytest.raises(Rejection) as caught:
        list(thumbnails.make(io.BytesIO(data[:-5]), [VARIANTS]))
    assert caught.value.reason == "corrupt"


BODIES = {
    "runs": ((4, 2), b"\x04\x01\x00\x00\x03\x02\x01\x05\x00\x01", False),
    "runs too long": ((4, 2), b"\xff\x01\x02\x02\x00\x00\x09\x05\x00\x01", False),
    "plain": ((5, 2), b"\x00\x05abcde\x00\x00\x00\x00\x04fghi\x01j\x00\x01", False),
    "skips": ((6, 3), b"\x02\x07\x00\x02\x01\x01\x03\x08\x00\x00\x06\x09\x00\x01", False),
    "short rows": ((4, 3), b"\x01\x07\x00\x00\x02\x08\x00\x00\x04\x09\x00\x01", False),
    "nibbles": ((5, 2), b"\x05\x12\x00\x00\x03\x34\x02\x56\x00\x01", True),
    "plain nibbles": ((5, 2), b"\x00\x05\x12\x34\x50\x00\x00\x00\x05\x67\x00\x01", True),
}


@pytest.mark.parametrize(("size", "body", "nibbles"), BODIES.values(), ids=BODIES)
def test_run_lengths_are_those_of_pillow(size: tuple[int, int], body: bytes, nibbles: bool) -> None:
    """P1: whose decoder is slow, and not wrong."""
    data = run_lengths(size, body, nibbles=nibbles)
    picture, other = opened(data), Image.open(io.BytesIO(data))
    assert picture.has_run_lengths
    assert picture.tobytes() == other.tobytes()
    assert picture.convert("RGB").tobytes() == other.convert("RGB").tobytes()


@given(st.binary(max_size=60), st.booleans(), st.integers(1, 9), st.integers(1, 9))
def test_any_run_lengths_end(body: bytes, nibbles: bool, width: int, height: int) -> None:
    """P5: in pixels or in a rejection, and in the same pixels where Pillow has some."""
    data = run_lengths((width, height), body, nibbles=nibbles)
    other = Image.open(io.BytesIO(data))
    assert isinstance(other, ImageFile.ImageFile)
    try:
        pixels = opened(data).tobytes()
    except ValueError:
        return
    assert len(pixels) == width * height
    try:
        expected = other.tobytes()
    except (ValueError, OSError):
        return
    assert len(expected) == len(pixels)


def test_rows_that_end_at_once_take_no_loop_over_their_pixels() -> None:
    """P5: 40 kB took 11 s; what a file may ask for is counted by its parts."""
    body = b"\x01\x07\x00\x00" * 5_000 + b"\x00\x01"
    assert bmp._expanded(body, (3, 5_000), has_nibbles=False) == b"\x07\x00\x00" * 5_000


def test_too_many_parts_of_run_lengths_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: skips that go nowhere."""
    monkeypatch.setattr(bmp, "_MOST_STEPS", 1_000)
    data = run_lengths((9, 9), b"\x00\x02\x00\x00" * 1_001 + b"\x00\x01")
    with pytest.raises(Rejection) as caught:
        list(thumbnails.make(io.BytesIO(data), [VARIANTS]))
    assert caught.value.reason == "unsupported_format"


def test_the_second_copy_of_run_lengths_is_reserved() -> None:
    """P5: a byte per pixel, and the file's bytes."""
    size = 100, 100
    with_runs = opened(run_lengths(size, (b"\x64\x07\x00\x00" * 100) + b"\x00\x01"))
    plain = opened(saved(Image.linear_gradient("L").convert("P").resize(size), "BMP"))
    needed = [
        memory_estimate.decoding_bytes(picture, (10, 10), 10) for picture in (with_runs, plain)
    ]
    assert needed[0] >= needed[1] + 10_000
