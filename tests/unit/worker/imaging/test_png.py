"""worker/imaging/png.py: strips are what Pillow decodes, and a damaged file is noticed."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from tests.unit.worker.imaging.corpus import grey_profile, rgb_profile, srgb_encoded
from tests.workload import outputs_of
from worker.imaging import decoding, png, thumbnails
from worker.imaging.color_space import by_code_points
from worker.results import Rejection
from worker.settings import Variants

WIDTH, HEIGHT = 61, 47
HEAD = 8 + 25
"""Bytes in front of the first chunk after the header."""


def picture(mode: str) -> Image.Image:
    noise = Image.effect_noise((WIDTH, HEIGHT), 90)
    ramp = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    return Image.merge("RGBA", (noise, ramp, noise.rotate(180), ramp.rotate(180))).convert(mode)


def saved(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def opened(data: bytes) -> PngImagePlugin.PngImageFile:
    image = Image.open(io.BytesIO(data), formats=("PNG",))
    assert isinstance(image, PngImagePlugin.PngImageFile)
    return image


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def joined(data: bytes, rows: int) -> Image.Image:
    """Return the strips under each other, as RGBA so that palettes and transparency show."""
    image = Image.new("RGBA", (WIDTH, HEIGHT))
    top = 0
    for strip in png.strips(opened(data), rows):
        assert strip.height == min(rows, HEIGHT - top)
        image.paste(strip.convert("RGBA"), (0, top))
        top += strip.height
    assert top == HEIGHT
    return image


@pytest.mark.parametrize("rows", [1, 7, 46, 47, 1_000])
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {}),
        ("L", {"transparency": 9}),
        ("LA", {}),
        ("RGB", {}),
        ("RGB", {"transparency": (1, 2, 3)}),
        ("RGBA", {}),
        ("P", {"bits": 8}),
        ("P", {"bits": 8, "transparency": 3}),
        ("P", {"bits": 8, "transparency": bytes(range(200))}),
    ],
)
def test_strips_are_what_pillow_decodes(mode: str, options: dict[str, Any], rows: int) -> None:
    """P1, P5: to the bit, whatever the strips' height."""
    data = saved(picture(mode), **options)
    assert png.has_strips(opened(data))
    assert joined(data, rows).tobytes() == opened(data).convert("RGBA").tobytes()


@pytest.mark.parametrize("rows", [1, 3, 47])
@pytest.mark.parametrize("filter_type", range(5))
def test_each_filter_looks_back_across_strips(filter_type: int, rows: int) -> None:
    """P1: Up, Average and Paeth need the row above, which is in another strip."""
    pixels = picture("RGB").tobytes()
    lines = (
        bytes([filter_type]) + pixels[at : at + WIDTH * 3]
        for at in range(0, len(pixels), WIDTH * 3)
    )
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(lines)))
    data = b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")
    assert joined(data, rows).tobytes() == opened(data).convert("RGBA").tobytes()


def in_pieces(data: bytes, length: int) -> bytes:
    """Return the same file with IDAT chunks of this length, an empty one in front."""
    start = data.index(b"IDAT") - 4
    size = int.from_bytes(data[start : start + 4])
    body = data[start + 8 : start + 8 + size]
    chunks = [chunk(b"IDAT", body[at : at + length]) for at in range(0, size, length)]
    return data[:start] + chunk(b"IDAT", b"") + b"".join(chunks) + data[start + 12 + size :]


@pytest.mark.parametrize("length", [1, 2, 100])
def test_chunks_may_divide_the_data_anywhere(length: int) -> None:
    """P1: also inside of the zlib stream's header and checksum."""
    data = saved(picture("RGB"))
    assert joined(in_pieces(data, length), 10).tobytes() == joined(data, 10).tobytes()


def _interlaced() -> bytes:
    data = bytearray(saved(Image.new("L", (1, 1))))  # of one pixel both kinds have the same bytes
    data[28] = 1
    return bytes(data[:29]) + struct.pack(">I", zlib.crc32(data[12:29])) + bytes(data[33:])


def _animated() -> bytes:
    return saved(picture("RGB"), save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))])


@pytest.mark.parametrize(
    "data",
    [
        _interlaced(),
        _animated(),
        saved(picture("1")),
        saved(picture("P"), bits=4),
        saved(Image.new("I;16", (3, 3))),
    ],
    ids=["interlaced", "animated", "1 bit", "4 bits", "16 bits"],
)
def test_what_strips_cannot_hold_is_left_to_pillow(data: bytes) -> None:
    """P1: such files are rare, or small."""
    assert not png.has_strips(opened(data))


def test_other_formats_have_no_strips() -> None:
    """P1: only a PNG has strips."""
    buffer = io.BytesIO()
    picture("L").save(buffer, "BMP")
    assert not png.has_strips(Image.open(buffer))


def _truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _with_a_chunk_between(data: bytes) -> bytes:
    second = data.index(b"IDAT", data.index(b"IDAT") + 4) - 4
    return data[:second] + chunk(b"tEXt", b"a\x00b") + data[second:]


def _with_another_checksum(data: bytes) -> bytes:
    last = data.index(b"IDAT", data.index(b"IDAT") + 4) - 5  # of the first chunk with data
    return data[:last] + bytes([data[last] ^ 1]) + data[last + 1 :]


def _with_too_few_rows(data: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes((WIDTH * 3 + 1) * (HEIGHT - 1)))
    return data[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _with_a_length_beyond_the_file(data: bytes) -> bytes:
    at = data.index(b"IDAT", data.index(b"IDAT") + 4) - 4
    return data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]


@pytest.mark.parametrize(
    "damage",
    [
        _truncated,
        _with_a_chunk_between,
        _with_another_checksum,
        _with_too_few_rows,
        _with_a_length_beyond_the_file,
    ],
)
def test_damage_is_noticed(damage: Callable[[bytes], bytes]) -> None:
    """P5: half an image is never taken for a whole one."""
    data = in_pieces(saved(picture("RGB")), 1_000)
    assert joined(data, 10)
    with pytest.raises((ValueError, zlib.error)):
        joined(damage(data), 10)


def test_exif_behind_the_pixels_is_found_without_decoding_them() -> None:
    """P1: some programs append it; P5: Pillow would decode everything to look."""
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes().removeprefix(b"Exif\x00\x00")
    data = saved(picture("RGB"))
    late = data[:-12] + chunk(b"eXIf", body) + data[-12:]
    assert png.late_exif(opened(late)) == b"Exif\x00\x00" + body
    assert png.late_exif(opened(data)) is None
    assert png.late_exif(opened(data[: len(data) // 2])) is None


SEED = in_pieces(saved(picture("RGBA")), 2_000)


@given(
    st.lists(st.tuples(st.integers(HEAD, 9_000), st.binary(min_size=1, max_size=4)), max_size=4),
    st.integers(1, 60),
)
def test_any_damage_ends_in_an_error_or_in_what_pillow_decodes(
    patches: list[tuple[int, bytes]], rows: int
) -> None:
    """P5: no endless loop, no other exception, no other pixels."""
    damaged = bytearray(SEED)
    for place, patch in patches:
        at = HEAD + place % (len(damaged) - HEAD)
        damaged[at : at + len(patch)] = patch
    data = bytes(damaged)
    try:
        expected = opened(data)
        whole = png.has_strips(expected)
        found = joined(data, rows) if whole else None
    except (ValueError, zlib.error, OSError, SyntaxError):
        return
    if found:
        assert found.tobytes() == expected.convert("RGBA").tobytes()


def test_a_damaged_chunk_is_named_without_pythons_notation() -> None:
    """D5, O3: people who do not write Python read the detail of a rejection."""
    data = saved(picture("RGB"))
    with pytest.raises(Rejection) as caught:
        outputs_of(
            thumbnails.make(
                io.BytesIO(data[: len(data) // 2]), [Variants((64,), {"jpeg": 80}, 9_999)]
            )
        )
    assert caught.value.detail == "The image cannot be decoded: the chunk IDAT ends early."


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
"""First column and row, and steps, of each pass but the last."""


def packed(samples: list[int], depth: int) -> bytes:
    bits = "".join(f"{sample:0{depth}b}" for sample in samples)
    return bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))


def transparent_png(
    pixels: list[list[tuple[int, ...]]], depth: int, transparent: tuple[int, ...], interlaced: bool
) -> bytes:
    """Return a PNG of grey or RGB pixels of this depth, of which one value is transparent."""
    height, width = len(pixels), len(pixels[0])
    passes = [*ADAM7, (0, 1, 1, 2)] if interlaced else [(0, 0, 1, 1)]
    data = b""
    for left, top, across, down in passes:
        for row in pixels[top::down]:
            if samples := [sample for pixel in row[left::across] for sample in pixel]:
                data += b"\x00" + packed(samples, depth)
    colour = 2 if len(transparent) == 3 else 0
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = chunk(b"IHDR", head) + chunk(
        b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)
    )
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("depth", "channels"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3), (16, 3)]
)
def test_one_transparent_value_is_of_the_samples_depth(
    depth: int, channels: int, interlaced: bool
) -> None:
    """P1: PNG, 11.3.1.1; it is scaled with the samples, and bits above them do not count."""
    white = (1 << depth) - 1
    values = [(n * (white // min(15, white))) % (white + 1) for n in range(16)]
    grid = [[(values[(x + y) % 16],) * channels for x in range(16)] for y in range(16)]
    for transparent in {0, white, values[5]}:
        above = transparent | (0x8000 if depth < 16 else 0)
        data = transparent_png(grid, depth, (above,) * channels, interlaced)
        found = decoding.decode(opened(data), (16, 16)).convert("RGBA")
        for x in range(16):
            sample = grid[3][x][0]
            pixel = found.getpixel((x, 3))
            assert isinstance(pixel, tuple)
            assert pixel[3] == (0 if sample == transparent else 255)
            if pixel[3]:
                assert pixel[0] == sample * 255 // white


def test_a_neighbour_of_a_transparent_16_bit_grey_is_opaque() -> None:
    """P1: all 16 bits count."""
    grid: list[list[tuple[int, ...]]] = [
        [(value,) for value in (0x1234, 0x1235, 0x1334, 0x3412)]
    ] * 4
    found = decoding.decode(opened(transparent_png(grid, 16, (0x1234,), False)), (4, 4))
    assert found.getchannel("A").tobytes() == b"\x00\xff\xff\xff" * 4


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("place", range(3))
def test_a_neighbour_of_a_transparent_16_bit_colour_is_opaque(place: int, interlaced: bool) -> None:
    """P1: all 16 bits of all samples count, as for libpng and browsers."""
    transparent = (0x1234, 0x1234, 0xFFFE)
    others = [list(transparent) for _ in range(3)]
    for other, change in zip(others, (0x1, 0x100, 0x80), strict=True):
        other[place] ^= change
    row: list[tuple[int, ...]] = [transparent, *(tuple(other) for other in others)]
    found = decoding.decode(opened(transparent_png([row] * 4, 16, transparent, interlaced)), (4, 4))
    assert found.getchannel("A").tobytes() == b"\x00\xff\xff\xff" * 4
    shown = found.convert("RGB").getpixel((1, 0))
    assert shown == tuple(value >> 8 for value in others[0])


@pytest.mark.parametrize("rows", [1, 2, 7, 50])
def test_strips_of_16_bits_follow_each_others_filters(rows: int) -> None:
    """P1, P5: wherever a strip ends; the rows are stored as differences from those above."""
    height, width = 20, 6
    chance = random.Random(16)  # noqa: S311 -- repeatable
    pixels = [chance.randbytes(6 * width) for _ in range(height)]
    transparent = struct.unpack(">3H", pixels[13][12:18])
    data, before = b"", bytes(6 * width)
    for row in pixels:
        data += b"\x02" + bytes((one - other) % 256 for one, other in zip(row, before, strict=True))
        before = row
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"tRNS", struct.pack(">3H", *transparent))
    file = b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    found = b"".join(strip.tobytes() for strip in png.transparent_16_bit_strips(opened(file), rows))
    expected = [
        bytes([*row[at : at + 6 : 2], 0 if (number, at) == (13, 12) else 255])
        for number, row in enumerate(pixels)
        for at in range(0, 6 * width, 6)
    ]
    assert found == b"".join(expected)


def _with_wrong_checksum(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


SHOWN_WITHOUT = {
    "unknown profile method": chunk(b"iCCP", b"a\x00\x01" + zlib.compress(grey_profile(1))),
    "profile of no stream": chunk(b"iCCP", b"a\x00\x00no stream"),
    "profile without an end of its name": chunk(b"iCCP", b"a"),
    "empty profile": chunk(b"iCCP", b""),
    "profile beyond the limit": chunk(
        b"iCCP", b"a\x00\x00" + zlib.compress(bytes(png.LONGEST_PROFILE + 1))
    ),
    "large text": chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(1_300_000))),
    "unknown text method": chunk(b"zTXt", b"a\x00\x07text"),
    "large international text": chunk(
        b"iTXt", b"a\x00\x01\x00\x00\x00" + zlib.compress(bytes(1_300_000))
    ),
    "long text": chunk(b"tEXt", b"a\x00" + bytes(2_000_000)),
    "short gamma": chunk(b"gAMA", b"a"),
    "short primaries": chunk(b"cHRM", b"a"),
    "empty intent": chunk(b"sRGB", b""),
    "short transparency": chunk(b"tRNS", b"a"),
    **{
        f"wrong checksum of {name.decode()}": _with_wrong_checksum(chunk(name, body))
        for name, body in {
            b"tEXt": b"a\x00b",
            b"prVt": b"a",
            b"tRNS": bytes(6),
            b"gAMA": bytes(4),
            b"iCCP": b"a\x00\x00" + zlib.compress(grey_profile(1)),
            b"acTL": struct.pack(">II", 2, 0),
            b"tIME": bytes(7),
        }.items()
    },
}


@pytest.mark.parametrize("kind", ["strips", "interlaced", "animated"])
@pytest.mark.parametrize("odd", SHOWN_WITHOUT.values(), ids=SHOWN_WITHOUT)
def test_an_odd_ancillary_chunk_hides_no_picture(odd: bytes, kind: str) -> None:
    """P1: PNG, 13.1 and 13.2; before the pixels, or behind them."""
    grid: list[list[tuple[int, ...]]] = [[(9, 8, 7)] * 8] * 8
    data = _animated() if kind == "animated" else transparent_png(grid, 8, (1, 2, 3), True)
    if kind == "strips":
        data = saved(picture("RGB"))
    expected = decoding.decode(opened(data), (8, 8))
    end = data.rindex(b"IEND") - 4
    for at in (HEAD, end):
        if kind != "animated" or b"acTL" not in odd:
            changed = data[:at] + odd + data[at:]
            assert decoding.decode(opened(changed), (8, 8)) == expected


@pytest.mark.parametrize("size", [1_200_000, png.LONGEST_PROFILE])
def test_a_large_profile_is_applied(size: int) -> None:
    """P1: within the limit, whatever it was compressed to."""
    profile = grey_profile(1)
    body = b"a\x00\x00" + zlib.compress(profile + bytes(size - len(profile)))
    data = saved(Image.new("L", (1, 1), 128))
    found = decoding.decode(opened(data[:HEAD] + chunk(b"iCCP", body) + data[HEAD:]), (1, 1))
    assert found.tobytes()[0] == pytest.approx(188, abs=1)


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"ABCD"])
def test_the_checksum_of_a_critical_chunk_matters(name: bytes) -> None:
    """P1, P5: what the pixels mean depends on it."""
    data = saved(picture("P"))
    if name == b"ABCD":
        data = data[:HEAD] + _with_wrong_checksum(chunk(name, b"a")) + data[HEAD:]
    else:
        at = data.index(name)
        end = at + 8 + int.from_bytes(data[at - 4 : at])
        data = data[: end - 1] + bytes([data[end - 1] ^ 1]) + data[end:]
    with pytest.raises(UnidentifiedImageError):
        opened(data)


def _code_points(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, matrix, full_range]))


def _gamma(exponent: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100_000 / exponent)))


def _chromaticities(*values: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(100_000 * value) for value in values)))


def _power_profile(exponent: float) -> bytes:
    profile = rgb_profile(lambda value: value**exponent)
    return chunk(b"iCCP", b"a\x00\x00" + zlib.compress(profile))


def _shown(chunks: list[bytes], grey: int = 100, mode: str = "RGB") -> bytes:
    data = saved(Image.new("L", (1, 1), grey).convert(mode))
    changed = data[:HEAD] + b"".join(chunks) + data[HEAD:]
    return decoding.decode(opened(changed), (1, 1)).tobytes()


def _grey(exponent: float, grey: int = 100) -> int:
    return round(255 * srgb_encoded((grey / 255) ** exponent))


SRGB_CHUNK = chunk(b"sRGB", b"\x00")
SRGB_CHROMATICITIES = _chromaticities(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
BAD_PROFILE = chunk(b"iCCP", b"a\x00\x00" + zlib.compress(b"not a profile" * 20))
GREY_PROFILE = chunk(b"iCCP", b"a\x00\x00" + zlib.compress(grey_profile(2.6)))

BY_PRECEDENCE: list[tuple[str, list[bytes], int]] = [
    ("nothing", [], 100),
    ("sRGB", [SRGB_CHUNK], 100),
    ("gAMA", [_gamma(1.8)], _grey(1.8)),
    ("gAMA as of sRGB", [_gamma(2.2)], 100),
    ("gAMA of 2.2 with cHRM", [_gamma(2.2), SRGB_CHROMATICITIES], _grey(2.2)),
    ("cHRM alone", [_chromaticities(0.3, 0.3, 0.7, 0.3, 0.2, 0.7, 0.1, 0.1)], 100),
    ("gAMA with cHRM of no color space", [_gamma(1.8), _chromaticities(*[0] * 8)], 100),
    ("sRGB before gAMA", [_gamma(1.8), SRGB_CHUNK, SRGB_CHROMATICITIES], 100),
    ("iCCP before sRGB", [_gamma(1.8), SRGB_CHUNK, _power_profile(2.6)], _grey(2.6)),
    ("gAMA, not a damaged iCCP", [BAD_PROFILE, _gamma(1.8)], _grey(1.8)),
    ("sRGB, not a damaged iCCP", [BAD_PROFILE, _gamma(1.8), SRGB_CHUNK], 100),
    ("a grey iCCP before gAMA, though not usable", [GREY_PROFILE, _gamma(1.8)], 100),
    ("cICP before all", [_code_points(1, 8), _power_profile(2.6), SRGB_CHUNK], _grey(1)),
    ("cICP that means sRGB", [_power_profile(2.6), _code_points(1, 13)], 100),
    ("iCCP, not an unspecified cICP", [_code_points(2, 8), _power_profile(2.6)], _grey(2.6)),
    ("gAMA, not an unknown cICP", [_code_points(1, 9), _gamma(1.8)], _grey(1.8)),
    ("cICP of YCbCr means nothing", [_code_points(1, 8, matrix=1), _gamma(1.8)], _grey(1.8)),
    ("nor of narrow range", [_code_points(1, 8, full_range=0), _gamma(1.8)], _grey(1.8)),
    ("nor of a wrong length", [chunk(b"cICP", bytes([1, 8, 0])), _gamma(1.8)], _grey(1.8)),
]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize(
    ("chunks", "expected"),
    [row[1:] for row in BY_PRECEDENCE],
    ids=[row[0] for row in BY_PRECEDENCE],
)
def test_color_chunks_in_their_order(chunks: list[bytes], expected: int, mode: str) -> None:
    """P1: PNG, third edition: cICP, iCCP, sRGB, gAMA with cHRM; each as Chromium takes it."""
    for order in (chunks, chunks[::-1]):
        assert list(_shown(order, mode=mode)) == pytest.approx([expected] * 3, abs=1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
def test_color_chunks_are_for_any_type_of_pixels(mode: str) -> None:
    """P1: grey stays one channel; of 16 bits as well."""
    grey = 255 if mode == "1" else 100
    chunks = [_code_points(12, 8)]
    image = Image.new("L", (1, 1), grey).convert(mode) if mode != "I;16" else None
    image = image or Image.new("I;16", (1, 1), grey * 257)
    data = saved(image)
    found = decoding.decode(opened(data[:HEAD] + b"".join(chunks) + data[HEAD:]), (1, 1))
    assert found.mode == ("L" if mode in {"1", "L", "I;16"} else "RGB")
    assert found.tobytes()[0] == pytest.approx(_grey(1, grey), abs=1)


@pytest.mark.parametrize(
    ("chunks", "peak"),
    [
        ([], 1_000),
        ([chunk(b"cLLI", struct.pack(">2I", 4_000_000, 900_000))], 400),
        ([chunk(b"cLLI", struct.pack(">2I", 0, 0))], 1_000),
        ([chunk(b"cLLI", bytes(7))], 1_000),
        ([chunk(b"mDCV", struct.pack(">8H2I", *range(8), 40_000_000, 50))], 4_000),
        (
            [
                chunk(b"mDCV", struct.pack(">8H2I", *range(8), 40_000_000, 50)),
                chunk(b"cLLI", struct.pack(">2I", 4_000_000, 900_000)),
            ],
            400,
        ),
    ],
)
def test_the_brightest_light_of_a_picture(chunks: list[bytes], peak: float) -> None:
    """P1: of its pixels, else of the screen it was made on, else 1,000 cd/m²."""
    data = saved(Image.new("RGB", (1, 1)))
    for transfer in (16, 18):
        changed = data[:HEAD] + _code_points(9, transfer) + b"".join(chunks) + data[HEAD:]
        assert png.color_space(opened(changed)) == by_code_points(9, transfer, peak)
