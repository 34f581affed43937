"""worker/imaging/decoding.py: decoding at a scale and in bands changes no more than it may."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageFile, JpegImagePlugin

from tests.unit.worker.imaging.corpus import grey_profile, png_chunk, saved
from tests.workload import outputs_of
from worker.imaging import decoding, memory_estimate
from worker.imaging.thumbnails import make
from worker.results import Output
from worker.settings import Variants

VARIANTS = Variants(
    widths=(120, 40, 10), formats={"jpeg": 85, "webp": 80, "avif": 70}, max_pixels=1_000_000
)


def thumbnails(data: bytes) -> dict[str, Output]:
    return {output.name: output for output in outputs_of(make(io.BytesIO(data), [VARIANTS]))}


def opened(data: bytes) -> JpegImagePlugin.JpegImageFile:
    picture = Image.open(io.BytesIO(data))
    assert isinstance(picture, JpegImagePlugin.JpegImageFile)
    return picture


@pytest.mark.parametrize(
    ("size", "wanted", "decoded"),
    [
        ((1_601, 801), (200, 100), (201, 101)),
        ((1_600, 800), (201, 100), (400, 200)),
        ((1_601, 801), (401, 200), (601, 301)),
        ((1_600, 800), (600, 300), (600, 300)),
        ((1_600, 800), (601, 300), (800, 400)),
        ((1_600, 800), (600, 301), (800, 400)),
        ((1_600, 800), (801, 400), (1_600, 800)),
        ((100, 50), (1_200, 600), (100, 50)),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_will_do(
    size: tuple[int, int], wanted: tuple[int, int], decoded: tuple[int, int]
) -> None:
    """P1: decoding all of it would take up to ten times as long, with no visible gain."""
    picture = opened(saved(Image.new("RGB", size), "JPEG"))
    box = decoding._set_scale(picture, wanted)
    picture.load()
    assert picture.size == decoded
    if box:
        # What is left over of the last, incomplete pixels must not stretch the picture.
        assert box[2] / decoded[0] <= 1
        assert box[2] / box[3] == pytest.approx(size[0] / size[1])


@pytest.mark.parametrize(
    ("width", "denominator"),
    [(1_440, 2), (1_280, 2), (1_250, 1), (800, 1)],  # 1.05 times twice the thumbnail: 1260
)
def test_half_the_size_is_enough_for_a_little_less_sharpness(width: int, denominator: int) -> None:
    """P1: half the size does where it is just larger than the thumbnail."""
    picture = opened(saved(Image.new("RGB", (width, width)), "JPEG"))
    assert decoding.decode(picture, (600, 600)).size == (600, 600)
    assert picture.decoderconfig[0] == denominator


@pytest.mark.parametrize(("wanted", "shorter"), [((200, 100), True), ((201, 101), False)])
def test_only_an_eighth_does_without_detail(wanted: tuple[int, int], shorter: bool) -> None:
    """P1: a quarter would show what is missing."""
    noise = Image.effect_noise((1_600, 808), 60)
    data = saved(noise, "JPEG", progressive=True)
    picture = opened(data)
    decoding._set_scale(picture, wanted)
    assert (len(memory_estimate.file_content(picture)) < len(data)) == shorter


def test_with_other_pillow_internals_there_is_still_a_thumbnail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P5: if a new Pillow changes them, 1/2 replaces 3/8."""

    def gone(*_arguments: object) -> None:
        raise AttributeError("no such thing any more")

    decoding._decodes_at_three_eighths.cache_clear()
    monkeypatch.setattr(decoding, "_set_three_eighths", gone)
    picture = opened(saved(Image.new("RGB", (1_600, 800)), "JPEG"))
    decoding._set_scale(picture, (600, 300))
    decoding._decodes_at_three_eighths.cache_clear()
    picture.load()
    assert picture.size == (800, 400)


def _clouds(mode: str) -> Image.Image:
    """Return a picture whose rows and transparency all differ."""
    size = (611, 407)
    image = Image.merge("RGB", [Image.effect_noise(size, 80).rotate(9 * turn) for turn in range(3)])
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
        return image
    return image.convert(mode)


@pytest.mark.parametrize(
    "data",
    [
        saved(_clouds("RGBA")),
        saved(_clouds("RGB").quantize(64), transparency=3),
        saved(_clouds("1")),
        saved(_clouds("F"), "TIFF"),
        saved(_clouds("YCbCr"), "TIFF"),
    ],
    ids=["rgba", "palette", "1 bit", "float", "ycbcr"],
)
def test_rows_converted_apart_leave_no_seam(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """P1, P5: saving memory changes no pixel."""
    whole = thumbnails(data)
    monkeypatch.setattr(decoding, "_BAND_PIXELS", 4_000)
    assert thumbnails(data) == whole


def test_rows_converted_apart_end_where_the_whole_picture_would() -> None:
    """P1: an alpha channel that hides nothing makes no difference, not even of a pixel."""
    image = _clouds("RGB")
    with_alpha = image.copy()
    with_alpha.putalpha(255)
    assert thumbnails(saved(with_alpha)) == thumbnails(saved(image))


def test_one_transparent_row_far_down_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """P1: the whole image decides whether it is a PNG, not its first or last rows."""
    image = Image.new("RGBA", (800, 1_200), (9, 9, 9, 255))
    image.paste((9, 9, 9, 0), (0, 610, 800, 620))
    monkeypatch.setattr(decoding, "_BAND_PIXELS", 80_000)
    assert thumbnails(saved(image))["w40"].content_type == "image/png"


def _with_profile(mode: str, depth: int, interlaced: bool = False) -> bytes:
    """Return a PNG of middle grey whose profile is linear, so that it is shown as 188."""
    profile = zlib.compress(grey_profile(1))
    channels = {"L": 1, "RGB": 3, "LA": 2, "RGBA": 4}[mode]
    colour = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}[mode]
    sample = b"\x80" * (depth // 8)
    pixel = sample * (channels - (channels % 2 == 0)) + b"\x80" * (depth // 8 * (channels % 2 == 0))
    head = struct.pack(">IIBBBBB", 1, 1, depth, colour, 0, 0, interlaced)
    chunks = png_chunk(b"IHDR", head) + png_chunk(b"iCCP", b"a\x00\x00" + profile)
    if channels % 2:
        chunks += png_chunk(b"tRNS", b"\x00\x09" * channels)
    chunks += png_chunk(b"IDAT", zlib.compress(b"\x00" + pixel)) + png_chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("mode", "shown"), [("L", 188), ("LA", 188), ("RGB", 128), ("RGBA", 128)])
def test_a_grey_profile_is_for_grey_with_transparency_too(
    mode: str, shown: int, depth: int, interlaced: bool
) -> None:
    """P1: alpha stays as it is; in color, a profile of grey means nothing."""
    picture = Image.open(io.BytesIO(_with_profile(mode, depth, interlaced)))
    assert isinstance(picture, ImageFile.ImageFile)
    *colour, alpha = decoding.decode(picture, (1, 1)).convert("RGBA").tobytes()
    assert colour == pytest.approx([shown] * 3, abs=1)
    assert alpha == (128 if mode in {"LA", "RGBA"} else 255)


def test_a_grey_tiff_with_alpha_has_its_profile_applied() -> None:
    """P1: whatever the container."""
    data = saved(Image.new("LA", (1, 1), (128, 90)), "TIFF", icc_profile=grey_profile(1))
    picture = Image.open(io.BytesIO(data))
    assert isinstance(picture, ImageFile.ImageFile)
    *colour, alpha = decoding.decode(picture, (1, 1)).tobytes()
    assert colour == pytest.approx([188] * 3, abs=1)
    assert alpha == 90


RED, BLUE = (220, 30, 30), (31, 30, 220)


def _gif(
    screen: tuple[int, int],
    frame: tuple[int, int, int, int],
    *,
    interlaced: bool = False,
    local_palette: bool = False,
    transparent: bool = False,
    frames: int = 1,
) -> bytes:
    """Return a GIF of a blue background with a red frame of left, top, width and height."""
    image = Image.new("P", frame[2:], 0)
    image.putpalette(RED + BLUE)
    data = saved(image, "GIF", interlace=interlaced)
    palette = bytes(RED + BLUE)
    pixels = data[data.index(b",") + 10 : -1]
    control = b"\x21\xf9\x04\x01\x00\x00\x01\x00" if transparent else b""
    flags = 0x40 * interlaced | 0x80 * local_palette
    picture = control + b"," + struct.pack("<4HB", *frame, flags)
    picture += (palette if local_palette else b"") + pixels
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 1, 0) + palette
    return head + picture * frames + b";"


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("local_palette", [False, True])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    "frame", [(0, 0, 4, 3), (5, 7, 4, 3), (0, 8, 12, 2), (3, 0, 2, 10), (11, 9, 1, 1)]
)
@pytest.mark.parametrize("band", [12, 36, 1_000])
def test_what_a_gifs_first_frame_does_not_cover_is_transparent(
    band: int,
    frame: tuple[int, int, int, int],
    interlaced: bool,
    local_palette: bool,
    transparent: bool,
    frames: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P1: browsers show no background color; wherever a band of rows ends."""
    monkeypatch.setattr(decoding, "_BAND_PIXELS", band)
    data = _gif(
        (12, 10),
        frame,
        interlaced=interlaced,
        local_palette=local_palette,
        transparent=transparent,
        frames=frames,
    )
    picture = Image.open(io.BytesIO(data))
    assert isinstance(picture, ImageFile.ImageFile)
    found = decoding.decode(picture, (12, 10))
    expected = Image.new("RGBA", (12, 10))
    left, top, width, height = frame
    expected.paste((*RED, 255), (left, top, left + width, top + height))
    assert found.getchannel("A").tobytes() == expected.getchannel("A").tobytes()
    assert found.getpixel((left, top)) == (*RED, 255)


def test_a_gif_whose_frame_covers_all_stays_opaque() -> None:
    """P1: it is a JPEG then."""
    picture = Image.open(io.BytesIO(_gif((12, 10), (0, 0, 12, 10))))
    assert isinstance(picture, ImageFile.ImageFile)
    assert decoding.decode(picture, (12, 10)).mode == "RGB"
