"""Every file of the corpus ends as it should, within time and memory."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageStat

from tests.integration.worker.imaging import limits
from tests.unit.worker.imaging.corpus import (
    BLUE,
    GREEN,
    LONG_NAMES,
    RED,
    SECRET,
    SPECIMENS,
    VARIANTS,
    WHITE,
    Colour,
    Golden,
    Specimen,
    in_lab,
    png,
    quarters,
    saved,
)
from tests.workload import outputs_of
from worker.imaging import thumbnails
from worker.keys import LONGEST_KEY, output_key, rejection_key
from worker.results import Output, Rejection
from worker.settings import LONGEST_SIDE

# Pillow warns of what is odd in a file, which does not matter here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SMALLEST_WITH_COLOURS = 12
TYPES = {"": "image/jpeg", ".webp": "image/webp", ".avif": "image/avif"}


def assert_golden(outputs: list[Output], golden: Golden) -> None:
    named = {output.name: output for output in outputs}
    assert set(named) == {f"w{width}{end}" for width in VARIANTS.widths for end in TYPES}
    for width in VARIANTS.widths:
        scale = min(1.0, width / golden.size[0], LONGEST_SIDE / max(golden.size))
        size = tuple(max(1, round(side * scale)) for side in golden.size)
        for end, content_type in TYPES.items():
            output = named[f"w{width}{end}"]
            if golden.transparent and not end:
                content_type = "image/png"
            assert output.content_type == content_type
            assert output.metadata == {"width": size[0], "height": size[1]}
            assert SECRET not in output.body
            image = Image.open(io.BytesIO(output.body))
            assert Image.MIME[image.format or ""] == content_type
            assert image.size == size
            assert getattr(image, "n_frames", 1) == 1
            assert not {"exif", "comment", "icc_profile", "xmp"} & set(image.info)
            assert image.has_transparency_data == golden.transparent
            if image.format == "JPEG":
                assert image.mode == ("L" if golden.grey else "RGB")
            # Chroma of half the resolution bleeds across the whole of anything smaller.
            if min(size) >= SMALLEST_WITH_COLOURS or len(set(golden.corners)) == 1:
                assert_colours(image, golden)


def assert_colours(image: Image.Image, golden: Golden) -> None:
    width, height = image.size
    if golden.transparent:
        low, high = image.getchannel("A").getextrema()
        assert isinstance(low, int)
        assert 128 - 4 <= low <= high <= 128 + 4
    image = image.convert("RGB")
    found = [image.getpixel((x * width // 4, y * height // 4)) for y in (1, 3) for x in (1, 3)]
    for colour, wanted in zip(found, golden.corners, strict=True):
        assert is_close(colour, wanted, golden.tolerance), (found, golden.corners)
    mean = tuple(round(channel) for channel in ImageStat.Stat(image).mean)
    assert is_close(mean, golden.mean, golden.tolerance), (mean, golden.mean)


def is_close(colour: object, wanted: Colour, tolerance: int) -> bool:
    assert isinstance(colour, tuple)
    return all(abs(one - other) <= tolerance for one, other in zip(colour, wanted, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="the bounds are Linux's")
@pytest.mark.parametrize(
    "specimen",
    [pytest.param(specimen, id=specimen.name) for specimen in SPECIMENS],
)
def test_every_file_ends_as_it_should(specimen: Specimen) -> None:
    """P1, P5, pitfalls 11, 43: right thumbnails, or the right reason, within time and memory."""
    outcome = limits.make(
        specimen.make(), VARIANTS, seconds=specimen.seconds, mebibytes=specimen.mebibytes
    )
    assert outcome.error is None
    if isinstance(specimen.expected, Golden):
        assert outcome.reason is None
        assert_golden(list(outcome.outputs), specimen.expected)
    else:
        assert outcome.reason == specimen.expected
    assert outcome.mebibytes <= specimen.mebibytes


@pytest.mark.skipif(sys.platform != "linux", reason="the bounds are Linux's")
def test_the_bounds_hold() -> None:
    """P5: the corpus can fail: the system stops what takes too long, and memory is counted."""
    noise = saved(Image.effect_noise((3_000, 3_000), 90).convert("RGB"), "TIFF")
    large = replace(VARIANTS, max_pixels=9_000_000)
    assert limits.make(noise, large, seconds=9, mebibytes=64).mebibytes > 30
    stopped = limits.make(noise, replace(large, widths=(3_000,)), seconds=1, mebibytes=512)
    assert stopped.error
    assert "SIGXCPU" in stopped.error


def test_a_row_longer_than_pillow_takes_is_rejected() -> None:
    """P5: it is within the limit of pixels, but another try would not help."""
    row = png((100_000_000, 1), bytes(999), interlaced=True)
    with pytest.raises(Rejection):
        outputs_of(thumbnails.make(io.BytesIO(row), [replace(VARIANTS, max_pixels=100_000_000)]))


@pytest.mark.parametrize("name", ["tiff lab", "cmyk with profile", "png with a wide gamut"])
def test_no_profile_comes_along_from_a_conversion(name: str) -> None:
    """P1: sRGB needs none, and the same image gives the same bytes at any time."""
    (specimen,) = (specimen for specimen in SPECIMENS if specimen.name == name)
    for output in outputs_of(thumbnails.make(io.BytesIO(specimen.make()), [VARIANTS])):
        assert "icc_profile" not in Image.open(io.BytesIO(output.body)).info


@pytest.mark.parametrize("source_key", LONG_NAMES)
def test_names_of_1024_bytes(source_key: str) -> None:
    """P2: each output and the rejection have different keys that S3 accepts."""
    assert LONGEST_KEY - 3 <= len(source_key.encode()) <= LONGEST_KEY
    outputs = outputs_of(thumbnails.make(io.BytesIO(saved(quarters())), [VARIANTS]))
    keys = {output_key(source_key, output.name) for output in outputs}
    keys |= {rejection_key(source_key)}
    assert len(keys) == len(outputs) + 1
    assert all(len(key.encode()) <= LONGEST_KEY for key in keys)


FORMATS_OF_MODES = {
    "1": ("PNG", "TIFF", "BMP"),
    "L": ("PNG", "TIFF", "BMP", "JPEG"),
    "P": ("PNG", "TIFF", "BMP", "GIF"),
    "LA": ("PNG", "TIFF"),
    "I;16": ("PNG", "TIFF"),
    "I": ("TIFF",),
    "F": ("TIFF",),
    "RGB": ("PNG", "TIFF", "BMP", "GIF", "JPEG", "WEBP", "AVIF", "MPO"),
    "RGBA": ("PNG", "TIFF", "WEBP", "AVIF", "GIF"),
    "CMYK": ("TIFF", "JPEG"),
    "YCbCr": ("TIFF", "JPEG"),
    "LAB": ("TIFF",),
}
GREYS = ((0,) * 3, (255,) * 3, (255,) * 3, (0,) * 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([(mode, name) for mode, names in FORMATS_OF_MODES.items() for name in names]),
    st.integers(16, 260),
    st.integers(16, 260),
)
def test_any_mode_format_and_size_keeps_its_golden_properties(
    saved_as: tuple[str, str], width: int, height: int
) -> None:
    """P1: colours in their places and the same shape, whatever the file's mode and format."""
    mode, format_name = saved_as
    colours = mode not in {"1", "L", "LA", "I;16", "I", "F"}
    corners = (RED, GREEN, BLUE, WHITE) if colours else GREYS
    size = width // 2 * 2, height // 2 * 2
    picture = in_mode(quarters(size, corners), mode)
    options = {"quality": 95} if format_name in {"JPEG", "MPO", "WEBP", "AVIF"} else {}
    outputs = outputs_of(
        thumbnails.make(io.BytesIO(saved(picture, format_name, **options)), [VARIANTS])
    )
    golden = Golden(
        size, corners, tolerance=40, grey=not colours and mode != "LA" and format_name != "GIF"
    )
    assert_golden(list(outputs), golden)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return in_lab(image)
    if mode == "I;16":
        return image.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")
    if mode == "P":
        return image.quantize(8)
    return image.convert("L").convert(mode) if mode in {"I", "F"} else image.convert(mode)
