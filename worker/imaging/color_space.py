"""Color spaces by primaries and transfer function, shown in sRGB as Chromium does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

from PIL import Image, ImageMath

Matrix = tuple[tuple[float, ...], ...]
"""Three rows of three numbers."""

_D65: Final = (0.3127, 0.329)
_SRGB: Final = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_BT2020: Final = (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046)

_PRIMARIES: Final = {
    1: _SRGB,
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (0.31, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: _BT2020,
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
"""By ColourPrimaries of ITU-T H.273 (https://www.itu.int/rec/T-REC-H.273, table 2)."""

_POWER, _SMPTE_240, _IEC_61966, _PQ, _SMPTE_428, _HLG = 8, 7, 13, 16, 17, 18
"""TransferCharacteristics of H.273, table 3; that of 8, linear, here with an exponent."""

_EXPONENTS: Final = {1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 8: 1.0, 11: 2.4, 14: 2.4, 15: 2.4}
"""Of those that are shown by a power, which for television is that of its screens (BT.1886)."""

_REFERENCE_WHITE: Final = 203.0
"""Light in cd/m² that is as bright as the white of sRGB: ITU-R BT.2408."""

_USUAL_PEAK: Final = 1000.0
"""Light in cd/m² of the brightest part, where the file does not say, and of HLG's screen."""

_HLG_EXPONENT: Final = 1.2
"""ITU-R BT.2100's system gamma of a screen of 1,000 cd/m²."""

_HLG_LUMA: Final = (0.2627, 0.678, 0.0593)

_BRADFORD: Final = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)
"""XYZ to the cones by which a white is adapted to another, as in ICC profiles."""

_SAME_EXPONENT: Final = 0.05
"""libpng's PNG_GAMMA_THRESHOLD: an exponent of about 2.2 alone is taken for sRGB's curve."""

_LARGEST: Final = 1000
"""Larger numbers in a matrix mean that its primaries are, nearly, on a line."""

_SMALLEST_TRIANGLE: Final = 1e-4
"""Twice the area between primaries; sRGB's is 0.22. Below it they are on a line, but for rounding.
"""

_BAND_PIXELS: Final = 1 << 16
"""Pixels converted at a time, as a dozen floating-point images."""


@dataclass(frozen=True)
class ColorSpace:
    """What the values of an RGB picture mean; sRGB by default.

    Attributes:
        chromaticities: x and y (CIE 1931) of white, red, green and blue.
        transfer: The number of the transfer function in H.273.
        exponent: That of the power from value to light, if it is one.
        peak: Light in cd/m² of the brightest part, if the transfer function is PQ's or HLG's.
    """

    chromaticities: tuple[float, ...] = _SRGB
    transfer: int = _IEC_61966
    exponent: float = 1.0
    peak: float = _USUAL_PEAK


def by_code_points(
    primaries: int, transfer: int, peak: float | None = None, *, video: bool = False
) -> ColorSpace | None:
    """Return a color space by its numbers in H.273; None for one that Chromium does not know.

    Args:
        primaries: ColourPrimaries.
        transfer: TransferCharacteristics.
        peak: Light in cd/m² of the brightest part, as the file says.
        video: Whether a number that is 2, unspecified, means sRGB's, and the curve of television as
            well: so it is in containers of video and in profiles, but not in PNG.
    """
    if video:
        primaries = 1 if primaries == 2 else primaries
        transfer = _IEC_61966 if transfer in {1, 2, 6, 11, 14, 15} else transfer
    chromaticities = _PRIMARIES.get(primaries)
    if chromaticities is None:
        return None
    if transfer in _EXPONENTS:
        return ColorSpace(chromaticities, _POWER, _EXPONENTS[transfer])
    if transfer in {_PQ, _HLG}:
        return ColorSpace(chromaticities, transfer, peak=peak or _USUAL_PEAK)
    if transfer in {_SMPTE_240, _IEC_61966, _SMPTE_428}:
        return ColorSpace(chromaticities, transfer)
    return None


def by_gamma(gamma: float, chromaticities: Sequence[float] | None) -> ColorSpace | None:
    """Return a color space as PNG's gAMA and cHRM describe it; None if it is none, or as sRGB.

    Args:
        gamma: The exponent from light to value.
        chromaticities: See `ColorSpace`; None for sRGB's.
    """
    if not gamma or (chromaticities is None and abs(gamma * 2.2 - 1) <= _SAME_EXPONENT):
        return None
    space = ColorSpace(tuple(chromaticities or _SRGB), _POWER, 1 / gamma)
    try:
        matrix = _matrix(space.chromaticities, _SRGB)
    except ZeroDivisionError:
        return None
    _, _, red_x, red_y, green_x, green_y, blue_x, blue_y = space.chromaticities
    area = (red_x - blue_x) * (green_y - blue_y) - (green_x - blue_x) * (red_y - blue_y)
    if abs(area) < _SMALLEST_TRIANGLE:
        return None
    return space if all(abs(value) < _LARGEST for row in matrix for value in row) else None


def to_srgb(image: Image.Image, space: ColorSpace) -> Image.Image:
    """Return an image in grey, RGB or RGBA with the values of sRGB."""
    if space == ColorSpace():
        return image
    is_separate = space.chromaticities == _SRGB and space.transfer not in {_PQ, _HLG}
    if image.mode == "L" or is_separate:
        table = _grey_table(space)
        if table == list(range(256)):
            return image
        if image.mode == "L":
            return image.point(table)
    if is_separate:
        tables = table * 3 + (list(range(256)) if image.mode == "RGBA" else [])
        return image.point(tables)
    width, height = image.size
    rows = max(1, _BAND_PIXELS // width)
    shown = Image.new(image.mode, image.size)
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        converted = _converted(band.split()[:3], space)
        if image.mode == "RGBA":
            converted.putalpha(band.getchannel("A"))
        shown.paste(converted, (0, top))
    return shown


@lru_cache(maxsize=8)
def _grey_table(space: ColorSpace) -> list[int]:
    """Return what is shown of each grey, which is grey in any space: white is adapted."""
    greys = Image.frombytes("L", (256, 1), bytes(range(256)))
    return list(_converted([greys] * 3, space).getchannel("G").tobytes())


def _converted(channels: Sequence[Image.Image], space: ColorSpace) -> Image.Image:
    """Return channels of eight bits as an RGB image in sRGB."""
    table = _light_table(space)
    light = [channel.point(table, "F") for channel in channels]
    primaries = space.chromaticities
    if space.transfer in {_PQ, _HLG}:
        light = _mixed(light, _matrix(primaries, _BT2020))
        if space.transfer == _HLG:
            light = _on_a_screen(light)
        light = _tone_mapped(light, space.peak)
        primaries = _BT2020
    return Image.merge("RGB", list(map(_encoded, _mixed(light, _matrix(primaries, _SRGB)))))


def _encoded(light: Image.Image) -> Image.Image:
    """Return the values of eight bits of light: IEC 61966-2-1, a line near black and a curve."""
    end = 0.0031308
    return _evaluated(
        lambda args: (
            args["max"](args["light"], end) ** (1 / 2.4) * (255 * 1.055)
            + args["min"](args["light"] - end, 0.0) * (255 * 12.92)
            + (0.5 - 255 * 0.055)
        ),
        light=light,
    ).convert("L")


def _evaluated(expression: Callable[[dict[str, Any]], Any], **images: Image.Image) -> Image.Image:
    found = ImageMath.lambda_eval(expression, **images)
    if not isinstance(found, Image.Image):
        raise TypeError(found)
    return found


def _mixed(channels: Sequence[Image.Image], matrix: Matrix) -> list[Image.Image]:
    """Return channels multiplied by a matrix."""
    red, green, blue = channels

    def mix(row: Sequence[float], args: dict[str, Any]) -> Any:
        one, two, three = row
        return args["red"] * one + args["green"] * two + args["blue"] * three

    return [_evaluated(partial(mix, row), red=red, green=green, blue=blue) for row in matrix]


def _on_a_screen(channels: Sequence[Image.Image]) -> list[Image.Image]:
    """Return the light of a screen, 1 for the reference white, for HLG's light of a scene.

    ITU-R BT.2100's OOTF.
    """
    red, green, blue = channels
    bright = _USUAL_PEAK / _REFERENCE_WHITE
    one, two, three = _HLG_LUMA
    gain = _evaluated(
        lambda args: (
            args["max"](args["red"] * one + args["green"] * two + args["blue"] * three, 0.0)
            ** (_HLG_EXPONENT - 1)
            * bright
        ),
        red=red,
        green=green,
        blue=blue,
    )
    return _multiplied(channels, gain)


def _multiplied(channels: Sequence[Image.Image], gain: Image.Image) -> list[Image.Image]:
    return [
        _evaluated(lambda args: args["channel"] * args["gain"], channel=channel, gain=gain)
        for channel in channels
    ]


def _tone_mapped(channels: Sequence[Image.Image], peak: float) -> list[Image.Image]:
    """Return light in BT.2020's primaries for a screen without more than the white of sRGB.

    This is the reference white tone mapping operator of SMPTE ST 2094-50 (annex D of its committee
    draft, https://github.com/SMPTE/st2094-50), which Chromium applies to PQ and HLG: the largest of
    the three decides by how much all are made darker, so that hues stay. Up to the reference white
    this is a factor, at most a half; from there a parabola leads to the peak, which becomes white.
    """
    headroom = math.log2(max(peak / _REFERENCE_WHITE, 1.0))
    end = 2.0**headroom
    white = 1 - 0.5 * min(headroom / math.log2(_USUAL_PEAK / _REFERENCE_WHITE), 1.0)
    bend = 0.65
    middle = 1 - bend + bend / white, (1 - bend) * white + bend
    x_square, x_linear = 1 - 2 * middle[0] + end, 2 * middle[0] - 2
    y_square, y_linear = white - 2 * middle[1] + 1, 2 * middle[1] - 2 * white
    if headroom == 0:
        return list(channels)
    red, green, blue = channels

    def gain(args: dict[str, Any]) -> Any:
        most = args["max"](args["max"](args["red"], args["green"]), args["blue"])
        bright = args["max"](most, 1.0)
        on_curve = args["min"](bright, end) - 1.0
        root = (on_curve * (4 * x_square) + x_linear**2) ** 0.5
        place = on_curve * 2 / (root + x_linear)
        return ((place * y_square + y_linear) * place + white) / bright

    return _multiplied(channels, _evaluated(gain, red=red, green=green, blue=blue))


@lru_cache(maxsize=8)
def _light_table(space: ColorSpace) -> list[float]:
    """Return the light of each value: 1 is the white of sRGB, and for HLG that of the scene."""
    curves: dict[int, Callable[[float], float]] = {
        _POWER: lambda value: value**space.exponent,
        _SMPTE_240: lambda value: (
            value / 4 if value < 4 * 0.0228 else ((value + 0.1115) / 1.1115) ** (1 / 0.45)
        ),
        _IEC_61966: lambda value: (
            value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        ),
        _SMPTE_428: lambda value: value**2.6 * 52.37 / 48,
        _PQ: _pq_light,
        _HLG: _hlg_light,
    }
    return [curves[space.transfer](value / 255) for value in range(256)]


def _pq_light(value: float) -> float:
    """ITU-R BT.2100, table 4."""
    root = value ** (32 / 2523)
    part: float = max(root - 107 / 128, 0.0) / (2413 / 128 - 2392 / 128 * root)
    return 10_000 * math.pow(part, 8192 / 1305) / _REFERENCE_WHITE


def _hlg_light(value: float) -> float:
    """ITU-R BT.2100, table 5: the inverse OETF."""
    if value <= 0.5:
        return value**2 / 3
    slope = 0.17883277
    shift = 0.5 - slope * math.log(4 * slope)
    return (math.exp((value - shift) / slope) + 1 - 4 * slope) / 12


@lru_cache(maxsize=8)
def _matrix(source: tuple[float, ...], target: tuple[float, ...]) -> Matrix:
    """Return the matrix from light in primaries and white to light in others.

    Raises:
        ZeroDivisionError: The chromaticities are those of no color space.
    """
    cones = [
        _product(_BRADFORD, ((one,), (two,), (three,)))
        for one, two, three in (
            _white(source),
            _white(target),
        )
    ]
    scales = [after[0] / before[0] for before, after in zip(*cones, strict=True)]
    adapted = tuple(
        tuple(scale * weight for weight in row)
        for scale, row in zip(scales, _BRADFORD, strict=True)
    )
    to_target = _product(_inverse(_to_xyz(target)), _inverse(_BRADFORD))
    return _product(to_target, _product(adapted, _to_xyz(source)))


def _white(chromaticities: Sequence[float]) -> tuple[float, float, float]:
    """Return X, Y and Z of the white, with a Y of 1."""
    x, y = chromaticities[:2]
    return x / y, 1.0, (1 - x - y) / y


def _to_xyz(chromaticities: Sequence[float]) -> Matrix:
    """Return the matrix from light in red, green and blue to XYZ."""
    xs, ys = tuple(chromaticities[2::2]), tuple(chromaticities[3::2])
    columns = (xs, ys, tuple(1 - x - y for x, y in zip(xs, ys, strict=True)))
    one, two, three = _white(chromaticities)
    scales = _product(_inverse(columns), ((one,), (two,), (three,)))
    return tuple(
        tuple(value * scale[0] for value, scale in zip(row, scales, strict=True)) for row in columns
    )


def _product(one: Matrix, other: Matrix) -> Matrix:
    columns = list(zip(*other, strict=True))
    return tuple(
        tuple(sum(a * b for a, b in zip(row, column, strict=True)) for column in columns)
        for row in one
    )


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    return tuple(tuple(value / determinant for value in row) for row in cofactors)
