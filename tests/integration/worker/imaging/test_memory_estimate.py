"""worker/imaging/memory_estimate.py: no image takes more memory than estimated."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.unit.worker.imaging import heic_files
from tests.unit.worker.imaging.corpus import long, short, tiff
from tests.unit.worker.imaging.webp_codes import with_many_codes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of memory")

SIZE = (3_000, 2_000)
LOSSLESS = {"lossless": True, "quality": 0, "method": 0}
ONE_STRIP = {"compression": "tiff_lzw", "tiffinfo": {278: SIZE[1]}}

MEASURE = """
import io, re, sys
from worker.imaging import decoding, geometry, identify, memory_estimate, thumbnails
from worker.settings import Variants

file, width, format_name = sys.argv[1:]
variants = Variants((int(width), 10), {format_name: 80}, 12_000_000)
with open(file, "rb") as opened:
    source = io.BytesIO(opened.read())
with identify.open_picture(source, 12_000_000) as picture:
    size = geometry.resize_plan(picture.size, variants).full_size
    _, rows = decoding.reduction(picture.size, size)
    estimate = memory_estimate.decoding_bytes(picture, size, rows)
    estimate += memory_estimate.unlikely_bytes(picture) * (format_name == "png")
source.seek(0)

def peak():  # getrusage would count what this process's parent had before
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) * 1024

before = peak()
list(thumbnails.make(source, [variants]))
print(estimate, peak() - before)
"""


def picture(mode: str) -> Image.Image:
    ramp = Image.linear_gradient("L").resize(SIZE)
    noise = Image.effect_noise((400, 300), 60).resize(SIZE)
    return Image.merge("RGBA", (ramp, noise, ramp.rotate(180), ramp)).convert(mode)


def measured(file: Path, width: int, format_name: str) -> tuple[int, int]:
    """Return the estimate and the peak, both in bytes."""
    command = [sys.executable, "-c", MEASURE, str(file), str(width), format_name]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    estimate, peak = map(int, child.stdout.split())
    return estimate, peak


@pytest.mark.parametrize(
    ("mode", "format_name", "options"),
    [
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        ("CMYK", "JPEG", {"progressive": True}),
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("P", "PNG", {"transparency": 3}),
        ("1", "PNG", {}),
        ("P", "GIF", {}),
        ("RGB", "WEBP", {"method": 0}),
        ("RGB", "WEBP", LOSSLESS),
        ("RGBA", "WEBP", {"method": 0}),
        ("RGBA", "WEBP", LOSSLESS),
        ("RGBA", "WEBP", {**LOSSLESS, "save_all": True, "append_images": [Image.new("L", SIZE)]}),
        ("RGB", "AVIF", {"speed": 10}),
        ("RGBA", "AVIF", {"speed": 10, "subsampling": "4:4:4"}),
        ("RGB", "AVIF", {"speed": 10, "advanced": {"film-grain-test": "1"}}),
        ("RGBA", "TIFF", {}),
        ("RGBA", "TIFF", ONE_STRIP),
        ("RGBA", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg"}),
        ("F", "TIFF", {}),
        ("1", "TIFF", {"compression": "group4"}),
        ("RGB", "BMP", {}),
    ],
)
def test_decoding_takes_no_more_than_estimated(
    mode: str, format_name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """P5: each format, and what makes it need more."""
    file = tmp_path / "picture"
    picture(mode).save(file, format_name, **options)
    estimate, peak = measured(file, 1_200, "jpeg")
    # Twice as much would reject images, or keep them waiting, that fit into memory.
    assert peak < estimate < 2 * peak + 90_000_000


@pytest.mark.parametrize("name", ["large", "large_10", "large_alpha", "large_alpha_10"])
def test_decoding_hevc_takes_no_more_than_estimated(name: str) -> None:
    """P5: in one piece, with 8 bits in 4:2:0 and with 10 in 4:4:4."""
    estimate, peak = measured(heic_files.FOLDER / f"{name}.heic", 1_200, "jpeg")
    assert peak < estimate < 2 * peak + 90_000_000


@pytest.mark.parametrize("name", ["quarters", "quarters_444", "quarters_10", "grey", "grey_10"])
def test_decoding_a_grid_takes_no_more_than_estimated(name: str, tmp_path: Path) -> None:
    """P5: parts of pixels are in memory besides the whole."""
    cells = [heic_files.coded(name)] * 450
    grid = heic_files.grid(15, 30, 3_000, 3_000, *range(2, 2 + len(cells)))
    file = tmp_path / "picture"
    file.write_bytes(heic_files.heic(grid, *cells))
    estimate, peak = measured(file, 1_200, "jpeg")
    assert peak < estimate


@pytest.mark.parametrize("format_name", ["webp", "avif"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("width", [1_500, 3_000])
def test_a_wide_variant_takes_no_more_than_estimated(
    width: int, mode: str, format_name: str, tmp_path: Path
) -> None:
    """P5: a variant as large as the image takes more than the image."""
    file = tmp_path / "picture"
    picture(mode).save(file, "JPEG" if mode == "RGB" else "PNG")
    estimate, peak = measured(file, width, format_name)
    assert peak < estimate


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("bits", [10, 14])
def test_packed_samples_take_no_more_than_estimated(
    bits: int, compression: int, tmp_path: Path
) -> None:
    """P5: a second copy of the file is among it."""
    file = tmp_path / "picture"
    file.write_bytes(packed_tiff(bits, compression))
    estimate, peak = measured(file, 1_200, "jpeg")
    assert peak < estimate < 2 * peak + 90_000_000


def packed_tiff(bits: int, compression: int) -> bytes:
    """Return one strip of noise."""
    strip = os.urandom(SIZE[0] * SIZE[1] * bits // 8)
    if compression != 1:
        strip = zlib.compress(strip, 1)

    def directory(offset: int) -> bytes:
        return tiff(
            *(short(256, SIZE[0]), short(257, SIZE[1]), short(258, bits), short(259, compression)),
            *(short(262, 1), long(273, offset), short(278, SIZE[1]), long(279, len(strip))),
        )

    return directory(len(directory(0))) + strip


def test_tables_of_codes_take_no_more_than_is_reserved(tmp_path: Path) -> None:
    """P9: 365 MB for a megapixel in 295 kB."""
    file = tmp_path / "picture"
    file.write_bytes(with_many_codes(1_024))
    estimate, peak = measured(file, 40, "png")
    assert 300_000_000 < peak < estimate


def test_separate_planes_take_no_more_than_estimated(tmp_path: Path) -> None:
    """P5: libtiff reads a plane in one strip, though it is not compressed."""
    plane = os.urandom(2 * SIZE[0] * SIZE[1])

    def directory(offset: int) -> bytes:
        return tiff(
            *(short(256, SIZE[0]), short(257, SIZE[1]), short(258, 16, 16, 16), short(259, 1)),
            *(short(262, 2), short(277, 3), short(278, SIZE[1]), short(284, 2)),
            *(
                long(273, *(offset + len(plane) * n for n in range(3))),
                long(279, *[len(plane)] * 3),
            ),
        )

    file = tmp_path / "picture"
    file.write_bytes(directory(len(directory(0))) + plane * 3)
    estimate, peak = measured(file, 1_200, "jpeg")
    assert peak < estimate < 2 * peak + 90_000_000


def test_a_fill_byte_hides_no_coefficients(tmp_path: Path) -> None:
    """P5: a progressive JPEG's, which stay in memory until the last scan."""
    buffer = io.BytesIO()
    picture("RGB").save(buffer, "JPEG", progressive=True)
    file = tmp_path / "picture"
    file.write_bytes(buffer.getvalue().replace(b"\xff\xc2", b"\xff\xff\xc2", 1))
    estimate, peak = measured(file, 1_200, "jpeg")
    assert peak < estimate < 2 * peak + 90_000_000


MEASURE_MARKED = """
import io, re, sys
from worker.imaging import memory_estimate, thumbnails, watermark
from worker.imaging.memory import Memory
from worker.settings import Variants, Watermark

class Recorded(Memory):
    most = 0
    def reserved(self, size):
        Recorded.most = max(Recorded.most, size)
        return super().reserved(size)

def peak():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) * 1024

picture, logo, width, format_name = sys.argv[1:]
before = peak()
image = watermark.decoded(open(logo, "rb").read(), 12_000_000, Recorded())
decoding, peak_of_decoding = Recorded.most, peak() - before
mark = Watermark("watermarks/logo", width=100, margin=0, opacity=50, image=image)
variants = Variants((int(width), 10), {format_name: 80}, 12_000_000, watermark=mark)
before = peak()
list(thumbnails.make(io.BytesIO(open(picture, "rb").read()), [variants], Recorded()))
print(decoding, peak_of_decoding, Recorded.most, peak() - before)
"""


@pytest.mark.parametrize("format_name", ["webp", "avif"])
@pytest.mark.parametrize("size", [(2_000, 2_000), (300, 200)])
def test_a_watermark_takes_no_more_than_estimated(
    size: tuple[int, int], format_name: str, tmp_path: Path
) -> None:
    """Issue 15, P5: decoded, and shrunk or enlarged to all of a wide thumbnail."""
    shown, logo = tmp_path / "picture", tmp_path / "logo"
    picture("RGB").save(shown, "JPEG")
    picture("RGBA").resize(size).save(logo, "WEBP", lossless=True, quality=0, method=0)
    command = [sys.executable, "-c", MEASURE_MARKED, *map(str, (shown, logo)), "3000", format_name]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    decoding, peak_of_decoding, estimate, peak = map(int, child.stdout.split())
    assert peak_of_decoding < decoding
    assert peak < estimate
