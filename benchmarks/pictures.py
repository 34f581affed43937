"""The measured pictures: camera files as they came, and kinds that no package has, made of them."""

import hashlib
import io
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageFilter

from benchmarks import camera_files
from benchmarks.results import ROOT, SourceImage

SAMPLES = ROOT / "darkroom" / "emulator" / "samples"
"""Photographs in the repository; LICENSES.md beside them names their authors."""

Image.MAX_IMAGE_PIXELS = None  # the files are our own

_TILE = 1000
"""Pixels per side: the samples have 300 to 870, and larger tiles would be blurred."""

_GRAIN = 4.0
"""Standard deviation of the noise, in 1/255: with it a file has as many bits as from a camera."""

_SHARPENING = ImageFilter.UnsharpMask(radius=1, percent=60, threshold=2)

_ORIENTATION_TAG = 0x0112
_ORIENTATION = re.compile(
    rb"(\x12\x01\x03\x00\x01\x00\x00\x00)(.)\x00|(\x01\x12\x00\x03\x00\x00\x00\x01\x00)(.)",
    re.DOTALL,
)
"""The EXIF entry in both byte orders: tag, type SHORT, one value."""

_HUGE: Final = (12342, 8228)
"""101.5 megapixels: just above what the limits of the specification allow at most."""

Step = Callable[[Path, Path], None]
"""Makes the second file from the first."""


@dataclass(frozen=True)
class _Recipe:
    """A picture: a camera file, and the step that makes this kind from it if it did not come so.

    `stand_in` are the options with which samples are saved where the package is not to be had.
    """

    name: str
    source: str
    traits: frozenset[str]
    size: tuple[int, int]
    step: Step | None = None
    how: str = ""
    stand_in: Mapping[str, Any] = field(default_factory=dict)


def _saved(
    size: tuple[int, int] | None = None,
    *,
    blur: int = 0,
    profile: Literal["p3", "cmyk"] | None = None,
    orientation: int = 1,
    **options: Any,
) -> Step:
    """Return a step that resizes (if `size` is given), blurs, converts and saves with Pillow."""

    def step(source: Path, target: Path) -> None:
        settings = dict(options)
        with Image.open(source) as picture:
            image = picture.convert("RGB")
        if size is not None:
            image = image.resize(size, Image.Resampling.LANCZOS)
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        if profile is not None:
            import pyvips  # here: the tests do without what only the bench installs

            icc = bytes(pyvips.Operation.call("profile_load", profile))
            image = _into(image, icc, "CMYK" if profile == "cmyk" else "RGB")
            settings["icc_profile"] = icc
        if orientation != 1:
            exif = Image.Exif()
            exif[_ORIENTATION_TAG] = orientation
            settings["exif"] = exif
        image.info = {}
        image.save(target, **settings)

    return step


def _turned(orientation: int) -> Step:
    """Return a step that writes another EXIF orientation and leaves all other bytes alone."""

    def step(source: Path, target: Path) -> None:
        value = bytes([orientation])

        def entry(found: re.Match[bytes]) -> bytes:
            return found[1] + value + b"\0" if found[1] else found[3] + value

        data = source.read_bytes()
        changed, times = _ORIENTATION.subn(entry, data[:65536], count=1)
        if not times:
            raise ValueError(f"no EXIF orientation in {source.name}")
        target.write_bytes(changed + data[65536:])

    return step


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


def _traits(names: str) -> frozenset[str]:
    return frozenset(names.split())


_PHONE: Final = (4000, 3000)
_420: Final[dict[str, Any]] = {"format": "JPEG", "quality": 92, "subsampling": "4:2:0"}
_422: Final[dict[str, Any]] = {"format": "JPEG", "quality": 92, "subsampling": "4:2:2"}
_444: Final[dict[str, Any]] = {"format": "JPEG", "quality": 92, "subsampling": "4:4:4"}

# "plain": nothing but to decode, shrink and encode, so that the physical floor applies to it.
RECIPES = (
    _Recipe("phone-12mp", "phone-dogs", _traits("jpeg plain baseline"), _PHONE, stand_in={**_420}),
    _Recipe(
        "indoors-12mp", "phone-indoors", _traits("jpeg plain baseline"), _PHONE, stand_in={**_420}
    ),
    _Recipe(
        "upside-down-12mp",
        "phone-upside-down",
        _traits("jpeg plain baseline"),
        _PHONE,
        stand_in={**_420, "orientation": 3},
    ),
    _Recipe(
        "portrait-12mp",
        "phone-board",
        _traits("jpeg plain baseline"),
        _PHONE,
        _turned(6),
        "EXIF orientation 6 written into it",
        {**_420, "orientation": 6},
    ),
    _Recipe(
        "portrait-8mp",
        "phone-indoors",
        _traits("jpeg plain baseline"),
        (3264, 2448),
        _saved((3264, 2448), orientation=8, **_420),
        "resized, 4:2:0, EXIF orientation 8",
    ),
    _Recipe(
        "portrait-14mp",
        "speaker",
        _traits("jpeg icc"),
        (3456, 4052),
        stand_in={**_422, "orientation": 8},
    ),
    _Recipe("422-5mp", "wood", _traits("jpeg plain baseline"), (2560, 1920), stand_in={**_422}),
    _Recipe("422-20mp", "bird", _traits("jpeg plain baseline"), (6028, 3391), stand_in={**_422}),
    _Recipe("444-22mp", "portrait", _traits("jpeg icc"), (5760, 3840), stand_in={**_444}),
    _Recipe(
        "420-24mp",
        "portrait",
        _traits("jpeg plain baseline"),
        (6000, 4000),
        _saved((6000, 4000), **_420),
        "resized, 4:2:0",
    ),
    _Recipe(
        "progressive-8mp",
        "mountains",
        _traits("jpeg plain progressive"),
        (3264, 2448),
        stand_in={**_420, "progressive": True},
    ),
    _Recipe(
        "progressive-16mp",
        "dandelion",
        _traits("jpeg plain progressive"),
        (5312, 2988),
        stand_in={**_420, "progressive": True},
    ),
    _Recipe(
        "progressive-18mp",
        "elephants",
        _traits("jpeg plain progressive"),
        (5640, 3172),
        stand_in={**_422, "progressive": True},
    ),
    _Recipe(
        "p3-12mp",
        "phone-dogs",
        _traits("jpeg icc"),
        _PHONE,
        _saved(profile="p3", **_420),
        "converted to Display P3, 4:2:0",
    ),
    _Recipe(
        "cmyk-8mp",
        "phone-dogs",
        _traits("jpeg icc cmyk"),
        (3264, 2448),
        _saved((3264, 2448), profile="cmyk", **_444),
        "resized, converted to CMYK",
    ),
    _Recipe("png-3mp", "flower", _traits("png"), (2268, 1512), stand_in={"format": "PNG"}),
    _Recipe(
        "png-6mp",
        "phone-dogs",
        _traits("png"),
        (2828, 2121),
        _saved((2828, 2121), format="PNG"),
        "resized, PNG",
    ),
    _Recipe(
        "rgba-3mp",
        "flower-cut-out",
        _traits("png transparent"),
        (2268, 1512),
        stand_in={"format": "PNG", "cut_out": True},
    ),
    _Recipe(
        "webp-12mp",
        "phone-dogs",
        _traits("webp"),
        _PHONE,
        _saved(format="WEBP", quality=85),
        "WebP, quality 85",
    ),
    _Recipe(
        "jpeg-101mp",
        "portrait",
        _traits("huge jpeg"),
        _HUGE,
        _saved(_HUGE, **_420),
        "enlarged, 4:2:0",
    ),
    _Recipe(
        "png-101mp",
        "portrait",
        _traits("huge png"),
        _HUGE,
        # Sharp ones would be larger than the pipeline takes (50 MB).
        _saved(_HUGE, blur=3, format="PNG"),
        "enlarged and blurred, PNG",
    ),
    _Recipe(
        "webp-101mp",
        "portrait",
        _traits("huge webp"),
        _HUGE,
        _saved(_HUGE, format="WEBP", quality=85, method=2),
        "enlarged, WebP, quality 85",
    ),
    _Recipe(
        "tiff-101mp",
        "portrait",
        _traits("huge tiff"),
        _HUGE,
        _saved(_HUGE, blur=3, format="TIFF", compression="tiff_lzw", tiffinfo={317: 2}),
        "enlarged and blurred, TIFF with LZW and predictor 2",
    ),
)


def make(
    directory: Path, names: Sequence[str] | None = None, *, fetch: bool = True
) -> tuple[list[SourceImage], list[str]]:
    """Return the pictures of these names, None for all, and why some are no camera files.

    Without `fetch`, and where a package is not to be had, they are made from the samples.
    """
    found, problems = camera_files.fetch(directory / "camera") if fetch else ({}, [])
    editions = directory / "made"
    made = editions / _edition()
    made.mkdir(parents=True, exist_ok=True)
    for outdated in set(editions.iterdir()) - {made}:
        shutil.rmtree(outdated)
    pictures = []
    for recipe in RECIPES:
        if names is not None and recipe.name not in names:
            continue
        source = found.get(recipe.source)
        if source is None:
            path = made / f"{recipe.name}.of-samples"
            origin = "made from the samples"
        elif recipe.step is None:
            path, origin = source, f"as it came, {camera_files.FILES[recipe.source].package}"
        else:
            path = made / recipe.name
            package = camera_files.FILES[recipe.source].package
            origin = f"made from {recipe.source}, {package}: {recipe.how}"
        if not path.exists():
            unfinished = path.with_suffix(".part")
            if source is None:
                _stand_in(recipe, unfinished)
            elif recipe.step is not None:
                recipe.step(source, unfinished)
            unfinished.replace(path)
        pictures.append(SourceImage(recipe.name, path, recipe.size, recipe.traits, origin))
    return pictures, problems


def _edition() -> str:
    """Return a name for recipes and libraries: other ones make other files."""
    import pyvips

    versions = (PIL.__version__, np.__version__, pyvips.__version__)
    recipe = Path(__file__).read_bytes() + repr(versions).encode()
    return hashlib.sha256(recipe).hexdigest()[:12]


def _stand_in(recipe: _Recipe, target: Path) -> None:
    """Write a picture of the recipe's size and kind, of the samples."""
    base = target.with_suffix(".base")
    # Noise does not compress: with it, huge files would be larger than the pipeline takes.
    image = photograph(recipe.size, grain=0.0 if "huge" in recipe.traits else _GRAIN)
    options = dict(recipe.stand_in)
    if options.pop("cut_out", False):
        alpha = Image.radial_gradient("L").resize(image.size).point(lambda value: 255 - value)
        image.putalpha(alpha.point(lambda value: min(255, value * 3)))
        image.save(target, **options)
        return
    image.save(base, "PPM")
    step = recipe.step if recipe.step and not options else _saved(**options)
    step(base, target)
    base.unlink()


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
