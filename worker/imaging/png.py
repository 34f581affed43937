"""PNG files decoded in strips of rows, so that memory does not depend on their height."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO

from PIL import Image, ImageFile, PngImagePlugin

_EIGHT_BITS = frozenset({"L", "LA", "P", "RGB", "RGBA"})
"""Raw modes whose bytes in the file are the same as in Pillow's memory."""

_BLOCK = 1 << 16


def has_strips(picture: Image.Image) -> bool:
    """Return whether `strips` can read it: eight bits per sample, not interlaced, one frame."""
    return (
        isinstance(picture, PngImagePlugin.PngImageFile)
        and not picture.is_animated
        and not picture.info.get("interlace")
        and len(picture.tile) == 1
        and picture.tile[0].args == picture.mode
        and picture.mode in _EIGHT_BITS
    )


def strips(picture: ImageFile.ImageFile, rows: int) -> Iterator[Image.Image]:
    """Yield strips of this many rows, the last one of fewer: bit-identical to Pillow's `load`.

    Rows are inflated here and passed uncompressed to Pillow's decoder, which reverses their
    filters. Filters refer to the row before, so each strip starts with the last row of the
    previous one.

    Raises:
        ValueError: The file is damaged or ends early.
        zlib.error: The same.
    """
    width, height = picture.size
    row_bytes = width * len(picture.getbands())
    image_data = _Inflated(_image_data(picture))
    before = bytes(row_bytes)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        filtered = image_data.read(count * (1 + row_bytes))
        unfiltered = b"\x00"  # the filter type of the row before: none
        stored = zlib.compress(b"".join((unfiltered, before, filtered)), level=0)
        del filtered
        size = width, 1 + count
        strip = Image.frombytes(picture.mode, size, stored, "zip", (picture.mode, 0))
        del stored
        before = strip.crop((0, count, width, 1 + count)).tobytes()
        strip.info = picture.info  # it holds a transparent colour
        if picture.palette:
            strip.putpalette(picture.palette)
        yield strip.crop((0, 1, width, 1 + count))


def late_exif(picture: ImageFile.ImageFile) -> bytes | None:
    """Return EXIF data that follow the pixels; to find them, Pillow would decode all pixels."""
    for name, chunk in _chunks(picture):
        if name == b"eXIf":
            return b"Exif\x00\x00" + b"".join(chunk)
    return None


class _Inflated:
    """A zlib stream in pieces, which never expands to more than is asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._stream = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        found: list[bytes] = []
        while size > 0:
            piece = self._stream.unconsumed_tail or next(self._pieces, b"")
            if not piece or self._stream.eof:
                raise ValueError("the image data end early")
            found.append(self._stream.decompress(piece, size))
            size -= len(found[-1])
        return b"".join(found)


def _image_data(picture: ImageFile.ImageFile) -> Iterator[bytes]:
    """Yield the bodies of the IDAT chunks, which have to be consecutive."""
    for name, chunk in _chunks(picture):
        if name != b"IDAT":
            return
        yield from chunk


def _chunks(picture: ImageFile.ImageFile) -> Iterator[tuple[bytes, Iterator[bytes]]]:
    """Yield name and body, in pieces, of each chunk from the first IDAT on.

    The body must be read before the next chunk. The checksum of a body that is read is checked;
    the others are skipped.
    """
    file = picture.fp
    if file is None:
        raise ValueError("closed")
    position = picture.tile[0].offset - 8
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = int.from_bytes(head[:4]), head[4:]
        yield name, _body(file, name, length)
        position += 8 + length + 4


def _body(file: IO[bytes], name: bytes, length: int) -> Iterator[bytes]:
    checksum = zlib.crc32(name)
    while length:
        piece = file.read(min(length, _BLOCK))
        if not piece:
            raise ValueError(f"the chunk {name!r} ends early")
        checksum = zlib.crc32(piece, checksum)
        length -= len(piece)
        yield piece
    if checksum != int.from_bytes(file.read(4)):
        raise ValueError(f"the chunk {name!r} has a wrong checksum")
