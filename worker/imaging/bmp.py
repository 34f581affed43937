"""BMP files: bit fields of any order and width as browsers show them, and runs in bounded time."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from operator import mul
from typing import IO, Final

from PIL import BmpImagePlugin, Image, ImageChops, ImageFile

from worker.imaging.work_limits import too_many_parts
from worker.results import Rejection

_BIT_FIELDS, _ALPHA_BIT_FIELDS = 3, 6
"""Values of biCompression: BI_BITFIELDS, and BI_ALPHABITFIELDS of Windows CE."""

_MASKS_AT: Final = 40
"""Where the masks are from the header's start: within headers of 52 bytes and more."""

_MASKS: Final = {40: 3, 52: 3, 56: 4, 108: 4, 124: 4}
"""How many masks there are, by the header's size."""

_BAND_PIXELS: Final = 1 << 18
"""Pixels that are looked at together for transparency."""

_MOST_STEPS: Final = 5_000_000
"""Escapes, and groups of runs between them: at most 5 s. A photograph of 12 megapixels has about
2 million."""

_RUNS: Final = re.compile(rb"(?:[^\0].){1,32768}", re.DOTALL)
"""Runs between two escapes; so many that they expand to 8 MB at most."""

_ENDS_OF_ROWS: Final = re.compile(rb"(?:\0\0)+")
_BYTES: Final = [bytes([value]) for value in range(256)]
_NIBBLES: Final = [bytes([value >> 4, value & 15]) for value in range(256)]
_RUN_LENGTHS: Final = "bmp_run_lengths"
"""The name of `_RunLengthDecoder` among Pillow's decoders."""


class BmpPicture(BmpImagePlugin.BmpImageFile):
    """A BMP, of which Pillow reads all but pixels in bit fields and in run lengths.

    Attributes:
        masks: Of red, green, blue and alpha, 0 where there is none, if `bands` has to read it; else
            empty.
        has_run_lengths: Its decoder holds all pixels a second time.
    """

    masks: Sequence[int] = ()
    has_run_lengths = False
    _pixel_bytes = 0
    _pixels_at = 0
    _is_top_down = False

    def _bitmap(self, header: int = 0, offset: int = 0) -> None:
        file = _file(self)
        start = file.tell()
        info = file.read(_MASKS_AT + 16)
        file.seek(start)
        if len(info) == _MASKS_AT + 16:
            size, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", info)
            count = 4 if (size, compression) == (40, _ALPHA_BIT_FIELDS) else _MASKS.get(size, 0)
            masks = struct.unpack_from(f"<{count}I", info, _MASKS_AT)
            has_fields = compression in {_BIT_FIELDS, _ALPHA_BIT_FIELDS} and bits in {16, 32}
            if has_fields and size in _MASKS and any(masks):
                self._size, self._is_top_down = (width, abs(height)), height < 0
                self._pixels_at = offset or start + max(size, _MASKS_AT + 4 * count)
                self._pixel_bytes = bits // 8
                self._set_masks([mask & (1 << bits) - 1 for mask in (*masks, 0)[:4]])
                return
        try:
            super()._bitmap(header, offset)
        except OSError as error:
            if not str(error).startswith("Unsupported"):
                raise
            raise Rejection("unsupported_format", f"{error}.") from error
        if self.tile[0].codec_name == "bmp_rle":
            self.tile = [self.tile[0]._replace(codec_name=_RUN_LENGTHS)]
            self.has_run_lengths = True

    def _set_masks(self, masks: Sequence[int]) -> None:
        together = 0
        for mask in masks:
            if mask & together or mask & mask + (mask & -mask):
                # Browsers refuse them too: https://chromium.googlesource.com/chromium/src/+/main/
                # third_party/blink/renderer/platform/image-decoders/bmp/bmp_image_reader.cc
                raise Rejection("unsupported_format", "The BMP's bit fields overlap or have gaps.")
            together |= mask
        self.masks, self._mode = masks, "RGB"
        self.tile = []

    def field_bands(self, rows: int) -> Iterator[Image.Image]:
        """Yield bands; see `bands`."""
        width = self.width
        for data, height in self._band_bytes(rows):
            fields = self.masks if self.mode == "RGBA" else self.masks[:3]
            channels = [self._channel(data, height, mask) for mask in fields]
            band = Image.merge(self.mode, channels).crop((0, 0, width, height))
            yield band if self._is_top_down else band.transpose(Image.Transpose.FLIP_TOP_BOTTOM)

    def set_transparency(self) -> None:
        """Look for an alpha channel; where no pixel shows, it means nothing, as in browsers."""
        if self.masks and self.masks[3]:
            rows = max(1, _BAND_PIXELS // self.width)
            shows = (
                self._channel(data, height, self.masks[3]).getextrema() != (0, 0)
                for data, height in self._band_bytes(rows)
            )
            self._mode = "RGBA" if any(shows) else "RGB"

    def _band_bytes(self, rows: int) -> Iterator[tuple[bytes, int]]:
        """Yield the bytes of bands, as they are in the file, and their number of rows."""
        row_bytes = -(-self.width * self._pixel_bytes // 4) * 4
        for top in range(0, self.height, rows):
            count = min(rows, self.height - top)
            first = top if self._is_top_down else self.height - top - count
            file = _file(self)
            file.seek(self._pixels_at + first * row_bytes)
            data = file.read(count * row_bytes)
            if len(data) < count * row_bytes:
                raise ValueError("the pixels end early")
            yield data, count

    def _channel(self, data: bytes, rows: int, mask: int) -> Image.Image:
        """Return a field of all pixels in eight bits: the highest ones of a wider field."""
        size = len(data) // self._pixel_bytes // rows, rows
        bits = mask.bit_count()
        if not bits:
            return Image.new("L", size)
        kept = min(bits, 8)
        byte, shift = divmod((mask & -mask).bit_length() - 1 + bits - kept, 8)
        white = (1 << kept) - 1
        parts = [(byte, [value >> shift & white for value in range(256)])]
        if shift + kept > 8:
            parts.append((byte + 1, [value << 8 - shift & white for value in range(256)]))
        channels = [
            Image.frombytes("L", size, data[place :: self._pixel_bytes]).point(values)
            for place, values in parts
        ]
        channel = channels[0]
        for other in channels[1:]:
            channel = ImageChops.add(channel, other)
        return channel.point([min(value * 510 // white + 1 >> 1, 255) for value in range(256)])


class _RunLengthDecoder(ImageFile.PyDecoder):
    """Pillow's own takes up to 11 s for 40 kB, and 20 s for 48 MB."""

    _pulls_fd = True

    def decode(self, _buffer: object) -> tuple[int, int]:
        if self.fd is None:
            raise ValueError("closed")
        has_nibbles, direction = self.args[-2:]
        size = self.state.xsize, self.state.ysize
        pixels = _expanded(self.fd.read(), size, has_nibbles=has_nibbles)
        raw_mode = "L" if self.mode in {"1", "L"} else "P"
        self.set_as_raw(pixels, raw_mode, (0, direction))
        return -1, 0


Image.register_decoder(_RUN_LENGTHS, _RunLengthDecoder)


def has_fields(picture: Image.Image) -> bool:
    """Return whether `bands` has to read it, instead of Pillow."""
    return isinstance(picture, BmpPicture) and bool(picture.masks)


def bands(picture: ImageFile.ImageFile, rows: int) -> Iterator[Image.Image]:
    """Yield bands of this many rows, the last one of fewer, in RGB or RGBA.

    Raises:
        ValueError: The file ends early.
    """
    if not isinstance(picture, BmpPicture):
        raise TypeError(picture)
    return picture.field_bands(rows)


def _expanded(data: bytes, size: tuple[int, int], *, has_nibbles: bool) -> bytearray:
    """Return a byte per pixel, rows in the file's order; 0 for pixels that are skipped.

    Args:
        data: The file from the first run on.
        size: Width and height.
        has_nibbles: Whether a pixel has four bits.

    Raises:
        ValueError: The data end early.
        Rejection: They are in too many parts.
    """
    width, height = size
    pixels = bytearray(width * height)
    x = y = position = 0
    for _ in range(_MOST_STEPS):
        if y >= height or (y == height - 1 and x >= width):
            return pixels
        if runs := _RUNS.match(data, position):
            position = runs.end()
            if x < width:
                expanded = _expanded_runs(runs[0], has_nibbles=has_nibbles)[: width - x]
                place = y * width + x
                pixels[place : place + len(expanded)] = expanded
                x += len(expanded)
        elif ends := _ENDS_OF_ROWS.match(data, position):
            position = ends.end()
            x, y = 0, y + len(ends[0]) // 2
        elif data[position : position + 2] == b"\0\1":
            return pixels
        elif data[position : position + 2] == b"\0\2" and position + 4 <= len(data):
            x, y = x + data[position + 2], y + data[position + 3]
            position += 4
        elif position + 2 <= len(data) and data[position + 1] > 2:
            count = data[position + 1]
            length = (count + 1) // 2 if has_nibbles else count
            plain = data[position + 2 : position + 2 + length]
            if len(plain) < length:
                break
            if has_nibbles:
                plain = b"".join(map(_NIBBLES.__getitem__, plain))
            plain = plain[: max(0, min(count, width - x))]
            place = y * width + x
            pixels[place : place + len(plain)] = plain
            x += count
            position += 2 + length + length % 2
        else:
            break
    else:
        raise too_many_parts()
    raise ValueError("the pixels end early")


def _expanded_runs(runs: bytes, *, has_nibbles: bool) -> bytes:
    """Return the pixels of pairs of a count and a value, or two values of four bits in turn."""
    counts, values = runs[::2], runs[1::2]
    if has_nibbles:
        return b"".join(
            [
                (_NIBBLES[both] * (count + 1 >> 1))[:count]
                for count, both in zip(counts, values, strict=True)
            ]
        )
    return b"".join(map(mul, map(_BYTES.__getitem__, values), counts))


def _file(picture: ImageFile.ImageFile) -> IO[bytes]:
    if picture.fp is None:
        raise ValueError("closed")
    return picture.fp
