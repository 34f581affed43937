"""worker/imaging/heic.py: which pictures are decoded, and how much that takes."""

from __future__ import annotations

import contextlib
import io
import struct
import time
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from tests.unit.worker.imaging import heic_files
from tests.unit.worker.imaging.corpus import profile_with_red_and_blue_swapped, quarters
from tests.unit.worker.imaging.heic_files import Item, coded, crop
from worker.imaging import exif, heic, identify, thumbnails
from worker.imaging.color_space import by_code_points, to_srgb
from worker.imaging.decoding import decode
from worker.results import Properties, Rejection
from worker.settings import Variants

QUARTERS = coded("quarters")
CELLS = [coded(name) for name in ("red", "green", "blue", "white")]
CODED_AREA = 200 * 104
"""Whole blocks of 8 pixels are coded."""

CELL_AREA = 104 * 64  # and no less than 64 rows
ALPHA = coded("alpha", 2).referring(b"auxl", 1)
Transpose = Image.Transpose


def decoded(data: bytes, max_pixels: int = 1_000_000) -> Image.Image:
    with (
        identify.rejecting_damage(max_pixels),
        identify.open_picture(io.BytesIO(data), max_pixels) as picture,
    ):
        assert picture.format == "HEIC"
        return decode(picture, picture.size)


def assert_like(image: Image.Image, expected: Image.Image, tolerance: int = 3) -> None:
    """Compare the middles of the quarters: their edges depend on the encoder."""
    assert (image.mode, image.size) == (expected.mode, expected.size)
    width, height = image.size
    for x in (width // 4, 3 * width // 4):
        for y in (height // 4, 3 * height // 4):
            place = (x - 9, y - 9, x + 9, y + 9)
            difference = ImageChops.difference(image.crop(place), expected.crop(place))
            assert max(difference.tobytes()) <= tolerance, (x, y)


@pytest.mark.parametrize(
    "data",
    [
        heic_files.heic(QUARTERS),
        heic_files.saved("quarters"),
        heic_files.saved("quarters_444"),
        heic_files.saved("quarters_10"),
        heic_files.heic(heic_files.grid(2, 2, 200, 100, 2, 3, 4, 5), *CELLS),
        heic_files.heic(
            heic_files.layers(200, 100, (2, 0, 0), (3, 100, 0), (4, 0, 50), (5, 100, 50)), *CELLS
        ),
        heic_files.heic(
            Item(b"iden", b"", (heic_files.size(200, 100),)).referring(b"dimg", 2), QUARTERS
        ),
    ],
    ids=["own container", "encoder's", "4:4:4", "10 bits", "grid", "layers", "identity"],
)
def test_the_picture_is_right(data: bytes) -> None:
    """P8: within what the encoder's loss explains."""
    assert_like(decoded(data), quarters())


@pytest.mark.parametrize("name", ["grey", "grey_10"])
def test_grey_stays_grey(name: str) -> None:
    """P8: with 8 bits and with more."""
    assert_like(decoded(heic_files.saved(name)), quarters().convert("L"))


def test_transparency_is_kept() -> None:
    """P8: an auxiliary picture that says that it is alpha; premultiplied where a reference says."""
    expected = quarters()
    expected.putalpha(128)
    assert_like(decoded(heic_files.heic(coded("alpha"), ALPHA)), expected)
    premultiplied = heic_files.heic(coded("alpha").referring(b"prem", 2), ALPHA)
    doubled = quarters().point(lambda value: min(255, value * 255 // 128))
    doubled.putalpha(128)
    assert_like(decoded(premultiplied), doubled)


ORIENTATIONS = {
    # "irot" counts quarter turns against the clock; "imir" exchanges top and bottom, or the sides.
    (): None,
    ((b"irot", 1),): Transpose.ROTATE_90,
    ((b"irot", 2),): Transpose.ROTATE_180,
    ((b"irot", 3),): Transpose.ROTATE_270,
    ((b"imir", 0),): Transpose.FLIP_TOP_BOTTOM,
    ((b"imir", 1),): Transpose.FLIP_LEFT_RIGHT,
    ((b"irot", 1), (b"imir", 0)): Transpose.TRANSPOSE,
    ((b"irot", 3), (b"imir", 0)): Transpose.TRANSVERSE,
}


@pytest.mark.parametrize("name", ["quarters", "quarters_10", "grey", "grey_10", "alpha"])
@pytest.mark.parametrize(
    ("wanted", "box"),
    [
        (crop(200, 100), (0, 0, 200, 100)),
        (crop(199, 99, -1, -1), (0, 0, 199, 99)),
        (crop(100, 60), (50, 20, 150, 80)),
        (crop(60, 40, 100, -40), (120, 10, 180, 50)),
    ],
    ids=["all", "odd", "middle", "part"],
)
@pytest.mark.parametrize(("steps", "transposed"), ORIENTATIONS.items(), ids=str)
def test_a_crop_is_applied(
    steps: tuple[tuple[bytes, int], ...],
    transposed: Image.Transpose | None,
    wanted: heic_files.Property,
    box: tuple[int, int, int, int],
    name: str,
) -> None:
    """P8: before the picture is turned, whatever little it leaves."""
    turns = [(step, bytes([value])) for step, value in steps]
    item = coded(name)
    others = [ALPHA] if name == "alpha" else []
    whole = decoded(heic_files.heic(item, *others))
    expected = whole.crop(box)
    if transposed is not None:
        expected = expected.transpose(transposed)
    found = decoded(heic_files.heic(item.adding(wanted, *turns), *others))
    assert found == expected


@pytest.mark.parametrize(
    "wanted", [crop(201, 9), crop(9, 9, 300), crop(0, 9), (b"clap", bytes(32)), (b"clap", b"\1")]
)
def test_a_crop_that_is_not_within_the_picture_is_corrupt(wanted: heic_files.Property) -> None:
    """P5: nor is one of no pixels, or of no numbers."""
    with pytest.raises(Rejection) as caught:
        decoded(heic_files.heic(QUARTERS.adding(wanted)))
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("kind", [heic_files.DEPTH, heic_files.GAIN_MAP], ids=["depth", "gain"])
def test_other_auxiliary_pictures_are_ignored(kind: heic_files.Property) -> None:
    """P8: a map of depth or of gain is not transparency."""
    auxiliary = coded("grey").adding(kind).referring(b"auxl", 1)
    assert_like(decoded(heic_files.heic(QUARTERS, auxiliary)), quarters())


@pytest.mark.parametrize("exif_orientation", [None, 1, 6])
@pytest.mark.parametrize(("steps", "transposed"), ORIENTATIONS.items(), ids=str)
def test_the_container_turns_and_exif_does_not(
    steps: tuple[tuple[bytes, int], ...],
    transposed: Image.Transpose | None,
    exif_orientation: int | None,
) -> None:
    """P8: EXIF repeats what the container says, and is not applied a second time or alone."""
    items = [QUARTERS.adding(*((name, bytes([value])) for name, value in steps))]
    if exif_orientation:
        data = Image.Exif()
        data[0x0112] = exif_orientation
        items.append(heic_files.exif(data.tobytes()))
    file = heic_files.heic(*items)
    expected = quarters() if transposed is None else quarters().transpose(transposed)
    assert_like(decoded(file), expected)
    with identify.open_picture(io.BytesIO(file), 1_000_000) as picture:
        assert exif.orientation(picture) == 1


def test_what_exif_says_is_kept_by_choice() -> None:
    """S4: the time and the copyright, from the item that describes the picture."""
    data = Image.Exif()
    data[0x8298] = "Jane Doe"
    file = heic_files.heic(QUARTERS, heic_files.exif(data.tobytes()))
    variants = Variants(widths=(40,), formats={"jpeg": 80}, max_pixels=1_000_000)
    *_, properties = thumbnails.make(
        io.BytesIO(file), [variants], keep_metadata=("copyright", "taken")
    )
    assert isinstance(properties, Properties)
    assert properties.source == {"type": "image/heic", "width": 200, "height": 100}
    assert properties.record["copyright"] == "Jane Doe"
    assert properties.record["taken"] is None


@pytest.mark.parametrize("kind", [b"f\xf6\xba\x87", b"Exif"])
def test_damaged_exif_is_as_good_as_none(kind: bytes) -> None:
    """P5: a type that is not UTF-8 ends the process within pi-heif's Python modules."""
    damaged = Item(kind, b"\0\0").referring(b"cdsc", 1)
    assert_like(decoded(heic_files.heic(QUARTERS, damaged)), quarters())


def test_a_profile_is_applied() -> None:
    """P8: an ICC profile in a property."""
    profile = profile_with_red_and_blue_swapped()
    properties = tuple(one for one in QUARTERS.properties if one[0] != b"colr")
    item = replace(QUARTERS, properties=(*properties, (b"colr", b"prof" + profile)))
    # The file has no other colors than the profile's, which are those of sRGB in another order.
    red, green, blue = quarters().split()
    assert_like(decoded(heic_files.heic(item)), Image.merge("RGB", (blue, green, red)), 12)


@pytest.mark.parametrize("code", [(1, 1), (12, 13), (9, 16), (9, 18)])
def test_code_points_are_applied(code: tuple[int, int]) -> None:
    """P8: as in an AVIF; cameras write pictures of PQ and HLG so."""
    properties = tuple(one for one in QUARTERS.properties if one[0] != b"colr")
    names = (b"colr", b"nclx" + struct.pack(">3HB", *code, 6, 128))
    item = replace(QUARTERS, properties=(*properties, names))
    space = by_code_points(*code, video=True)
    assert space
    values = decoded(heic_files.heic(QUARTERS))
    assert decoded(heic_files.heic(item)) == to_srgb(values, space)
    assert (to_srgb(values, space) == values) == (code == (1, 1))


def test_the_primary_item_is_shown() -> None:
    """P8: a burst or a collection shows the picture that its maker chose."""
    burst = heic_files.heic(CELLS[0], CELLS[1], QUARTERS, CELLS[3], primary=3)
    assert_like(decoded(burst), quarters())


def test_what_is_no_picture_in_hevc_has_its_name() -> None:
    """Pitfall 11: a sequence alone, another coding; the reason is the file's kind."""
    moving = heic_files.heic(QUARTERS, primary=0, brand=b"hevc", after=heic_files.box(b"moov"))
    other = heic_files.heic(Item(b"avc1", b"1", (heic_files.size(9, 9),)))
    unknown = heic_files.heic(heic_files.grid(1, 1, 9, 9, 2), Item(b"\0\1\2\3", b"1"))
    for data, name in (
        (moving, "HEIF without a still picture"),
        (other, "HEIF (H.264)"),
        (unknown, "HEIF (of another coding)"),
    ):
        with pytest.raises(Rejection) as caught:
            decoded(data)
        assert caught.value.reason == "unsupported_format"
        assert f"The format {name} is not supported" in caught.value.detail


def with_size(item: Item, width: int, height: int) -> Item:
    kept = tuple(one for one in item.properties if one[0] != b"ispe")
    return replace(item, properties=(*kept, heic_files.size(width, height)))


@pytest.mark.parametrize(
    ("file", "pixels"),
    [
        (heic_files.heic(QUARTERS), CODED_AREA),
        (heic_files.heic(with_size(QUARTERS, 8, 8)), CODED_AREA),
        (heic_files.heic(with_size(QUARTERS, 1_000, 900)), 900_000),
        (heic_files.heic(heic_files.grid(2, 2, 200, 100, 2, 3, 4, 5), *CELLS), 4 * CELL_AREA),
        (heic_files.heic(heic_files.grid(1, 1, 900, 900, 2), CELLS[0]), 810_000),
        (heic_files.heic(heic_files.layers(900, 900, (2, 0, 0)), CELLS[0]), 810_000),
        # Each picture is decoded as often as it is used.
        (heic_files.heic(heic_files.layers(9, 9, *[(2, 0, 0)] * 50), CELLS[0]), 50 * CELL_AREA),
        (
            heic_files.heic(CELLS[0], QUARTERS.adding(heic_files.ALPHA).referring(b"auxl", 1)),
            CODED_AREA,
        ),
        (heic_files.heic(CELLS[0], QUARTERS.referring(b"thmb", 1)), CELL_AREA),
        (heic_files.heic(QUARTERS, CELLS[0], primary=2), CELL_AREA),
    ],
    ids=[
        *("one", "small stated", "large stated", "grid", "large grid", "large layers"),
        *("layers", "alpha", "thumbnail", "primary"),
    ],
)
def test_pixels_that_are_decoded(file: bytes, pixels: int) -> None:
    """P5: by the frames' own parameters and by the container, whichever is more."""
    assert heic.pixels_at_once(file) == pixels


def parameter_sets(configuration: bytes) -> bytes:
    """The units of an hvcC box, as an item's data have them."""
    position, units = 23, b""
    for _ in range(configuration[22]):
        length = struct.unpack_from(">H", configuration, position + 3)[0]
        units += bytes(2) + configuration[position + 3 : position + 5 + length]
        position += 5 + length
    return units


def test_parameters_between_slices_count() -> None:
    """P5: a second sequence parameter set within the item's data, of any layer."""
    ((_, configuration),) = (one for one in coded("large").properties if one[0] == b"hvcC")
    file = heic_files.heic(replace(QUARTERS, data=QUARTERS.data + parameter_sets(configuration)))
    assert heic.pixels_at_once(file) == 3_000 * 2_000


def test_an_item_of_many_pictures_is_rejected() -> None:
    """P5: libheif would decode them all, and show one."""
    with pytest.raises(ValueError, match="more than one picture"):
        heic.pixels_at_once(heic_files.heic(replace(QUARTERS, data=QUARTERS.data * 2)))


@pytest.mark.parametrize("name", ["grey", "grey_10", "quarters", "quarters_10"])
@pytest.mark.parametrize("stated", [8, 9, 10, 12, 13, 15])
def test_a_frame_has_the_bit_depth_that_the_container_states(name: str, stated: int) -> None:
    """P5: pi-heif writes grey pixels of the stated depth, beyond the end of a frame of fewer."""
    item = coded(name)
    properties = [
        (kind, body[:17] + bytes([body[17] & 0xF8 | stated - 8]) + body[18:])
        if kind == b"hvcC"
        else (kind, body)
        for kind, body in item.properties
    ]
    file = heic_files.heic(replace(item, properties=tuple(properties)))
    if stated == (10 if name.endswith("10") else 8):
        assert heic.pixels_at_once(file) >= 200 * 100
    else:
        with pytest.raises(ValueError, match="another bit depth"):
            heic.pixels_at_once(file)


def test_a_further_sequence_parameter_set_has_the_stated_bit_depth() -> None:
    """P5: within the item's data, where a slice may refer to it."""
    ((_, configuration),) = (one for one in coded("grey_10").properties if one[0] == b"hvcC")
    units = parameter_sets(configuration)
    grey = coded("grey")
    file = heic_files.heic(replace(grey, data=units + grey.data))
    with pytest.raises(ValueError, match="another bit depth"):
        heic.pixels_at_once(file)


def test_parts_of_a_grid_have_one_bit_depth() -> None:
    """P5: the grid has the first part's, and so has the memory that it is written into."""
    one, other = coded("grey"), coded("grey_10")
    file = heic_files.heic(heic_files.grid(2, 1, 400, 100, 2, 3), one, other)
    with pytest.raises(ValueError, match="different bit depths"):
        heic.pixels_at_once(file)
    assert heic.pixels_at_once(heic_files.heic(heic_files.grid(2, 1, 400, 100, 2, 3), one, one))


def test_pixels_that_slices_hold_are_limited() -> None:
    """P5: slices may overlap, and a flat one is small."""
    large = coded("large")
    unit = bytearray(large.data)
    length = 4 + int.from_bytes(unit[:4])
    further = unit[:length]
    further[6] &= 127  # not the first of its picture
    area = 3_000 * 2_000
    many = 500_000_000 // area
    for more, is_allowed in ((many - 1, True), (many, False)):
        file = heic_files.heic(replace(large, data=bytes(unit) + bytes(further) * more))
        if is_allowed:
            assert heic.pixels_at_once(file) == area
        else:
            with pytest.raises(Rejection, match="at most 500 million"):
                heic.pixels_at_once(file)


NESTED = [heic_files.layers(9, 9, (n, 0, 0), (n, 0, 0)) for n in range(2, 12)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        heic_files.heic(QUARTERS, primary=0),
        heic_files.heic(QUARTERS, primary=2),
        heic_files.heic(heic_files.exif(b""), primary=1),
        heic_files.heic(*NESTED, CELLS[0]),
        heic_files.heic(heic_files.grid(1, 1, 9, 9, 1)),
        heic_files.heic(heic_files.grid(1, 1, 9, 9, 2), heic_files.grid(1, 1, 9, 9, 1)),
        heic_files.heic(replace(QUARTERS, data=b"\0\0\0\1")),
        heic_files.heic(replace(QUARTERS, data=b"\0\0\0\1\x42")),
        heic_files.heic(Item(b"grid", b"\0")),
    ],
    ids=[
        *("empty", "none", "missing", "exif", "nested", "itself", "each other"),
        *("cut", "short unit", "short grid"),
    ],
)
def test_an_invalid_file_is_corrupt(data: bytes) -> None:
    """P5: a ValueError, from which a rejection is made."""
    with pytest.raises((ValueError, KeyError), match=r"."):
        heic.pixels_at_once(data)


def test_a_file_that_asks_for_much_ends() -> None:
    """P5: units of no use, as many as fit."""
    began = time.process_time()
    many = heic_files.heic(replace(QUARTERS, data=b"\0\0\0\2\x46\1" * 5_000_000))
    with pytest.raises(ValueError, match="more than 100000 parts"):
        heic.pixels_at_once(many)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("brand", [b"avif", b"isom", b"qt  "])
def test_other_files_of_boxes_are_not_opened(brand: bytes) -> None:
    """Pitfall 11: a film is not a picture."""
    assert not heic.has_signature(heic_files.heic(QUARTERS, brand=brand))
    assert heic.has_signature(heic_files.heic(QUARTERS))


WHOLE = [
    heic_files.heic(coded("alpha"), ALPHA),
    heic_files.heic(heic_files.grid(2, 2, 200, 100, 2, 3, 4, 5), *CELLS),
    heic_files.heic(QUARTERS.adding((b"irot", b"\1"))),
]


@given(st.data())
@example(None)
def test_damage_is_a_rejection(data: st.DataObject | None) -> None:
    """P5: whatever bytes are changed to, or wherever the file ends."""
    for file in WHOLE:
        whole = bytearray(file)
        if data is not None:
            for _ in range(data.draw(st.integers(0, 4))):
                whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
            del whole[data.draw(st.integers(0, len(whole))) :]
        with contextlib.suppress(Rejection):
            variants = Variants(widths=(40,), formats={"jpeg": 80}, max_pixels=100_000)
            list(thumbnails.make(io.BytesIO(bytes(whole)), [variants]))
