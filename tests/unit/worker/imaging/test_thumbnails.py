"""worker/imaging/thumbnails.py: sizes, colours, orientation; what is rejected."""

from __future__ import annotations

import io
import re
import struct
from base64 import b64decode
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import (
    Image,
    ImageChops,
    ImageCms,
    ImageStat,
    PngImagePlugin,
)

from tests.unit.worker.imaging.corpus import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    Colour,
    grey_profile,
    png,
    profile_with_red_and_blue_swapped,
    quarters,
    saved,
)
from tests.workload import outputs_of
from worker.imaging import decoding
from worker.imaging import thumbnails as thumbnails_module
from worker.imaging.memory import Memory
from worker.imaging.thumbnails import make
from worker.results import Output, Properties, Rejection
from worker.settings import Variants

# Pillow warns of what is odd in a file, which does not matter here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

VARIANTS = Variants(
    widths=(120, 40, 10), formats={"jpeg": 85, "webp": 80, "avif": 70}, max_pixels=1_000_000
)
JPEG_ONLY = Variants(widths=(40,), formats={"jpeg": 90}, max_pixels=1_000_000)


def thumbnails(data: bytes, variants: Variants = VARIANTS) -> dict[str, Output]:
    outputs = outputs_of(make(io.BytesIO(data), [variants]))
    named = {output.name: output for output in outputs}
    assert len(named) == len(outputs)
    return named


def several(data: bytes, *variants: Variants) -> dict[str, Output]:
    return {output.name: output for output in outputs_of(make(io.BytesIO(data), variants))}


def pixels(output: Output) -> Image.Image:
    image = Image.open(io.BytesIO(output.body))
    image.load()
    return image


def one(data: bytes) -> Image.Image:
    return pixels(thumbnails(data, JPEG_ONLY)["w40"])


def corners(image: Image.Image) -> list[Colour]:
    """Return the middle of each quarter: top left, top right, bottom left, bottom right."""
    width, height = image.size
    rgb = image.convert("RGB")
    found = []
    for y in (height // 4, height * 3 // 4):
        for x in (width // 4, width * 3 // 4):
            value = rgb.getpixel((x, y))
            assert isinstance(value, tuple)
            found.append(value)
    return found


def close(found: list[Colour], expected: list[Colour], tolerance: int = 12) -> bool:
    return all(
        abs(channel - wanted) <= tolerance
        for one_found, one_expected in zip(found, expected, strict=True)
        for channel, wanted in zip(one_found, one_expected, strict=True)
    )


def rejection(data: bytes, variants: Variants = VARIANTS) -> Rejection:
    with pytest.raises(Rejection) as rejected:
        list(make(io.BytesIO(data), [variants]))
    assert rejected.value.detail
    return rejected.value


def described(data: bytes, variants: Variants = VARIANTS) -> Properties:
    *_, found = make(io.BytesIO(data), [variants])
    assert isinstance(found, Properties)
    return found


def test_the_picture_is_described_as_it_is_shown() -> None:
    """P7: its type by its content, its size with the orientation applied."""
    image = Image.new("RGB", (300, 100), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    found = described(saved(image, "JPEG", exif=exif))
    assert found.source == {"type": "image/jpeg", "width": 100, "height": 300}


def test_the_placeholder_is_a_small_picture_without_a_request() -> None:
    """P7: of at most 16 pixels a side, in the shape and colours of the picture."""
    head, _, text = described(saved(quarters())).record["placeholder"].partition(",")
    assert head == "data:image/webp;base64"
    assert len(text) < 400
    small = Image.open(io.BytesIO(b64decode(text)))
    assert small.size == (10, 5)  # the narrowest thumbnail's
    wide = Variants(widths=(640,), formats={"jpeg": 85}, max_pixels=1_000_000)
    text = described(saved(quarters()), wide).record["placeholder"].partition(",")[2]
    assert max(Image.open(io.BytesIO(b64decode(text))).size) == 16


@pytest.mark.parametrize(
    ("colour", "mean"),
    [
        ((255, 0, 0), "#ff0000"),
        ((0, 128, 0, 255), "#008000"),
        ((0, 0, 255, 100), "#0000ff"),
        ((9, 9, 9, 0), None),
    ],
)
def test_the_mean_colour_is_of_what_is_seen(colour: tuple[int, ...], mean: str | None) -> None:
    """P7: transparent pixels have none; for a page that shows it before the picture."""
    image = Image.new("RGBA" if len(colour) == 4 else "RGB", (50, 50), colour)
    if mean and len(colour) == 4:
        image.paste((255, 255, 255, 0), (0, 0, 25, 50))
    found = described(saved(image)).record["color"]
    if mean is None or found is None:
        assert found == mean
    else:
        assert all(abs(a - b) < 8 for a, b in zip(rgb(found), rgb(mean), strict=True))


def rgb(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("#"))


def test_each_width_in_each_format() -> None:
    """P1: names, types, sizes in the metadata and in the pixels, colours in place."""
    made = thumbnails(saved(quarters()))
    assert set(made) == {f"w{w}{end}" for w in (120, 40, 10) for end in ("", ".webp", ".avif")}
    for width, height in [(120, 60), (40, 20), (10, 5)]:
        for end, kind in [("", "jpeg"), (".webp", "webp"), (".avif", "avif")]:
            output = made[f"w{width}{end}"]
            image = pixels(output)
            assert output.content_type == f"image/{kind}"
            assert image.format == kind.upper()
            assert image.size == (width, height)
            assert output.metadata == {"width": width, "height": height}
            if width > 10:
                assert close(corners(image), [RED, GREEN, BLUE, WHITE], 16)


def test_jpeg_is_progressive() -> None:
    """P4: the image appears whole and then sharpens."""
    assert one(saved(quarters())).info.get("progressive") == 1


@pytest.mark.parametrize("size", [(333, 217), (81, 81), (345, 230), (700, 467), (1_181, 787)])
@pytest.mark.parametrize("progressive", [False, True])
def test_decoding_at_a_scale_shows_what_decoding_all_shows(
    size: tuple[int, int], progressive: bool
) -> None:
    """P1: within what an eye can tell, up to the edges."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.paste(WHITE, (size[0] - size[0] // 9, 0, *size))
    data = saved(image, "JPEG", quality=95, progressive=progressive)
    wanted = 40, round(40 * size[1] / size[0])
    whole = Image.open(io.BytesIO(data)).resize(wanted, Image.Resampling.LANCZOS)
    difference = ImageStat.Stat(ImageChops.difference(one(data), whole))
    assert max(difference.mean) < 2.5


def test_too_many_scans_are_rejected() -> None:
    """P5: each scan of a progressive file is as much work as a whole picture."""
    data = saved(quarters(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    assert rejection(data[:-2] + scan * 100 + data[-2:]).reason == "too_many_scans"
    assert thumbnails(data[:-2] + scan * 50 + data[-2:])
    # The same bytes in a comment are no scans.
    comment = b"\xff\xda" * 200
    assert thumbnails(saved(quarters(), "JPEG", comment=comment))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_png_has_every_pixel_of_the_thumbnail(mode: str) -> None:
    """P1: of a picture that is as small as the thumbnail, those of the picture."""
    colors = Image.effect_noise((40, 30), 90).convert(mode)
    made = thumbnails(saved(colors), replace(JPEG_ONLY, formats={"png": 100}))
    assert list(made) == ["w40.png"]
    assert made["w40.png"].content_type == "image/png"
    shown = Image.open(io.BytesIO(made["w40.png"].body))
    assert ImageChops.difference(shown.convert("RGB"), colors.convert("RGB")).getbbox() is None


def test_a_jpeg_becomes_a_png_in_rgb() -> None:
    """P1: though it is decoded to luma and chroma, which no PNG has."""
    made = thumbnails(saved(quarters((90, 60)), "JPEG"), replace(JPEG_ONLY, formats={"png": 100}))
    shown = Image.open(io.BytesIO(made["w40.png"].body))
    assert (shown.mode, shown.size) == ("RGB", (40, 27))


@pytest.mark.parametrize(("side", "keeps_colors"), [(63, True), (64, False)])
def test_an_icon_keeps_the_color_of_each_pixel(side: int, keeps_colors: bool) -> None:
    """P1: red and blue lines of one pixel, which chroma at half the size would turn to purple."""
    lines = Image.new("RGB", (side, side), RED)
    for x in range(0, side, 2):
        lines.paste(BLUE, (x, 0, x + 1, side))
    variants = replace(JPEG_ONLY, widths=(200,))
    shown = Image.open(io.BytesIO(thumbnails(saved(lines), variants)["w200"].body))
    red, _, blue = ImageStat.Stat(shown.crop((21, 20, 22, 44))).mean
    assert (red > 4 * blue) is keeps_colors


def test_nothing_is_enlarged() -> None:
    """P1: a small picture keeps its size under every name."""
    made = thumbnails(saved(quarters((30, 20))))
    assert {name: pixels(made[name]).size for name in ("w120", "w40", "w10")} == {
        "w120": (30, 20),
        "w40": (30, 20),
        "w10": (10, 7),
    }


def _with_comment(image: Image.Image, **options: Any) -> bytes:
    return saved(image, "JPEG", comment=b"SECRET", **options)


def _png_with_text(image: Image.Image, **options: Any) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "SECRET")
    return saved(image, pnginfo=text, **options)


@pytest.mark.parametrize(
    "save",
    [
        _with_comment,
        _png_with_text,
        lambda image, **options: saved(image, "WEBP", xmp=b"SECRET", **options),
        lambda image, **options: saved(image, "AVIF", xmp=b"SECRET", **options),
        lambda image, **options: saved(image, "TIFF", **options),
        lambda image, **_: saved(image, "GIF", comment=b"SECRET"),
    ],
    ids=["jpeg", "png", "webp", "avif", "tiff", "gif"],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_no_metadata_comes_along(save: Callable[..., bytes], mode: str) -> None:
    """P1: EXIF, XMP, profiles, text and comments may say who and where."""
    image = quarters().convert(mode)
    if mode == "RGBA":
        if save is _with_comment:
            pytest.skip("JPEG has no transparency")
        image.putalpha(128)
    exif = Image.Exif()
    exif[0x010E] = "SECRET"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = save(image, exif=exif, icc_profile=profile)
    assert b"SECRET" in data
    for output in thumbnails(data).values():
        assert b"SECRET" not in output.body
        assert not {"exif", "xmp", "icc_profile", "comment"} & set(pixels(output).info)


def test_transparency_is_kept_as_png() -> None:
    """P1: under the one key that every browser can show; the type says which it is."""
    image = quarters().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    image.paste(quarters((100, 100)).convert("RGBA"), (0, 0))
    made = thumbnails(saved(image))
    assert made["w40"].content_type == "image/png"
    for name, kind in [("w40", "PNG"), ("w40.webp", "WEBP"), ("w40.avif", "AVIF")]:
        found = pixels(made[name])
        assert (found.format, found.mode) == (kind, "RGBA")
        assert found.getpixel((35, 10))[3] < 12  # type: ignore[index]  # bands
        assert found.getpixel((5, 5))[3] > 243  # type: ignore[index]  # bands


def test_hidden_colours_do_not_bleed() -> None:
    """P1: fully transparent pixels do not change the colour of their neighbours."""
    image = Image.new("RGBA", (200, 100), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 99, 100))
    found = one(saved(image))
    for x in range(found.width):
        red, green, _, alpha = found.getpixel((x, 10))  # type: ignore[misc]  # bands
        assert alpha < 12 or green < 12 < red


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_an_alpha_channel_that_hides_nothing_costs_no_jpeg(mode: str) -> None:
    """P1: screenshots have one, and as PNG they would be five times as large."""
    image = quarters().convert("RGBA").convert(mode)
    output = thumbnails(saved(image, "TIFF" if mode == "PA" else "PNG"))["w40"]
    assert output.content_type == "image/jpeg"


def _palette_with_transparency() -> bytes:
    image = quarters().quantize(8)
    return saved(image, transparency=image.getpixel((5, 5)))


def _grey_with_transparent_value() -> bytes:
    return saved(Image.new("L", (200, 100), 7), transparency=7)


@pytest.mark.parametrize(
    "data",
    [
        _palette_with_transparency(),
        _grey_with_transparent_value(),
        saved(Image.new("RGB", (200, 100), (1, 2, 3)), transparency=(1, 2, 3)),
        saved(quarters().quantize(8), "GIF", transparency=0),
        saved(Image.new("LA", (200, 100), (9, 100))),
    ],
    ids=["palette", "grey", "colour key", "gif", "grey and alpha"],
)
def test_transparency_by_any_other_name(data: bytes) -> None:
    """P1: palettes and single colours can also be transparent."""
    assert thumbnails(data)["w40"].content_type == "image/png"


def test_wide_gamut_is_converted() -> None:
    """P1: a profile's colours come out as sRGB's, within rounding."""
    swapped = profile_with_red_and_blue_swapped()
    found = one(saved(Image.new("RGB", (200, 100), (220, 30, 60)), icc_profile=swapped))
    red, _, blue = found.convert("RGB").getpixel((10, 10))  # type: ignore[misc]  # bands
    assert abs(blue - 220) < 15
    assert abs(red - 60) < 15


def test_a_grey_profile_is_applied_and_grey_stays_grey() -> None:
    """P1: scans and prints have their own tone curve; three equal channels would be waste."""
    found = one(saved(Image.new("L", (200, 100), 55), icc_profile=grey_profile(1.0)))
    assert found.mode == "L"
    # A linear 55 of 255 is 21.6 % of the light, which sRGB writes as 128.
    assert abs(found.getpixel((5, 5)) - 128) < 4  # type: ignore[operator]  # one band


def test_a_damaged_profile_does_not_reject_the_image() -> None:
    """P5: the pixels are good."""
    data = saved(quarters(), icc_profile=b"not a profile")
    assert close(corners(one(data)), [RED, GREEN, BLUE, WHITE], 16)


def test_a_profile_for_another_mode_is_ignored() -> None:
    """P5: a colour image with a grey profile, which does occur."""
    found = one(saved(quarters(), icc_profile=grey_profile(1.0)))
    assert close(corners(found), [RED, GREEN, BLUE, WHITE], 16)


def test_too_many_pixels_for_the_memory_are_rejected_before_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P5, pitfall 43: a limit that follows from the function's size and the format, and says so."""
    image = Image.new("RGB", (900, 1_000))
    memory = Memory(20_000_000)
    assert list(make(io.BytesIO(saved(image, "JPEG")), [JPEG_ONLY], memory))
    with monkeypatch.context() as patches:
        patches.setattr("PIL.ImageFile.ImageFile.load", None)
        with pytest.raises(Rejection) as rejected:
            list(make(io.BytesIO(saved(image, "AVIF")), [JPEG_ONLY], memory))
    assert rejected.value.reason == "too_many_pixels"
    stated = re.search(r"enough for ([\d.]+) million such pixels", rejected.value.detail)
    assert stated
    within = Image.new("RGB", (900, int(float(stated[1]) * 1e6 / 900)))
    assert list(make(io.BytesIO(saved(within, "AVIF")), [JPEG_ONLY], memory))


def test_memory_is_held_while_opening_decoding_and_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P5: one after the other, and freed, also for an image that turns out to be damaged."""
    held: list[int] = []
    memory = Memory(100_000_000)
    reserved = memory.reserved

    def noted(size: int) -> AbstractContextManager[None]:
        held.append(size)
        return reserved(size)

    monkeypatch.setattr(memory, "reserved", noted)
    data = saved(quarters())
    list(make(io.BytesIO(data), [VARIANTS], memory))
    with pytest.raises(Rejection):
        list(make(io.BytesIO(data[: len(data) // 2]), [VARIANTS], memory))
    opening, decoding, encoding, *second = held
    assert opening > 0
    assert decoding > encoding > 0
    assert len(second) == 2
    with reserved(100_000_000):
        pass


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((1, 20_000), (1, 16_383)),
        ((20_000, 1), (120, 1)),
        ((3_000, 2), (120, 1)),
        ((121, 80), (120, 79)),
    ],
)
def test_odd_shapes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """P5: no side becomes zero or longer than an encoder accepts."""
    made = thumbnails(saved(Image.new("RGB", size, RED)))
    for name in ("w120", "w120.webp", "w120.avif"):
        assert pixels(made[name]).size == expected


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "data",
    [
        png((1_001, 1_000), bytes(999)),
        png((60_000, 60_000), bytes(999)),
        saved(Image.new("1", (1_001, 1_000)), "TIFF", compression="group4"),
        saved(Image.new("L", (1_001, 1_000)), "JPEG"),
        saved(Image.new("L", (1_001, 1_000)), "WEBP", lossless=True),
        saved(Image.new("L", (1_001, 1_000)), "GIF"),
    ],
    ids=["png", "png bomb", "tiff", "jpeg", "webp", "gif"],
)
def test_too_many_pixels_are_rejected_before_they_are_decoded(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5, pitfall 43: a few kilobytes can ask for gigabytes."""

    def decoded(_image: object) -> None:
        raise AssertionError("decoded although it is too large")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    rejected = rejection(data)
    assert rejected.reason == "too_many_pixels"


def test_a_decoder_that_allocates_early_is_stopped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5, pitfall 43: WebP's takes memory for the whole canvas when it is made."""

    def made(_data: bytes) -> None:
        raise AssertionError("a decoder for 268 million pixels")

    monkeypatch.setattr("PIL.WebPImagePlugin._webp.WebPAnimDecoder", made)
    canvas = b"VP8X\n\x00\x00\x00\x02\x00\x00\x00" + b"\xfe\x3f\x00" * 2
    data = b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    assert rejection(data).reason == "too_many_pixels"


def test_the_limit_itself_is_allowed() -> None:
    """P5: an image of exactly that many pixels."""
    assert one(saved(Image.new("1", (1_000, 1_000)))).size == (40, 40)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_rejection_or_a_picture(data: bytes) -> None:
    """P5: never another exception."""
    with suppress(Rejection):
        list(make(io.BytesIO(data), [JPEG_ONLY]))


DAMAGED: list[tuple[str, str, dict[str, Any]]] = [
    ("RGB", "JPEG", {}),
    ("RGB", "JPEG", {"progressive": True}),
    ("CMYK", "JPEG", {}),
    ("RGBA", "PNG", {}),
    ("P", "PNG", {}),
    ("RGB", "WEBP", {}),
    ("RGB", "GIF", {}),
    ("RGB", "AVIF", {}),
    ("RGB", "TIFF", {}),
    ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    ("RGB", "BMP", {}),
]
SEEDS = [
    saved(quarters((64, 48)).convert(mode), name, **options) for mode, name, options in DAMAGED
]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 4_000), st.binary(min_size=1, max_size=4)), max_size=5),
)
def test_any_damage_ends_in_a_rejection_or_a_picture(
    data: bytes, patches: list[tuple[int, bytes]]
) -> None:
    """P5: a few bytes changed anywhere in a real file."""
    damaged = bytearray(data)
    for place, patch in patches:
        place %= len(damaged)
        damaged[place : place + len(patch)] = patch
    with suppress(Rejection):
        list(make(io.BytesIO(bytes(damaged)), [JPEG_ONLY]))


@given(st.integers(1, 300), st.integers(1, 300))
def test_any_size_keeps_its_shape(width: int, height: int) -> None:
    """P1: within half a pixel, and never wider than asked for."""
    image = pixels(thumbnails(saved(Image.new("L", (width, height))), JPEG_ONLY)["w40"])
    assert image.width == min(40, width)
    assert abs(image.height - max(1, height * image.width / width)) <= 0.5


def test_a_format_is_made_from_its_width_on() -> None:
    """P1, C1: narrower than that its PUT costs more than its bytes."""
    variants = replace(VARIANTS, min_widths={"webp": 40, "avif": 121})
    found = thumbnails(saved(quarters(), "PNG"), variants)
    assert set(found) == {"w120", "w40", "w10", "w120.webp", "w40.webp"}


SQUARE = Variants(
    widths=(60, 20),
    formats={"webp": 80},
    max_pixels=1_000_000,
    fit="cover",
    aspect_ratio=(1, 1),
    position="left",
    name="square",
)


@pytest.mark.parametrize("order", [(VARIANTS, SQUARE), (SQUARE, VARIANTS)])
@pytest.mark.parametrize(
    ("format_name", "mode"), [("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("WEBP", "RGB")]
)
def test_several_variants_come_from_one_decoded_image(
    order: tuple[Variants, ...], format_name: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1, T5: each as if it were alone, under names of its own."""
    decoded: list[tuple[int, int]] = []

    def counted(picture: Any, size: tuple[int, int]) -> Image.Image:
        decoded.append(size)
        return decoding.decode(picture, size)

    monkeypatch.setattr(thumbnails_module, "decode", counted)
    data = saved(quarters((400, 240)).convert(mode), format_name)
    together = several(data, *order)
    assert decoded == [(120, 72)]
    plain, square = several(data, VARIANTS), several(data, SQUARE)
    assert set(square) == {"square-w60.webp", "square-w20.webp"}
    assert together.keys() == plain.keys() | square.keys()
    assert {name: together[name].body for name in plain} == {
        name: output.body for name, output in plain.items()
    }
    for name, output in square.items():
        one_of_several, alone = pixels(together[name]), pixels(output)
        assert one_of_several.size == alone.size == (int(name[8:10]),) * 2
        assert close(corners(one_of_several), corners(alone))


def test_several_variants_take_memory_together() -> None:
    """R5: the widest thumbnail of each is there while the first is encoded."""
    image = saved(quarters((800, 800)), "JPEG")
    wide = replace(JPEG_ONLY, widths=(800,))
    other = replace(wide, name="other")
    memory = Memory(40_000_000)
    assert list(make(io.BytesIO(image), [wide], memory))
    with pytest.raises(Rejection) as caught:
        list(make(io.BytesIO(image), [wide, other], memory))
    assert caught.value.reason == "too_many_pixels"


def test_the_placeholder_is_of_the_first_variants() -> None:
    """P7: `left` keeps two of the four colours."""
    data = saved(quarters((400, 240)), "PNG")
    *_, first = make(io.BytesIO(data), [SQUARE, VARIANTS])
    *_, alone = make(io.BytesIO(data), [SQUARE])
    assert isinstance(first, Properties)
    assert isinstance(alone, Properties)
    assert first.record["color"] == alone.record["color"]
    # The one set comes from a larger picture, the other from the file.
    texts = [one.record["placeholder"].partition(",")[2] for one in (first, alone)]
    one, other = (Image.open(io.BytesIO(b64decode(text))) for text in texts)
    assert max(ImageStat.Stat(ImageChops.difference(one, other)).mean) < 4
