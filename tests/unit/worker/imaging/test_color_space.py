"""worker/imaging/color_space.py: values become sRGB's, by the standards and as in Chromium."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tests.unit.worker.imaging.corpus import srgb_decoded, srgb_encoded
from worker.imaging import color_space
from worker.imaging.color_space import ColorSpace, by_code_points, by_gamma, to_srgb

Pixel = tuple[int, ...]

GREYS = (0, 10, 20, 40, 64, 100, 128, 160, 192, 220, 250, 255)
COLOURS = [(220, 30, 30), (30, 200, 30), (30, 30, 220), (128, 64, 200), (10, 200, 250)]
PIXELS: list[Pixel] = [*((grey,) * 3 for grey in GREYS), *COLOURS, (200, 180, 20)]

SHOWN = {
    (12, 13, 1000): (
        "000000 0a0a0a 141414 282828 404040 646464 808080 a0a0a0 c0c0c0 dcdcdc fafafa ffffff"
        " f00000 00cc00 1e1ee5 8a3bcf 00ccff ccb300"
    ),
    (9, 1, 1000): (
        "000000 010101 070707 1c1c1c 353636 5b5b5b 797979 9b9b9b bdbdbd dadada fafafa ffffff"
        " ff0000 00d000 0000e5 8a1dce 00cfff d6ae00"
    ),
    (1, 4, 1000): (
        "000000 030303 0c0c0c 232323 3e3e3e 646464 818181 a1a1a1 c1c1c1 dddddd fafafa ffffff"
        " dd1818 18c918 1818dd 813ec9 03c9fa c9b50c"
    ),
    (6, 5, 1000): (
        "000000 000000 030303 111111 282828 4c4c4c 6a6a6a 8e8e8e b3b3b3 d4d4d4 f9f9f9 ffffff"
        " cf2005 2eba01 181ed5 6931bd 35bcf9 bba400"
    ),
    (5, 7, 1000): (
        "000000 191919 262626 3a3a3a 515151 737373 8d8d8d aaaaaa c7c7c7 e0e0e0 fbfbfb ffffff"
        " e43030 0dce36 3030df 8f51cd 00cefa cfbc2c"
    ),
    (4, 8, 1000): (
        "000000 383838 4f4f4f 6e6e6e 898989 a8a8a8 bcbcbc cfd0d0 e1e1e1 efefef fdfdfd ffffff"
        " ff5958 00e154 4373f5 c891e9 00e9ff f0d432"
    ),
    (8, 14, 1000): (
        "000000 010101 070707 1c1c1c 353636 5b5b5b 797979 9b9b9b bdbdbd dadada fafafa ffffff"
        " f80000 00cb00 0300e2 8726cb 00c8ff ccb000"
    ),
    (11, 17, 1000): (
        "000000 010101 050505 171717 303030 575757 767676 9a9a9a bfbfbf e0e0e0 ffffff ffffff"
        " ef0000 00cc00 0804e9 7d28d0 00ccff ccb100"
    ),
    (22, 13, 1000): (
        "000000 0a0a0a 141414 282828 404040 646464 808080 a0a0a0 c0c0c0 dcdcdc fafafa ffffff"
        " de2d1c 00c31d 1f35dc 814cc8 00c8fa c8b210"
    ),
    (10, 13, 1000): (
        "000000 0a0a0a 141414 282828 404040 646464 808080 a0a0a0 c0c0c0 dcdcdc fafafa ffffff"
        " ff0044 00ff00 0039ea 9900d5 00fffc ff9900"
    ),
    (9, 16, 1000): (
        "000000 000000 010101 090909 1e1e1e 4c4c4c 848484 d5d5d5 ffffff ffffff ffffff ffffff"
        " ff0000 00ff00 0000ff 3900ff 0074ff ffaf00"
    ),
    (12, 16, 1000): (
        "000000 000000 010101 090909 1e1e1e 4c4c4c 848484 d5d5d5 ffffff ffffff ffffff ffffff"
        " ff0000 00ff00 0101ff 5304ff 0073ff ffc300"
    ),
    (9, 18, 1000): (
        "000000 010101 050505 151515 2b2b2b 4b4b4b 636363 878787 bdbdbd e0e0e0 fbfbfb ffffff"
        " ff0000 00d000 0003d1 6a20b9 00a0fc dca200"
    ),
    (12, 18, 1000): (
        "000000 010101 050505 151515 2b2b2b 4b4b4b 636363 878787 bdbdbd e0e0e0 fbfbfb ffffff"
        " f40000 00cb00 1111d3 682cb8 009cfc cea500"
    ),
    (9, 16, 100): (
        "000000 010101 030303 111111 2c2c2c 6b6b6b b5b5b5 ffffff ffffff ffffff ffffff ffffff"
        " ff0000 00ff00 0000ff 8e00ff 00ffff ffff00"
    ),
    (9, 16, 400): (
        "000000 000000 020202 0e0e0e 272727 5f5f5f a3a3a3 f9f9f9 ffffff ffffff ffffff ffffff"
        " ff0000 00ff00 0000ff 3900ff 0074ff ffaf00"
    ),
    (9, 16, 4000): (
        "000000 000000 010101 090909 1e1e1e 4c4c4c 848484 cacaca e2e2e2 f7f7f7 ffffff ffffff"
        " ff0000 00f500 0000ff 3300f3 0074ff ff9e00"
    ),
    (9, 18, 400): (
        "000000 010101 080808 1d1d1d 373737 5d5d5d 7b7b7b a6a6a6 e7e7e7 ffffff ffffff ffffff"
        " ff0000 00fc00 0004fc 832ae2 00a8ff ffc400"
    ),
}
"""What Chromium 156 shows of a PNG of `PIXELS` by its cICP's primaries and transfer function and
the cd/m² of its cLLI (it has none if they are 1,000), on a screen of sRGB."""

# Light in sRGB's primaries of light in others, both for D65: ITU-R BT.2087 and SMPTE EG 432-1.
FROM_BT2020 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
FROM_P3 = ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979))
AS_IT_IS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
MATRICES = {1: AS_IT_IS, 9: FROM_BT2020, 12: FROM_P3}

colours = st.tuples(*[st.integers(0, 255)] * 3)


def space(primaries: int, transfer: int, peak: float | None = None) -> ColorSpace:
    found = by_code_points(primaries, transfer, peak)
    assert found
    return found


def one(pixel: Pixel, of: ColorSpace) -> Pixel:
    return tuple(to_srgb(Image.new("RGB", (1, 1), pixel), of).tobytes())


def encoded(light: list[float], matrix: tuple[tuple[float, ...], ...] = AS_IT_IS) -> list[float]:
    rows = (sum(a * b for a, b in zip(row, light, strict=True)) for row in matrix)
    return [255 * srgb_encoded(value) for value in rows]


def are_near(found: Pixel, expected: list[float], tolerance: float = 1.2) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("code", SHOWN, ids=str)
def test_what_a_browser_shows(code: tuple[int, int, int]) -> None:
    """P8: to a step; between bright points Chromium's tone curve is itself an approximation."""
    for pixel, shown in zip(PIXELS, SHOWN[code].split(), strict=True):
        assert are_near(one(pixel, space(*code)), list(bytes.fromhex(shown)), 1), pixel


@pytest.mark.parametrize("primaries", MATRICES)
@pytest.mark.parametrize("transfer", [1, 4, 5, 6, 8, 13, 14, 15, 17])
@given(pixel=colours)
def test_values_of_standard_range(transfer: int, primaries: int, pixel: Pixel) -> None:
    """P8: curve to light, matrix to sRGB's primaries, sRGB's curve back."""
    exponent = {4: 2.2, 5: 2.8, 8: 1.0, 13: 0, 17: 2.6}.get(transfer, 2.4)
    light = [
        srgb_decoded(value / 255) if transfer == 13 else (value / 255) ** exponent
        for value in pixel
    ]
    if transfer == 17:
        light = [value * 52.37 / 48 for value in light]
    assert are_near(one(pixel, space(primaries, transfer)), encoded(light, MATRICES[primaries]))


def pq_decoded(value: float) -> float:
    """Return cd/m²: SMPTE ST 2084, equation 4.1."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = value ** (1 / m2)
    return float(10_000 * (max(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


def hlg_decoded(pixel: Pixel) -> list[float]:
    """Return cd/m² on a screen of 1,000: ITU-R BT.2100, table 5."""
    scene = []
    for value in (value / 255 for value in pixel):
        bright = (2.718281828 ** ((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
        scene.append(value**2 / 3 if value <= 0.5 else bright)
    luminance = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [1000 * luminance**0.2 * value for value in scene]


def tone_mapped(light: list[float]) -> list[float]:
    """Return light for a screen of 203 cd/m²: SMPTE ST 2094-50's operator for a peak of 1,000.

    Its points for that peak: from (1, 1/2), by (1.65, 0.825), to (1000/203, 1).
    """
    relative = [value / 203 for value in light]
    most, end = max(relative), 1000 / 203
    if most <= 1:
        return [value / 2 for value in relative]
    low, high = 0.0, 1.0
    for _ in range(40):
        place = (low + high) / 2
        x = (1 - place) ** 2 + 2 * place * (1 - place) * 1.65 + place**2 * end
        low, high = (place, high) if x < most else (low, place)
    y = (1 - low) ** 2 / 2 + 2 * low * (1 - low) * 0.825 + low**2
    return [value * (1 if most >= end else y) / most for value in relative]


@pytest.mark.parametrize("transfer", [16, 18])
@given(pixel=colours)
def test_high_dynamic_range(transfer: int, pixel: Pixel) -> None:
    """P8: light by BT.2100, tone mapped by the largest of the three, in sRGB's primaries."""
    light = hlg_decoded(pixel) if transfer == 18 else [pq_decoded(one / 255) for one in pixel]
    expected = encoded(tone_mapped(light), FROM_BT2020)
    assert are_near(one(pixel, space(9, transfer)), expected, 2)


@pytest.mark.parametrize(("nits", "shown"), [(10, 44), (37, 85), (102, 137), (203, 187)])
def test_steps_of_light(nits: int, shown: int) -> None:
    """P8: what Chromium shows of grey steps in a PQ picture of ten bits; here of eight."""
    value = min(range(256), key=lambda value: abs(pq_decoded(value / 255) - nits))
    assert are_near(one((value,) * 3, space(9, 16)), [shown] * 3, 3)


@pytest.mark.parametrize("peak", [50, 203, 203.0001, 204, 999, 1_000, 4_000, 10_000, 429_496])
@pytest.mark.parametrize("transfer", [16, 18])
def test_brighter_is_never_darker(transfer: int, peak: float) -> None:
    """P8: whatever peak a file states."""
    image = to_srgb(Image.linear_gradient("L"), space(9, transfer, peak))
    shown = list(image.tobytes()[::256])
    assert shown == sorted(shown)
    assert shown[0] == 0


@given(gamma=st.floats(0.2, 2.5), pixel=colours)
def test_gamma_alone(gamma: float, pixel: Pixel) -> None:
    """P8: a power to light with sRGB's primaries; near 1/2.2 browsers take it for sRGB's curve."""
    found = by_gamma(gamma, None)
    if abs(gamma * 2.2 - 1) <= 0.05:
        assert found is None
    else:
        assert found
        light = [(value / 255) ** (1 / gamma) for value in pixel]
        assert are_near(one(pixel, found), encoded(light))


P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


@given(gamma=st.floats(0.2, 2.5), pixel=colours)
def test_gamma_and_chromaticities(gamma: float, pixel: Pixel) -> None:
    """P8: with chromaticities a gamma near 1/2.2 is itself."""
    found = by_gamma(gamma, P3)
    assert found
    light = [(value / 255) ** (1 / gamma) for value in pixel]
    assert are_near(one(pixel, found), encoded(light, FROM_P3))


@example([0.3125, 0.5, 1 / 3, 0.5, 0.25, 0.5, 0.5, 0.5], 13)  # on a line, but for rounding
@given(st.lists(st.floats(0.01, 0.9), min_size=8, max_size=8), st.integers(0, 255))
def test_grey_is_grey_in_any_space(chromaticities: list[float], grey: int) -> None:
    """P8: white is adapted to sRGB's, so that a grey picture needs one channel."""
    if found := by_gamma(0.5, chromaticities):
        shown = one((grey,) * 3, found)
        assert are_near(shown, encoded([(grey / 255) ** 2] * 3), 3)


@pytest.mark.parametrize("chromaticities", [(0.0,) * 8, (*P3[:6], *P3[4:6]), (0.3, 0.0, *P3[2:])])
def test_impossible_chromaticities_are_no_space(chromaticities: tuple[float, ...]) -> None:
    """P5: nor is a gamma of zero, or numbers that H.273 reserves."""
    assert by_gamma(0.5, chromaticities) is None
    assert by_gamma(0.0, None) is None
    for code in ((2, 13), (1, 2), (0, 13), (1, 0), (1, 9), (23, 13), (255, 255)):
        assert by_code_points(*code) is None


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("code", [(1, 13), (1, 8), (12, 13), (9, 16), (9, 18)])
def test_pixels_by_themselves_and_in_bands(
    code: tuple[int, int], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P8: wherever a band of rows ends; alpha and the mode stay."""
    values = bytes(value for pixel in product(range(0, 256, 51), repeat=3) for value in pixel)
    image = Image.frombytes("RGB", (6, 36), values).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    monkeypatch.setattr(color_space, "_BAND_PIXELS", 30)
    found = to_srgb(image, space(*code))
    assert found.mode == mode
    if code == (1, 13):
        assert found is image
    for place in product(range(6), range(0, 36, 7)):
        pixel = image.getpixel(place)
        rgb = (pixel,) * 3 if mode == "L" else pixel[:3]  # type: ignore[index]  # bands
        shown = one(rgb, space(*code))  # type: ignore[arg-type]  # bands
        alpha = (pixel[3],) if mode == "RGBA" else ()  # type: ignore[index]  # bands
        assert found.getpixel(place) == (shown[1] if mode == "L" else shown + alpha)
