"""AVIF pictures in bands, without Pillow's second copy, and the memory that decoding takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from PIL import AvifImagePlugin, Image

from worker.imaging import avif

_BESIDE_PLANES: Final = 1.0
"""Bytes per pixel of dav1d itself: 0.4 with one thread, 0.8 with eight."""


class AvifPicture(AvifImagePlugin.AvifImageFile):
    """An AVIF, of which the first frame is decoded.

    Attributes:
        bytes_per_pixel: Memory that decoding takes: the frames' planes; and libavif's pixels, which
            Pillow copies.
    """

    bytes_per_pixel: float

    def _open(self) -> None:
        super()._open()
        if self.fp is None:
            raise ValueError("closed")
        self.fp.seek(0)
        channels = len(self.getbands())
        planes = avif.plane_bytes(self.fp.read()) * (1 if channels in {1, 3} else 2)
        self.bytes_per_pixel = planes + 2 * channels + _BESIDE_PLANES

    def bands(self, rows: int) -> Iterator[Image.Image]:
        """Yield bands of this many rows, the last one of fewer."""
        pixels = memoryview(self._decoder.get_frame(0)[0])
        del self._decoder  # with the frames' planes
        self.tile = []
        row_bytes = self.width * len(self.getbands())
        for top in range(0, self.height, rows):
            count = min(rows, self.height - top)
            part = pixels[top * row_bytes : (top + count) * row_bytes]
            yield Image.frombytes(self.mode, (self.width, count), part)


Image.register_open(AvifPicture.format, AvifPicture, AvifImagePlugin._accept)
