"""HEIC: a picture coded in HEVC, alone or in parts, in a container as ISO/IEC 23008-12 has it.

libheif decodes it, through pi-heif, which is imported for such a file only. How much it will decode
is found out before: the container states one size, and the coded frames have another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from PIL import Image, ImageFile

from worker.imaging import clean_aperture
from worker.imaging.bits import Bits
from worker.imaging.isobmff import Container, number
from worker.results import Rejection

_BRANDS: Final = frozenset(
    {
        *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
        *(b"mif1", b"mif2", b"msf1", b"miaf"),  # AVIF and others may have these too
    }
)
"""A file's first brand, at offset 8."""

_ORIENTATION: Final = 0x0112
"""EXIF's tag."""

_CODED: Final = b"hvc1"
_DERIVED: Final = frozenset({b"grid", b"iovl", b"iden"})
"""Types of items: a picture in HEVC; one of parts side by side, of layers, or of another one."""

_OTHER_CODINGS: Final = {
    b"avc1": "H.264",
    b"j2k1": "JPEG 2000",
    b"jpeg": "JPEG",
    b"unci": "uncompressed",
    b"vvc1": "H.266",
}

_BYTES_PER_PIXEL: Final = 10.0
_BYTES_PER_ALPHA: Final = 4.0
_MORE_WITH_TEN_BITS: Final = 1.6
"""Memory until the picture is Pillow's: 9.3 with 8 bits in 4:4:4, 12.4 with alpha; 20.4 with 10."""

_MOST_SLICED_PIXELS: Final = 500_000_000
"""Slices times pixels. Slices may overlap, and each is decoded: a slice of 100 flat megapixels has
some kilobytes. A flat megapixel takes 6 ms in 4:2:0, and 20 ms with 10 bits in 4:4:4. Encoders
write one slice per part of a grid, or at most a few dozen in 12 megapixels."""

_DEEPEST: Final = 4
"""Pictures made of pictures made of pictures: files have a grid of pictures, maybe in a layer."""

_SEQUENCE_PARAMETER_SET: Final = 33
_LAST_SLICE_TYPE: Final = 31
"""Types of HEVC's units, ITU-T H.265, table 7-1: slices come first."""

_LENGTH_BYTES: Final = 4
"""Before each unit of an item; libheif supports no other."""


class HeicPicture(ImageFile.ImageFile):
    """The primary item, turned and cropped as the container says; EXIF has no say in that."""

    format = "HEIC"
    format_description = "High Efficiency Image File Format, coded in HEVC"
    bytes_per_pixel: float
    """That decoding takes."""
    code_points: tuple[int, int] | None = None
    """Primaries and transfer function, of the picture or of a grid's parts."""
    _image: Any
    _decoded: tuple[tuple[int, int], str]
    _box: clean_aperture.Box

    def _open(self) -> None:
        if self.fp is None:
            raise ValueError("closed")
        data = self.fp.read()
        if unsupported(data):
            raise SyntaxError("not coded in HEVC")
        uncropped, box = clean_aperture.without(data)
        self._image = _primary_image(uncropped)
        (width, height), self._mode = self._decoded = self._image.size_mode
        self._box = box or (0, 0, width, height)
        left, top, right, bottom = self._box
        self._size = right - left, bottom - top
        self.bytes_per_pixel = _BYTES_PER_PIXEL
        if self._mode in {"RGBA", "RGBa"}:
            self.bytes_per_pixel += _BYTES_PER_ALPHA
        if self._image.bit_depth > 8:
            self.bytes_per_pixel *= _MORE_WITH_TEN_BITS
        with _errors():
            color = self._image.color_profile
        if color and color["type"] == "nclx":
            named = color["data"]
            self.code_points = named["color_primaries"], named["transfer_characteristics"]
        elif color:
            self.info["icc_profile"] = color["data"]
        if exif := _exif(data):
            self.info["exif"] = exif
        self.tile = []

    def getexif(self) -> Image.Exif:
        """Return the EXIF data without their orientation, which repeats the container's."""
        exif = super().getexif()
        exif.pop(_ORIENTATION, None)
        return exif

    def load(self) -> Any:
        """Decode, where that is still to be done.

        Raises:
            ValueError: The frame has not the size that the container states.
        """
        image, self._image = self._image, None
        if image is not None:
            with _errors():
                pixels = image.data
            if image.size_mode != self._decoded:
                raise ValueError("a frame of another size than stated")
            left, top, _, _ = self._box
            pixel_bytes = 2 if self.mode == "I;16" else len(self.getbands())
            start = top * image.stride + left * pixel_bytes
            self.load_prepare()
            self.frombytes(pixels[start:], "raw", (self.mode, image.stride))
        return super().load()


def has_signature(head: bytes) -> bool:
    """Return whether a file may be HEIC, by its first 12 bytes."""
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


Image.register_open(HeicPicture.format, HeicPicture, has_signature)
Image.register_mime(HeicPicture.format, "image/heic")


def unsupported(data: bytes) -> str | None:
    """Return what a sound file is where it is not a still picture in HEVC; None for one."""
    container = Container(memoryview(data))
    primary = container.primary_item()
    if primary is None:
        is_sequence = any(True for _ in container.boxes(container.file, b"moov"))
        return "HEIF without a still picture" if is_sequence else None
    types, inputs = container.item_types(), container.references(b"dimg")
    kind = types.get(primary)
    for _ in range(_DEEPEST):
        if kind not in _DERIVED or not inputs.get(primary):
            break
        primary = inputs[primary][0]
        kind = types.get(primary)
    if kind is None or kind == _CODED or kind in _DERIVED:
        return None
    return f"HEIF ({_OTHER_CODINGS.get(kind, 'of another coding')})"


def pixels_at_once(data: bytes) -> int:
    """Return the pixels that are decoded for the primary item, of its image or its parts.

    An alpha channel is as large as its image, and is not counted besides.

    Raises:
        ValueError: The file is not valid.
        Rejection: Its pixels are decoded too many times.
    """
    items = _Items(Container(memoryview(data)))
    pixels, sliced = items.cost(items.primary)
    if sliced > max(pixels, _MOST_SLICED_PIXELS):
        raise Rejection(
            "unsupported_format",
            f"The picture's slices, each of which may be as large as all of it, have"
            f" {sliced / 1e6:,.0f} million pixels; at most {_MOST_SLICED_PIXELS / 1e6:,.0f} million"
            " are decoded.",
        )
    return pixels


@contextmanager
def _errors() -> Iterator[None]:
    """Raise as a ValueError what means to Pillow that a file is of another format."""
    try:
        yield
    except (EOFError, SyntaxError) as error:
        raise ValueError(str(error)) from error


def _primary_image(data: bytes) -> Any:
    """Return pi-heif's image of the primary item, not decoded yet.

    This is its compiled module: around it, each item's EXIF data, depth maps and more are read,
    where a type that is not UTF-8 ends the process.
    """
    import _pi_heif  # here: 4 MB of libraries that no other file needs

    with _errors():
        images = _pi_heif.load_file(
            data,
            1,  # thread: there are the worker's own
            True,  # 8 bits of color from more
            False,  # RGB, not BGR
            False,  # rows may be padded
            True,  # 16 bits of grey from more than 8
            "",  # the only decoder
            False,  # libheif's limits hold as well
        )
    for image in images:
        if image is not None and image.primary:
            return image
    raise ValueError("the primary item is not there")


def _exif(data: bytes) -> bytes | None:
    """Return the EXIF data of the primary item; damaged ones are as good as none."""
    container = Container(memoryview(data))
    with suppress(ValueError):
        primary, types = container.primary_item(), container.item_types()
        describing = {
            item
            for item, described in container.references(b"cdsc").items()
            if primary in described and types.get(item) == b"Exif"
        }
        for _, body in container.items(describing):
            return bytes(body[4 + number(body, 0, 4) :])  # after the place where they start
    return None


class _Items:
    """The items of a file, each with the pixels that are decoded for it."""

    def __init__(self, container: Container) -> None:
        self._container = container
        primary = container.primary_item()
        if primary is None:
            raise ValueError("no primary item")
        self.primary = primary
        self._types = container.item_types()
        self._properties = container.properties()
        self._inputs = container.references(b"dimg")
        self._beside: dict[int, list[int]] = {}
        for auxiliary, images in container.references(b"auxl").items():
            for image in images:
                self._beside.setdefault(image, []).append(auxiliary)
        decoded = [item for item, kind in self._types.items() if kind in {_CODED} | _DERIVED]
        self._data: dict[int, memoryview] = {}
        for item, data in container.items(decoded):
            if item in self._data:
                raise ValueError("an item that is in two places")
            self._data[item] = data
        self._found: dict[int, tuple[int, int]] = {}
        self._depths: dict[int, int | None] = {}
        """Bits of luma beyond 8."""

    def cost(self, item: int, depth: int = 0) -> tuple[int, int]:
        """Return how much is decoded for an item.

        That is the pixels of its image, of its parts or of its alpha channel, whichever are the
        most; and those of all slices, each as large as its picture.
        """
        if depth > _DEEPEST:
            raise ValueError("pictures that are made of each other")
        if item not in self._found:
            kind = self._types.get(item)
            area, sliced = math.prod(self._stated_size(item)), 0
            if kind == _CODED:
                frame, slices = self._frame(item)
                area = max(area, frame)
                sliced = slices * area
            elif kind in _DERIVED:
                parts = [self.cost(part, depth + 1) for part in self._inputs[item]]
                depths = {self._depths.get(part) for part in self._inputs[item]}
                if kind == b"grid" and len(depths) > 1:
                    raise ValueError("a grid of parts of different bit depths")
                self._depths[item] = next(iter(depths), None)
                area = max(area, self._canvas(item), sum(pixels for pixels, _ in parts))
                sliced = sum(pixels for _, pixels in parts)
            elif depth == 0:
                raise ValueError("no picture in HEVC")
            beside = [self.cost(one, depth + 1) for one in self._beside.get(item, ())]
            self._found[item] = (
                max([area, *(pixels for pixels, _ in beside)]),
                sliced + sum(pixels for _, pixels in beside),
            )
        return self._found[item]

    def _stated_size(self, item: int) -> tuple[int, int]:
        sizes = [(0, 0)]
        for name, body in self._properties.get(item, ()):
            if name == b"ispe":
                sizes.append((number(body, 4, 4), number(body, 8, 4)))
        return max(sizes, key=math.prod)

    def _canvas(self, item: int) -> int:
        """Return the area that a grid or layers are put together on; 0 for neither."""
        kind, data = self._types[item], self._data.get(item)
        if kind == b"iden" or data is None:
            return 0
        size = 4 if number(data, 1, 1) & 1 else 2
        # Rows and columns of a grid have a byte each; a background has four channels.
        start = 4 if kind == b"grid" else 10
        return number(data, start, size) * number(data, start + size, size)

    def _frame(self, item: int) -> tuple[int, int]:
        """Return the largest area that an item's parameter sets describe, and its slices' number.

        Raises:
            ValueError: The item has more than one picture: libheif would decode them all. Or its
                bit depth is not the one that it states.
        """
        area = pictures = slices = 0
        depths = {
            number(body, 17, 1) & 7
            for name, body in self._properties.get(item, ())
            if name == b"hvcC"
        }
        for unit in self._units(item):
            self._container.step()
            kind, layer = number(unit, 0, 1) >> 1 & 63, number(unit, 0, 2) >> 3 & 63
            if kind == _SEQUENCE_PARAMETER_SET:
                # A 3 keeps two zeros apart from what would look like the start of another unit.
                bits = Bits(bytes(unit[2:]).replace(b"\0\0\3", b"\0\0"))
                area = max(area, _frame_area(bits))
                if layer == 0:
                    depths.add(_luma_depth(bits))
            # The first bit of a slice says whether it is the first one of its picture.
            elif kind <= _LAST_SLICE_TYPE and layer == 0:
                pictures += number(unit, 2, 1) >> 7
                slices += 1
        if pictures > 1:
            raise ValueError("an item of more than one picture")
        if len(depths) > 1:
            # pi-heif shifts grey pixels in place, in the depth that the container states: beyond
            # the end of a frame that has fewer bits.
            raise ValueError("an item of another bit depth than stated")
        self._depths[item] = max(depths, default=0)
        return area, slices

    def _units(self, item: int) -> Iterator[memoryview]:
        """Yield HEVC's units (7.3.1), of the item's configuration and of its data."""
        for name, body in self._properties.get(item, ()):
            if name != b"hvcC":  # ISO/IEC 14496-15, 8.3.3
                continue
            position = 23
            for _ in range(number(body, 22, 1)):
                count, position = number(body, position + 1, 2), position + 3
                for _ in range(count):
                    end = position + 2 + number(body, position, 2)
                    yield body[position + 2 : end]
                    position = end
        data, position = self._data.get(item, memoryview(b"")), 0
        while position < len(data):
            end = position + _LENGTH_BYTES + number(data, position, _LENGTH_BYTES)
            yield data[position + _LENGTH_BYTES : end]
            position = end


def _frame_area(bits: Bits) -> int:
    """Return width times height, from the start of a sequence parameter set (7.3.2.2)."""
    bits.read(4)
    sub_layers = bits.read(3)
    bits.read(1 + 88 + 8)
    present = [bits.read(2) for _ in range(sub_layers)]
    if sub_layers:
        bits.read(2 * (8 - sub_layers))
    for profile_and_level in present:
        bits.read(88 * (profile_and_level >> 1) + 8 * (profile_and_level & 1))
    bits.read_variable()
    if bits.read_variable() == 3:  # 4:4:4
        bits.read()
    return bits.read_variable() * bits.read_variable()


def _luma_depth(bits: Bits) -> int:
    """Return the bits of luma beyond 8, which follow the size."""
    if bits.read():  # a conformance window
        for _ in range(4):
            bits.read_variable()
    return bits.read_variable()
