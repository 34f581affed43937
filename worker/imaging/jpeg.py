"""The structure of JPEG files: what a thumbnail does not show need not be decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from PIL import ImageFile, JpegImagePlugin

from worker.imaging.work_limits import MOST_PARTS, too_many_parts

_START_OF_FRAME_PROGRESSIVE = 0xC2
_STARTS_OF_DCT_FRAME = frozenset({0xC0, 0xC1, _START_OF_FRAME_PROGRESSIVE})
_STARTS_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_UNSUPPORTED_FRAMES = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical JPEG"),
    0xCB: "lossless JPEG with arithmetic coding",
}
"""By marker (ITU-T T.81, table B.1): libjpeg-turbo decodes the others."""

_START_OF_SCAN = 0xDA
_ADOBE = 0xEE
MOST_COMPONENTS: Final = 4
"""Of a scan (ITU-T T.81, B.2.3)."""

MOST_SCANNED_PIXELS: Final = 4_000_000_000
"""In all components of all scans, each of which visits all blocks: 100 megapixels in the ten scans
that encoders make are 1,200 million."""

_ARITHMETIC_WEIGHT: Final = 10
"""How much longer a scan takes, at most: the decoder goes on without any bits in the file."""

SCAN_MARKER = bytes([0xFF, _START_OF_SCAN])
_START_OF_IMAGE, _END_OF_IMAGE = 0xD8, 0xD9
# Markers without a length (ITU-T T.81, table B.1): libjpeg passes by TEM and RST.
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})
_NOT_MARKERS = frozenset({0x00, 0xFF})

# Before a marker, any number of 0xFF may be (ITU-T T.81, B.1.1.2). libjpeg also passes by whatever
# else is there: what it decodes must not be hidden by a byte.
_MARKER = re.compile(rb"\xff[^\x00\xff]")

# Within a scan, 0xFF stands for data before 0x00 and for a restart before 0xD0 to 0xD7.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

# A scan without coefficients (ITU-T T.81, G.1.2.2): its only symbol ends the bands of so many
# blocks, 2 to the 14th and what the 14 bits after it say.
_RUN_BITS: Final = 14
_LONGEST_RUN: Final = (2 << _RUN_BITS) - 1
_TABLE: Final = b"\xff\xc4" + bytes([0, 20, 0x10, 1, *[0] * 15, _RUN_BITS << 4])
_NO_RESTARTS: Final = b"\xff\xdd\x00\x04\x00\x00"

_LONGEST_EXIF: Final = 1 << 20
"""Bytes, over all segments; what is read of EXIF data is at their start."""

_MOST_PROFILE_SEGMENTS: Final = 255
"""The segments of a profile are counted in one byte (ICC.1:2022, B.4)."""

_EXIF, _PROFILE = b"Exif\x00\x00", b"ICC_PROFILE\x00"
_NEEDED: Final = {0xE0: b"JFIF", 0xE1: _EXIF, 0xE2: _PROFILE, _ADOBE: b"Adobe"}
"""By marker, what the application segments begin with that a thumbnail needs."""


class _Segment(NamedTuple):
    """A marker with its data: `data[start:end]`, including the coded bits of a scan."""

    marker: int
    start: int
    end: int


class JpegPicture(JpegImagePlugin.JpegImageFile):
    """A JPEG of whose header only what a thumbnail needs is read.

    Pillow keeps every segment, appends to EXIF data by copying them, and lists the components of
    each frame: in a file made for that, this takes gigabytes or hours. It also calls a file with
    further images behind it MPO, where browsers see the first one, a JPEG.

    Attributes:
        scan_weight: How much longer a scan takes to decode than one in Huffman coding.
    """

    scan_weight = 1

    def _open(self) -> None:
        data = self._file().read()
        if not data.startswith(b"\xff\xd8\xff"):
            raise SyntaxError("not a JPEG file")
        self.bits = self.layers = self._exif_offset = 0
        self.layer: list[tuple[int, int, int, int]] = []
        self.quantization: dict[int, list[int]] = {}
        self.app: dict[str, bytes] = {}
        self.applist: list[tuple[str, bytes]] = []
        self.icclist: list[bytes] = []
        self._huffman_dc: dict[int, bytes] = {}
        self._huffman_ac: dict[int, bytes] = {}
        exif_bytes = 0
        for marker, start, end in _segments(data, scans=False):
            if end > len(data):
                raise SyntaxError("a segment that ends early")
            if marker in _STARTS_OF_FRAME:
                if self.layer:
                    raise SyntaxError("a second frame")  # there is one (ITU-T T.81, B.2.2)
                self.scan_weight = _ARITHMETIC_WEIGHT if marker & 8 else 1
                self._read(marker, start)
            elif marker in _NEEDED and data.startswith(_NEEDED[marker], start + 4):
                is_exif = marker == 0xE1
                exif_bytes += is_exif * (end - start)
                if exif_bytes <= _LONGEST_EXIF and len(self.icclist) <= _MOST_PROFILE_SEGMENTS:
                    self._read(marker, start)
            elif marker == _START_OF_SCAN:
                raw_mode = "CMYK;I" if self.mode == "CMYK" else self.mode
                self.tile = [ImageFile._Tile("jpeg", (0, 0, *self.size), 0, (raw_mode, ""))]
        self.app.clear()
        self.applist.clear()

    def _file(self) -> IO[bytes]:
        if self.fp is None:
            raise ValueError("closed")
        return self.fp

    def _read(self, marker: int, start: int) -> None:
        """Have Pillow read a segment."""
        self._file().seek(start + 2)
        handler = JpegImagePlugin.MARKER[0xFF00 | marker][2]
        if handler:
            handler(self, 0xFF00 | marker)


def has_partial_scans(data: bytes) -> bool:
    """Return whether libjpeg keeps all coefficients in memory until the last scan.

    It does so for a progressive file, and for one that has its components one after the other.
    """
    progressive, components = False, 0
    for segment in _segments(data, scans=False):
        if segment.marker in _STARTS_OF_FRAME:
            progressive = segment.marker & 3 == 2
            components = data[segment.start + 9]
        elif segment.marker == _START_OF_SCAN:
            return progressive or data[segment.start + 4] < components
    return False


def holds_luma_and_chroma(data: bytes) -> bool:
    """Return whether an image is stored as YCbCr, by the rules of libjpeg; False if in doubt."""
    names = b""
    for segment in _segments(data, scans=False):
        body = data[segment.start + 4 : segment.end]
        if segment.marker in _STARTS_OF_DCT_FRAME:
            names = body[6::3]
        elif segment.marker == _ADOBE and body.startswith(b"Adobe") and body[11:12] == b"\0":
            return False
    return len(names) == 3 and names != b"RGB"


def unsupported(data: bytes) -> str | None:
    """Return what keeps a sound file from being decoded, by name; None if nothing does."""
    for segment in _segments(data, scans=False):
        if segment.marker in _STARTS_OF_FRAME and segment.end - segment.start >= 10:
            bits, components = data[segment.start + 4], data[segment.start + 9]
            if bits != 8:
                return f"JPEG of {bits} bits per sample"
            if components not in {1, 3, 4}:
                return f"JPEG of {components} components"
            return _UNSUPPORTED_FRAMES.get(segment.marker)
    return None


def scan_components(data: bytes) -> list[int]:
    """Return the number of components of each scan; in a progressive file each is a whole image."""
    return [
        min(data[start + 4], MOST_COMPONENTS)
        for marker, start, end in _segments(data)
        if marker == _START_OF_SCAN and end > start + 4
    ]


def without_fine_detail(data: bytes, *, has_chroma: bool = False) -> bytes:
    """Return a progressive JPEG without what a thumbnail made of 1/8 of its size does not show.

    At 1/8, one block of 8 × 8 becomes one pixel, the block's mean (its DC coefficient), so the AC
    scans are removed. One that says that all of these coefficients are zero takes their place,
    behind the others: without any, libjpeg would estimate means from their neighbours.

    What libjpeg decodes of components at full resolution is bit-identical. Of chroma at half
    resolution it would decode 2 × 2 pixels of a block, more than a thumbnail keeps, which has its
    chroma at half resolution as well. Other components at half resolution stay whole.

    A file that is not progressive, or is damaged, is returned unchanged.

    Args:
        data: The file.
        has_chroma: Whether it is stored as YCbCr.
    """
    kept: list[bytes] = []
    means: set[int] = set()
    removed: set[int] = set()
    blocks = position = end = 0
    for segment in _segments(data):
        end = segment.end
        if segment.marker == _START_OF_FRAME_PROGRESSIVE:
            frame = data[segment.start : segment.end]
            means = _enough_as_means(frame, has_chroma=has_chroma)
            height, width = int.from_bytes(frame[5:7]), int.from_bytes(frame[7:9])
            blocks = -(-width // 8) * -(-height // 8)
        elif segment.marker == _START_OF_SCAN:
            component = _ac_component(data[segment.start : segment.start + 10])
            if component in means:
                removed.add(component)
                kept.append(data[position : segment.start])
                position = segment.end
    if not removed:
        return data
    kept.append(data[position:end])
    kept += [_NO_RESTARTS, _TABLE, *(_empty_scan(name, blocks) for name in sorted(removed))]
    kept.append(data[end:])
    return b"".join(kept)


def _empty_scan(component: int, blocks: int) -> bytes:
    """Return a scan in which all AC coefficients of so many blocks are zero; see `_TABLE`."""
    bits = "0".ljust(1 + _RUN_BITS, "1") * -(-blocks // _LONGEST_RUN)
    padded = bits.ljust(-(-len(bits) // 8) * 8, "1")
    coded = int(padded, 2).to_bytes(len(padded) // 8).replace(b"\xff", b"\xff\x00")
    return SCAN_MARKER + bytes([0, 8, 1, component, 0, 1, 63, 0]) + coded


def _segments(data: bytes, *, scans: bool = True) -> Iterator[_Segment]:
    """Yield the segments up to the end of the image, or to the first that is not valid.

    Args:
        data: The file.
        scans: False ends at the header of the first scan, without reading the rest of the file.

    Raises:
        Rejection: There are more segments, and bytes between them, than MOST_PARTS.
    """
    position = 2  # after the start-of-image marker
    steps = 0
    while position + 4 <= len(data):
        steps += 1
        if steps > MOST_PARTS:
            raise too_many_parts()
        marker = data[position + 1]
        if data[position] != 0xFF or marker in _NOT_MARKERS:
            found = _MARKER.search(data, position)
            if not found:
                return
            steps += found.start() - position
            position = found.start()
            continue
        if marker in _WITHOUT_LENGTH:
            if marker in {_START_OF_IMAGE, _END_OF_IMAGE}:
                return
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if marker == _START_OF_SCAN and not scans:
            yield _Segment(marker, position, end)
            return
        if marker == _START_OF_SCAN:
            found = _NEXT_MARKER.search(data, end)
            end = found.start() if found else len(data)
        yield _Segment(marker, position, end)
        position = end


def _enough_as_means(frame: bytes, *, has_chroma: bool) -> set[int]:
    """Return the ids of the components of which a thumbnail needs a value per block, at 1/8.

    libjpeg decodes 2 × 2 pixels of a block and more (jdmaster.c) where a component has at most half
    as many samples in both directions; for chroma, a thumbnail needs them below the half.
    """
    sampling = {frame[place]: frame[place + 1] for place in range(10, len(frame) - 2, 3)}
    across = max((factors >> 4 for factors in sampling.values()), default=0)
    down = max((factors & 15 for factors in sampling.values()), default=0)
    return {
        name
        for name, factors in sampling.items()
        if across < 2 * (factors >> 4) + has_chroma or down < 2 * (factors & 15) + has_chroma
    }


def _ac_component(scan: bytes) -> int | None:
    """Return the id of the component whose AC coefficients a scan holds, None for a DC scan.

    In a progressive file an AC scan is of one component (ITU-T T.81, G.1.1.1.1).
    """
    if len(scan) < 10 or scan[4] != 1:
        return None
    return scan[5] if scan[7] > 0 else None
