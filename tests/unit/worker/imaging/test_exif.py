"""worker/imaging/exif.py: what the record may have of a file's metadata, and nothing else."""

from __future__ import annotations

import io
import struct
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from tests.unit.worker.imaging.corpus import (
    TiffEntry,
    long,
    png_chunk,
    png_with,
    quarters,
    saved,
    short,
    tiff,
)
from tests.unit.worker.imaging.test_thumbnails import JPEG_ONLY
from tests.workload import outputs_of
from worker.imaging import exif
from worker.imaging.thumbnails import make
from worker.results import Properties

# Pillow warns of what is odd in a file, which does not matter here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

BOTH = ("taken", "copyright")
NONE = dict.fromkeys(BOTH)
DATE = b"2024:05:01 12:34:56"
EXIF_DIRECTORY = 0x8769


def ascii_(tag: int, text: bytes) -> TiffEntry:
    return tag, 2, len(text), text


def camera(
    date: bytes = DATE, offset: bytes = b"+02:00", holder: bytes = b"(c) Jane", order: str = "<"
) -> bytes:
    """EXIF data as a camera writes them, with a place and more that nobody asked for."""
    found = Image.Exif()
    found.endian = order
    found[0x0112] = 6
    found[0x010F] = "SECRET"
    found[0x8298] = holder
    found.get_ifd(EXIF_DIRECTORY).update({0x9003: date, 0x9011: offset, 0x9286: b"SECRET"})
    found.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 29: "2024:05:01"})
    return found.tobytes()


def of(data: bytes, keep: tuple[str, ...] = BOTH) -> dict[str, str | None]:
    """What is found in EXIF data."""
    picture = SimpleNamespace(format="JPEG", info={"exif": data})
    return exif.metadata(cast("ImageFile.ImageFile", picture), keep)


def recorded(data: bytes, keep: tuple[str, ...] = BOTH) -> dict[str, Any]:
    """The record's fields of a picture, without those that come of its pixels."""
    *_, properties = make(io.BytesIO(data), [JPEG_ONLY], keep_metadata=keep)
    assert isinstance(properties, Properties)
    assert b"SECRET" not in repr(properties).encode()
    return {key: properties.record[key] for key in properties.record.keys() - {"color"}} | {
        "placeholder": None
    }


def late_png(data: bytes) -> bytes:
    """A PNG with its EXIF data behind the pixels."""
    plain = saved(quarters())
    return plain[:-12] + png_chunk(b"eXIf", data.removeprefix(b"Exif\x00\x00")) + plain[-12:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "late PNG"])
def test_a_record_has_what_it_is_to_keep(kind: str, order: str) -> None:
    """P7: of each format that has EXIF data; the place and the rest are never in it."""
    data = camera(order=order)
    file = late_png(data) if kind == "late PNG" else saved(quarters(), kind, exif=data)
    kept = {"taken": "2024-05-01T12:34:56+02:00", "copyright": "(c) Jane"}
    assert recorded(file) == {"placeholder": None, **kept}
    for name, value in kept.items():
        assert recorded(file, (name,)) == {"placeholder": None, name: value}
    assert recorded(file, ()) == {"placeholder": None}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"])
def test_without_exif_data_it_has_nothing_to_keep(kind: str) -> None:
    """P7: null, so that a reader can tell it from what nobody asked for."""
    assert recorded(saved(quarters(), kind)) == {"placeholder": None, **NONE}


def test_nothing_is_read_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exif, "_tiff", lambda _: pytest.fail("it was read"))
    assert of(camera(), ()) == {}


@pytest.mark.parametrize(
    ("date", "offset", "expected"),
    [
        (DATE, b"-03:30", "2024-05-01T12:34:56-03:30"),
        (DATE, b"+00:00", "2024-05-01T12:34:56+00:00"),
        (DATE, b"", "2024-05-01T12:34:56"),
        (DATE, b"   :  ", "2024-05-01T12:34:56"),
        (DATE, b"+99:99", "2024-05-01T12:34:56"),
        (DATE, b"Europe/Berlin", "2024-05-01T12:34:56"),
        (DATE + b"  ", b"+02:00 ", "2024-05-01T12:34:56+02:00"),
        (b"2024:02:31 12:34:56", b"+02:00", None),
        (b"0000:00:00 00:00:00", b"+02:00", None),
        (b"    :  :     :  :  ", b"", None),
        (b"2024:05:01 12:34:61", b"", None),
        (b"2024:05:01", b"", None),
        (b"yesterday", b"", None),
        (b"2024:05:01 12:34:56Z<script>", b"", None),
        (b"", b"+02:00", None),
    ],
)
def test_the_time_is_iso_8601(date: bytes, offset: bytes, expected: str | None) -> None:
    """P7: local time with its offset from UTC where the file has one."""
    assert of(camera(date, offset))["taken"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("© 2024 Jané 写真".encode(), "© 2024 Jané 写真"),
        (b"\xa9 Jane", "\N{REPLACEMENT CHARACTER} Jane"),
        (b" Jane\x00 Joe\x00", "Jane, Joe"),
        (b" \x00Joe", "Joe"),
        (b"Ja\x1b[31mne\r\n\tDoe\x07", "Ja[31mne Doe"),
        ("Jane \N{RIGHT-TO-LEFT OVERRIDE}Doe".encode(), "Jane Doe"),
        (b"x" * 10_000, "x" * 300),
        ("é".encode() * 10_000, "é" * 300),
        (b" \x00 \x01", None),
        (b"", None),
    ],
)
def test_the_copyright_is_one_line_of_text(text: bytes, expected: str | None) -> None:
    """S7: without control characters and of at most 300 characters: it is an uploader's."""
    assert of(camera(holder=text))["copyright"] == expected


def nested(*inner: TiffEntry, pointer: int | None = None) -> bytes:
    """A copyright, and a directory with these entries or at this offset."""
    outer = tiff(ascii_(0x8298, b"Jane\x00"), long(EXIF_DIRECTORY, pointer or 0))
    if pointer is not None:
        return outer
    entries = tiff(*inner)[8:]
    place = len(outer)
    assert not any(len(value) > 4 for *_, value in inner), "its offset would be wrong"
    return outer.replace(
        struct.pack("<HHII", EXIF_DIRECTORY, 4, 1, 0),
        struct.pack("<HHII", EXIF_DIRECTORY, 4, 1, place),
    ) + (entries)


@pytest.mark.parametrize(
    "data",
    [
        nested(pointer=8),
        nested(pointer=0xFFFFFFFF),
        nested(pointer=3),
        nested((0x9003, 2, 0xFFFFFFFF, b"\xff\xff\xff\xff")),
        nested((0x9003, 5, 3, bytes(4)), (0x9011, 99, 1, bytes(4))),
        nested(long(EXIF_DIRECTORY, 8)),
        nested()[:-5],
    ],
    ids=["loop", "far", "header", "huge", "types", "inner", "short"],
)
def test_what_is_damaged_takes_nothing_else_with_it(data: bytes) -> None:
    """P5: a directory that names itself, or what is not there, or nothing that can be read."""
    assert of(data) == {"copyright": "Jane", "taken": None}


def test_a_copyright_of_numbers_is_none() -> None:
    assert of(tiff(short(0x8298, 0x4A4A)))["copyright"] is None


class Counted(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


def test_a_tiff_is_read_in_small_parts() -> None:
    """P5: however large its directory and its texts are."""
    entries = [ascii_(0x8298, b"x" * 10_000_000), *(long(tag, 1) for tag in range(0x9100, 0xF000))]
    file = Counted(tiff(*entries))
    picture = cast("ImageFile.ImageFile", SimpleNamespace(format="TIFF", fp=file))
    file.seek(77)
    assert exif.metadata(picture, BOTH) == {"copyright": "x" * 300, "taken": None}
    assert file.count < 20_000
    assert file.tell() == 77


@pytest.mark.parametrize("kind", ["PNG", "late PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("size", [65_535, 65_536, 70_000, 2_000_000])
def test_exif_data_of_any_size_are_read(kind: str, order: str, size: int) -> None:
    """P1, P7: with a preview behind the directory, they are larger than a JPEG can hold."""
    data = camera(order=order) + bytes(size)
    file = late_png(data) if kind == "late PNG" else saved(quarters(), kind, exif=data)
    *_, properties = make(io.BytesIO(file), [JPEG_ONLY], keep_metadata=("copyright",))
    assert isinstance(properties, Properties)
    assert properties.record["copyright"] == "(c) Jane"
    width, height = quarters().size
    assert (properties.source["width"], properties.source["height"]) == (height, width)


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("turned", [None, 1, 8])
def test_xmp_turns_no_picture(kind: str, turned: int | None) -> None:
    """P1: EXIF does; XMP beside it or alone does not, as in browsers."""
    found = Image.Exif()
    if turned:
        found[0x0112] = turned
    if kind == "PNG":
        chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + XMP)
        data = png_with(saved(quarters(), exif=found), chunk)
    else:
        data = saved(quarters(), kind, exif=found, xmp=XMP)
    with Image.open(io.BytesIO(data)) as picture:
        assert isinstance(picture, ImageFile.ImageFile)
        assert exif.orientation(picture) == (turned or 1)


def entry(order: str, type_: int, count: int, value: int) -> bytes:
    """EXIF data with nothing but an orientation, as one number of this type."""
    number = struct.pack(order + {1: "B", 3: "H", 4: "I", 5: "I", 8: "h"}[type_], value)
    return (
        (b"II" if order == "<" else b"MM")
        + struct.pack(f"{order}HIHHHI", 42, 8, 1, 0x0112, type_, count)
        + number.ljust(4, b"\x00")
        + bytes(4)
    )


@pytest.mark.parametrize("head", [b"", b"Exif\x00\x00", b"Exif\x00\x00" * 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("type_", "count", "value", "expected"),
    [
        *((type_, 1, value, value) for type_ in (1, 3, 4) for value in range(1, 9)),
        *((type_, 1, value, 1) for type_ in (1, 3, 4) for value in (0, 9, 255)),
        (3, 0, 6, 1),
        (3, 2, 6, 1),
        (5, 1, 6, 1),
        (8, 1, 6, 1),
    ],
)
def test_an_orientation_is_one_number(
    head: bytes, order: str, type_: int, count: int, value: int, expected: int
) -> None:
    """P1: of either byte order; what is no orientation turns nothing."""
    picture = SimpleNamespace(
        format="JPEG", info={"exif": head + entry(order, type_, count, value)}
    )
    assert exif.orientation(cast("ImageFile.ImageFile", picture)) == expected


CAMERA = camera()
SEEDS = {kind: saved(quarters(), kind, exif=CAMERA) for kind in ("JPEG", "PNG", "WEBP", "TIFF")}


@given(
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)), max_size=4),
    st.integers(0, len(CAMERA)),
)
def test_any_damage_leaves_a_text_or_nothing(patches: list[tuple[int, bytes]], end: int) -> None:
    """P5: no exception, no endless loop."""
    damaged = bytearray(CAMERA)
    for place, patch in patches:
        damaged[place : place + len(patch)] = patch
    for value in (*of(bytes(damaged)).values(), *of(bytes(damaged[:end])).values()):
        assert value is None or (value.isprintable() and 0 < len(value) <= 300)


@given(
    st.sampled_from(sorted(SEEDS)),
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)), max_size=3),
)
def test_a_damaged_picture_ends_as_if_nobody_had_asked(
    kind: str, patches: list[tuple[int, bytes]]
) -> None:
    """P5: the same outputs, or the same rejection."""
    damaged = bytearray(SEEDS[kind])
    start = max(SEEDS[kind].find(b"Exif\x00\x00"), SEEDS[kind].find(b"eXIf"), 0)
    for place, patch in patches:
        damaged[start + place : start + place + len(patch)] = patch
    ends = []
    for keep in ((), BOTH):
        try:
            made = [*make(io.BytesIO(damaged), [JPEG_ONLY], keep_metadata=keep)]
            ends.append([output.body for output in outputs_of(made)])
        except Exception as error:  # noqa: BLE001 -- whichever it is, it is the same
            ends.append([str(error).encode()])
    assert ends[0] == ends[1]
