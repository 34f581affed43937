"""Colors beside those of a browser, which decodes and converts by other code."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFile

from tests.unit.worker.imaging.corpus import grey_profile, png_chunk, rgb_profile, saved
from worker.imaging.decoding import decode

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

LEVELS = (0, 9, 30, 64, 100, 128, 160, 200, 230, 255)
PIXELS = [*product((20, 128, 240), repeat=3), *((level,) * 3 for level in LEVELS)]
SIDE = 8
"""Pixels of each color, as decoders smooth chroma, or store it in larger squares."""

PRIMARIES = (1, 4, 5, 6, 7, 8, 9, 11, 12, 22)
TRANSFERS = (1, 4, 5, 6, 7, 8, 13, 14, 16, 17, 18)


def colours(mode: str = "RGB") -> Image.Image:
    values = bytes(value for pixel in PIXELS for value in pixel)
    image = Image.frombytes("RGB", (len(PIXELS), 1), values).convert(mode)
    return image.resize((len(PIXELS) * SIDE, SIDE), Image.Resampling.NEAREST)


def png(*chunks: tuple[bytes, bytes], mode: str = "RGB") -> bytes:
    data = saved(colours(mode))
    return data[:33] + b"".join(png_chunk(*chunk) for chunk in chunks) + data[33:]


def files() -> Iterator[tuple[str, bytes]]:
    """Yield a name and a file for each way to say what colors mean."""
    avif = saved(colours(), "AVIF", quality=100, subsampling="4:4:4", speed=9)
    for code in product(PRIMARIES, TRANSFERS):
        yield f"cicp-{code}.png", png((b"cICP", bytes([*code, 0, 1])))
        old, new = (b"nclx" + struct.pack(">HH", *pair) for pair in ((1, 13), code))
        yield f"nclx-{code}.avif", avif.replace(old, new)
    for peak, transfer in product((100, 203, 400, 2_000), (16, 18)):
        light = b"cLLI", struct.pack(">2I", peak * 10_000, 0)
        yield f"peak-{peak}-{transfer}.png", png((b"cICP", bytes([9, transfer, 0, 1])), light)
    adobe = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    chromaticities = b"cHRM", struct.pack(">8I", *(round(100_000 * value) for value in adobe))
    for gamma, mode in product((30_000, 45_455, 47_000, 50_000, 100_000), ("L", "RGB")):
        only = b"gAMA", struct.pack(">I", gamma)
        yield f"gamma-{gamma}-{mode}.png", png(only, mode=mode)
        yield f"chromaticities-{gamma}-{mode}.png", png(only, chromaticities, mode=mode)
    for number, code in enumerate([(9, 16), (9, 18), (12, 13), (1, 1), (2, 2)]):
        profile = rgb_profile(lambda value: value**2, code_points=bytes([*code, 0, 1]))
        yield f"profile-{number}.png", png((b"iCCP", b"a\0\0" + zlib.compress(profile)))
    for name, profile in (("rgb", rgb_profile(lambda v: v**1.5)), ("grey", grey_profile(1.5))):
        jpeg = saved(colours("L"), "JPEG", quality=100, icc_profile=profile)
        yield f"grey-by-{name}.jpg", jpeg


def middles(image: Image.Image) -> Image.Image:
    return image.convert("RGB").resize((len(PIXELS), 1), Image.Resampling.NEAREST)


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_colors_are_those_of_a_browser(tmp_path: Path) -> None:
    """P8: within three of 255; most are equal, or differ by rounding."""
    made = dict(files())
    size = len(PIXELS) * SIDE, SIDE * len(made)
    lines = "<!DOCTYPE html><style>* { margin: 0 } img { display: block }</style>"
    for number, (name, data) in enumerate(made.items()):
        file = tmp_path / f"{number}{Path(name).suffix}"
        file.write_bytes(data)
        lines += f'<img src="{file.name}">'
    page, screenshot = tmp_path / "page.html", tmp_path / "shown.png"
    page.write_text(lines)
    assert BROWSER
    subprocess.run(
        [
            *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--force-color-profile=srgb", f"--window-size={size[0]},{size[1] + 200}"),
            *(f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={screenshot}"),
            page.as_uri(),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    far = {}
    with Image.open(screenshot) as shown:
        for number, (name, data) in enumerate(made.items()):
            row = shown.crop((0, number * SIDE, size[0], (number + 1) * SIDE))
            picture = Image.open(io.BytesIO(data))
            assert isinstance(picture, ImageFile.ImageFile)
            found = middles(decode(picture, picture.size))
            difference = max(ImageChops.difference(found, middles(row)).tobytes())
            if difference > 3:
                far[name] = difference
    assert not far
