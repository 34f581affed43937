"""A picture's orientation, when it was taken, and its copyright, as its EXIF data say."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import IO, Final

from PIL import ImageFile

from worker.imaging import png, tiff

LONGEST_COPYRIGHT: Final = 300
"""Characters of a copyright that are kept."""

# Tags of Exif 2.32, https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf
_ORIENTATION: Final = 0x0112
_COPYRIGHT: Final = 0x8298
_EXIF_DIRECTORY: Final = 0x8769
_DATE_TIME_ORIGINAL: Final = 0x9003
_OFFSET_TIME_ORIGINAL: Final = 0x9011
_TEXTS: Final = frozenset({_COPYRIGHT, _DATE_TIME_ORIGINAL, _OFFSET_TIME_ORIGINAL})

_TEXT_TYPES: Final = frozenset({1, 2, 7, 129})
"""BYTE, ASCII, UNDEFINED, and UTF-8 of Exif 3.0; each has one byte per value."""

_LONG: Final = 4
_NUMBERS: Final = {1: "B", 3: "H", _LONG: "I"}
"""BYTE, SHORT and LONG, by struct's names; an orientation is a SHORT, but not in every file."""

_HEADER: Final = b"Exif\x00\x00"
_MOST_ENTRIES: Final = 1_000
"""Entries of a directory that are looked at; cameras write some sixty."""

_LONGEST_TEXT: Final = 4_096
"""Bytes of a text that are read."""

_DATE: Final = re.compile(rb"([0-9]{4}):([0-9]{2}):([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})")
_OFFSET: Final = re.compile(rb"[+-][0-9]{2}:[0-9]{2}")


def orientation(picture: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8, that is still to be applied after decoding.

    XMP may name one too, which browsers do not follow. EXIF data behind a PNG's pixels are put into
    `picture.info`.
    """
    if isinstance(picture, tiff.TiffPicture):
        return picture.orientation  # 1 where Pillow applies it, as it is part of the format
    if picture.format == "HEIC":
        return 1  # the container's own is applied, and counts alone: ISO/IEC 23008-12, A.2.3
    found = 1
    # Damaged EXIF data are not a reason to reject good pixels.
    with suppress(Exception):
        if picture.format == "PNG" and "exif" not in picture.info:
            picture.info["exif"] = png.late_exif(picture)
        if file := _tiff(picture):
            order, offset = _first_directory(file)
            for tag, type_, count, value in _entries(file, order, offset):
                if tag == _ORIENTATION and type_ in _NUMBERS and count == 1:
                    (found,) = struct.unpack_from(f"{order}{_NUMBERS[type_]}", value)
    return found if found in range(1, 9) else 1


def metadata(picture: ImageFile.ImageFile, keep: Collection[str]) -> dict[str, str | None]:
    """Return what is to be kept by its name, None where the file has none.

    Damaged EXIF data are as good as none. "taken" is ISO 8601, with the offset from UTC where the
    file has one; "copyright" is one line of at most LONGEST_COPYRIGHT characters.

    Args:
        picture: An opened image, whose orientation has been read: that finds a PNG's EXIF data.
        keep: "taken", "copyright", both or none; for none, nothing is read.
    """
    texts: dict[int, bytes] = {}
    file = _tiff(picture) if keep else None
    if file:
        position = file.tell()
        # Whatever a file holds, it is not a reason to reject good pixels.
        with suppress(Exception):
            for tag, text in _texts(file):
                texts.setdefault(tag, text)
        file.seek(position)
    found = {"taken": _taken(texts), "copyright": _copyright(texts)}
    return {name: found[name] for name in sorted(keep)}


def _tiff(picture: ImageFile.ImageFile) -> IO[bytes] | None:
    """Return EXIF data, which have the structure of a TIFF, as a file."""
    if picture.format == "TIFF":
        return picture.fp
    data = picture.info.get("exif")
    if not isinstance(data, bytes):
        return None
    while data.startswith(_HEADER):  # some write it twice
        data = data[len(_HEADER) :]
    return io.BytesIO(data)


def _texts(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield tag and bytes of the texts in the first directory and in its Exif directory."""
    order, offset = _first_directory(file)
    for _ in range(2):  # no more, whatever they name
        inner = None
        for tag, type_, count, value in _entries(file, order, offset):
            if tag in _TEXTS and type_ in _TEXT_TYPES:
                yield tag, _text(file, order, count, value)
            elif tag == _EXIF_DIRECTORY and type_ == _LONG:
                (inner,) = struct.unpack(f"{order}I", value)
        if inner is None:
            return
        offset = inner


def _first_directory(file: IO[bytes]) -> tuple[str, int]:
    """Return the byte order, in struct's notation, and the first directory's offset."""
    file.seek(0)
    order = {b"II": "<", b"MM": ">"}[file.read(2)]
    _, offset = struct.unpack(f"{order}HI", file.read(6))
    return order, offset


def _entries(file: IO[bytes], order: str, offset: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield tag, type, count, and value or its offset, of each entry of a directory."""
    file.seek(offset)
    (count,) = struct.unpack(f"{order}H", file.read(2))
    data = file.read(12 * min(count, _MOST_ENTRIES))
    yield from struct.iter_unpack(f"{order}HHI4s", data[: len(data) // 12 * 12])


def _text(file: IO[bytes], order: str, count: int, value: bytes) -> bytes:
    if count <= len(value):
        return value[:count]
    file.seek(struct.unpack(f"{order}I", value)[0])
    return file.read(min(count, _LONGEST_TEXT))


def _taken(texts: Mapping[int, bytes]) -> str | None:
    date = _DATE.fullmatch(texts.get(_DATE_TIME_ORIGINAL, b"").rstrip(b"\x00 "))
    if not date:
        return None
    local = b"%b-%b-%bT%b" % date.groups()
    offset = texts.get(_OFFSET_TIME_ORIGINAL, b"").rstrip(b"\x00 ")
    for text in (local + offset, local) if _OFFSET.fullmatch(offset) else (local,):
        with suppress(ValueError):  # such as the 31st of February, or of the year 0
            return datetime.fromisoformat(text.decode()).isoformat()
    return None


def _copyright(texts: Mapping[int, bytes]) -> str | None:
    """Return the photographer's and the editor's copyright, between which EXIF has a zero byte."""
    parts = []
    for part in texts.get(_COPYRIGHT, b"").split(b"\x00"):
        words = part.decode(errors="replace").split()
        parts.append("".join(filter(str.isprintable, " ".join(words))).strip())
    return ", ".join(filter(None, parts))[:LONGEST_COPYRIGHT].rstrip() or None
