"""Writes a page that shows originals beside what the pipeline made of them, with its files."""

import mimetypes
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image, ImageOps

import worker.imaging.heic  # noqa: F401 -- makes Pillow open HEIC
from darkroom.emulator import picture_element
from darkroom.errors import UsageError

TEMPLATE = "gallery.html.j2"
GENERATOR = "darkroom local"
"""How a page of ours is recognized: nothing else is overwritten or deleted."""

FILES = "files"
"""The directory beside the page; each picture has one of its own in it."""

# Media types that browsers show, by Pillow's name of the format. Of other originals, the page shows
# a preview.
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
}
LARGEST_ORIGINAL = 1_000_000
"""Bytes of an original that the page itself shows; of a larger one it shows a preview."""

PREVIEW_SIDE = 1200
"""Pixels."""

PICTURE_SIZES = "(max-width: 56rem) 100vw, 22rem"
"""How wide the page shows a `<picture>`, by the width of the window; see the template's CSS."""

EXCERPT = 600
"""Characters of a text output that the page shows."""

# The order of the page: what needs attention is first.
ORDER = (
    "failed",
    "refused",
    "unfinished",
    "rejected",
    "deleted",
    "superseded",
    "skipped",
    "unmatched",
    "succeeded",
)


@dataclass(frozen=True)
class OutputFile:
    """An output: its object key and media type, and its bytes."""

    key: str
    media_type: str
    body: bytes


@dataclass(frozen=True)
class Entry:
    """An upload or an unmatched file on the page.

    `outputs` returns its output files when the page is written. `record` is empty if there is none.
    """

    title: str
    original: Path
    outcome: str
    detail: str = ""
    source: str = ""
    seconds: float | None = None
    outputs: Callable[[], Sequence[OutputFile]] = tuple
    record: Mapping[str, Any] = field(default_factory=dict)


def prepare(directory: Path) -> Path:
    """Return the path of the page in `directory`, which is created.

    Raises:
        UsageError: the directory cannot be written to, or holds a page or files that are not ours.
    """
    page = directory / "index.html"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        before = page.read_text("utf-8", errors="replace") if page.exists() else ""
        is_ours = f'content="{GENERATOR}"' in before
        others = [path.name for path in (page, directory / FILES) if path.exists()]
        if others and not is_ours:
            raise UsageError(
                f"--output {directory}: its {' and '.join(others)} would be replaced, and"
                " `darkroom local` did not write it; name another directory"
            )
        with page.open("a"):  # an earlier page stays until there is a new one
            pass
        if not is_ours:
            page.unlink()
    except OSError as error:
        raise UsageError(f"--output {directory}: {error.strerror}") from None
    return page


def write(
    page: Path,
    entries: Sequence[Entry],
    *,
    summary: Sequence[str] = (),
    facts: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the page and its files; `summary` has sentences, `facts` names and values."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    shutil.rmtree(page.parent / FILES, ignore_errors=True)
    ordered = sorted(entries, key=lambda entry: ORDER.index(entry.outcome))
    counts = Counter(entry.outcome for entry in ordered)
    text = environment.get_template(TEMPLATE).render(
        generator=GENERATOR,
        summary=summary,
        facts=facts,
        total=len(ordered),
        counts=[(outcome, counts[outcome]) for outcome in ORDER if counts[outcome]],
        cards=[_card(page.parent, number, entry) for number, entry in enumerate(ordered, start=1)],
    )
    page.write_text(text, encoding="utf-8")


def readable_size(size: int) -> str:
    """Return a number of bytes for people: `999 B`, `12 kB`, `1.2 MB`."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1e3:,.0f} kB" if size < 999_500 else f"{size / 1e6:,.1f} MB"


def _card(directory: Path, number: int, entry: Entry) -> dict[str, Any]:
    name = re.sub(r"[^\w.-]+", "-", entry.original.name).strip("-.")[-80:]
    folder = directory / FILES / f"{number:04}-{name}"
    folder.mkdir(parents=True)
    formats: dict[str, list[dict[str, Any]]] = {}
    files = []
    links = {}
    for output in entry.outputs():
        shown = _output(directory, folder, output)
        links[output.key] = shown["href"]
        if "width" in shown:
            formats.setdefault(shown["format"], []).append(shown)
        else:
            files.append(shown)
    for images in formats.values():
        images.sort(key=lambda image: -image["width"])
    sums = [sum(image["width"] for image in images) for images in formats.values()]
    return {
        "title": entry.title,
        "source": entry.source,
        "outcome": entry.outcome,
        "detail": entry.detail,
        "seconds": entry.seconds,
        "original": _original(directory, folder, entry.original),
        "picture": _picture(entry, links),
        "formats": list(formats.values()),
        "sum": max(sums, default=0),
        "files": files,
    }


def _picture(entry: Entry, links: Mapping[str, str]) -> str:
    """Return the element that a web page has for it, with the outputs' files; "" for none."""
    if "placeholder" not in entry.record:
        return ""
    record = picture_element.of_first_variants(entry.record)
    outputs = [{**one, "key": links[one["key"]]} for one in record["outputs"]]
    return picture_element.picture(
        {**record, "outputs": outputs},
        base="",
        sizes=PICTURE_SIZES,
        alt=f"{entry.title} as a web page shows it",
    )


def _output(directory: Path, folder: Path, output: OutputFile) -> dict[str, Any]:
    """Save an output; return what the page shows of it: an image, or a file with an excerpt."""
    name = output.key.rpartition("/")[2]
    known = mimetypes.guess_type(name)[0]
    # `w400` is a JPEG or a PNG: without a suffix, not every program would open it.
    suffix = "" if known else mimetypes.guess_extension(output.media_type) or ""
    path = folder / (re.sub(r"[^\w.-]+", "-", name) + suffix)
    path.write_bytes(output.body)
    shown: dict[str, Any] = {
        "href": _href(directory, path),
        "name": name,
        "key": output.key,
        "size": readable_size(len(output.body)),
    }
    if output.media_type.startswith("image/"):
        try:
            with Image.open(path) as image:
                return {
                    **shown,
                    "width": image.width,
                    "height": image.height,
                    "format": _format(image),
                }
        except OSError:  # a format of another workload, such as SVG
            return shown
    if output.media_type.startswith("text/") or output.media_type == "application/json":
        text = output.body.decode(errors="replace")
        shown["excerpt"] = text[:EXCERPT] + ("…" if len(text) > EXCERPT else "")
    return shown


def _original(directory: Path, folder: Path, path: Path) -> dict[str, Any]:
    """Copy the original or make a preview of it; return what the page shows."""
    size = readable_size(path.stat().st_size)
    shown: dict[str, Any] = {"href": "", "src": "", "facts": [size]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a huge picture may be exactly what is shown here
            with Image.open(path) as image:
                return _image(directory, folder, path, image, size)
    except Exception:  # noqa: BLE001 -- whatever the file holds, the page shows that it is there
        return shown


def _image(
    directory: Path, folder: Path, path: Path, image: Image.Image, size: str
) -> dict[str, Any]:
    facts = [f"{image.width} × {image.height}", f"{_format(image)} {size}"]
    if getattr(image, "is_animated", False):
        facts.append("animated")
    media_type = MEDIA_TYPES.get(image.format or "")
    copy = folder / f"original{mimetypes.guess_extension(media_type or '') or ''}"
    turned = image.getexif().get(0x0112, 1) > 4  # EXIF's Orientation: on its side
    dimensions = (image.height, image.width) if turned else (image.width, image.height)
    if media_type:
        shutil.copyfile(path, copy)
    if not media_type or path.stat().st_size > LARGEST_ORIGINAL:
        preview = folder / "preview.webp"
        facts.append("reduced here" if media_type else "shown as WebP")
        image.draft("RGB", (PREVIEW_SIDE, PREVIEW_SIDE))
        reduced = ImageOps.exif_transpose(image)
        reduced = reduced.convert("RGBA" if reduced.has_transparency_data else "RGB")
        reduced.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        reduced.save(preview, "WEBP", quality=80)
    else:
        preview = copy
    return {
        "href": _href(directory, copy if media_type else preview),
        "src": _href(directory, preview),
        "width": dimensions[0],
        "height": dimensions[1],
        "facts": facts,
    }


def _format(image: Image.Image) -> str:
    return {"WEBP": "WebP", "MPO": "JPEG"}.get(image.format or "", image.format or "")


def _href(directory: Path, path: Path) -> str:
    """Return a relative link; the names are safe except for letters of other scripts."""
    return path.relative_to(directory).as_posix()
