"""docs/settings.md: the largest pictures by format and by the function's memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.unit.worker.imaging import heic_files
from tests.unit.worker.imaging.corpus import quarters, saved
from worker import limits
from worker.imaging.identify import open_picture
from worker.imaging.memory import divide_memory
from worker.imaging.memory_estimate import bytes_per_pixel

PAGE = Path(__file__).parents[4] / "docs/settings.md"
WIDEST = 1_200 * 900
BESIDE_PIXELS = limits.FIXED_BYTES * 2 + WIDEST * limits.BYTES_PER_THUMBNAIL_PIXEL
"""And the rows that are converted at a time."""

SHADED = quarters()
SHADED.putalpha(Image.linear_gradient("L").resize(SHADED.size))
KINDS: dict[str, Callable[[], bytes]] = {
    "progressive JPEG, 4:2:0": lambda: saved(quarters(), "JPEG", progressive=True),
    "progressive JPEG, 4:4:4": lambda: saved(quarters(), "JPEG", progressive=True, subsampling=0),
    "lossless WebP": lambda: saved(quarters(), "WEBP", lossless=True),
    "lossy WebP with alpha": lambda: saved(SHADED, "WEBP"),
    "animated WebP": lambda: saved(
        quarters(), "WEBP", save_all=True, append_images=[Image.new("RGB", (200, 100))]
    ),
    "BMP of three bytes": lambda: saved(quarters(), "BMP"),
    "AVIF, 4:2:0": lambda: saved(quarters(), "AVIF"),
    "AVIF, 4:4:4": lambda: saved(quarters(), "AVIF", subsampling="4:4:4"),
    "AVIF, 4:2:0 with alpha": lambda: saved(SHADED, "AVIF"),
    "HEIC, 8 bits": lambda: (heic_files.FOLDER / "large.heic").read_bytes(),
    "HEIC, 10 bits": lambda: (heic_files.FOLDER / "large_10.heic").read_bytes(),
}


def table() -> dict[str, list[str]]:
    """Return the page's cells by the first one of each row."""
    rows = [line.strip().strip("|").split("|") for line in PAGE.read_text("utf-8").splitlines()]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_has_the_largest_pictures(kind: str) -> None:
    """P5: in megapixels, with files of 50 MB and thumbnails of 1,200 pixels."""
    with open_picture(io.BytesIO(KINDS[kind]()), 100_000_000) as picture:
        each = bytes_per_pixel(picture)
    cells = table()
    for memory, stated in zip(cells["`MemorySize`"], cells[kind], strict=True):
        _, room = divide_memory(int(memory.replace(",", "")), threads=4, file_bytes=50_000_000)
        assert room.capacity
        assert int(stated) == int((room.capacity - BESIDE_PIXELS) / each / 1e6)


def test_the_default_memory_holds_what_the_default_allows() -> None:
    """P5: of the formats that the page names; 100 megapixels with 1,280 MB."""
    held = {kind for kind in KINDS if int(table()[kind][2]) >= 100}
    assert held == {
        *("progressive JPEG, 4:2:0", "progressive JPEG, 4:4:4"),
        *("lossless WebP", "BMP of three bytes", "AVIF, 4:2:0"),
    }
