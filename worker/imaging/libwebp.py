"""A WebP decoded at a wanted size by libwebp, the library that Pillow brings and does not ask."""

from __future__ import annotations

import ctypes
import io
from functools import cache
from typing import Final, NamedTuple

from PIL import Image, ImageChops

_ABI_VERSION: Final = 0x0210
"""WEBP_DECODER_ABI_VERSION of the structures below; libwebp takes any with the same first byte:
https://chromium.googlesource.com/webm/libwebp/+/refs/tags/v1.6.0/src/webp/decode.h"""

_MODES: Final = {"RGB": 0, "RGBA": 1}
"""WEBP_CSP_MODE, by Pillow's names."""

_LOSSLESS: Final = 2
"""A value of WebPBitstreamFeatures.format."""

_DAMAGED: Final = "failed to read next frame"
"""As Pillow says it."""

_TOLERANCE: Final = 12
"""Of 255: what a lossy picture loses, and its colors at half the size between two of them."""


class Features(NamedTuple):
    """What a file is by its header."""

    is_animation: bool
    is_lossless: bool


class _Features(ctypes.Structure):
    """WebPBitstreamFeatures."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("width", "height", "has_alpha", "has_animation")),
        ("format", ctypes.c_int),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Samples(ctypes.Structure):
    """WebPRGBABuffer."""

    _fields_ = (
        ("rgba", ctypes.c_void_p),
        ("stride", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


class _Planes(ctypes.Structure):
    """WebPYUVABuffer, which only makes the union as large as it is."""

    _fields_ = (
        ("planes", ctypes.c_void_p * 4),
        ("strides", ctypes.c_int * 4),
        ("sizes", ctypes.c_size_t * 4),
    )


class _Union(ctypes.Union):
    _fields_ = (("samples", _Samples), ("planes", _Planes))


class _Buffer(ctypes.Structure):
    """WebPDecBuffer."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("colorspace", "width", "height")),
        ("is_external_memory", ctypes.c_int),
        ("union", _Union),
        ("pad", ctypes.c_uint32 * 4),
        ("private_memory", ctypes.c_void_p),
    )


class _Options(ctypes.Structure):
    """WebPDecoderOptions."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("bypass_filtering", "no_fancy_upsampling")),
        ("cropping", ctypes.c_int * 5),
        *((name, ctypes.c_int) for name in ("use_scaling", "scaled_width", "scaled_height")),
        *((name, ctypes.c_int) for name in ("use_threads", "dithering_strength", "flip")),
        ("alpha_dithering_strength", ctypes.c_int),
        ("pad", ctypes.c_uint32 * 5),
    )


class _Configuration(ctypes.Structure):
    """WebPDecoderConfig."""

    _fields_ = (("input", _Features), ("output", _Buffer), ("options", _Options))


@cache
def is_usable() -> bool:
    """Return whether libwebp is found and decodes as expected; else Pillow has to ask it."""
    try:
        return all(_decodes(lossless=lossless) for lossless in (False, True))
    except Exception:  # noqa: BLE001 -- whatever has changed, there is Pillow's decoder
        return False


def features(data: bytes) -> Features:
    """Return what a file is.

    Raises:
        OSError: It is not valid.
    """
    found = _configuration(data).input
    return Features(bool(found.has_animation), found.format == _LOSSLESS)


def decode(data: bytes, mode: str, size: tuple[int, int]) -> bytearray:
    """Return the pixels of a picture at a size, row by row; each is the mean of what it covers.

    Args:
        data: The file.
        mode: RGB, or RGBA with colors that are not multiplied by alpha.
        size: Width and height, at most the picture's.

    Raises:
        OSError: The file is not valid, or ends early.
    """
    configuration = _configuration(data)
    full = configuration.input.width, configuration.input.height
    pixels = bytearray(size[0] * size[1] * len(mode))
    samples = configuration.output.union.samples
    samples.rgba = ctypes.addressof(ctypes.c_char.from_buffer(pixels))
    samples.stride, samples.size = size[0] * len(mode), len(pixels)
    configuration.output.colorspace = _MODES[mode]
    configuration.output.is_external_memory = 1
    if size != full:
        configuration.options.use_scaling = 1
        configuration.options.scaled_width, configuration.options.scaled_height = size
    status = _library().WebPDecode(data, ctypes.c_size_t(len(data)), ctypes.byref(configuration))
    if status:
        raise OSError(_DAMAGED)
    return pixels


def _configuration(data: bytes) -> _Configuration:
    """Return a configuration with the features of a file."""
    library, configuration = _library(), _Configuration()
    if not library.WebPInitDecoderConfigInternal(ctypes.byref(configuration), _ABI_VERSION):
        raise ValueError("another version of libwebp")
    features = ctypes.byref(configuration.input)
    if library.WebPGetFeaturesInternal(data, ctypes.c_size_t(len(data)), features, _ABI_VERSION):
        raise OSError(_DAMAGED)
    return configuration


@cache
def _library() -> ctypes.CDLL:
    """Return Pillow's extension, in which the names of the libraries it is linked to are found."""
    from PIL import _webp

    return ctypes.CDLL(_webp.__file__)


def _decodes(*, lossless: bool) -> bool:
    """Return whether a picture in two colors, or half transparent, is decoded as expected."""
    mode = "RGBA" if lossless else "RGB"
    picture = Image.new(mode, (64, 64), (200, 100, 50, 255)[: len(mode)])
    picture.paste((0, 150, 200, 0)[: len(mode)], (0, 0, 34, 64))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=90, lossless=lossless, exact=True, method=0)
    data = buffer.getvalue()
    # Multiplied by alpha: the color of what is transparent must not show.
    expected = picture.convert("RGBa" if lossless else mode).reduce(4).convert(mode)
    found = Image.frombytes(mode, (16, 16), decode(data, mode, (16, 16)))
    most = max(ImageChops.difference(found, expected).tobytes())
    return features(data) == (False, lossless) and most <= _TOLERANCE
