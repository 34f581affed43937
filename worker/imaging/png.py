"""PNG files: chunks as browsers read them, and strips of rows instead of the whole image."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO, Final

from PIL import Image, ImageChops, ImageFile, PngImagePlugin

from worker.imaging import unfilter
from worker.imaging.color_space import ColorSpace, by_code_points, by_gamma
from worker.imaging.inflate import Inflated, crc32

_EIGHT_BITS = frozenset({"L", "LA", "P", "RGB", "RGBA"})
"""Raw modes whose bytes in the file are the same as in Pillow's memory."""

_BLOCK = 1 << 16

_GREY, _COLOUR = 0, 2
"""The specification's types of color that can have a transparent value."""


LONGEST_PROFILE: Final = 4 << 20
"""Bytes; a picture is shown without a larger profile. Those of printers have up to 3 MB."""

LONGEST_EXIF: Final = 1 << 20
"""Bytes that are kept of EXIF data; what is read of them is at their start, before a preview."""

_READ: Final = frozenset(
    {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"cLLI", b"mDCV"}
    | {b"eXIf", b"acTL", b"fcTL"}
)
"""Ancillary chunks that are read; text in particular is not, and never inflated."""

_PROFILE_SIGNATURE: Final = b"acsp"
"""ICC.1:2022, 7.2.9."""

_LIGHT_UNIT: Final = 0.0001
"""cd/m²."""

_DAMAGE: Final = (ValueError, SyntaxError, IndexError, struct.error, zlib.error)


class _Stream(PngImagePlugin.PngStream):
    """Pillow's reader of chunks, as tolerant as the specification and browsers are.

    An ancillary chunk that has a wrong checksum or makes no sense counts as absent (PNG, 13.1 and
    13.2), and those that are not needed are not read.
    """

    _has_profile = False
    _depth = 8
    _color_type = _COLOUR

    @property
    def _file(self) -> IO[bytes]:
        if self.fp is None:
            raise ValueError("closed")
        return self.fp

    def call(self, cid: bytes, pos: int, length: int) -> bytes:
        """Handle a chunk; an ancillary one, except an animation's pixels, may be left out."""
        if not cid[0] & 0x20 or cid == b"fdAT":
            return super().call(cid, pos, length)
        file = self._file
        if cid in _READ and _is_whole(file, cid, length):
            file.seek(pos)
            try:
                super().call(cid, pos, length)
            except _DAMAGE:
                # A frame's place decides which pixels are decoded.
                if cid in {b"acTL", b"fcTL"}:
                    raise
        file.seek(pos + length)
        return b""

    def crc(self, cid: bytes, data: bytes) -> None:
        """Check the checksum of a critical chunk; `call` has checked those of the others."""
        if cid[0] & 0x20:
            self.crc_skip(cid, data)
        else:
            super().crc(cid, data)

    def chunk_iCCP(self, _pos: int, length: int) -> bytes:  # noqa: N802 -- Pillow's name
        """Inflate a profile, if it is the first, compressed in the one way there is and not large.

        There is one (PNG, 5.6); each of many could inflate to megabytes.
        """
        if self._has_profile:
            return b""
        self._has_profile = True
        name, _, rest = ImageFile._safe_read(self._file, length).partition(b"\x00")
        if rest[:1] == b"\x00":
            inflater = zlib.decompressobj()
            profile = inflater.decompress(rest[1:], LONGEST_PROFILE)
            if not inflater.unconsumed_tail and profile[36:40] == _PROFILE_SIGNATURE:
                self.im_info["icc_profile"] = profile
        return name

    def chunk_cICP(self, _pos: int, length: int) -> bytes:  # noqa: N802 -- the chunk's name
        """Read what the values mean by H.273; only of RGB in full range, as browsers do."""
        body = self._file.read(length)
        primaries, transfer, matrix, full_range = struct.unpack("4B", body)
        if matrix == 0 and full_range == 1:
            self.im_info["cicp"] = primaries, transfer
        return body

    def chunk_cLLI(self, _pos: int, length: int) -> bytes:  # noqa: N802 -- the chunk's name
        """Read the light of the brightest pixel."""
        body = self._file.read(length)
        self.im_info["brightest"] = struct.unpack(">2I", body)[0] * _LIGHT_UNIT
        return body

    def chunk_mDCV(self, _pos: int, length: int) -> bytes:  # noqa: N802 -- the chunk's name
        """Read the light of the screen that the picture was made on."""
        body = self._file.read(length)
        self.im_info["brightest_of_screen"] = struct.unpack(">8H2I", body)[8] * _LIGHT_UNIT
        return body

    def chunk_eXIf(self, _pos: int, length: int) -> bytes:  # noqa: N802 -- Pillow's name
        """Read what is needed of EXIF data, which may be of any size."""
        self.im_info["exif"] = b"Exif\x00\x00" + self._file.read(min(length, LONGEST_EXIF))
        return b""

    def chunk_IHDR(self, pos: int, length: int) -> bytes:  # noqa: N802 -- Pillow's name
        body = super().chunk_IHDR(pos, length)
        self._depth, self._color_type = body[8], body[9]
        return body

    def chunk_tRNS(self, pos: int, length: int) -> bytes:  # noqa: N802 -- Pillow's name
        """Scale a transparent value with the samples; of 16-bit RGB, keep all bits as well."""
        body = super().chunk_tRNS(pos, length)
        if self._color_type in {_GREY, _COLOUR}:
            count = 1 if self._color_type == _GREY else 3
            white = (1 << self._depth) - 1
            values = [value & white for value in struct.unpack(f">{count}H", body[: 2 * count])]
            if self._color_type == _COLOUR and self._depth == 16:
                # Of a pixel, Pillow keeps the high bytes: several colors become this one.
                self.im_info["transparency"] = tuple(value >> 8 for value in values)
                self.im_info["transparency_16"] = tuple(values)
            elif self._color_type == _COLOUR:
                self.im_info["transparency"] = tuple(values)
            else:
                self.im_info["transparency"] = (
                    values[0] if self._depth == 16 else values[0] * 255 // white
                )
        return body


# The plugin knows no other way to be given a reader of chunks.
setattr(PngImagePlugin, "PngStream", _Stream)  # noqa: B010 -- a type cannot be assigned to


def has_strips(picture: Image.Image) -> bool:
    """Return whether `strips` can read it: eight bits per sample, not interlaced, one frame."""
    return (
        isinstance(picture, PngImagePlugin.PngImageFile)
        and _has_plain_rows(picture)
        and picture.tile[0].args == picture.mode
        and picture.mode in _EIGHT_BITS
    )


def has_transparent_16_bit_strips(picture: Image.Image) -> bool:
    """Return whether `transparent_16_bit_strips` decodes only some rows at a time."""
    return (
        isinstance(picture, PngImagePlugin.PngImageFile)
        and has_transparent_16_bits(picture)
        and _has_plain_rows(picture)
    )


def has_transparent_16_bits(picture: Image.Image) -> bool:
    """Return whether it is in RGB of 16 bits, of which one value is transparent."""
    return "transparency_16" in picture.info


def _has_plain_rows(picture: PngImagePlugin.PngImageFile) -> bool:
    return not (picture.is_animated or picture.info.get("interlace")) and len(picture.tile) == 1


def is_grey(picture: Image.Image) -> bool:
    """Return whether it is 16-bit grey with alpha, which Pillow opens as RGBA; before decoding."""
    return (
        isinstance(picture, PngImagePlugin.PngImageFile)
        and len(picture.tile) == 1
        and picture.tile[0].args == "LA;16B"
    )


def color_space(picture: Image.Image) -> ColorSpace | None:
    """Return the color space that a PNG's chunks describe; None if a profile does, or none.

    In the order of precedence of the specification's third edition
    (https://www.w3.org/TR/png-3/#color-chunk-precendence): cICP, iCCP, sRGB, then gAMA and cHRM.
    """
    if not isinstance(picture, PngImagePlugin.PngImageFile):
        return None
    info = picture.info
    if "cicp" in info:
        primaries, transfer = info["cicp"]
        peak = info.get("brightest") or info.get("brightest_of_screen")
        if space := by_code_points(primaries, transfer, peak):
            return space
    if "icc_profile" in info or "srgb" in info or "gamma" not in info:
        return None
    return by_gamma(info["gamma"], info.get("chromaticity"))


def strips(picture: ImageFile.ImageFile, rows: int) -> Iterator[Image.Image]:
    """Yield strips of this many rows, the last one of fewer: bit-identical to Pillow's `load`.

    A strip must stay as it is until the next one is there.

    Raises:
        ValueError: The file is damaged or ends early.
        zlib.error: The same.
    """
    if unfilter.is_vectorised(picture.mode):
        image_data = Inflated(partial(_image_data, picture))
        found = unfilter.strips(image_data, picture.mode, picture.size, rows)
    else:
        found = (strip for (strip,) in _strips(picture, rows, [picture.mode]))
    for strip in found:
        strip.info = picture.info  # it holds a transparent colour
        if picture.palette:
            strip.putpalette(picture.palette)
        yield strip


def transparent_16_bit_strips(picture: ImageFile.ImageFile, rows: int) -> Iterator[Image.Image]:
    """Yield strips in RGBA, transparent where all 16 bits of all samples are those of tRNS.

    Pillow decodes the high bytes, and the low ones where it takes the bytes in the other order.

    Raises:
        ValueError: The file is damaged or ends early.
        zlib.error: The same.
    """
    if not isinstance(picture, PngImagePlugin.PngImageFile):
        raise TypeError(picture)
    values = picture.info["transparency_16"]
    pairs = _strips if _has_plain_rows(picture) else _whole
    for high, low in pairs(picture, rows, ["RGB;16B", "RGB;16L"]):
        image = high.convert("RGBA")
        different = Image.new("L", image.size)
        for number, value in enumerate(values):
            for part, byte in ((high, value >> 8), (low, value & 0xFF)):
                table = [255] * 256
                table[byte] = 0
                different = ImageChops.lighter(different, part.getchannel(number).point(table))
        image.putalpha(different)
        yield image


def _strips(
    picture: ImageFile.ImageFile, rows: int, raw_modes: Sequence[str]
) -> Iterator[list[Image.Image]]:
    """Yield strips in each raw mode: one, or those of the high and the low bytes.

    Rows are inflated here and passed uncompressed to Pillow's decoder, which reverses their
    filters. Filters refer to the row before, so each strip starts with the last row of the
    previous one.
    """
    width, height = picture.size
    row_bytes = width * len(picture.getbands()) * len(raw_modes)
    image_data = Inflated(partial(_image_data, picture))
    before = bytearray(row_bytes)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        filtered = image_data.read(count * (1 + row_bytes))
        unfiltered = b"\x00"  # the filter type of the row before: none
        stored = zlib.compress(b"".join((unfiltered, before, filtered)), level=0)
        del filtered
        size = width, 1 + count
        found = []
        for place, raw_mode in enumerate(raw_modes):
            strip = Image.frombytes(picture.mode, size, stored, "zip", (raw_mode, 0))
            last = strip.crop((0, count, width, 1 + count)).tobytes()
            before[place :: len(raw_modes)] = last
            found.append(strip.crop((0, 1, width, 1 + count)))
        del stored
        yield found


def _whole(
    picture: PngImagePlugin.PngImageFile, rows: int, raw_modes: Sequence[str]
) -> Iterator[list[Image.Image]]:
    """Yield the same of an interlaced picture, which has to be decoded as a whole."""
    images = []
    for raw_mode in raw_modes:
        file = picture.fp
        if file is None:
            raise ValueError("closed")
        file.seek(0)
        image = PngImagePlugin.PngImageFile(io.BytesIO(file.read()))
        image.tile = [image.tile[0]._replace(args=raw_mode)]
        image.load()
        images.append(image)
    width, height = picture.size
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield [image.crop((0, top, width, bottom)) for image in images]


def late_exif(picture: ImageFile.ImageFile) -> bytes | None:
    """Return EXIF data that follow the pixels; to find them, Pillow would decode all pixels."""
    for name, chunk in _chunks(picture):
        if name == b"eXIf":
            return _exif_start(chunk)
    return None


def _exif_start(pieces: Iterator[bytes]) -> bytes:
    """Return the first pieces of EXIF data; reads all, so that the checksum is checked."""
    found = bytearray(b"Exif\x00\x00")
    for piece in pieces:
        if len(found) < LONGEST_EXIF:
            found += piece
    return bytes(found)


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


def _is_whole(file: IO[bytes], name: bytes, length: int) -> bool:
    """Return whether the body of a chunk that begins here has its checksum."""
    try:
        for _ in _body(file, name, length):
            pass
    except ValueError:
        return False
    return True


def _body(file: IO[bytes], name: bytes, length: int) -> Iterator[bytes]:
    checksum = crc32(name)
    while length:
        piece = file.read(min(length, _BLOCK))
        if not piece:
            raise ValueError(f"the chunk {name!r} ends early")
        checksum = crc32(piece, checksum)
        length -= len(piece)
        yield piece
    if checksum != int.from_bytes(file.read(4)):
        raise ValueError(f"the chunk {name!r} has a wrong checksum")
