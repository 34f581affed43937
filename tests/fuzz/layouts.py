"""Small files of the layouts that the worker reads itself, as seeds."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from PIL import Image

from tests.unit.worker.imaging.bmp_files import bit_fields, run_lengths
from tests.unit.worker.imaging.corpus import (
    grey_profile,
    png_chunk,
    profile_with_red_and_blue_swapped,
    quarters,
    saved,
)
from tests.unit.worker.imaging.gif_files import GifFrame, gif_of
from tests.unit.worker.imaging.tiff_files import Layout, tiff_of
from tests.unit.worker.imaging.webp_files import WebpFrame, webp_of

_SIZE = 17, 9
_EXIF = b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"


def tiffs() -> Iterator[bytes]:
    """Yield TIFFs: packed, of white as zero, in separate planes, of floats, in CIELAB, tiled."""
    width, height = _SIZE

    def planes(count: int, bits: int) -> list[list[list[int]]]:
        white = (1 << bits) - 1
        return [
            [[(x * 31 + y * 7 + plane) * 97 & white for x in range(width)] for y in range(height)]
            for plane in range(count)
        ]

    for bits, order, photometric in product((8, 10, 12, 14, 16), "<>", (0, 1)):
        layout = Layout(bits=bits, order=order, photometric=photometric, rows_per_strip=4)
        for compression in (1, 8, 32773):
            yield tiff_of(planes(1, bits), replace(layout, compression=compression))
        yield tiff_of(planes(1, bits), replace(layout, tile=(16, 16), big=True))
    for bits, planar, compression in product((8, 16), (1, 2), (1, 5)):
        layout = Layout(bits=bits, planar=planar, compression=compression)
        for photometric, count, extra in (
            (2, 3, ()),
            (2, 4, (2,)),
            (2, 4, (1,)),
            (5, 4, ()),
            (8, 3, ()),
        ):
            yield tiff_of(
                planes(count, bits), replace(layout, photometric=photometric, extra=extra)
            )
    yield tiff_of(planes(1, 8), Layout(bits=32, sample_format=3))
    yield tiff_of(planes(1, 32), Layout(bits=32))
    yield tiff_of(planes(1, 8), Layout(fill_order=2, orientation=6))


def pngs() -> Iterator[bytes]:
    """Yield PNGs with a transparent value of any depth, and with ancillary chunks of all kinds."""
    for depth, colour, interlaced in product((1, 2, 4, 8, 16), (0, 2, 3, 4, 6), (0, 1)):
        if (depth < 8 and colour not in {0, 3}) or (depth == 16 and colour == 3):
            continue
        chunks = png_chunk(
            b"IHDR", struct.pack(">IIBBBBB", *_SIZE, depth, colour, 0, 0, interlaced)
        )
        if colour == 3:
            chunks += png_chunk(b"PLTE", bytes(range(6))) + png_chunk(b"tRNS", b"\x80")
        elif colour in {0, 2}:
            chunks += png_chunk(b"tRNS", b"\x00\x01" * (3 if colour else 1))
        chunks += png_chunk(b"IDAT", zlib.compress(bytes(4_000)))
        yield b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND")
    plain = saved(quarters(_SIZE))
    profile = zlib.compress(grey_profile(1))
    for chunk in (
        *(png_chunk(b"gAMA", b"\x00\x00\xb1\x8f"), png_chunk(b"sRGB", b"\x00")),
        *(png_chunk(b"iCCP", b"a\x00\x00" + profile), png_chunk(b"iCCP", b"a\x00\x01" + profile)),
        *(
            png_chunk(b"cICP", b"\x0c\x0d\x00\x01"),
            png_chunk(b"cHRM", struct.pack(">8I", *range(8))),
        ),
        *(png_chunk(b"eXIf", _EXIF), png_chunk(b"eXIf", _EXIF + bytes(5_000))),
        *(
            png_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(9))),
            png_chunk(b"gAMA", b"")[:-1] + b"a",
        ),
    ):
        yield plain[:33] + chunk + plain[33:]
        yield plain[:-12] + chunk + plain[-12:]


def bmps() -> Iterator[bytes]:
    """Yield BMPs in bit fields and in run lengths."""
    values = [number * 0x01234567 & 0xFFFFFFFF for number in range(_SIZE[0] * _SIZE[1])]
    for header, compression, top_down in product((40, 52, 56, 108, 124), (3, 6), (False, True)):
        for bits, masks in (
            (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
            (32, (0xFF, 0xFF00, 0xFF0000, 0)),
            (16, (0xF00, 0xF0, 0xF, 0xF000)),
        ):
            yield bit_fields(
                _SIZE,
                [value & (1 << bits) - 1 for value in values],
                bits,
                masks,
                header=header,
                compression=compression,
                top_down=top_down,
            )
    yield run_lengths(
        (6, 3), b"\x02\x07\x00\x02\x01\x01\x03\x08\x00\x03abc\x00\x00\x00\x06\x09\x00\x01"
    )
    yield run_lengths((5, 2), b"\x00\x05\x12\x34\x50\x00\x00\x00\x05\x67\x00\x01", nibbles=True)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield saved(Image.new(mode, _SIZE), "BMP")


def gifs() -> Iterator[bytes]:
    """Yield GIFs whose first frame covers a part of the screen, and animations."""
    image = quarters(_SIZE).quantize(4)
    for interlaced, transparent in product((0, 1), (None, 2)):
        options = {} if transparent is None else {"transparency": transparent}
        data = saved(image, "GIF", interlace=interlaced, **options)
        for screen in (_SIZE, (40, 30), (9, 5)):
            larger = bytearray(data)
            larger[6:10] = struct.pack("<HH", *screen)
            frame = larger.index(b",\x00\x00\x00\x00")
            larger[frame + 1 : frame + 5] = struct.pack("<HH", screen[0] % 7, screen[1] % 4)
            yield bytes(larger)
    frames = [image, image.rotate(180)]
    yield saved(image, "GIF", save_all=True, append_images=frames, disposal=2)


def webps() -> Iterator[bytes]:
    """Yield WebPs: lossy and lossless, with and without alpha and metadata, and an animation."""
    image = quarters((64, 40))
    shown = image.copy()
    shown.putalpha(Image.linear_gradient("L").resize(image.size))
    for picture, lossless in product((image, shown), (False, True)):
        yield saved(picture, "WEBP", lossless=lossless, quality=40)
        yield saved(picture, "WEBP", lossless=lossless, exif=_EXIF, icc_profile=b"odd", xmp=b"<x/>")
    yield saved(shown, "WEBP", save_all=True, append_images=[image])
    yield saved(shown, "WEBP", alpha_quality=20, method=6)


def animations() -> Iterator[bytes]:
    """Yield GIFs and WebPs of a few frames, in all the ways in which these follow each other."""
    colors = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 255))
    for disposal, transparent, interlaced in product(range(5), (None, 1), (False, True)):
        frames = [
            GifFrame(
                [[(x + y + number) % 4 for x in range(16 - number)] for y in range(12)],
                left=number * 3,
                top=number,
                colors=colors[::-1] if number == 1 else (),
                disposal=disposal,
                transparent=transparent,
                interlaced=interlaced,
                hundredths=number,
            )
            for number in range(3)
        ]
        yield gif_of((16, 12), frames, colors, repetitions=disposal)
    yield gif_of((4, 4), frames, colors)
    for blended, cleared in product((False, True), repeat=2):
        pictures = [
            Image.new("RGBA", (16 - 4 * place, 10), (9, 99, place * 80, 200)) for place in range(3)
        ]
        parts = [
            WebpFrame(one, place * 4, place * 2, blended=blended, cleared=cleared)
            for place, one in enumerate(pictures)
        ]
        yield webp_of((16, 16), parts, plays=2)
    yield webp_of((16, 16), parts, profile=profile_with_red_and_blue_swapped(), exif=_EXIF)
    lossy = [quarters(_SIZE), quarters(_SIZE).rotate(180)]
    yield saved(lossy[0], "WEBP", save_all=True, append_images=lossy[1:], quality=50)
