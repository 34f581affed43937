"""What the frames in an AVIF file say: their size, whatever its container says, and their color.

libavif trusts the container (ISO/IEC 14496-12 and 23008-12) until a frame is decoded, and only then
resizes it to the size stated: the decoder's memory depends on the frame alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from worker.imaging.bits import Bits
from worker.imaging.isobmff import Container, number

_SEQUENCE_HEADER = 1
_RGB: Final = 1, 13, 0
"""Code points of RGB that is not converted, which is never subsampled (5.5.2)."""

_WITH_FRAME_HEADER: Final = frozenset({3, 6})
"""Types of AV1's open bitstream units (https://aomediacodec.github.io/av1-spec/, 6.2.2)."""

_MOST_PLANE_BYTES: Final = 12.0
"""Three samples of two bytes, and the same with film grain."""

_KEY_FRAME, _SWITCH_FRAME = 0, 3
_CHOSEN_BY_FRAME = 2


def pixels_at_once(data: bytes) -> int:
    """Return the pixels of the frames that are in memory together for the first image.

    For a grid, these are all of its cells. An alpha channel is as large as its image, and its frame
    is not counted.

    Raises:
        ValueError: The file is not valid, or has no frames.
    """
    container = _AvifContainer(memoryview(data))
    # An animation has its first image twice, as items and in its tracks; one of them is decoded.
    ways = [container.coded_items(), container.first_samples()]
    found = [[max(container.areas(sample)) for sample in samples] for samples in ways]
    if not any(found):
        raise ValueError("no AV1 frames")
    return max(max(max(areas), sum(areas) // 2) for areas in found if areas)


def plane_bytes(data: bytes) -> float:
    """Return the bytes per pixel of a picture's planes, without those of an alpha channel.

    Film grain is added to a copy. So is a cell put into its grid, and a frame that has not the size
    stated is resized into one.
    """
    container = _AvifContainer(memoryview(data))
    found = [_MOST_PLANE_BYTES]
    with suppress(ValueError):
        samples = [*container.coded_items(), *container.first_samples()]
        found = [
            _Sequence(Bits(body)).plane_bytes()
            for sample in samples
            for kind, body in container.units(sample)
            if kind == _SEQUENCE_HEADER
        ]
        is_grid = b"grid" in container.item_types().values()
        if is_grid or math.prod(stated_size(data)) != pixels_at_once(data):
            found = [each + _MOST_PLANE_BYTES / 2 for each in found]
    return max(found, default=_MOST_PLANE_BYTES)


def stated_size(data: bytes) -> tuple[int, int]:
    """Return width and height of the largest image by what the container says; zeros if nothing."""
    sizes = [(0, 0)]
    with suppress(ValueError):
        sizes += Container(memoryview(data)).stated_sizes()
    return max(sizes, key=math.prod)


def code_points(data: bytes) -> tuple[int, int] | None:
    """Return primaries and transfer function in H.273 that the frames of the picture name.

    They hold where the container names none. None if the frames name none as well.
    """
    container = _AvifContainer(memoryview(data))
    with suppress(ValueError):
        primary = container.primary_item()
        if primary is None:
            samples = container.first_samples()
        else:
            cells = container.references(b"dimg").get(primary, (primary,))
            samples = (sample for _, sample in container.items(cells[:1]))
        for sample in samples:
            for kind, body in container.units(sample):
                if kind == _SEQUENCE_HEADER:
                    return _Sequence(Bits(body)).code_points()
    return None


class _AvifContainer(Container):
    """A container whose items and tracks are coded in AV1."""

    def coded_items(self) -> Iterator[memoryview]:
        """Yield the data of each AV1 item."""
        coded = {item for item, kind in self.item_types().items() if kind == b"av01"}
        for _, data in self.items(coded):
            yield data

    def first_samples(self) -> Iterator[memoryview]:
        """Yield the data of the first frame of each track."""
        for table in self.boxes(self.file, b"moovtrakmdiaminfstbl"):
            kinds = list(self.boxes(table, b"stsd"))
            if not any(entry for kind in kinds for entry in self.boxes(kind[8:], b"av01")):
                continue
            starts = [
                number(places, 8, width)
                for name, width in ((b"stco", 4), (b"co64", 8))
                for places in self.boxes(table, name)
            ]
            for sizes in self.boxes(table, b"stsz"):
                size = number(sizes, 4, 4) or number(sizes, 12, 4)
                for start in starts:
                    yield self.file[start : start + size]

    def areas(self, sample: memoryview) -> Iterator[int]:
        """Yield numbers of pixels; no frame of the sample has more than the largest."""
        sequence = None
        for kind, body in self.units(sample):
            if kind == _SEQUENCE_HEADER:
                sequence = _Sequence(Bits(body))
                yield sequence.area
            elif kind in _WITH_FRAME_HEADER and sequence and sequence.is_overridden(Bits(body)):
                yield sequence.bound
        if sequence is None:
            raise ValueError("frames without a sequence header")

    def units(self, sample: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yield type and body of each OBU (5.3)."""
        position = 0
        while position < len(sample):
            self.step()
            head = sample[position]
            position += 2 if head & 4 else 1
            size = len(sample) - position
            if head & 2:
                size, shift, byte = 0, 0, 128
                while byte > 127 and shift < 56:
                    byte = number(sample, position, 1)
                    size |= (byte & 127) << shift
                    shift, position = shift + 7, position + 1
            yield head >> 3 & 15, sample[position : position + size]
            position += size


class _Color(NamedTuple):
    """What a sequence header says of colors (5.5.2), up to primaries, transfer and matrix."""

    is_deep: bool
    """More than eight bits."""

    has_twelve_bits: bool
    is_grey: bool
    code_points: tuple[int, int, int] | None


class _Sequence:
    """The sizes of frames in a sequence header (5.5), in pixels.

    `area` is the largest unless a frame states its own size, and `bound` the largest that a frame
    can state.
    """

    def __init__(self, bits: Bits) -> None:
        self._bits = bits
        self._profile = bits.read(3)
        bits.read()
        self._is_reduced = bool(bits.read())
        self._time_bits = 0  # the length of a frame's time, where it has one
        if self._is_reduced:
            bits.read(5)
        else:
            self._skip_operating_points(bits)
        across, down = bits.read(4) + 1, bits.read(4) + 1
        self.area = (bits.read(across) + 1) * (bits.read(down) + 1)
        self.bound = 1 << across + down
        self._id_bits = self._order_bits = 0
        self._screen_content = self._whole_vectors = _CHOSEN_BY_FRAME
        if self._is_reduced:
            return
        if bits.read():
            self._id_bits = bits.read(4) + bits.read(3) + 3
        bits.read(7)
        if bits.read():
            bits.read(2)
            self._order_bits = 3
        if not bits.read():
            self._screen_content = bits.read()
        if self._screen_content and not bits.read():
            self._whole_vectors = bits.read()

    def _skip_operating_points(self, bits: Bits) -> None:
        delay_bits = 0
        if bits.read():
            bits.read(64)
            equal_intervals = bits.read()
            if equal_intervals:
                bits.read_variable()
            if bits.read():
                delay_bits = bits.read(5) + 1
                bits.read(37)
                time_bits = bits.read(5) + 1
                self._time_bits = 0 if equal_intervals else time_bits
        has_display_delays = bits.read()
        for _ in range(bits.read(5) + 1):
            bits.read(12)
            if bits.read(5) > 7:
                bits.read()
            if delay_bits and bits.read():
                bits.read(2 * delay_bits + 1)
            if has_display_delays and bits.read():
                bits.read(4)

    def code_points(self) -> tuple[int, int] | None:
        """Return primaries and transfer function, if they are there; see `_color`."""
        color = self._color()
        return color.code_points and color.code_points[:2]

    def plane_bytes(self) -> float:
        """Return the bytes per pixel of a frame, with film grain if there is any; see `_color`."""
        bits, color = self._bits, self._color()
        across, down = self._profile != 1, self._profile == 0
        samples = 1.0
        if color.is_grey:
            bits.read()
        else:
            if color.code_points == _RGB:
                across = down = False
            else:
                bits.read()
                if color.has_twelve_bits:
                    across = bool(bits.read())
                    down = across and bool(bits.read())
                if across and down:
                    bits.read(2)
            bits.read()
            samples += 2 / (1 + across) / (1 + down)
        has_film_grain = bool(bits.read())
        return samples * (1 + color.is_deep) * (1 + has_film_grain)

    def _color(self) -> _Color:
        """Read what follows the sizes (5.5.1, 5.5.2); to be called once, not after the frames."""
        bits, profile = self._bits, self._profile
        bits.read(3 if self._is_reduced else self._order_bits)
        bits.read(3)
        is_deep = bool(bits.read())
        return _Color(
            is_deep=is_deep,
            has_twelve_bits=profile == 2 and is_deep and bool(bits.read()),
            is_grey=profile != 1 and bool(bits.read()),
            code_points=(bits.read(8), bits.read(8), bits.read(8)) if bits.read() else None,
        )

    def is_overridden(self, bits: Bits) -> bool:
        """Return whether a frame states its own size (5.9.2), which may exceed `area`."""
        if self._is_reduced or bits.read():  # the latter shows a frame that was decoded before
            return False
        kind, is_shown = bits.read(2), bits.read()
        if is_shown:
            bits.read(self._time_bits)
        else:
            bits.read()
        if kind != _SWITCH_FRAME and not (kind == _KEY_FRAME and is_shown):
            bits.read()
        bits.read()
        for_screens = self._screen_content
        if for_screens == _CHOSEN_BY_FRAME:
            for_screens = bits.read()
        if for_screens and self._whole_vectors == _CHOSEN_BY_FRAME:
            bits.read()
        bits.read(self._id_bits)
        return kind == _SWITCH_FRAME or bool(bits.read())
