"""A page that shows originals beside what the pipeline made of them; one file, no network."""

import base64
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from PIL import Image, ImageOps

PAGE = Path(__file__).with_name("gallery.html")

# What browsers show, by Pillow's name for it; other originals are shown as a JPEG made here.
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
}
LARGEST_ORIGINAL = 1_000_000  # bytes; a larger one is reduced, or no browser would open the page
PREVIEW_SIDE = 1200  # pixels
PICTURES_WITH_IMAGES = 100  # the others are listed without: about 150 MB is what a browser bears


@dataclass(frozen=True)
class Picture:
    """An image file's bytes and their media type."""

    data: bytes
    media_type: str


@dataclass(frozen=True)
class Shown:
    """One original, how it ended after `seconds`, and its variants."""

    name: str
    original: Path
    end: str
    detail: str = ""
    seconds: float | None = None
    variants: tuple[Picture, ...] = ()


def page(pictures: Iterable[Shown]) -> str:
    """Return the page as HTML with everything in it."""
    cards, ends = [], []
    for number, shown in enumerate(pictures):
        cards.append(_card(shown, with_images=number < PICTURES_WITH_IMAGES))
        ends.append(shown.end)
    counts = " · ".join(f"{ends.count(end):,} {end}" for end in dict.fromkeys(ends))
    template = Template(PAGE.read_text(encoding="utf-8"))
    return template.substitute(summary=escape(counts), cards="\n".join(cards))


def readable_size(size: int) -> str:
    """Return a number of bytes for people: `999 B`, `12 kB`, `1.2 MB`."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1e3:,.0f} kB" if size < 999_500 else f"{size / 1e6:,.1f} MB"


def _card(shown: Shown, *, with_images: bool) -> str:
    figures = _original(shown.original) + _formats(shown.variants) if with_images else ""
    seconds = "" if shown.seconds is None else f"<span>{shown.seconds:.2f} s</span>"
    detail = f"<p>{escape(shown.detail)}</p>" if shown.detail else ""
    return (
        f'<article class="{escape(shown.end.replace(" ", "-"))}">'
        f"<header><h2>{escape(shown.name)}</h2>{seconds}<b>{escape(shown.end)}</b></header>"
        f'{detail}<div class="row">{figures}</div></article>'
    )


def _original(path: Path) -> str:
    size = readable_size(path.stat().st_size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a huge picture is what is being shown, or rejected
            with Image.open(path) as image:
                dimensions = f"{image.width} × {image.height}"
                shown, note = _displayable(path, image)
    except Exception:  # noqa: BLE001 - whatever the file holds, it is shown as what it is
        return (
            f'<figure class="original"><div>no picture</div>{_caption("original", size)}</figure>'
        )
    caption = _caption(f"original {dimensions}", f"{size}{note}")
    return f'<figure class="original">{_image(shown)}{caption}</figure>'


def _displayable(path: Path, image: Image.Image) -> tuple[Picture, str]:
    """Return the file itself where a browser can show it, else a smaller JPEG and a remark."""
    media_type = MEDIA_TYPES.get(image.format or "")
    if media_type and path.stat().st_size <= LARGEST_ORIGINAL:
        return Picture(path.read_bytes(), media_type), ""
    kind = image.format
    image.draft("RGB", (PREVIEW_SIDE, PREVIEW_SIDE))
    preview = ImageOps.exif_transpose(image).convert("RGB")
    preview.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    buffer = io.BytesIO()
    preview.save(buffer, "JPEG", quality=85)
    return Picture(buffer.getvalue(), "image/jpeg"), f" {kind}, shown reduced"


def _formats(variants: Iterable[Picture]) -> str:
    """Return a row of figures for each format, the largest variant first."""
    rows: dict[str, list[tuple[int, str]]] = {}
    for variant in variants:
        with Image.open(io.BytesIO(variant.data)) as image:
            width, height = image.size
        kind = variant.media_type.rpartition("/")[2].upper()
        caption = _caption(f"{width} × {height}", f"{kind} {readable_size(len(variant.data))}")
        figure = f"<figure>{_image(variant)}{caption}</figure>"
        rows.setdefault(kind, []).append((width, figure))
    formats = "".join(
        f'<div class="format">{"".join(figure for _, figure in sorted(row, reverse=True))}</div>'
        for row in rows.values()
    )
    return f"<div>{formats}</div>" if formats else ""


def _image(picture: Picture) -> str:
    data = base64.b64encode(picture.data).decode()
    return f'<img alt="" loading="lazy" src="data:{picture.media_type};base64,{data}">'


def _caption(first: str, second: str) -> str:
    return f"<figcaption>{escape(first)}<br>{escape(second)}</figcaption>"
