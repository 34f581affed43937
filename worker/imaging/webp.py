"""WebP files: libwebp shrinks a picture while it decodes it, which Pillow does not ask it for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from PIL import Image, ImageFile, WebPImagePlugin

from worker import limits
from worker.imaging import libwebp
from worker.imaging.work_limits import MOST_PARTS, too_many_parts

_HEADER_BYTES = 12
"""`RIFF`, a size, `WEBP`: https://developers.google.com/speed/webp/docs/riff_container"""

_LOSSLESS_BYTES: Final = 4.8
"""Per pixel of a lossless picture, or alpha channel: all of it, and what was predicted from."""

_WHOLE_BYTES: Final = 5.0
"""Per pixel of one that is not shrunk by libwebp: its pixels with an alpha channel, and that."""

_PIXELS_PER_GROUP: Final = 16
_FILE_BYTES_PER_GROUP: Final = 4
_MOST_GROUPS: Final = 1 << 16
_BYTES_PER_GROUP: Final = 21_000
"""Groups of Huffman codes, for 4 × 4 pixels at least, of a lossless picture or alpha channel: 5,004
entries and 568 bytes each at most (libwebp's kTableSize and HTreeGroup). A megapixel in 295 kB with
65,536 of the smallest groups takes 361 MB. Encoders make some thousand at most."""


class WebpPicture(WebPImagePlugin.WebPImageFile):
    """A WebP; a still one is decoded by libwebp directly, at the size that `shrink` is given.

    Attributes:
        bytes_per_pixel: Memory that decoding takes.
        table_bytes: Memory that tables of codes may take besides, in a file made for that.
    """

    bytes_per_pixel = limits.BYTES_PER_PIXEL["ANIMATED_WEBP"]
    table_bytes = 0
    _is_still = False
    _shrinks = False

    def _open(self) -> None:
        super()._open()
        if self.n_frames > 1 or not libwebp.is_usable():
            return
        data = self._content()
        features = libwebp.features(data)
        if features.is_animation:
            return
        self._is_still = True
        del self._decoder  # which has a copy of the file, and memory for all pixels
        # libwebp averages the colors of a lossy picture without regard to its transparency: what
        # is transparent would show beside what is not. It multiplies a lossless one's by it.
        self._shrinks = self.mode == "RGB" or features.is_lossless
        self.bytes_per_pixel = limits.BYTES_PER_PIXEL["WEBP"]
        if features.is_lossless or not self._shrinks:
            self.bytes_per_pixel += _LOSSLESS_BYTES
            groups = min(
                self.width * self.height // _PIXELS_PER_GROUP,
                len(data) // _FILE_BYTES_PER_GROUP,
                _MOST_GROUPS,
            )
            self.table_bytes = groups * _BYTES_PER_GROUP
        if not self._shrinks:
            self.bytes_per_pixel += _WHOLE_BYTES

    def shrink(self, size: tuple[int, int]) -> None:
        """Have it decoded at a size, at most its own, where that looks as well as resizing it."""
        if self._shrinks:
            self._size = min(self.width, size[0]), min(self.height, size[1])

    def load(self) -> Any:
        """Decode, where that is still to be done.

        Raises:
            OSError: The file ends early or is not valid.
        """
        if not self._is_still:
            return super().load()
        if self._im is None:
            pixels = libwebp.decode(_frame(self._content()), self.mode, self.size)
            # Where the modes have the same bytes, this is no copy.
            self.im = Image.frombuffer(self.mode, self.size, pixels, "raw", self.mode, 0, 1).im
        return ImageFile.ImageFile.load(self)

    def _content(self) -> bytes:
        if self.fp is None:
            raise ValueError("closed")
        self.fp.seek(0)
        return self.fp.read()


def check_parts(data: bytes) -> None:
    """Check the number of chunks: libwebp lists them all before it decodes a frame.

    Raises:
        Rejection: There are more than MOST_PARTS.
    """
    for number, _ in enumerate(_chunks(data), 1):
        if number == MOST_PARTS:
            raise too_many_parts()


def _frame(data: bytes) -> bytes:
    """Return the chunks of a still picture's pixels and of the alpha channel before them.

    Where they are damaged, libwebp would go on with what is behind them.
    """
    start = None
    for name, position, end in _chunks(data):
        if name in {b"VP8 ", b"VP8L"}:
            return data[position if start is None else start : end]
        if name == b"ALPH" and start is None:
            start = position
    return b""


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, start and end, with the byte that makes its size even."""
    position = _HEADER_BYTES
    while position + 8 <= len(data):
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        end = position + 8 + size + size % 2
        yield data[position : position + 4], position, end
        position = end
