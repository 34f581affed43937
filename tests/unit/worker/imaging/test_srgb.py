"""worker/imaging/srgb.py: a profile is applied where it changes something, whatever its name."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.unit.worker.imaging.corpus import (
    SRGB_PRIMARIES,
    grey_profile,
    rgb_profile,
    srgb_decoded,
    srgb_encoded,
)
from worker.imaging import color_space
from worker.imaging.color_space import by_code_points
from worker.imaging.srgb import to_srgb

PIXELS = list(product((0, 1, 60, 128, 254, 255), repeat=3))
NAMES = ["sRGB", "sRGB IEC61966-2.1", "Camera RGB"]


def picture(mode: str = "RGB") -> Image.Image:
    values = bytes(value for pixel in PIXELS for value in pixel)
    image = Image.frombytes("RGB", (len(PIXELS), 1), values)
    if mode == "RGBA":
        image.putalpha(90)
    return image.convert(mode)


def greys(mode: str = "L") -> Image.Image:
    return Image.frombytes("L", (256, 1), bytes(range(256))).convert(mode)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("profile", ["curve of points", "formula"])
def test_srgb_stays_as_it_is(profile: str, mode: str, name: str) -> None:
    """P8: to the bit, under whatever name; rounding twice would change some values by one."""
    data = rgb_profile(srgb_decoded, name)
    if profile == "formula":
        data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = picture(mode)
    assert to_srgb(image, data) is image


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@given(gamma=st.floats(0.5, 3.5))
def test_what_is_only_called_srgb_is_applied(gamma: float, mode: str, name: str) -> None:
    """P8: with sRGB's primaries each channel goes through the curve alone."""
    image = picture(mode)
    found = to_srgb(image, rgb_profile(lambda value: value**gamma, name))
    assert found.mode == mode
    for channel in range(len(found.getbands())):
        before, after = image.getchannel(channel), found.getchannel(channel)
        for value, shown in zip(before.tobytes(), after.tobytes(), strict=True):
            is_alpha = channel == 3
            expected = value if is_alpha else 255 * srgb_encoded((value / 255) ** gamma)
            # A curve of 8 bits in front of sRGB's steep beginning rounds to whole steps of it.
            assert abs(shown - expected) <= (0 if is_alpha else 2)


@pytest.mark.parametrize("name", NAMES)
def test_other_primaries_are_applied_with_srgbs_curve(name: str) -> None:
    """P8: those of Display P3 are near; green of it is none of sRGB."""
    # SMPTE EG 432-1, adapted to D50: https://www.color.org/chardata/rgb/DisplayP3.xalter
    p3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
    image = Image.new("RGB", (1, 1), (220, 30, 30))
    found = to_srgb(image, rgb_profile(srgb_decoded, name, p3))
    assert found.getpixel((0, 0)) == pytest.approx((241, 0, 0), abs=2)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@given(gamma=st.floats(0.5, 3.5))
def test_grey_with_transparency_has_profiles_of_grey_and_of_rgb(gamma: float, mode: str) -> None:
    """P8: what Pillow opens as RGB or RGBA was grey."""
    image = greys(mode)
    for profile in (
        grey_profile(gamma),
        rgb_profile(lambda value: value ** (round(256 * gamma) / 256)),
    ):
        found = to_srgb(image, profile, grey=True)
        assert found.mode == mode
        for value, shown in enumerate(found.getchannel(1).tobytes()):
            expected = 255 * srgb_encoded((value / 255) ** (round(256 * gamma) / 256))
            assert abs(shown - expected) <= 2


def test_a_profile_of_rgb_that_tints_grey_is_shown() -> None:
    """P8: as browsers show it; a duotone cannot stay grey."""
    primaries = (SRGB_PRIMARIES[0], SRGB_PRIMARIES[1], (0.0, 0.0, 0.0))
    found = to_srgb(greys(), rgb_profile(srgb_decoded, "sRGB", primaries))
    red, green, blue = found.crop((255, 0, 256, 1)).tobytes()
    assert red > 250
    assert green > 250
    assert blue < 5


def named(code: tuple[int, int], matrix: int = 0, full_range: int = 1) -> bytes:
    """Return a profile with a power of 2 as its curve, and code points."""
    return rgb_profile(lambda value: value**2, code_points=bytes([*code, matrix, full_range]))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("code", [(9, 16), (9, 18), (12, 13), (1, 8)])
def test_code_points_in_a_profile_count(code: tuple[int, int], mode: str) -> None:
    """P8: as in Chromium; curves cannot say how PQ and HLG are tone mapped."""
    image = picture(mode)
    space = by_code_points(*code, video=True)
    assert space
    expected = color_space.to_srgb(image, space)
    assert to_srgb(image, named(code)) == expected


@pytest.mark.parametrize("code", [(1, 13), (1, 1)])
def test_code_points_that_mean_srgb(code: tuple[int, int]) -> None:
    """P8: whatever the curves say."""
    image = picture("RGB")
    assert to_srgb(image, named(code)) is image


@pytest.mark.parametrize(
    "profile",
    [
        named((2, 2)),
        named((9, 2)),
        named((0, 16)),
        named((9, 9)),
        named((9, 16), matrix=9),
        named((9, 16), full_range=0),
    ],
)
def test_a_profile_without_known_code_points_has_its_curves(profile: bytes) -> None:
    """P8: numbers that nobody knows, YCbCr, a narrow range."""
    expected = to_srgb(picture(), rgb_profile(lambda value: value**2))
    assert to_srgb(picture(), profile) == expected != picture()


@given(st.binary(max_size=20), st.integers(0, 300), st.integers(0, 600))
def test_a_damaged_profile_is_no_error(damage: bytes, at: int, length: int) -> None:
    """P5: the pixels are good."""
    profile = named((9, 16))
    to_srgb(picture(), profile[:at] + damage + profile[at + len(damage) :])
    to_srgb(picture(), profile[:length])
    to_srgb(greys(), profile[:at] + damage)
