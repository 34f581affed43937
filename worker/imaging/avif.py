"""The size of the frames in an AVIF file, whatever its container says.

libavif trusts the container (ISO/IEC 14496-12 and 23008-12) until a frame is decoded, and only then
resizes it to the size stated: the decoder's memory depends on the frame alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

_SEQUENCE_HEADER = 1
_WITH_FRAME_HEADER: Final = frozenset({3, 6})
"""Types of AV1's open bitstream units (https://aomediacodec.github.io/av1-spec/, 6.2.2)."""

_KEY_FRAME, _SWITCH_FRAME = 0, 3
_CHOSEN_BY_FRAME = 2

_LONGEST_HEADER: Final = 1024
"""Bytes; a sequence header has at most 32 operating points, of some 13 bytes each."""

_MOST_STEPS: Final = 100_000
"""Boxes, extents and OBUs: most files have about thirty; a few bytes could ask for billions."""


def pixels_at_once(data: bytes) -> int:
    """Return the pixels of the frames that are in memory together for the first image.

    For a grid, these are all of its cells. An alpha channel is as large as its image, and its frame
    is not counted.

    Raises:
        ValueError: The file is not valid, or has no frames.
    """
    container = _Container(memoryview(data))
    # An animation has its first image twice, as items and in its tracks; one of them is decoded.
    ways = [container.items(), container.first_samples()]
    found = [[max(container.areas(sample)) for sample in samples] for samples in ways]
    if not any(found):
        raise ValueError("no AV1 frames")
    return max(max(max(areas), sum(areas) // 2) for areas in found if areas)


def stated_size(data: bytes) -> tuple[int, int]:
    """Return width and height of the largest image by what the container says; zeros if nothing."""
    sizes = [(0, 0)]
    with suppress(ValueError):
        sizes += _Container(memoryview(data)).stated_sizes()
    return max(sizes, key=math.prod)


def _number(data: memoryview, position: int, size: int) -> int:
    if position + size > len(data):
        raise ValueError("a box that ends early")
    return int.from_bytes(data[position : position + size])


class _Container:
    """A file whose parts are read, within a number of steps."""

    def __init__(self, file: memoryview) -> None:
        self._file = file
        self._steps = 0
        self._joined = 0

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ValueError(f"more than {_MOST_STEPS} parts")

    def _boxes(self, data: memoryview, path: bytes) -> Iterator[memoryview]:
        """Yield the bodies of the boxes at a path: names of four letters, outermost first."""
        position = 0
        while position + 8 <= len(data):
            self._step()
            size, start = _number(data, position, 4), position + 8
            if size == 1:
                size, start = _number(data, start, 8), start + 8
            end = position + size if size else len(data)
            if not start <= end <= len(data):
                return  # not a box: other data may follow a file, which libavif does not read
            name = bytes(data[position + 4 : position + 8])
            if name == path[:4]:
                # A "meta" box has a version and flags before the boxes in it.
                body = data[start + 4 * (name == b"meta") : end]
                if path[4:]:
                    yield from self._boxes(body, path[4:])
                else:
                    yield body
            position = end

    def stated_sizes(self) -> Iterator[tuple[int, int]]:
        """Yield width and height of each image, which follow four bytes of version and flags."""
        for size in self._boxes(self._file, b"metaiprpipcoispe"):
            yield _number(size, 4, 4), _number(size, 8, 4)

    def items(self) -> Iterator[memoryview]:
        """Yield the data of each AV1 item."""
        coded = set(self._coded_items())
        for location in self._boxes(self._file, b"metailoc"):
            inside = next(self._boxes(self._file, b"metaidat"), self._file[:0])
            for identity, is_inside, extents in self._extents(location):
                if identity not in coded:
                    continue
                source = inside if is_inside else self._file
                pieces = [source[start : start + length] for start, length in extents]
                if len(pieces) == 1:
                    yield pieces[0]
                else:
                    self._joined += sum(map(len, pieces))
                    if self._joined > len(self._file):
                        raise ValueError("items that hold more than the file")
                    yield memoryview(b"".join(pieces))

    def _coded_items(self) -> Iterator[int]:
        for entries in self._boxes(self._file, b"metaiinf"):
            head = 6 if _number(entries, 0, 1) == 0 else 8
            for entry in self._boxes(entries[head:], b"infe"):
                id_bytes = 4 if _number(entry, 0, 1) == 3 else 2
                if bytes(entry[6 + id_bytes : 10 + id_bytes]) == b"av01":
                    yield _number(entry, 4, id_bytes)

    def _extents(self, location: memoryview) -> Iterator[tuple[int, bool, list[tuple[int, int]]]]:
        """Yield each item's id, whether it is in the "idat" box, and its extents: start, length."""
        position = 0

        def take(size: int) -> int:
            nonlocal position
            position += size
            return _number(location, position - size, size)

        version = take(1)
        take(3)
        sizes = take(2)
        start_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_bytes = sizes & 15 if version else 0
        id_bytes = 4 if version == 2 else 2
        for _ in range(take(id_bytes)):
            self._step()
            identity = take(id_bytes)
            method = take(2) & 15 if version else 0
            if method > 1:
                raise ValueError("an item within an item")
            take(2)  # which file: this one
            base = take(base_bytes)
            extents = []
            for _ in range(take(2)):
                self._step()
                take(index_bytes)
                start, length = base + take(start_bytes), take(length_bytes)
                extents.append((start, length))
            yield identity, method == 1, extents

    def first_samples(self) -> Iterator[memoryview]:
        """Yield the data of the first frame of each track."""
        for table in self._boxes(self._file, b"moovtrakmdiaminfstbl"):
            kinds = list(self._boxes(table, b"stsd"))
            if not any(entry for kind in kinds for entry in self._boxes(kind[8:], b"av01")):
                continue
            starts = [
                _number(places, 8, width)
                for name, width in ((b"stco", 4), (b"co64", 8))
                for places in self._boxes(table, name)
            ]
            for sizes in self._boxes(table, b"stsz"):
                size = _number(sizes, 4, 4) or _number(sizes, 12, 4)
                for start in starts:
                    yield self._file[start : start + size]

    def areas(self, sample: memoryview) -> Iterator[int]:
        """Yield numbers of pixels; no frame of the sample has more than the largest."""
        sequence = None
        for kind, body in self._units(sample):
            if kind == _SEQUENCE_HEADER:
                sequence = _Sequence(_Bits(body))
                yield sequence.area
            elif kind in _WITH_FRAME_HEADER and sequence and sequence.is_overridden(_Bits(body)):
                yield sequence.bound
        if sequence is None:
            raise ValueError("frames without a sequence header")

    def _units(self, sample: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yield type and body of each OBU (5.3)."""
        position = 0
        while position < len(sample):
            self._step()
            head = sample[position]
            position += 2 if head & 4 else 1
            size = len(sample) - position
            if head & 2:
                size, shift, byte = 0, 0, 128
                while byte > 127 and shift < 56:
                    byte = _number(sample, position, 1)
                    size |= (byte & 127) << shift
                    shift, position = shift + 7, position + 1
            yield head >> 3 & 15, sample[position : position + size]
            position += size


class _Bits:
    """Reads an open bitstream unit bit by bit."""

    def __init__(self, data: memoryview) -> None:
        head = bytes(data[:_LONGEST_HEADER])
        self._value, self._left = int.from_bytes(head), 8 * len(head)

    def read(self, count: int = 1) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("a header that ends early")
        return self._value >> self._left & (1 << count) - 1

    def read_variable(self) -> int:
        zeros = 0
        while not self.read():
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


class _Sequence:
    """The sizes of frames in a sequence header (5.5), in pixels.

    `area` is the largest unless a frame states its own size, and `bound` the largest that a frame
    can state.
    """

    def __init__(self, bits: _Bits) -> None:
        bits.read(4)
        self._is_reduced = bool(bits.read())
        self._time_bits = 0  # the length of a frame's time, where it has one
        if self._is_reduced:
            bits.read(5)
        else:
            self._skip_operating_points(bits)
        across, down = bits.read(4) + 1, bits.read(4) + 1
        self.area = (bits.read(across) + 1) * (bits.read(down) + 1)
        self.bound = 1 << across + down
        self._id_bits = 0
        self._screen_content = self._whole_vectors = _CHOSEN_BY_FRAME
        if self._is_reduced:
            return
        if bits.read():
            self._id_bits = bits.read(4) + bits.read(3) + 3
        bits.read(7)
        if bits.read():
            bits.read(2)
        if not bits.read():
            self._screen_content = bits.read()
        if self._screen_content and not bits.read():
            self._whole_vectors = bits.read()

    def _skip_operating_points(self, bits: _Bits) -> None:
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

    def is_overridden(self, bits: _Bits) -> bool:
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
