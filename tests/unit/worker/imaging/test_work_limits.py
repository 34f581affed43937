"""worker/imaging/work_limits.py: what asks for too much work is rejected, whatever its bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from PIL import Image, ImageFile

from tests.unit.worker.imaging.attacks import ATTACKS
from tests.unit.worker.imaging.corpus import VARIANTS, png_chunk, saved
from tests.unit.worker.imaging.heic_files import box
from worker.imaging import (
    avif_tables,
    identify,
    jpeg,
    memory_estimate,
    thumbnails,
    tiff,
    webp,
    work_limits,
)
from worker.imaging.exif import orientation
from worker.imaging.memory import Memory
from worker.results import Rejection

LARGE = replace(VARIANTS, widths=(16,), formats={"jpeg": 80}, max_pixels=100_000_000)


def opened(data: bytes) -> ImageFile.ImageFile:
    return identify.open_picture(io.BytesIO(data), LARGE.max_pixels)


@pytest.mark.parametrize("name", ATTACKS)
def test_too_many_parts_are_rejected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: before anything takes minutes or gigabytes; here all limits are a fiftieth."""
    for module, limit in (
        *((jpeg, "MOST_PARTS"), (webp, "MOST_PARTS"), (identify, "MOST_READS")),
        *((work_limits.CountedFile, "most_reads"), (avif_tables, "_MOST_ENTRIES")),
        (tiff, "MOST_NUMBERS"),
    ):
        monkeypatch.setattr(module, limit, getattr(module, limit) // 50)
    make, most, reason = ATTACKS[name]
    with pytest.raises(Rejection) as caught:
        list(thumbnails.make(io.BytesIO(make(max(2, most // 50))), [LARGE]))
    assert caught.value.reason == reason


@pytest.mark.parametrize("name", [name for name in ATTACKS if "frames" not in name])
def test_some_hundreds_of_parts_are_not(name: str) -> None:
    """P1: an editor's comments, a scanner's tiles: no good file has as many as an attack."""
    make, _, _ = ATTACKS[name]
    if name == "avif boxes" or not name.startswith(("avif", "tiff")):  # others are not valid
        assert len(list(thumbnails.make(io.BytesIO(make(300)), [LARGE]))) == 2


def test_reads_are_counted_in_one_go() -> None:
    """P9: one small read is as much work as one large one."""
    file = work_limits.CountedFile(bytes(9))
    for _ in range(work_limits.MOST_PARTS):
        file.read(0)
    with pytest.raises(Rejection):
        file.read(1)
    file.most_reads = work_limits.MOST_READS
    assert file.read(1) == b"\x00"


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2) + body


def jpeg_with(segments: bytes) -> bytes:
    data = saved(Image.new("RGB", (20, 10)), "JPEG")
    return data[:2] + segments + data[2:]


def test_exif_data_of_many_segments_are_cut_at_a_megabyte() -> None:
    """P9: what is appended to them is copied each time; the orientation is at their start."""
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    first = segment(0xE1, b"Exif\x00\x00" + tiff)
    more = segment(0xE1, b"Exif\x00\x00" + bytes(60_000))
    picture = opened(jpeg_with(first + more * 100))
    assert len(picture.info["exif"]) <= 1 << 20
    assert orientation(picture) == 6


def test_a_profile_has_no_more_segments_than_its_count_can_say() -> None:
    """P9: and one of fewer is joined in order."""
    head = b"ICC_PROFILE\x00"
    parts = [
        segment(0xE2, head + bytes([number, 3]) + b"abc"[number - 1 :][:1]) for number in (2, 3, 1)
    ]
    assert opened(jpeg_with(b"".join(parts))).info["icc_profile"] == b"abc"
    many = segment(0xE2, head + b"\x01\xff" + bytes(9)) * 1_000
    assert not opened(jpeg_with(many)).info["icc_profile"]


@pytest.mark.parametrize(
    "other",
    [
        segment(0xFE, b"a comment"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x/>"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x00"),
        segment(0xE5, bytes(60_000)),
    ],
    ids=["comment", "xmp", "photoshop", "unknown"],
)
def test_other_segments_are_not_kept(other: bytes) -> None:
    """P9: memory is for pixels."""
    picture = opened(jpeg_with(other * 50))
    assert isinstance(picture, jpeg.JpegPicture)
    assert not picture.applist
    assert not picture.app
    assert not {"comment", "xmp", "photoshop"} & picture.info.keys()


def test_a_jpeg_with_images_behind_it_is_a_jpeg() -> None:
    """P1: cameras put previews there; browsers show the first one."""
    images = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    picture = opened(saved(images[0], "MPO", save_all=True, append_images=images[1:]))
    assert picture.format == "JPEG"
    assert picture.getpixel((9, 5)) == pytest.approx((254, 0, 0), abs=2)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_header_means_what_it_means_to_pillow(mode: str, progressive: bool) -> None:
    """P1: mode, size, components, whether it is progressive, and every pixel."""
    data = saved(Image.effect_noise((31, 17), 90).convert(mode), "JPEG", progressive=progressive)
    picture, other = opened(data), Image.open(io.BytesIO(data))
    assert isinstance(picture, jpeg.JpegPicture)
    assert picture.info.get("progressive") == other.info.get("progressive")
    assert picture.info.get("adobe_transform") == other.info.get("adobe_transform")
    assert (picture.mode, picture.size) == (other.mode, other.size)
    assert picture.layer == getattr(other, "layer", None)
    assert picture.tobytes() == other.tobytes()


def test_only_a_pngs_first_profile_is_inflated() -> None:
    """P9: there is one (PNG, 5.6); each of many could inflate to megabytes."""
    data = saved(Image.new("RGB", (9, 9)))
    profiles = [bytes(36) + b"acsp" + number for number in (b"one", b"two")]
    chunks = [png_chunk(b"iCCP", b"a\x00\x00" + zlib.compress(profile)) for profile in profiles]
    picture = opened(data[:33] + b"".join(chunks) + data[33:])
    assert picture.info["icc_profile"] == profiles[0]


def test_scans_of_a_large_picture_are_bounded_by_their_pixels() -> None:
    """P9: each visits every block; an encoder's ten are accepted up to the limit of pixels."""
    data = bytearray(saved(Image.new("L", (64, 64)), "JPEG", progressive=True))
    last, frame = data.rindex(b"\xff\xda"), data.index(b"\xff\xc2")
    scan = bytes(data[last:-2])
    data[frame + 5 : frame + 9] = b"\x27\x10\x27\x10"  # 10,000 by 10,000
    opened(bytes(data))
    opened(bytes(data[:-2] + scan * 20 + data[-2:]))
    with pytest.raises(Rejection) as caught:
        opened(bytes(data[:-2] + scan * 50 + data[-2:]))
    assert caught.value.reason == "too_many_scans"
    data[frame + 1] = 0xCA  # arithmetic coding
    with pytest.raises(Rejection) as caught:
        opened(bytes(data[:-2] + scan * 5 + data[-2:]))
    assert caught.value.reason == "too_many_scans"


def tiff_of_jpeg(data: bytes, size: tuple[int, int]) -> bytes:
    """Return a grey TIFF of one strip, which is this JPEG."""
    entries = [
        *((256, *size[:1]), (257, *size[1:]), (258, 8), (259, 7), (262, 1), (277, 1)),
        *((273, 8 + 2 + 12 * 9 + 4), (278, size[1]), (279, len(data))),
    ]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries))
    return b"II*\x00\x08\x00\x00\x00" + b"\x09\x00" + directory + bytes(4) + data


def test_scans_of_a_jpeg_within_a_tiff_are_bounded() -> None:
    """P9: by their pixels, as those of a JPEG."""
    data = bytearray(saved(Image.new("L", (64, 64)), "JPEG", progressive=True))
    assert opened(tiff_of_jpeg(bytes(data), (64, 64))).tobytes() == bytes(64 * 64)
    scan = bytes(data[data.rindex(b"\xff\xda") : -2])
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = b"\x27\x10\x27\x10"  # 10,000 by 10,000
    opened(tiff_of_jpeg(bytes(data), (10_000, 10_000)))
    with pytest.raises(Rejection) as caught:
        opened(tiff_of_jpeg(bytes(data[:-2] + scan * 20), (10_000, 10_000)))
    assert caught.value.reason == "too_many_scans"


def test_jpegs_within_a_tiff_do_not_share_their_bytes() -> None:
    """P9: each of thousands could be the whole file."""
    jpegs = saved(Image.new("L", (16, 16)), "JPEG")
    count = 9
    start = 8 + 2 + 12 * 9 + 4
    entries = [
        *((256, 1, 16 * count), (257, 1, 16), (258, 1, 8), (259, 1, 7), (262, 1, 1)),
        *((322, 1, 16), (323, 1, 16), (324, count, start), (325, count, start + 4 * count)),
    ]
    data = b"II*\x00\x08\x00\x00\x00" + b"\x09\x00"
    data += b"".join(struct.pack("<HHII", tag, 4, *values) for tag, *values in entries) + bytes(4)
    data += struct.pack("<I", start + 8 * count) * count + struct.pack("<I", len(jpegs)) * count
    with pytest.raises(Rejection) as caught:
        opened(data + jpegs)
    assert caught.value.reason == "unsupported_format"


class Recorded(Memory):
    """Memory that records what is reserved."""

    def __init__(self, capacity: int | None = None) -> None:
        super().__init__(capacity)
        self.sizes: list[int] = []

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Hold this many bytes."""
        self.sizes.append(size)
        with super().reserved(size):
            yield


def test_memory_is_reserved_before_a_header_is_read() -> None:
    """P9: for a comment or a field that is as long as the file, whichever format it is."""
    comment = (b"\xff" + bytes(255)) * 20_000
    data = saved(Image.new("P", (20, 10)), "GIF")
    place = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    data = data[:place] + b"\x21\xfe" + comment + b"\x00" + data[place:]
    memory = Recorded()
    assert list(thumbnails.make(io.BytesIO(data), [LARGE], memory))
    assert memory.sizes[0] > 3 * len(data)
    # In a small function all of the memory has to do.
    smaller = Recorded(max(memory.sizes[1:]))
    assert list(thumbnails.make(io.BytesIO(data), [LARGE], smaller))
    assert smaller.sizes[0] == smaller.capacity
    assert "comment" not in opened(data).info


def test_what_a_header_leaves_is_reserved_with_the_pixels() -> None:
    """P9: a TIFF's fields, and libwebp's copy of a file."""
    image = Image.new("RGB", (20, 10))
    plain = opened(saved(image, "TIFF"))
    other = opened(saved(image, "TIFF", tiffinfo={270: "a" * 100_000}))
    needed = [memory_estimate.decoding_bytes(each, (9, 9), 9) for each in (plain, other)]
    assert needed[1] >= needed[0] + 100_000
    plain = opened(saved(image, "WEBP"))
    other = opened(saved(image, "WEBP", exif=b"Exif\x00\x00" + bytes(100_000)))
    needed = [memory_estimate.decoding_bytes(each, (9, 9), 9) for each in (plain, other)]
    assert needed[1] >= needed[0] + 300_000


def test_a_box_that_ends_early_hides_none_behind_its_container() -> None:
    """P9: one with a long size, which is cut off; decoders go on after the outer box."""
    cut = struct.pack(">I4s2x", 1, b"free")
    many = box(b"ipco", box(b"pixi") * 40_000)
    tables = [box(b"meta", bytes(4), one) for one in (box(b"iref", bytes(4), cut), many)]
    with pytest.raises(Rejection, match="too many parts"):
        avif_tables.check(box(b"ftyp", b"avif") + b"".join(tables))
