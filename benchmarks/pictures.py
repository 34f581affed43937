"""The measured pictures: made from the sample photographs, the same on every host."""

import hashlib
import io
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
import pyvips
from PIL import Image, ImageCms, ImageFilter

from benchmarks.results import ROOT, SourceImage

SAMPLES = ROOT / "darkroom" / "emulator" / "samples"
"""Photographs in the repository; LICENSES.md beside them names their authors."""

_TILE = 1000
"""Pixels per side: the samples have 300 to 870, and larger tiles would be blurred."""

_GRAIN = 4.0
"""Standard deviation of the noise, in 1/255: with it a file has as many bits as from a camera."""

_SHARPENING = ImageFilter.UnsharpMask(radius=1, percent=60, threshold=2)

_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class _Recipe:
    name: str
    size: tuple[int, int]
    traits: frozenset[str]
    save: Callable[[Image.Image, Path], None]
    grain: float = _GRAIN


def _jpeg(
    *,
    quality: int = 90,
    progressive: bool = False,
    orientation: int = 1,
    profile: Literal["p3", "cmyk"] | None = None,
) -> Callable[[Image.Image, Path], None]:
    def save(image: Image.Image, path: Path) -> None:
        options: dict[str, Any] = {"quality": quality, "progressive": progressive}
        if profile is not None:
            icc = _profile(profile)
            image = _into(image, icc, "CMYK" if profile == "cmyk" else "RGB")
            options["icc_profile"] = icc
        if orientation != 1:
            exif = Image.Exif()
            exif[_ORIENTATION_TAG] = orientation
            options["exif"] = exif
        image.save(path, "JPEG", **options)

    return save


def _png(image: Image.Image, path: Path) -> None:
    image.save(path, "PNG", compress_level=6)


def _rgba_png(image: Image.Image, path: Path) -> None:
    """Save with a soft-edged hole, as cut-out product pictures have one."""
    alpha = Image.radial_gradient("L").resize(image.size).point(lambda value: 255 - value)
    image.putalpha(alpha.point(lambda value: min(255, value * 3)))
    _png(image, path)


def _webp(image: Image.Image, path: Path) -> None:
    image.save(path, "WEBP", quality=85, method=2)


def _profile(name: str) -> bytes:
    """Return one of the color profiles that libvips contains."""
    return bytes(pyvips.Operation.call("profile_load", name))


def _into(image: Image.Image, profile: bytes, mode: Literal["RGB", "CMYK"]) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        outputMode=mode,
    )
    if converted is None:
        raise ValueError("no conversion to the profile")  # only conversion in place returns nothing
    return converted


def _traits(*names: str) -> frozenset[str]:
    return frozenset(names)


# "plain": nothing but to decode, shrink and encode, so that the physical floor applies to it.
RECIPES = (
    _Recipe("baseline-12mp", (4000, 3000), _traits("jpeg", "plain", "baseline"), _jpeg()),
    _Recipe("baseline-24mp", (6000, 4000), _traits("jpeg", "plain", "baseline"), _jpeg(quality=92)),
    _Recipe(
        "progressive-5mp",
        (2592, 1944),
        _traits("jpeg", "plain", "progressive"),
        _jpeg(quality=85, progressive=True),
    ),
    _Recipe(
        "progressive-16mp",
        (4928, 3264),
        _traits("jpeg", "plain", "progressive"),
        _jpeg(progressive=True),
    ),
    _Recipe(
        "rotated-12mp",
        (4032, 3024),
        _traits("jpeg", "plain", "baseline"),
        _jpeg(orientation=6),
    ),
    _Recipe("p3-12mp", (4032, 3024), _traits("jpeg", "icc", "baseline"), _jpeg(profile="p3")),
    _Recipe(
        "cmyk-8mp", (3504, 2336), _traits("jpeg", "icc", "cmyk"), _jpeg(quality=80, profile="cmyk")
    ),
    _Recipe("rgb-png-8mp", (3504, 2336), _traits("png"), _png),
    _Recipe("rgba-png-8mp", (3504, 2336), _traits("png", "transparent"), _rgba_png),
    _Recipe("webp-12mp", (4000, 3000), _traits("webp"), _webp),
    _Recipe("jpeg-100mp", (11540, 8655), _traits("huge", "jpeg"), _jpeg(quality=85)),
    # Noise does not compress: with grain, a PNG would be larger than the pipeline takes (50 MB).
    _Recipe("png-100mp", (11540, 8655), _traits("huge", "png"), _png, grain=0.0),
)


def make(directory: Path, names: Sequence[str] | None = None) -> list[SourceImage]:
    """Return the pictures of these names, None for all; missing ones are made."""
    editions, directory = directory, directory / _edition()
    directory.mkdir(parents=True, exist_ok=True)
    for outdated in set(editions.iterdir()) - {directory}:
        shutil.rmtree(outdated)
    pictures = []
    for recipe in RECIPES:
        if names is not None and recipe.name not in names:
            continue
        path = directory / recipe.name
        if not path.exists():
            unfinished = path.with_suffix(".part")
            recipe.save(photograph(recipe.size, grain=recipe.grain), unfinished)
            unfinished.replace(path)
        pictures.append(SourceImage(recipe.name, path, recipe.size, recipe.traits))
    return pictures


def _edition() -> str:
    """Return a name for recipes and libraries: other ones make other files."""
    versions = (PIL.__version__, np.__version__, pyvips.__version__)
    recipe = Path(__file__).read_bytes() + repr(versions).encode()
    return hashlib.sha256(recipe).hexdigest()[:12]


def photograph(size: tuple[int, int], *, grain: float = _GRAIN) -> Image.Image:
    """Return an RGB picture of this size in pixels: magnified samples side by side, with grain.

    Without grain, two samples fill the width.
    """
    samples = [_sample(path) for path in sorted(SAMPLES.glob("*.[jp][pn]g"))]
    tile = _TILE if grain else math.ceil(size[0] / 2)
    canvas = Image.new("RGB", size)
    for row, top in enumerate(range(0, size[1], tile)):
        for column, left in enumerate(range(0, size[0], tile)):
            sample = samples[(row * 3 + column) % len(samples)]
            image = sample.resize((tile, tile), Image.Resampling.LANCZOS)
            # Every other one is mirrored, so that neighbors differ.
            if (row + column) % 2:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            canvas.paste(image.filter(_SHARPENING) if grain else image, (left, top))
    return _grainy(canvas, grain) if grain else canvas


def _sample(path: Path) -> Image.Image:
    """Return a sample's centre as a square."""
    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        return image.convert("RGB").crop((left, top, left + side, top + side))


def _grainy(image: Image.Image, grain: float) -> Image.Image:
    """Add the noise of a sensor, some rows at a time to stay within memory."""
    random = np.random.default_rng(1)
    for top in range(0, image.height, 256):
        band = image.crop((0, top, image.width, min(top + 256, image.height)))
        pixels = np.asarray(band, dtype=np.float32)
        noise = random.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None]
        noisy = np.clip(pixels + noise * grain, 0, 255).astype(np.uint8)
        image.paste(Image.fromarray(noisy), (0, top))
    return image
