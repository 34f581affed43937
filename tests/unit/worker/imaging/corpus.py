"""Files made in code, each with its expected outcome: golden properties or a reason."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from PIL import Image, ImageChops, ImageCms, ImageDraw

from tests.unit.worker.imaging import gif_files, heic_files, webp_files
from tests.unit.worker.imaging.bmp_files import bit_fields
from worker.settings import Variants

Colour = tuple[int, ...]
Size = tuple[int, int]

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (250, 250, 250)
BLACK, YELLOW = (0, 0, 0), (255, 255, 0)
SIZE = (200, 100)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
SECRET = b"SECRET"
"""In every polyglot's second half; no output may contain it."""

VARIANTS = Variants(
    widths=(120, 40), formats={"jpeg": 85, "webp": 80, "avif": 70}, max_pixels=1_000_000
)

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
"""How a camera stores what each EXIF orientation undoes."""


@dataclass(frozen=True)
class Golden:
    """What an image looks like upright: its size and the middle of each of its quarters.

    Four different `corners` (above left, above right, below left, below right) are its orientation
    marks, and as it is made of nothing else, their mean is its own. A `grey` one has a single
    channel, and its thumbnails as well.
    """

    size: Size = SIZE
    corners: tuple[Colour, ...] = (RED, GREEN, BLUE, WHITE)
    tolerance: int = 24
    transparent: bool = False
    grey: bool = False

    @property
    def mean(self) -> Colour:
        """Return the mean of each channel."""
        return tuple(sum(channel) // 4 for channel in zip(*self.corners, strict=True))


@dataclass(frozen=True)
class Specimen:
    """One file, its expected outcome, and its limits in seconds and MiB."""

    name: str
    make: Callable[[], bytes]
    expected: Golden | str
    seconds: int = 3
    mebibytes: int = 64


# Makers of pictures and of the parts that no encoder would write.


def quarters(
    size: Size = SIZE, corners: Sequence[Colour] = (RED, GREEN, BLUE, WHITE)
) -> Image.Image:
    """Return red and green above blue and white: each rotation and mirroring shows."""
    width, height = size
    image = Image.new("RGB", size, corners[0])
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 2, 0, width, height // 2 - 1), corners[1])
    draw.rectangle((0, height // 2, width // 2 - 1, height), corners[2])
    draw.rectangle((width // 2, height // 2, width, height), corners[3])
    return image


def saved(image: Image.Image, format_name: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def turned(format_name: str, orientation: int) -> bytes:
    """Return quarters that are upright once the EXIF orientation is applied."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    undone = STORED_AS[orientation]
    stored = quarters() if undone is None else quarters().transpose(undone)
    return saved(stored, format_name, exif=exif)


def profile_with_red_and_blue_swapped() -> bytes:
    """Return an sRGB profile whose primaries' tags are exchanged, which is easy to see."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    for tag, other in [(b"rXYZ", b"swap"), (b"bXYZ", b"rXYZ"), (b"swap", b"bXYZ")]:
        profile = profile.replace(tag, other)
    return profile


def _profile(
    kind: bytes, space: bytes, tags: Mapping[bytes, bytes], name: str = "made here"
) -> bytes:
    """Return an ICC profile with the required parts only."""

    def text(signature: bytes, value: str) -> bytes:
        encoded = value.encode("utf-16-be")
        head = struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", len(encoded), 28)
        return signature + head + encoded

    white = struct.pack(">3i", 63_190, 65_536, 54_061)
    tags = {
        b"desc": text(b"mluc", name),
        b"cprt": text(b"mluc", "none"),
        b"wtpt": b"XYZ \x00\x00\x00\x00" + white,
        **tags,
    }
    body, table = b"", struct.pack(">I", len(tags))
    for tag, value in tags.items():
        table += tag + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(value))
        body += value + b"\x00" * (-len(value) % 4)
    head = struct.pack(">I4sI", 128 + len(table) + len(body), b"none", 0x04300000)
    head += kind + space + b"\x00" * 12 + b"acsp" + b"\x00" * 28 + white
    return head.ljust(128, b"\x00") + table + body


def grey_profile(gamma: float) -> bytes:
    """Return a profile that says how dark each grey is meant."""
    curve = b"curv" + struct.pack(">4xIH2x", 1, round(gamma * 256))
    return _profile(b"mntr", b"GRAYXYZ ", {b"kTRC": curve})


SRGB_PRIMARIES = (
    (0.43607, 0.22249, 0.01392),
    (0.38515, 0.71687, 0.09708),
    (0.14307, 0.06061, 0.7141),
)
"""Red, green and blue of IEC 61966-2-1 in XYZ, adapted to D50, as the ICC publishes them."""


def srgb_decoded(value: float) -> float:
    """Return the light, 0 to 1, of a value of sRGB: IEC 61966-2-1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def srgb_encoded(light: float) -> float:
    """Return the value of sRGB, 0 to 1, of light: the inverse."""
    light = min(max(light, 0.0), 1.0)
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def rgb_profile(
    decoded: Callable[[float], float],
    name: str = "made here",
    primaries: Sequence[Sequence[float]] = SRGB_PRIMARIES,
    code_points: bytes = b"",
) -> bytes:
    """Return a profile of three primaries and one curve of 1,024 points.

    Args:
        decoded: The curve.
        name: The profile's name.
        primaries: Red, green and blue in XYZ, adapted to D50.
        code_points: The four bytes of a cicp tag, if it is to have one.
    """
    points = [round(65_535 * decoded(number / 1_023)) for number in range(1_024)]
    curve = b"curv" + struct.pack(">4xI1024H", len(points), *points)
    tags = {}
    for letter, primary in zip("rgb", primaries, strict=True):
        fixed = [round(value * 65_536) for value in primary]
        tags[f"{letter}XYZ"] = b"XYZ " + struct.pack(">4x3i", *fixed)
        tags[f"{letter}TRC"] = curve
    if code_points:
        tags["cicp"] = b"cicp" + bytes(4) + code_points
    return _profile(
        b"mntr", b"RGB XYZ ", {tag.encode(): value for tag, value in tags.items()}, name
    )


def cmyk_profile_with_cyan_and_magenta_swapped() -> bytes:
    """Return a printer's profile of the smallest kind: a table of all inks fully on or off.

    ICC.1:2022, 10.11 (lut8Type): 2 points along each of 4 channels, the first varies slowest.
    """
    colours = Image.new("RGB", (16, 1))
    for place, inks in enumerate(product((0, 1), repeat=4)):
        magenta, cyan, yellow, black = inks
        colours.putpixel(
            (place, 0), tuple(255 * (1 - ink) * (1 - black) for ink in (cyan, magenta, yellow))
        )
    straight = bytes(range(256))
    table = struct.pack(">4x4B9i", 4, 3, 2, 0, *(65_536 * (place % 4 == 0) for place in range(9)))
    # As RGB, because Pillow writes LAB's bytes with signs, as TIFF has them.
    table += straight * 4 + Image.merge("RGB", in_lab(colours).split()).tobytes() + straight * 3
    return _profile(b"prtr", b"CMYKLab ", {b"A2B0": b"mft1" + table})


def in_lab(image: Image.Image) -> Image.Image:
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


def png_chunk(name: bytes, body: bytes = b"") -> bytes:
    check = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + check


def png_with(data: bytes, chunks: bytes) -> bytes:
    """Insert chunks after a PNG's header."""
    return data[:33] + chunks + data[33:]


def png(size: Size, rows: bytes, *, depth: int = 8, interlaced: bool = False) -> bytes:
    """Return a PNG of three channels with this size in its header and these rows."""
    head = struct.pack(">IIBBBBB", *size, depth, 2, 0, 0, interlaced)
    chunks = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND")


TiffEntry = tuple[int, int, int, bytes]
"""Tag, type (3: 16 bits, 4: 32 bits, 5: two of 32), how many values, and their bytes."""


def short(tag: int, *values: int) -> TiffEntry:
    return tag, 3, len(values), struct.pack(f"<{len(values)}H", *values)


def long(tag: int, *values: int) -> TiffEntry:
    return tag, 4, len(values), struct.pack(f"<{len(values)}I", *values)


def tiff(*entries: TiffEntry) -> bytes:
    """Return a TIFF of one directory, or EXIF data, which are the same."""
    behind = 8 + 2 + 12 * len(entries) + 4
    table, body = b"", b""
    for tag, kind, count, value in sorted(entries):
        place = value.ljust(4, b"\x00")
        if len(value) > 4:
            place = struct.pack("<I", behind + len(body))
            body += value
        table += struct.pack("<HHI", tag, kind, count) + place
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + table + bytes(4) + body


def tiled_tiff(tile: int) -> bytes:
    """Return an image of one pixel in a deflated tile of this width and height."""
    return tiff(
        *(short(256, 1), short(257, 1), short(258, 8), short(259, 8), short(262, 1)),
        *(short(277, 1), long(322, tile), long(323, tile), long(324, 8), long(325, 100)),
    )


def _tiff_of_strips(size: Size, compression: int, strip: bytes) -> bytes:
    def with_strip_at(offset: int) -> bytes:
        return tiff(
            *(short(256, size[0]), short(257, size[1]), short(258, 8, 8, 8)),
            *(short(259, compression), short(262, 6 if compression == 7 else 2), short(277, 3)),
            *(long(273, offset), long(278, 0xFFFFFFFF), long(279, len(strip))),
        )

    return with_strip_at(len(with_strip_at(0))) + strip


def _many_scans(count: int) -> bytes:
    data = saved(quarters(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def _ycck() -> bytes:
    """Return a JPEG as Photoshop saves CMYK: inverted inks as luma and chroma, black as it is."""
    luma = ImageChops.invert(quarters()).convert("YCbCr")
    # Pillow inverts what it saves as CMYK, as Adobe does; these are to be in the file as they are.
    inks = [channel.point(lambda value: 255 - value) for channel in luma.split()]
    data = saved(Image.merge("CMYK", [*inks, Image.new("L", SIZE, 0)]), "JPEG", quality=95)
    adobe = data.index(b"Adobe")
    return data[: adobe + 11] + b"\x02" + data[adobe + 12 :]


def _rgb_jpeg() -> bytes:
    return saved(quarters(), "JPEG", quality=95, keep_rgb=True)


def _cmyk_with_profile() -> bytes:
    """Return pure inks, cyan and magenta exchanged, with a profile that says so."""
    corners = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
    cyan, magenta, yellow, black = quarters(corners=corners).convert("CMYK").split()
    image = Image.merge("CMYK", (magenta, cyan, yellow, black))
    profile = cmyk_profile_with_cyan_and_magenta_swapped()
    return saved(image, "TIFF", compression="tiff_lzw", icc_profile=profile)


def _rgb_with_profile() -> bytes:
    """Return red and blue exchanged, with a profile that says so."""
    red, green, blue = quarters().split()
    profile = profile_with_red_and_blue_swapped()
    return saved(Image.merge("RGB", (blue, green, red)), icc_profile=profile)


def _frames(format_name: str, count: int = 3, **options: Any) -> bytes:
    """Return an animation (or pages) whose first frame alone has the golden properties."""
    size = SIZE if count < 10 else (16, 16)
    others = [Image.new("RGB", size, (place % 250, 0, 0)) for place in range(count - 1)]
    first = quarters(size)
    return saved(first, format_name, save_all=True, append_images=others, **options)


def _gif_of_frames(disposal: int) -> bytes:
    """Return a GIF whose later frames have palettes of their own and are parts of the screen."""
    places = [
        [(y >= SIZE[1] // 2) * 2 + (x >= SIZE[0] // 2) for x in range(SIZE[0])]
        for y in range(SIZE[1])
    ]
    later = [
        gif_files.GifFrame(
            [[(x + y) % 2 for x in range(30)] for y in range(20)],
            *place,
            colors=(BLACK, YELLOW),
            disposal=disposal,
            transparent=number % 2,
            interlaced=bool(number % 2),
        )
        for number, place in enumerate([(5, 5), (SIZE[0] - 15, 9), (40, SIZE[1] - 5)])
    ]
    first = gif_files.GifFrame(places, hundredths=0, disposal=disposal)
    return gif_files.gif_of(SIZE, [first, *later], (RED, GREEN, BLUE, WHITE), repetitions=2)


def _webp_of_frames(blended: bool, cleared: bool) -> bytes:
    """Return a WebP whose later frames are half transparent parts of the screen."""
    later = [
        webp_files.WebpFrame(
            Image.new("RGBA", (30, 20), (*color, 128)), *place, blended=blended, cleared=cleared
        )
        for color, place in ((BLACK, (6, 6)), (YELLOW, (SIZE[0] - 40, 10)))
    ]
    first = webp_files.WebpFrame(quarters().convert("RGBA"), cleared=cleared)
    return webp_files.webp_of(SIZE, [first, *later], plays=3)


def _apng_with_a_picture_of_its_own() -> bytes:
    """Return an APNG whose default image is no frame: it is what old viewers show."""
    frames = [Image.new("RGB", SIZE, colour) for colour in (BLACK, YELLOW)]
    return saved(quarters(), "PNG", save_all=True, append_images=frames, default_image=True)


def _gif(*, screen: Size = SIZE, blocks: bytes = b"") -> bytes:
    """Return a GIF of this logical screen, with blocks before its picture."""
    data = saved(quarters(), "GIF")
    behind_palette = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    head = data[:6] + struct.pack("<HH", *screen) + data[10:behind_palette]
    return head + blocks + data[behind_palette:]


def _gif_comment(text: bytes) -> bytes:
    return b"\x21\xfe" + bytes([len(text)]) + text + b"\x00"


def _gif_with_frame(size: Size) -> bytes:
    """Return a GIF whose picture is larger than its screen."""
    data = _gif(screen=(9, 9))
    frame = data.index(b",\x00\x00\x00\x00")
    return data[: frame + 5] + struct.pack("<HH", *size) + data[frame + 9 :]


def _heif(brand: str) -> bytes:
    return b"\x00\x00\x00\x18ftyp" + brand.encode() + bytes(4) + b"mif1heic" + bytes(99)


def _avif_of_another_size(stated: Size, size: Size) -> bytes:
    """Return an AVIF whose container states another size than its frame has."""
    data = saved(Image.new("RGB", size, RED), "AVIF", speed=10)
    box = b"ispe\x00\x00\x00\x00"
    return data.replace(box + struct.pack(">II", *size), box + struct.pack(">II", *stated))


def _jpeg_with(segments: bytes) -> bytes:
    data = saved(quarters(), "JPEG")
    return data[:2] + segments + data[2:]


def _resized_jpeg(width: int, height: int) -> bytes:
    data = saved(quarters(), "JPEG")
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


def _jpeg_with_frame(place: int, value: bytes) -> bytes:
    """Return a JPEG with this byte at a place in its start of frame."""
    data = bytearray(saved(quarters(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + place : frame + place + 1] = value
    return bytes(data)


def _exif_with_many(values: int, kind: int = 3) -> bytes:
    """Return EXIF data whose orientation is not one number but very many."""
    return tiff((0x0112, kind, values, b"\x77\x71\x01\x02" * (values * (2, 8)[kind == 5] // 4)))


def _looping_exif() -> bytes:
    """Return EXIF data that name themselves as their next and their inner directory."""
    data = bytearray(tiff(short(0x0112, 1), long(0x8769, 8), long(0x014A, 8)))
    data[8 + 2 + 36 : 8 + 2 + 40] = struct.pack("<I", 8)
    return bytes(data)


def _bmp_in_fields(bits: int, widths: Sequence[int], order: str) -> bytes:
    """Return quarters in bit fields, those of the order's last channel lowest; alpha is a half."""
    places = {}
    shift = 0
    for name in (*reversed(order), "a"):
        places[name] = shift
        shift += widths["rgba".index(name)]
    masks = [((1 << width) - 1) << places[name] for name, width in zip("rgba", widths, strict=True)]
    values = [
        sum(
            round(value / 255 * ((1 << width) - 1)) << places[name]
            for name, value, width in zip("rgba", (*colour, 128), widths, strict=True)
        )
        for colour in zip(*[iter(quarters().tobytes())] * 3, strict=True)
    ]
    return bit_fields(SIZE, values, bits, masks)


def _ramp(mode: str, values: Sequence[float], size: Size = SIZE) -> Image.Image:
    image = Image.new(mode, (2, 2))
    for place, value in enumerate(values):
        image.putpixel((place % 2, place // 2), value)
    return image.resize(size, Image.Resampling.NEAREST)


def _sixteen_bit_rgb() -> bytes:
    """Return a PNG of 16 bits for each of three channels, which Pillow does not write."""
    rows = b""
    image = quarters()
    for y in range(image.height):
        line = image.crop((0, y, image.width, y + 1)).tobytes()
        rows += b"\x00" + b"".join(bytes((value, value)) for value in line)
    return png(SIZE, rows, depth=16)


def _interlaced() -> bytes:
    """Return a PNG whose every pass holds what it should; Pillow does not write any."""
    image = quarters()
    rows = b""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    for left, top, across, down in (*passes, (0, 1, 1, 2)):
        for y in range(top, image.height, down):
            line = image.crop((0, y, image.width, y + 1)).tobytes()
            rows += b"\x00" + b"".join(
                line[3 * x : 3 * x + 3] for x in range(left, image.width, across)
            )
    return png(SIZE, rows, interlaced=True)


def _sixteen() -> Image.Image:
    return _ramp("I;16", (0, 21_845, 43_690, 65_535))


def _grey_with_alpha(alpha: int) -> Image.Image:
    return _with_alpha(_ramp("L", (0, 85, 170, 255)), alpha)


def _flat(format_name: str, size: Size) -> bytes:
    return saved(Image.new("RGB", size, RED), format_name)


def _with_alpha(image: Image.Image, alpha: int = 128) -> Image.Image:
    image = image.copy()
    image.putalpha(alpha)
    return image


def _png_with_text(count: int) -> bytes:
    """Return a PNG with this many comments of a million zeros each, compressed to a thousandth."""
    body = zlib.compress(b"\x00" * 1_000_000)
    chunks = [png_chunk(b"zTXt", b"a%d\x00\x00" % number + body) for number in range(count)]
    return png_with(saved(quarters()), b"".join(chunks))


def _gradient(mode: str) -> Golden:
    shades = {"1": (255, 0, 0, 255)}.get(mode, (0, 85, 170, 255))
    return Golden(corners=tuple((shade,) * 3 for shade in shades), tolerance=14, grey=mode != "LA")


LOOSE = Golden(tolerance=30)
PURE = Golden(corners=((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)), tolerance=32)
SEE_THROUGH = Golden(transparent=True)
PAYLOAD = b"PK\x03\x04" + SECRET + b"<script>alert(1)</script>"

KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "jpeg": ("JPEG", {}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 95}),
    "gif": ("GIF", {}),
    "avif": ("AVIF", {"quality": 90}),
    "tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "bmp": ("BMP", {}),
}
"""How each accepted format is saved, by its own name."""


def _kind(name: str) -> bytes:
    format_name, options = KINDS[name]
    return saved(quarters(), format_name, **options)


def _with_payload(name: str) -> bytes:
    return _kind(name) + PAYLOAD


def _plain() -> list[Specimen]:
    specimens = [Specimen(name, partial(_kind, name), LOOSE) for name in KINDS]
    for format_name, orientation in product(("JPEG", "PNG", "WEBP", "AVIF", "TIFF"), STORED_AS):
        specimens.append(
            Specimen(
                f"{format_name.lower()} turned {orientation}",
                partial(turned, format_name, orientation),
                Golden(tolerance=32),
            )
        )
    return specimens


def _broken() -> list[Specimen]:
    """Return each format cut off in its header and in its pixels, and files that are not images."""
    specimens = []
    for name, percent in product(KINDS, (10, 50, 90)):
        specimens.append(
            Specimen(
                f"{name} cut at {percent} %",
                partial(_cut, name, percent),
                "corrupt",
            )
        )
    return specimens


def _cut(name: str, percent: int) -> bytes:
    format_name, options = KINDS[name]
    data = saved(Image.effect_noise(SIZE, 90).convert("RGB"), format_name, **options)
    return data[: len(data) * percent // 100]


LONG_NAMES = tuple("uploads/" + letter * (1016 // len(letter.encode())) for letter in "aé漢😀")
"""Keys of 1,024 bytes, S3's limit, or as near as whole characters come."""


def _heic() -> list[Specimen]:
    """Return pictures in HEVC; how they were made is said in heic_files.py."""
    quartered, see_through = heic_files.coded("quarters"), heic_files.coded("alpha")
    alpha = heic_files.coded("alpha", 2).referring(b"auxl", 1)
    cells = [heic_files.coded(name) for name in ("red", "green", "blue", "white")]
    places = ((2, 0, 0), (3, 100, 0), (4, 0, 50), (5, 100, 50))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "": heic_files.heic(quartered),
        **{
            f" of brand {brand}": heic_files.heic(quartered, brand=brand.encode())
            for brand in ("heix", "hevc", "mif1")
        },
        " in 4:4:4": heic_files.saved("quarters_444"),
        " of 10 bits": heic_files.saved("quarters_10"),
        " in a grid": heic_files.heic(heic_files.grid(2, 2, 200, 100, 2, 3, 4, 5), *cells),
        " in layers": heic_files.heic(heic_files.layers(200, 100, *places), *cells),
        " behind another": heic_files.heic(cells[0], quartered, primary=2),
        " with a thumbnail": heic_files.heic(quartered, cells[0].referring(b"thmb", 1)),
        " with a depth map": heic_files.heic(
            quartered, heic_files.coded("grey").adding(heic_files.DEPTH).referring(b"auxl", 1)
        ),
        " with a gain map": heic_files.heic(
            quartered, heic_files.coded("grey").adding(heic_files.GAIN_MAP).referring(b"auxl", 1)
        ),
        " with an orientation in exif alone": heic_files.heic(
            quartered, heic_files.exif(exif.tobytes())
        ),
        " with a crop": heic_files.heic(quartered.adding(heic_files.crop(200, 100))),
        " and a zip": heic_files.heic(quartered) + PAYLOAD,
    }
    grey = _luma(Golden().corners)
    parts = heic_files.coded("grey").adding(heic_files.size(5_000, 5_000))
    refused = {
        "heif sequence": (
            heic_files.heic(quartered, primary=0, after=heic_files.box(b"moov")),
            "unsupported_format",
        ),
        "heif in h.264": (heic_files.heic(heic_files.Item(b"avc1", b"1")), "unsupported_format"),
        "heif without a primary item": (heic_files.heic(quartered, primary=0), "corrupt"),
        "heic of two pictures in one item": (
            heic_files.heic(replace(quartered, data=quartered.data * 2)),
            "corrupt",
        ),
        "pixels of a heic": (heic_files.heic(parts), "too_many_pixels"),
        "pixels of a heic's grid": (
            heic_files.heic(heic_files.grid(1, 1, 60_000, 60_000, 2), cells[0]),
            "too_many_pixels",
        ),
        "a heic's frame that is larger than stated": (
            heic_files.heic(
                replace(
                    quartered,
                    properties=tuple(
                        heic_files.size(8, 8) if name == b"ispe" else (name, body)
                        for name, body in quartered.properties
                    ),
                )
            ),
            "corrupt",
        ),
        **{
            f"heic cut at {percent} %": (whole[: len(whole) * percent // 100], "corrupt")
            for whole in [heic_files.heic(quartered)]
            for percent in (10, 50, 90)
        },
    }
    return [
        *(Specimen(f"heic{name}", partial(bytes, data), LOOSE) for name, data in files.items()),
        Specimen("heic with alpha", partial(heic_files.heic, see_through, alpha), SEE_THROUGH),
        *(
            Specimen(
                f"heic in {name}",
                partial(heic_files.saved, name),
                Golden(corners=grey, grey=True),
            )
            for name in ("grey", "grey_10")
        ),
        *(
            Specimen(name, partial(bytes, data), expected)
            for name, (data, expected) in refused.items()
        ),
    ]


def _luma(corners: Sequence[Colour]) -> tuple[Colour, ...]:
    return tuple(
        (round((299 * red + 587 * green + 114 * blue) / 1_000),) * 3 for red, green, blue in corners
    )


def _linear() -> Image.Image:
    """Return quarters whose values are their light."""
    linear = [round(255 * srgb_decoded(value / 255)) for value in range(256)]
    return quarters().point(linear * 3)


def _png_with(image: Image.Image, name: bytes, body: bytes) -> bytes:
    data = saved(image)
    return data[:33] + png_chunk(name, body) + data[33:]


def _avif_with(image: Image.Image, primaries: int, transfer: int) -> bytes:
    """Return an AVIF whose container names these code points of H.273."""
    old, new = (b"nclx" + struct.pack(">HH", *pair) for pair in ((1, 13), (primaries, transfer)))
    return saved(image, "AVIF", quality=90).replace(old, new)


def _of_light(shown: Sequence[int]) -> tuple[Colour, ...]:
    return tuple((value,) * 3 for value in shown)


PQ_STEPS, PQ_SHOWN = _of_light((77, 105, 130, 148)), _of_light((44, 85, 137, 187))
"""10, 37, 102 and 203 cd/m² in eight bits of PQ, and what Chromium shows of them."""


SPECIMENS: Sequence[Specimen] = (
    *_plain(),
    *_heic(),
    # Kinds of JPEG.
    Specimen("progressive", lambda: saved(quarters(), "JPEG", progressive=True), LOOSE),
    Specimen("grey jpeg", lambda: saved(_ramp("L", (0, 85, 170, 255)), "JPEG"), _gradient("L")),
    Specimen("cmyk jpeg", lambda: saved(quarters().convert("CMYK"), "JPEG"), LOOSE),
    Specimen("ycck jpeg", _ycck, LOOSE),
    Specimen("rgb jpeg", _rgb_jpeg, LOOSE),
    Specimen("cmyk with profile", _cmyk_with_profile, PURE),
    Specimen("png with a wide gamut", _rgb_with_profile, LOOSE),
    Specimen(
        "cmyk with a profile for rgb",
        lambda: saved(
            quarters().convert("CMYK"), "JPEG", icc_profile=profile_with_red_and_blue_swapped()
        ),
        LOOSE,
    ),
    Specimen("mpo", lambda: _frames("MPO"), LOOSE),
    # Colour by chunks and code points; in eight bits of light, dark colours are coarse.
    Specimen(
        "png with a gamma of 1",
        lambda: _png_with(_linear(), b"gAMA", struct.pack(">I", 100_000)),
        LOOSE,
    ),
    Specimen("png of linear light", lambda: _png_with(_linear(), b"cICP", b"\x01\x08\0\1"), LOOSE),
    Specimen("avif of linear light", lambda: _avif_with(_linear(), 1, 8), LOOSE),
    Specimen(
        "png in PQ",
        lambda: _png_with(quarters(SIZE, PQ_STEPS), b"cICP", b"\x09\x10\0\1"),
        Golden(corners=PQ_SHOWN),
    ),
    Specimen(
        "avif in PQ",
        lambda: _avif_with(quarters(SIZE, PQ_STEPS), 9, 16),
        Golden(corners=PQ_SHOWN),
    ),
    # Depths, palettes, transparency, colour spaces.
    Specimen("png 16 bit grey", lambda: saved(_sixteen()), _gradient("I;16")),
    Specimen(
        "png 16 bit grey with a transparent one that no pixel has",
        lambda: saved(_sixteen(), transparency=65_534),
        _gradient("LA"),
    ),
    Specimen("png 16 bit rgb", _sixteen_bit_rgb, LOOSE),
    Specimen("tiff 16 bit grey", lambda: saved(_sixteen(), "TIFF"), _gradient("I;16")),
    Specimen(
        "tiff 16 bit grey, big-endian",
        lambda: saved(_sixteen().convert("I").convert("I;16B"), "TIFF"),
        _gradient("I;16"),
    ),
    Specimen("tiff float", lambda: saved(_ramp("F", (0, 1, 2, 3)), "TIFF"), _gradient("F")),
    Specimen("tiff 32 bit", lambda: saved(_ramp("I", (-3, -1, 1, 3)), "TIFF"), _gradient("I")),
    Specimen("png interlaced", _interlaced, LOOSE),
    Specimen("png palette", lambda: saved(quarters().quantize(5)), LOOSE),
    Specimen("png 1 bit", lambda: saved(_ramp("1", (255, 0, 0, 255))), _gradient("1")),
    Specimen(
        "tiff fax",
        lambda: saved(_ramp("1", (255, 0, 0, 255)), "TIFF", compression="group4"),
        _gradient("1"),
    ),
    *(
        Specimen(f"bmp {name}", partial(_bmp_in_fields, bits, widths, order), LOOSE)
        for name, bits, widths, order in (
            ("4-4-4", 16, (4, 4, 4, 0), "rgb"),
            ("5-6-5, blue first", 16, (5, 6, 5, 0), "bgr"),
            ("10-10-10", 32, (10, 10, 10, 0), "rgb"),
            ("red first", 32, (8, 8, 8, 0), "bgr"),
        )
    ),
    Specimen(
        "bmp 7-9-8 and half an alpha",
        partial(_bmp_in_fields, 32, (7, 9, 8, 8), "rgb"),
        SEE_THROUGH,
    ),
    Specimen("bmp 1 bit", lambda: saved(_ramp("1", (255, 0, 0, 255)), "BMP"), _gradient("1")),
    Specimen("png grey and alpha", lambda: saved(_grey_with_alpha(255)), _gradient("LA")),
    Specimen(
        "png grey and half an alpha",
        lambda: saved(_grey_with_alpha(128)),
        Golden(corners=_gradient("LA").corners, tolerance=14, transparent=True),
    ),
    Specimen("png alpha", lambda: saved(_with_alpha(quarters())), SEE_THROUGH),
    Specimen("webp alpha", lambda: saved(_with_alpha(quarters()), "WEBP"), SEE_THROUGH),
    Specimen("avif alpha", lambda: saved(_with_alpha(quarters()), "AVIF"), SEE_THROUGH),
    Specimen("tiff lab", lambda: saved(in_lab(quarters()), "TIFF", compression="tiff_lzw"), LOOSE),
    Specimen(
        "tiff ycbcr",
        lambda: saved(quarters().convert("YCbCr"), "TIFF", compression="tiff_lzw"),
        LOOSE,
    ),
    Specimen(
        "tiff cmyk",
        lambda: saved(quarters().convert("CMYK"), "TIFF", compression="tiff_lzw"),
        LOOSE,
    ),
    # Animations and pages: the first frame, however many follow.
    Specimen("animated gif", lambda: _frames("GIF"), LOOSE),
    Specimen("animated webp", lambda: _frames("WEBP"), LOOSE),
    Specimen("animated avif", lambda: _frames("AVIF", quality=90), LOOSE),
    Specimen("animated png", lambda: _frames("PNG"), LOOSE),
    Specimen("animated png with a default", _apng_with_a_picture_of_its_own, LOOSE),
    Specimen("tiff with pages", lambda: _frames("TIFF"), LOOSE),
    Specimen("gif of 1,000 frames", lambda: _frames("GIF", 1_000), Golden((16, 16), tolerance=60)),
    Specimen("png of 1,000 frames", lambda: _frames("PNG", 1_000), Golden((16, 16), tolerance=60)),
    Specimen(
        "webp of 1,000 frames",
        lambda: _frames("WEBP", 1_000, lossless=True, method=0),
        Golden((16, 16), tolerance=60),
    ),
    Specimen(
        "avif of 100 frames",
        lambda: _frames("AVIF", 100, speed=10, quality=90),
        Golden((16, 16), tolerance=60),
    ),
    *(
        Specimen(f"gif of frames of disposal {disposal}", partial(_gif_of_frames, disposal), LOOSE)
        for disposal in range(5)
    ),
    Specimen("gif of which the second frame is damaged", lambda: _gif_of_frames(1)[:-99], LOOSE),
    *(
        Specimen(f"webp of frames {how}", partial(_webp_of_frames, *options), LOOSE)
        for how, options in {
            "over each other": (True, False),
            "after each other": (False, False),
            "over each other, cleared": (True, True),
            "after each other, cleared": (False, True),
        }.items()
    ),
    Specimen("tiff of 300 pages", lambda: _frames("TIFF", 300), Golden((16, 16), tolerance=60)),
    # Shapes.
    *(
        Specimen(
            f"{name} of {width} × {height}",
            partial(_flat, name, (width, height)),
            Golden((width, height), (RED,) * 4),
        )
        for name, width, height in (
            *(("PNG", 1, 100_000), ("PNG", 100_000, 1), ("TIFF", 1, 100_000), ("BMP", 100_000, 1)),
            *(("JPEG", 1, 65_500), ("JPEG", 65_500, 1), ("GIF", 1, 65_535), ("WEBP", 16_383, 1)),
            *(("PNG", 1, 1), ("JPEG", 1, 1), ("WEBP", 1, 1), ("AVIF", 1, 1), ("GIF", 1, 1)),
        )
    ),
    *(
        Specimen(f"png of {size}", partial(png, size, bytes(99)), "corrupt")
        for size in ((0, 9), (9, 0), (0, 0))
    ),
    *(
        Specimen(
            f"jpeg of {size}",
            partial(_resized_jpeg, *size),
            "corrupt",
        )
        for size in ((0, 9), (9, 0))
    ),
    Specimen("gif of no screen", lambda: _gif(screen=(0, 0)), LOOSE),
    # What is no picture, one of another kind, or two things at once.
    *_broken(),
    Specimen("empty", lambda: b"", "not_an_image"),
    Specimen("text", lambda: b"a text, called photo.jpg", "not_an_image"),
    Specimen("html", lambda: b"<!doctype html><title>no</title>", "not_an_image"),
    Specimen("zeros", lambda: bytes(100), "not_an_image"),
    Specimen("zip", lambda: b"PK\x03\x04" + bytes(100), "not_an_image"),
    Specimen(
        "postscript",
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "not_an_image",
    ),
    Specimen("executable", lambda: b"\x7fELF" + bytes(99), "not_an_image"),
    *(
        Specimen(f"start of heif of brand {brand}", partial(_heif, brand), "corrupt")
        for brand in ("heic", "heix", "hevc", "mif1", "msf1")
    ),
    Specimen(
        "avif that starts as heif does",
        lambda: _kind("avif").replace(b"ftypavif", b"ftypmif1"),
        LOOSE,
    ),
    Specimen("svg", lambda: SVG, "unsupported_format"),
    *(
        Specimen(f"svg after {prolog[:9]!r}", partial(bytes.__add__, prolog, SVG), expected)
        for prolog, expected in (
            (b"<?xml version='1.0'?>\n", "unsupported_format"),
            (b"\xef\xbb\xbf<?xml version='1.0'?><!-- a <svg> -->\r\n", "unsupported_format"),
            (b"<!DOCTYPE svg PUBLIC 'a' 'b' [<!ENTITY c 'd'>]>", "unsupported_format"),
            (b" \n", "unsupported_format"),
            (b"<html>", "not_an_image"),
            (b"<!--" * 10_000, "not_an_image"),
            (b"<??>" * 10_000 + b"<html>", "not_an_image"),
        )
    ),
    Specimen("jpeg of 12 bits", partial(_jpeg_with_frame, 4, b"\x0c"), "unsupported_format"),
    Specimen("jpeg of 2 components", partial(_jpeg_with_frame, 9, b"\x02"), "unsupported_format"),
    Specimen("hierarchical jpeg", partial(_jpeg_with_frame, 1, b"\xc5"), "unsupported_format"),
    *(
        Specimen(f"heif of brand {brand}", partial(_heif, brand), "unsupported_format")
        for brand in ("avci", "j2ki", "jpeg", "mif3")
    ),
    Specimen("jpeg xr", lambda: b"II\xbc\x01" + bytes(40), "unsupported_format"),
    Specimen("photoshop", lambda: b"8BPS\x00\x01" + bytes(40), "unsupported_format"),
    Specimen("start of a png", lambda: b"\x89PNG\r\n\x1a\n", "corrupt"),
    Specimen("start of a jpeg", lambda: b"\xff\xd8\xff\xe0\x00", "corrupt"),
    Specimen("start of a webp", lambda: b"RIFF\x10\x00\x00\x00WEBPVP8 ", "corrupt"),
    Specimen("start of a gif", lambda: b"GIF89a", "corrupt"),
    Specimen("pdf with a jpeg in it", lambda: b"%PDF-1.7\n" + _kind("jpeg"), "unsupported_format"),
    *(Specimen(f"{name} and a zip", partial(_with_payload, name), LOOSE) for name in KINDS),
    Specimen("gif that is a script", lambda: _gif(blocks=_gif_comment(PAYLOAD)), LOOSE),
    Specimen(
        "jpeg with a page in its comment", lambda: saved(quarters(), "JPEG", comment=PAYLOAD), LOOSE
    ),
    # Bombs: small files that ask for much.
    Specimen("pixels of a png", lambda: png((60_000, 60_000), bytes(999)), "too_many_pixels"),
    Specimen("pixels of a jpeg", lambda: _resized_jpeg(65_500, 65_500), "too_many_pixels"),
    Specimen("pixels of a gif", lambda: _gif(screen=(65_535, 65_535)), "too_many_pixels"),
    Specimen(
        "pixels of a gif's frame", lambda: _gif_with_frame((65_535, 65_535)), "too_many_pixels"
    ),
    Specimen(
        "pixels of an avif's frame",
        lambda: _avif_of_another_size((100, 100), (5_000, 5_000)),
        "too_many_pixels",
    ),
    *(
        Specimen(f"avif of {size}", partial(_avif_of_another_size, size, SIZE), "too_many_pixels")
        for size in ((17_000, 17_000), (40_000, 1))
    ),
    Specimen("pixels of a tiff's tile", lambda: tiled_tiff(30_000), "too_many_pixels"),
    Specimen("scans", lambda: _many_scans(500), "too_many_scans"),
    Specimen(
        "scans after a fill byte",
        lambda: _many_scans(500).replace(b"\xff\xc2", b"\xff\xff\xc2"),
        "too_many_scans",
    ),
    Specimen(
        "scans within a tiff", lambda: _tiff_of_strips(SIZE, 7, _many_scans(2_000)), "corrupt"
    ),
    Specimen(
        "a strip of more than there is",
        lambda: _tiff_of_strips(SIZE, 8, zlib.compress(quarters().tobytes() + bytes(10**8))),
        LOOSE,
    ),
    Specimen(
        "rows of more than there is",
        lambda: png(SIZE, bytes(10**8)),
        Golden(corners=(BLACK,) * 4),
    ),
    Specimen("compressed text", lambda: _png_with_text(200), Golden()),
    Specimen(
        "one compressed text",
        lambda: png_with(
            _kind("png"), png_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(10**8)))
        ),
        Golden(),
    ),
    Specimen(
        "compressed profile",
        lambda: png_with(
            _kind("png"), png_chunk(b"iCCP", b"a\x00\x00" + zlib.compress(bytes(10**8)))
        ),
        Golden(),
    ),
    Specimen(
        "profile of 16 MB", lambda: saved(quarters(), "JPEG", icc_profile=bytes(16_000_000)), LOOSE
    ),
    Specimen("profile of nothing", lambda: saved(quarters(), icc_profile=b"\x00"), LOOSE),
    Specimen("40,000 chunks", lambda: png_with(_kind("png"), png_chunk(b"prVt") * 40_000), LOOSE),
    Specimen(
        "200,000 chunks",
        lambda: png_with(_kind("png"), png_chunk(b"prVt") * 200_000),
        "unsupported_format",
    ),
    Specimen(
        "500,000 comments in a gif",
        lambda: _gif(blocks=_gif_comment(b"a") * 500_000),
        "unsupported_format",
    ),
    Specimen(
        "100,000 comments in a jpeg", lambda: _jpeg_with(b"\xff\xfe\x00\x02" * 100_000), LOOSE
    ),
    Specimen(
        "500,000 comments in a jpeg",
        lambda: _jpeg_with(b"\xff\xfe\x00\x02" * 500_000),
        "unsupported_format",
    ),
    Specimen(
        "orientation of many numbers",
        lambda: png_with(_kind("png"), png_chunk(b"eXIf", _exif_with_many(2_000_000))),
        LOOSE,
    ),
    Specimen(
        "orientation of many fractions",
        lambda: saved(
            quarters(), "WEBP", exif=b"Exif\x00\x00" + _exif_with_many(1_000_000, kind=5)
        ),
        LOOSE,
    ),
    Specimen(
        "exif in a circle",
        lambda: saved(quarters(), "JPEG", exif=b"Exif\x00\x00" + _looping_exif()),
        LOOSE,
    ),
    Specimen("exif of nothing", lambda: saved(quarters(), "JPEG", exif=b"Exif\x00\x00"), LOOSE),
)
