"""Animations, GIF and WebP, from their frames to an animated WebP: limits, frames, encoder."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, BinaryIO, Final, cast

from PIL import Image, ImageFile, WebPImagePlugin, _webp

from worker import limits
from worker.imaging import gif, memory_estimate
from worker.imaging.geometry import Size
from worker.imaging.identify import open_picture
from worker.results import Output

MOST_FRAMES: Final = 1_000
MOST_DECODED_PIXELS: Final = 150_000_000
"""Frames times the pixels of the screen: 20 ns each, of noise, when the thumbnails are narrow."""

MOST_ENCODED_PIXELS: Final = 25_000_000
"""Frames times the pixels of all their thumbnails: 10 to 60 ns each at quality 80, and 200 ns of
noise with transparency at 100."""

_BYTES_PER_GIF_PIXEL: Final = 13
"""The screen and what was there before, four each; the frame with a byte, and with four."""

_LONGEST: Final = 2**31 - 1
"""Milliseconds of a whole animation, which libwebp counts in 32 bits: 24 days."""

_UNINTENDED: Final = 10
_INSTEAD: Final = 100
"""Milliseconds: browsers show a frame of at most the first for the second, whatever the format
(https://webkit.org/b/36082). Other programs do not, and so the file says what browsers do."""


@dataclass(frozen=True)
class Animation:
    """What is known of an animation before its frames are decoded.

    Attributes:
        size: Its screen's, in pixels, before any EXIF orientation is applied.
        count: How many frames it has; more than MOST_FRAMES are not counted.
        plays: How often it is shown; 0 for without end.
        largest: Pixels of its largest frame, at least those of the screen.
        pixels: Pixels of all frames that are decoded.
        file_bytes: Of the file.
        parts: The frames of a GIF.
    """

    size: Size
    count: int
    plays: int
    largest: int
    pixels: int
    file_bytes: int
    parts: Sequence[gif.Frame] = ()

    @property
    def screen_bytes(self) -> int:
        """The bytes that the screen takes, and a frame until it is shown there."""
        per_pixel = _BYTES_PER_GIF_PIXEL if self.parts else limits.BYTES_PER_PIXEL["ANIMATED_WEBP"]
        return math.ceil(self.largest * per_pixel)

    def obstacle(self, thumbnail_pixels: int) -> str | None:
        """Return why there will be a still of the first frame only; None where nothing is.

        Args:
            thumbnail_pixels: Pixels of all the thumbnails of a frame.
        """
        if self.count > MOST_FRAMES:
            return "too_many_frames"
        if self.pixels > MOST_DECODED_PIXELS or self.count * thumbnail_pixels > MOST_ENCODED_PIXELS:
            return "too_many_pixels"
        return None if has_encoder() else "no_encoder"

    def frames(
        self, source: BinaryIO, max_pixels: int
    ) -> Iterator[tuple[ImageFile.ImageFile, int]]:
        """Yield the screen as it is with each frame, and for how many milliseconds.

        Args:
            source: The file.
            max_pixels: The limit of a picture's pixels.
        """
        source.seek(0)
        if self.parts:
            images = gif.composed(source.read(), self.parts, self.size)
            for frame, image in zip(self.parts, images, strict=True):
                # To what follows, an image that has been decoded.
                yield cast("ImageFile.ImageFile", image), _shown_for(frame.duration)
            return
        picture = open_picture(source, max_pixels)
        for number in range(self.count):
            picture.seek(number)
            picture.load()
            yield picture, _shown_for(picture.info["duration"])


def examine(picture: ImageFile.ImageFile) -> Animation | None:
    """Return what there is of an animation; None for a still; before anything is decoded.

    Raises:
        Rejection: The file is in too many parts.
    """
    size, pixels = picture.size, math.prod(picture.size)
    if picture.format not in {"GIF", "WEBP"}:
        return None
    data = memory_estimate.file_content(picture)
    if isinstance(picture, WebPImagePlugin.WebPImageFile) and picture.n_frames > 1:
        count = picture.n_frames
        return Animation(size, count, picture.info["loop"], pixels, count * pixels, len(data))
    if picture.format == "GIF":
        parts = list(islice(gif.frames(data), MOST_FRAMES + 1))
        if len(parts) > 1:
            each = [max(pixels, math.prod(frame.size)) for frame in parts]
            plays = gif.plays(data)
            return Animation(size, len(parts), plays, max(each), sum(each), len(data), parts)
    return None


class Encoder:
    """An animated WebP, encoded frame by frame.

    What follows a frame is stored as the difference to it: without further key frames the encoder
    takes a quarter less time, and the files are up to a half smaller.
    """

    def __init__(self, size: Size, plays: int, quality: int, method: int) -> None:
        """Start an animation of this size."""
        self._size = size
        self._duration = 0
        self._frames = 0
        self._options = (False, float(quality), 100.0, method)
        self._encoder: Any = _webp.WebPAnimEncoder(size, 0, plays, False, 0, 0, False, False)

    def add(self, image: Image.Image, duration: int) -> None:
        """Add a frame that is shown for so many milliseconds."""
        image = image if image.mode in {"RGB", "RGBA"} else image.convert("RGB")
        self._encoder.add(image.getim(), self._duration, *self._options)
        self._frames += 1
        self._duration = min(self._duration + duration, _LONGEST)

    def output(self, name: str, count: int) -> Output:
        """Return the file.

        Args:
            name: The output's.
            count: How many frames there should have been.
        """
        about = {"width": self._size[0], "height": self._size[1]}
        about |= {"frames": self._frames, "duration_ms": self._duration}
        if self._frames < count:
            about["frames_left_out"] = count - self._frames
        return Output(name, self.body(), "image/webp", about)

    def body(self) -> bytes:
        """Return the file's bytes."""
        self._encoder.add(None, self._duration, *self._options)
        body: bytes | None = self._encoder.assemble("", "", "")
        if body is None:
            raise OSError("libwebp has not made an animation")
        return body


@cache
def has_encoder() -> bool:
    """Return whether this Pillow's encoder, which is not public, is still the one used here.

    Pillow's public `save_all` takes all the frames at once, or decodes them again for each width.
    """
    try:
        encoder = Encoder((2, 2), 3, 100, 0)
        for color in ("red", "blue"):
            encoder.add(Image.new("RGB", (2, 2), color), 1_000)
        with Image.open(io.BytesIO(encoder.body()), formats=("WEBP",)) as made:
            if not isinstance(made, WebPImagePlugin.WebPImageFile):
                return False
            return (made.n_frames, made.info["loop"]) == (2, 3)
    except Exception:  # noqa: BLE001 -- whatever has changed, there is the still
        return False


def _shown_for(duration: int) -> int:
    return _INSTEAD if duration <= _UNINTENDED else duration
