"""Pictures made in code, each with a colour in every corner to be recognised by afterwards."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PIL import ExifTags, Image, ImageCms

from tests.unit.worker.imaging import heic_files

Colour = tuple[int, int, int]
Corners = tuple[Colour, Colour, Colour, Colour]

RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 160, 60), (40, 60, 190), (220, 200, 60)
CORNERS = (RED, GREEN, BLUE, YELLOW)  # top left, top right, bottom left, bottom right
SIZE = (1600, 1000)

# How a camera stored what EXIF says to undo: the inverse of the transposition for each value.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Case:
    """What is uploaded under `key`, and what must come out of it."""

    key: str
    make: Callable[[], bytes]
    size: tuple[int, int] = SIZE
    corners: Corners = CORNERS
    transparent: bool = False
    tolerance: int = 25  # of 255: JPEG and WebP both give up some colour


def quarters(size: tuple[int, int] = SIZE, corners: Corners = CORNERS) -> Image.Image:
    picture = Image.new("RGB", size)
    width, height = size[0] // 2, size[1] // 2
    for index, colour in enumerate(corners):
        left, top = index % 2 * width, index // 2 * height
        picture.paste(colour, (left, top, left + width, top + height))
    return picture


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg() -> bytes:
    return encoded(quarters(), "JPEG", quality=92)


def with_private_metadata() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "someone"
    exif[ExifTags.Base.Copyright] = "somebody else"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:01 12:34:56"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return encoded(quarters(), "JPEG", quality=92, exif=exif, comment=b"at home")


def turned(orientation: int) -> bytes:
    picture, transposition = quarters(), STORED_AS[orientation]
    if transposition is not None:
        picture = picture.transpose(transposition)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(picture, "JPEG", quality=92, exif=exif)


def in_another_colour_space() -> bytes:
    """Red and green exchanged, with a profile that says so: only applying it puts them right."""
    red, green, blue = quarters().split()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for old, new in (
        (b"rXYZ", b"????"),  # the colorants' tags trade places: its first channel is green now
        (b"gXYZ", b"rXYZ"),
        (b"????", b"gXYZ"),
        ("sRGB".encode("utf-16-be"), "gRBG".encode("utf-16-be")),
    ):
        profile = profile.replace(old, new)
    return encoded(Image.merge("RGB", (green, red, blue)), "PNG", icc_profile=profile)


def half_transparent() -> bytes:
    picture = quarters().convert("RGBA")
    picture.putalpha(128)
    return encoded(picture, "PNG")


def animated(kind: str) -> bytes:
    second = Image.new("RGB", SIZE, (0, 0, 0))
    return encoded(quarters(), kind, save_all=True, append_images=[second], duration=100)


def sixteen_bit() -> bytes:
    grey = Image.linear_gradient("L").resize(SIZE)
    return encoded(grey.convert("I").point(lambda value: value * 257).convert("I;16"), "PNG")


GRADIENT: Corners = ((0, 0, 0), (0, 0, 0), (255, 255, 255), (255, 255, 255))

CASES = [
    Case("uploads/plain.jpg", jpeg),
    Case("uploads/with space.jpg", jpeg),
    Case("uploads/plus+plus.jpg", jpeg),
    Case("uploads/100%.jpg", jpeg),
    Case("uploads/already%20encoded%2B.jpg", jpeg),
    Case("uploads/Übergrößen-日本語-🖼.jpg", jpeg),
    Case("uploads/&=?#'\"<>;,@:$!()*[]{}|^~`.jpg", jpeg),
    Case("uploads/a/b/c//d/./e/plain.jpg", jpeg),
    Case("uploads/" + "long/" * 200 + "x.jpg", jpeg),
    Case("uploads/UPPER.JPG", jpeg),
    Case("uploads/a-png.jpg", lambda: encoded(quarters(), "PNG")),
    Case("uploads/private.jpg", with_private_metadata),
    Case("uploads/progressive.jpeg", lambda: encoded(quarters(), "JPEG", progressive=True)),
    Case("uploads/cmyk.jpg", lambda: encoded(quarters().convert("CMYK"), "JPEG", quality=92)),
    Case("uploads/profile.png", in_another_colour_space),
    Case("uploads/transparent.png", half_transparent, transparent=True),
    Case("uploads/animated.gif", lambda: animated("GIF"), tolerance=40),
    Case("uploads/animated.webp", lambda: animated("WEBP")),
    Case("uploads/sixteen-bit.png", sixteen_bit, corners=GRADIENT, tolerance=70),
    Case("uploads/tagged.TIFF", lambda: encoded(quarters(), "TIFF", compression="tiff_lzw")),
    Case("uploads/windows.bmp", lambda: encoded(quarters(), "BMP")),
    Case("uploads/modern.avif", lambda: encoded(quarters((800, 500)), "AVIF"), size=(800, 500)),
    Case(
        "uploads/phone.heic",
        lambda: heic_files.saved("quarters"),
        size=(200, 100),
        corners=((220, 30, 30), (30, 200, 30), (30, 30, 220), (250, 250, 250)),
    ),
    Case("uploads/small.png", lambda: encoded(quarters((90, 60)), "PNG"), size=(90, 60)),
    *(Case(f"uploads/turned-{value}.jpg", partial(turned, value)) for value in STORED_AS),
]
