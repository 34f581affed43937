"""HEIC files: a container written here, around pictures in HEVC from the folder `heic`.

Those were made for this purpose by pillow-heif 1.4.0 (x265), which no test needs: `quarters` of
corpus.py, 200 by 100 pixels, at quality 80, in 4:2:0, in 4:4:4, with 10 bits, in grey with 8 and
10 bits, and with an alpha channel of 128 (`image.putalpha(128)`, and then
`pillow_heif.from_pillow(image).save(file, quality=80)`; 10 bits come from the mode `RGB;16`); one
file of 100 by 50 pixels for each color of the quarters; and `large` ones of 3,000 by 2,000 red
pixels at quality 50, in 4:2:0 with 8 bits and in 4:4:4 with 10, with and without alpha.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

from worker.imaging.isobmff import Container

FOLDER = Path(__file__).with_name("heic")

Property = tuple[bytes, bytes]
"""Name and body of a box."""

ALPHA = (b"auxC", bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
DEPTH = (b"auxC", bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth\0")
GAIN_MAP = (b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0")


@dataclass(frozen=True)
class Item:
    """One item of a file; ids are positions, from 1."""

    kind: bytes = b"hvc1"
    data: bytes = b""
    properties: tuple[Property, ...] = ()
    references: tuple[tuple[bytes, tuple[int, ...]], ...] = ()

    def adding(self, *properties: Property) -> Item:
        return replace(self, properties=(*self.properties, *properties))

    def referring(self, kind: bytes, *ids: int) -> Item:
        return replace(self, references=(*self.references, (kind, ids)))


def box(name: bytes, *bodies: bytes) -> bytes:
    """Return a box of ISO/IEC 14496-12."""
    return struct.pack(">I4s", 8 + sum(map(len, bodies)), name) + b"".join(bodies)


def saved(name: str) -> bytes:
    return (FOLDER / f"{name}.heic").read_bytes()


def coded(name: str, item: int = 1) -> Item:
    """Return an item of a file in the folder, without its references."""
    container = Container(memoryview(saved(name)))
    ((_, data),) = container.items([item])
    properties = ((kind, bytes(body)) for kind, body in container.properties()[item])
    return Item(data=bytes(data), properties=tuple(properties))


def size(width: int, height: int) -> Property:
    return b"ispe", struct.pack(">4xII", width, height)


def color(primaries: int, transfer: int, matrix: int = 6, *, full: bool = True) -> Property:
    return b"colr", struct.pack(">4sHHHB", b"nclx", primaries, transfer, matrix, full << 7)


def crop(width: int, height: int, across: int = 0, down: int = 0) -> Property:
    """Return a crop to a size around a middle, this many half pixels from the picture's."""
    return b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2)


def grid(columns: int, rows: int, width: int, height: int, *cells: int) -> Item:
    """Return a picture of others side by side, row by row."""
    data = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    return Item(b"grid", data, (size(width, height),)).referring(b"dimg", *cells)


def layers(width: int, height: int, *places: tuple[int, int, int]) -> Item:
    """Return a picture of others above each other: id, left, top."""
    data = struct.pack(">BB4HHH", 0, 0, 0, 0, 0, 65_535, width, height)
    data += b"".join(struct.pack(">hh", left, top) for _, left, top in places)
    ids = (item for item, _, _ in places)
    return Item(b"iovl", data, (size(width, height),)).referring(b"dimg", *ids)


def heic(*items: Item, primary: int = 1, brand: bytes = b"heic", after: bytes = b"") -> bytes:
    """Return a file.

    Args:
        items: Its items; their ids are 1, 2, ….
        primary: The id of the one to show; 0 to name none.
        brand: The kind of file that it states.
        after: Further boxes.
    """
    entries = b"".join(
        box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), item.kind, b"\0")
        for number, item in enumerate(items, 1)
    )
    references = [
        box(kind, struct.pack(f">HH{len(ids)}H", number, len(ids), *ids))
        for number, item in enumerate(items, 1)
        for kind, ids in item.references
    ]
    properties = list(dict.fromkeys(one for item in items for one in item.properties))
    associations = b"".join(
        struct.pack(">HB", number, len(item.properties))
        + bytes(properties.index(one) + 1 for one in item.properties)
        for number, item in enumerate(items, 1)
    )

    def head(offset: int) -> bytes:
        places = b""
        for number, item in enumerate(items, 1):
            places += struct.pack(">HHHII", number, 0, 1, offset, len(item.data))
            offset += len(item.data)
        return box(b"ftyp", brand, bytes(4), b"mif1", brand) + box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", primary)) if primary else b"",
            box(b"iloc", b"\0\0\0\0\x44\0", struct.pack(">H", len(items)), places),
            box(b"iinf", bytes(4), struct.pack(">H", len(items)), entries),
            box(b"iref", bytes(4), *references) if references else b"",
            box(
                b"iprp",
                box(b"ipco", *(box(*one) for one in properties)),
                box(b"ipma", bytes(4), struct.pack(">I", len(items)), associations),
            ),
        )

    return head(len(head(0)) + 8) + box(b"mdat", b"".join(item.data for item in items)) + after


def exif(tiff: bytes) -> Item:
    """Return EXIF data of item 1: four bytes say where the TIFF starts."""
    return Item(b"Exif", bytes(4) + tiff).referring(b"cdsc", 1)
