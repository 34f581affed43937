"""Large compressed TIFFs, some rows at a time: from small files that each hold a few strips.

libtiff, as Pillow calls it, decodes a whole picture. What a strip or a row of tiles holds does not
depend on the others, so a file of some of them, with the same tags, decodes to the same pixels.
Only a JPEG that says it is higher than its strip is taken more often, as the last of such a file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import add
from typing import Final

from PIL import Image, ImageFile, TiffImagePlugin

Opener = Callable[[io.BytesIO], ImageFile.ImageFile]

LEAST_PIXELS: Final = 1 << 22
"""A picture of fewer is decoded whole, in at most 16 MB."""

_MOST_PIXELS: Final = 1 << 20
"""Of a strip or a row of tiles. A picture of larger ones, or a single strip, is decoded whole."""

# TIFF 6.0's tags.
_WIDTH, _LENGTH, _COMPRESSION, _PHOTOMETRIC, _PLANAR = 256, 257, 259, 262, 284
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325

_COPIED: Final = (
    *(258, _COMPRESSION, _PHOTOMETRIC, 266, 277, _ROWS_PER_STRIP, _PLANAR),
    *(317, 320, _TILE_WIDTH, _TILE_LENGTH, 332, 338, 339, 347, 529, 530, 531, 532),
)
"""What says how pixels are stored: depths to planes; the predictor, palette, size of tiles, inks,
extra samples, formats of samples, tables of JPEGs, and four of YCbCr."""

_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Of a value, by TIFF 6.0's types; a BigTIFF has others."""

_LONG: Final = 4
_LONGEST_VALUE: Final = 1 << 20
"""Bytes; the largest palette has 393,216."""

_YCBCR, _JPEG, _TOGETHER = 6, 7, 1
_COMPRESSIONS: Final = frozenset({5, _JPEG, 8, 32773, 32946, 34925, 50000})
"""LZW, JPEG, Deflate (two numbers), PackBits, LZMA, Zstandard."""

_STRETCHED: Final = frozenset({"I", "F"})
"""Modes whose largest value has to be known before a row is converted."""


@dataclass(frozen=True)
class Strips:
    """Where the strips of a picture are, or its tiles.

    Attributes:
        size: The picture's width and height, not turned by an orientation.
        rows: The rows of a strip or a tile.
        across: How many are side by side: 1 for strips.
        offsets: Their places in the file.
        lengths: Their bytes.
        is_tiled: Whether they are tiles.
    """

    size: tuple[int, int]
    rows: int
    across: int
    offsets: Sequence[int]
    lengths: Sequence[int]
    is_tiled: bool

    @property
    def pixels(self) -> int:
        """Return the pixels that are decoded at a time, at least."""
        return self.size[0] * self.rows


def find(picture: TiffImagePlugin.TiffImageFile) -> Strips | None:
    """Return the strips of a picture that can be decoded apart, and are worth it; else None."""
    tags, size = picture.tag_v2, picture._tile_size
    photometric, compression = tags.get(_PHOTOMETRIC), tags.get(_COMPRESSION)
    if (
        size[0] * size[1] < LEAST_PIXELS
        or [tile.codec_name for tile in picture.tile] != ["libtiff"]
        or compression not in _COMPRESSIONS
        or (photometric == _YCBCR and compression != _JPEG)
        or tags.get(_PLANAR, _TOGETHER) != _TOGETHER
        or picture.mode in _STRETCHED
    ):
        return None
    is_tiled = _TILE_OFFSETS in tags
    offsets, lengths, rows, width = (
        tags.get(tag, ())
        for tag in (
            (_TILE_OFFSETS, _TILE_BYTES, _TILE_LENGTH, _TILE_WIDTH)
            if is_tiled
            else (_STRIP_OFFSETS, _STRIP_BYTES, _ROWS_PER_STRIP, _WIDTH)
        )
    )
    if not (_is_positive(rows) and _is_positive(width)) or rows * size[0] > _MOST_PIXELS:
        return None
    across = -(-size[0] // width)
    if (
        not len(offsets) == len(lengths) == across * -(-size[1] // rows)
        or not all(map(_is_positive, (*offsets, *lengths)))
        or max(sum(lengths), *map(add, offsets, lengths)) > _file_bytes(picture)
        or not _can_be_copied(tags)
    ):
        return None
    return Strips(size, rows, across, offsets, lengths, is_tiled=is_tiled)


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and value > 0


def _file_bytes(picture: ImageFile.ImageFile) -> int:
    return picture.fp.seek(0, io.SEEK_END) if picture.fp else 0


def _can_be_copied(tags: TiffImagePlugin.ImageFileDirectory_v2) -> bool:
    """Return whether a classic TIFF can have the tags' values, often."""
    copied = [tag for tag in _COPIED if tag in tags._tagdata]
    return all(
        tags.tagtype[tag] in _BYTES and len(tags._tagdata[tag]) <= _LONGEST_VALUE for tag in copied
    )


def bands(
    picture: TiffImagePlugin.TiffImageFile, strips: Strips, rows: int, opened: Opener
) -> Iterator[Image.Image]:
    """Yield bands of this many rows, the last one of fewer, not turned by an orientation.

    Args:
        picture: The opened picture.
        strips: What `find` returned.
        rows: The rows of a band.
        opened: Opens the small files.
    """
    rest: Image.Image | None = None
    for part in _parts(picture, strips, rows, opened):
        image = part
        if rest is not None:
            image = rest.crop((0, 0, rest.width, rest.height + part.height))
            image.paste(part, (0, rest.height))
        top = 0
        while image.height - top >= rows:
            yield image.crop((0, top, image.width, top + rows))
            top += rows
        rest = image.crop((0, top, image.width, image.height)) if top < image.height else None
    if rest is not None:
        yield rest


def _parts(
    picture: TiffImagePlugin.TiffImageFile, strips: Strips, rows: int, opened: Opener
) -> Iterator[Image.Image]:
    """Yield the picture in parts of a few strips, at least this many rows."""
    if picture.fp is None:
        raise ValueError("closed")
    picture.fp.seek(0)
    data = memoryview(picture.fp.read())
    width, height = strips.size
    together = -(-rows // strips.rows)
    for top in range(0, height, together * strips.rows):
        first = top // strips.rows * strips.across
        last = first + together * strips.across
        pieces = [
            data[offset : offset + length]
            for offset, length in zip(
                strips.offsets[first:last], strips.lengths[first:last], strict=True
            )
        ]
        size = width, min(together * strips.rows, height - top)
        file = _file(picture.tag_v2, size, pieces, is_tiled=strips.is_tiled)
        with opened(io.BytesIO(file)) as part:
            part.load()
            yield part


def _file(
    tags: TiffImagePlugin.ImageFileDirectory_v2,
    size: tuple[int, int],
    pieces: Sequence[memoryview],
    *,
    is_tiled: bool,
) -> bytes:
    """Return a TIFF of these strips or tiles."""
    order = tags._endian
    offsets_tag, lengths_tag = (
        (_TILE_OFFSETS, _TILE_BYTES) if is_tiled else (_STRIP_OFFSETS, _STRIP_BYTES)
    )

    def longs(values: Sequence[int]) -> tuple[int, int, bytes]:
        return _LONG, len(values), struct.pack(f"{order}{len(values)}I", *values)

    entries = {
        tag: (kind, len(value) // _BYTES[kind], value)
        for tag, kind, value in (
            (tag, tags.tagtype[tag], tags._tagdata[tag]) for tag in _COPIED if tag in tags._tagdata
        )
    }
    entries[_WIDTH], entries[_LENGTH] = longs(size[:1]), longs(size[1:])
    entries[lengths_tag] = longs(list(map(len, pieces)))
    entries[offsets_tag] = longs([0] * len(pieces))
    start = 8 + 2 + 12 * len(entries) + 4
    place = start + sum(len(value) for _, _, value in entries.values() if len(value) > 4)
    offsets = []
    for piece in pieces:
        offsets.append(place)
        place += len(piece)
    entries[offsets_tag] = longs(offsets)
    table, values = bytearray(), bytearray()
    for tag, (kind, count, value) in sorted(entries.items()):
        table += struct.pack(f"{order}HHI", tag, kind, count)
        if len(value) > 4:
            table += struct.pack(f"{order}I", start + len(values))
            values += value
        else:
            table += value.ljust(4, b"\x00")
    head = tags._prefix + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return b"".join((head, table, bytes(4), values, *pieces))
