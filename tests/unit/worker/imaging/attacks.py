"""Small files that ask for much work: many parts, in every container."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final

from PIL import Image

from tests.unit.worker.imaging.corpus import png_chunk, saved
from tests.unit.worker.imaging.heic_files import box


def _picture(size: tuple[int, int]) -> Image.Image:
    """Return the same pixels each time."""
    ramp = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (ramp, ramp.rotate(180), ramp))


def _small(format_name: str, **options: object) -> bytes:
    return saved(_picture((20, 10)), format_name, **options)


def _jpeg(segment: bytes, count: int, *, place: int = 2) -> bytes:
    data = _small("JPEG")
    return data[:place] + segment * count + data[place:]


def _jpeg_segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2) + body


def _after_first_scan(count: int) -> bytes:
    """Return a JPEG with so many segments that look like scans, and are none, within its scans."""
    data = saved(_picture((64, 64)).convert("L"), "JPEG", progressive=True)
    place = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    return data[:place] + _jpeg_segment(0xFE, b"\xff\xda") * count + data[place:]


def _png(chunk: bytes, count: int, before: bytes = b"IDAT") -> bytes:
    data = _small("PNG")
    place = data.index(before) - 4
    return data[:place] + chunk * count + data[place:]


def _gif(blocks: bytes) -> bytes:
    data = _small("GIF")
    place = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:place] + blocks + data[place:]


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp(chunk: bytes, count: int) -> bytes:
    image = _picture((20, 10))
    data = saved(image, "WEBP", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00")
    place = data.index(b"EXIF")
    return _riff(data[12:place] + chunk * count + data[place:])


def _webp_frames(count: int) -> bytes:
    frames = [_picture((20, 10)).rotate(turn) for turn in (90, 180)]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], method=0)
    pixels = saved(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    frame = b"ANMF" + struct.pack("<I", 16 + len(pixels)) + bytes(16) + pixels
    return _riff(data[12:] + frame * count)


def avif_with(name: bytes, entries: bytes, outer: tuple[bytes, ...] = (b"meta",)) -> bytes:
    """Return an AVIF with these bytes at the end of its first box of a name.

    Args:
        name: The box.
        entries: What is appended to it.
        outer: The boxes that it is in, outermost first.
    """
    data = _small("AVIF")
    places = [data.index(one) - 4 for one in (*outer, name)]
    size = int.from_bytes(data[places[-1] : places[-1] + 4])
    end = places[-1] + size
    grown = bytearray(data[:end] + entries + data[end:])
    for place in places:
        grown[place : place + 4] = struct.pack(
            ">I", int.from_bytes(grown[place : place + 4]) + len(entries)
        )
    return bytes(grown)


def _items(count: int) -> bytes:
    return b"".join(
        box(
            b"infe", b"\x02\x00\x00\x00" + struct.pack(">HH", 99 + number % 60_000, 0) + b"Exif\x00"
        )
        for number in range(count)
    )


def _tiff(width: int, height: int, tile: tuple[int, int], count: int) -> bytes:
    """Return a grey TIFF all of whose tiles are the same bytes, compressed by Deflate."""
    pixels = zlib.compress(bytes(min(tile[0] * tile[1], 10_000)))
    places = 8 + 2 + 12 * 9 + 4
    pixels_at = places + 8 * count
    entries = [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)),
        *((322, 4, 1, tile[0]), (323, 4, 1, tile[1])),
        *((324, 4, count, places), (325, 4, count, places + 4 * count)),
    ]
    return (
        b"II*\x00\x08\x00\x00\x00"
        + struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        + bytes(4)
        + struct.pack("<I", pixels_at) * count
        + struct.pack("<I", len(pixels)) * count
        + pixels
    )


ATTACKS: Final[dict[str, tuple[Callable[[int], bytes], int, str]]] = {
    "jpeg comments": (lambda n: _jpeg(_jpeg_segment(0xFE, b""), n), 200_000, "unsupported_format"),
    "jpeg fill bytes": (lambda n: _jpeg(b"\xff", n), 200_000, "unsupported_format"),
    "jpeg zeros": (lambda n: _jpeg(bytes(1), n, place=20), 200_000, "unsupported_format"),
    "jpeg restarts": (lambda n: _jpeg(b"\xff\xd0", n), 200_000, "unsupported_format"),
    "jpeg markers without a length": (
        lambda n: _jpeg(b"\xff\x01", n),
        200_000,
        "unsupported_format",
    ),
    "jpeg exif": (
        lambda n: _jpeg(_jpeg_segment(0xE1, b"Exif\x00\x00abc"), n),
        200_000,
        "unsupported_format",
    ),
    "jpeg profiles": (
        lambda n: _jpeg(_jpeg_segment(0xE2, b"ICC_PROFILE\x00\x01\x01a"), n),
        200_000,
        "unsupported_format",
    ),
    "jpeg frames": (
        lambda n: _jpeg(_jpeg_segment(0xC0, b"\x08\x00\x0a\x00\x14\x01\x01\x11\x00"), n),
        2,
        "corrupt",
    ),
    "jpeg comments between scans": (_after_first_scan, 200_000, "unsupported_format"),
    "png chunks": (lambda n: _png(png_chunk(b"prVt"), n), 100_000, "unsupported_format"),
    "png late chunks": (
        lambda n: _png(png_chunk(b"prVt"), n, b"IEND"),
        1_000_000,
        "unsupported_format",
    ),
    "png pieces of pixels": (lambda n: _png(png_chunk(b"IDAT"), n), 400_000, "unsupported_format"),
    "gif comments": (lambda n: _gif(b"\x21\xfe\x01a\x00" * n), 100_000, "unsupported_format"),
    "gif sub-blocks": (
        lambda n: _gif(b"\x21\x01" + b"\x01a" * n + b"\x00"),
        200_000,
        "unsupported_format",
    ),
    "gif controls": (
        lambda n: _gif(b"\x21\xf9\x04\x00\x00\x00\x00\x00" * n),
        100_000,
        "unsupported_format",
    ),
    "webp chunks": (lambda n: _webp(b"abcd\x00\x00\x00\x00", n), 200_000, "unsupported_format"),
    "webp frames": (_webp_frames, 200_000, "unsupported_format"),
    "avif items": (lambda n: avif_with(b"iinf", _items(n)), 40_000, "unsupported_format"),
    "avif places of items": (
        lambda n: avif_with(b"iloc", bytes(10) * n),
        40_000,
        "unsupported_format",
    ),
    "avif references": (
        lambda n: avif_with(b"meta", box(b"iref", bytes(4) + box(b"auxl", bytes(6)) * n), ()),
        40_000,
        "unsupported_format",
    ),
    "avif properties of items": (
        lambda n: avif_with(b"ipma", bytes(5) * n, (b"meta", b"iprp")),
        40_000,
        "unsupported_format",
    ),
    "avif boxes": (lambda n: _small("AVIF") + box(b"free", b"") * n, 40_000, "unsupported_format"),
    "tiff tiles": (lambda n: _tiff(n, 1, (1, 1), n), 110_000, "unsupported_format"),
    "tiff tiles beyond the picture": (
        lambda n: _tiff(16 * n, 1, (16, 300_000), n),
        30_000,
        "too_many_pixels",
    ),
}
"""By name: the maker, how many parts are too many, and the reason of the rejection."""
