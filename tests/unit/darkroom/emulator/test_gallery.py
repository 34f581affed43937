import io
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from darkroom.emulator import gallery
from darkroom.emulator.gallery import Entry, OutputFile
from darkroom.errors import UsageError
from tests.unit.worker.imaging import heic_files

VOID = {"meta", "img", "br", "input", "source"}


def picture(kind: str = "JPEG", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 40, 40)).save(buffer, kind)
    return buffer.getvalue()


def output(name: str, body: bytes, media_type: str = "image/jpeg") -> OutputFile:
    return OutputFile(f"thumbnails/uploads/a.jpg/{name}", media_type, body)


def recorded(original: Path) -> Entry:
    """An entry with a record: two JPEGs, and a WebP of the larger size."""
    made = [
        ("w10", picture(size=(10, 8)), "image/jpeg", (10, 8)),
        ("w20", picture(size=(20, 15)), "image/jpeg", (20, 15)),
        ("w20.webp", picture("WEBP", (20, 15)), "image/webp", (20, 15)),
    ]
    files = [OutputFile(f"thumbnails/a, b.jpg/{name}", kind, body) for name, body, kind, _ in made]
    outputs = [
        {"name": name, "key": file.key, "type": file.media_type, "width": width, "height": height}
        for file, (name, _, _, (width, height)) in zip(files, made, strict=True)
    ]
    described = {"placeholder": "data:image/webp;base64,UklGRg==", "color": "#c82828"}
    record = {"outputs": outputs, **described}
    return Entry("a, b.jpg", original, "succeeded", outputs=lambda: files, record=record)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture())
    return path


class Strict(HTMLParser):
    """Fails on tags that are not closed in order; collects images, links and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.sources: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "source":
            self.sources.append(dict(attrs))
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def written(tmp_path: Path, *entries: Entry) -> tuple[Path, Strict]:
    """Write a gallery; return its directory and its page."""
    page = gallery.prepare(tmp_path / "out")
    gallery.write(page, entries)
    return page.parent, Strict(page.read_text())


def shown(directory: Path, link: str | None) -> bytes:
    """The file that a link of the page leads to."""
    assert link
    return (directory / unquote(link)).read_bytes()


def test_the_original_stands_beside_its_outputs(original: Path, tmp_path: Path) -> None:
    """D5: as files with the bytes that the pipeline wrote; each opens in full, largest first."""
    small, large, webp = picture(size=(10, 8)), picture(size=(20, 15)), picture("WEBP", (20, 15))

    def outputs() -> Sequence[OutputFile]:
        return [
            output("w10", small),
            output("w20", large),
            output("w20.webp", webp, "image/webp"),
        ]

    directory, page = written(
        tmp_path, Entry("a.jpg", original, "succeeded", seconds=1.234, outputs=outputs)
    )
    expected = [original.read_bytes(), large, small, webp]
    assert [shown(directory, image["src"]) for image in page.images] == expected
    assert [shown(directory, link) for link in page.links] == expected
    assert page.images[1]["width"] == "20"
    assert all(image["loading"] == "lazy" for image in page.images)
    for text in ("a.jpg", "1.23 s of processing", "40 × 30", "20 × 15", f"WebP {len(webp)} B"):
        assert text in page.text
    for name in ("w10", "w20", "w20.webp"):
        assert name in page.text, "the key's own name"
    # A file without a suffix opens in no viewer by its name.
    assert page.links[1].endswith("/w20.jpg")


def test_sizes_are_to_one_scale(original: Path, tmp_path: Path) -> None:
    """D5: 1200 is ten times as wide as 120, or several sizes would show nothing."""
    entry = Entry(
        "a.jpg",
        original,
        "succeeded",
        outputs=lambda: [output("a", picture(size=(1200, 9))), output("b", picture(size=(120, 9)))],
    )
    directory, page = written(tmp_path, entry)
    assert [image.get("style") for image in page.images] == [None, "--width: 1200", "--width: 120"]
    assert 'style="--sum: 1320"' in (directory / "index.html").read_text()


def test_a_rejection_shows_its_reason(tmp_path: Path) -> None:
    """P5: what is not a picture has a place on the page too."""
    path = tmp_path / "junk.jpg"
    path.write_bytes(b"junk")
    _, page = written(tmp_path, Entry("junk.jpg", path, "rejected", "not an image: None of …"))
    assert page.images == []
    for text in ("junk.jpg", "rejected", "not an image: None of …", "not a picture that", "4 B"):
        assert text in page.text


def test_what_needs_attention_is_first(original: Path, tmp_path: Path) -> None:
    """D5: nobody has to look for the one failure among three hundred."""
    outcomes = ["succeeded", "rejected", "skipped", "failed", "succeeded", "unfinished"]
    entries = [Entry(f"{n}.jpg", original, outcome) for n, outcome in enumerate(outcomes)]
    _, page = written(tmp_path, *entries)
    order = re.findall(r"(\d)\.jpg", page.text)
    assert order == ["3", "5", "1", "2", "0", "4"]
    assert "All 6" in page.text
    assert "Succeeded 2" in page.text


def test_files_of_another_workload_are_links(original: Path, tmp_path: Path) -> None:
    """D5: whatever it writes; of text, the page shows the beginning."""
    entry = Entry(
        "a.txt",
        original,
        "succeeded",
        outputs=lambda: [
            output("stats.json", b'{"words": 3}', "application/json"),
            output("raw.bin", b"\x00", "application/octet-stream"),
            output("drawing.svg", b"<svg/>", "image/svg+xml"),
        ],
    )
    directory, page = written(tmp_path, entry)
    assert [shown(directory, link) for link in page.links[1:]] == [
        b'{"words": 3}',
        b"\x00",
        b"<svg/>",
    ]
    assert '{"words": 3}' in page.text


def test_the_page_needs_nothing_from_outside(original: Path, tmp_path: Path) -> None:
    """D5: relative links alone, no script: it can be moved, zipped and opened without a network."""
    directory, _ = written(tmp_path, Entry("a.jpg", original, "succeeded"), recorded(original))
    page = (directory / "index.html").read_text()
    assert re.findall(r'(?:src|srcset|href)="(?!files/)', page) == []
    assert re.findall(r"url\((?!data:image/webp;base64,)", page) == []
    assert "<script" not in page


@pytest.mark.parametrize("has_record", [True, False])
def test_the_page_may_load_its_files_alone(
    original: Path, tmp_path: Path, has_record: bool
) -> None:
    """S7: and a placeholder from its own text, where it has one."""
    entry = recorded(original) if has_record else Entry("a.jpg", original, "succeeded")
    directory, _ = written(tmp_path, entry)
    (policy,) = re.findall(r'Policy" content="([^"]*)"', (directory / "index.html").read_text())
    data = " data:" if has_record else ""
    assert policy == f"default-src 'none'; img-src 'self' file:{data}; style-src 'unsafe-inline'"


def test_a_picture_is_shown_as_a_web_page_shows_it(original: Path, tmp_path: Path) -> None:
    """P7: by an element made from its record, which chooses among the files of the page."""
    directory, page = written(tmp_path, recorded(original))
    image = page.images[1]
    (source,) = page.sources
    assert source["type"] == "image/webp"
    assert shown(directory, image["src"]) == picture(size=(20, 15))
    links = re.findall(r"(\S+) \d+w", f"{source['srcset']}, {image['srcset']}")
    assert [shown(directory, link) for link in links] == [
        picture("WEBP", (20, 15)),
        picture(size=(10, 8)),
        picture(size=(20, 15)),
    ]
    assert (image["width"], image["height"]) == ("20", "15")
    assert image["alt"] == "a, b.jpg as a web page shows it"
    assert "background: #c82828 url(data:image/webp;base64," in (image["style"] or "")


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    """S7: a file may have any name, and a rejection quotes what the file contains."""
    nasty = "</h2><script>alert(1)<" + "\u2215" + 'script>"%20#?日本.jpg'
    path = tmp_path / nasty.replace("/", "")
    path.write_bytes(picture())
    directory, page = written(tmp_path, Entry(nasty, path, "rejected", nasty))
    assert "<script" not in (directory / "index.html").read_text()
    assert page.text.count(nasty) == 2
    assert shown(directory, page.images[0]["src"]) == path.read_bytes()


def test_a_large_original_is_shown_reduced(tmp_path: Path) -> None:
    """D5: the page stays small enough for a browser, and says what it did."""
    path = tmp_path / "large.bmp"
    Image.new("RGB", (3000, 2000), (200, 40, 40)).save(path)
    directory, page = written(tmp_path, Entry("large.bmp", path, "succeeded"))
    for text in ("3000 × 2000", "BMP 18.0 MB", "shown as WebP"):
        assert text in page.text
    with Image.open(io.BytesIO(shown(directory, page.images[0]["src"]))) as preview:
        assert preview.size == (1200, 800)


def test_a_heic_is_shown_as_webp(tmp_path: Path) -> None:
    """D5: few browsers show it; turned once, though EXIF repeats what the container says."""
    path = tmp_path / "phone.heic"
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = heic_files.coded("quarters").adding((b"irot", b"\3"))
    path.write_bytes(heic_files.heic(turned, heic_files.exif(exif.tobytes())))
    directory, page = written(tmp_path, Entry("phone.heic", path, "succeeded"))
    for text in ("100 × 200", "HEIC 1 kB", "shown as WebP"):
        assert text in page.text
    with Image.open(io.BytesIO(shown(directory, page.images[0]["src"]))) as preview:
        assert preview.size == (100, 200)


def test_an_animation_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (20, 20), (level, 0, 0)) for level in (0, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    _, page = written(tmp_path, Entry("moving.gif", path, "succeeded"))
    assert "animated" in page.text


def test_many_pictures_make_no_large_page(original: Path, tmp_path: Path) -> None:
    """D5: every picture is shown; its bytes are in files, which a browser loads when needed."""
    entries = [Entry(f"{number}.jpg", original, "succeeded") for number in range(300)]
    directory, page = written(tmp_path, *entries)
    assert len(page.images) == 300
    assert (directory / "index.html").stat().st_size < 300 * 1_500


def test_a_second_run_replaces_the_files_of_the_first(original: Path, tmp_path: Path) -> None:
    written(tmp_path, Entry("a.jpg", original, "succeeded"), Entry("b.jpg", original, "succeeded"))
    directory, page = written(tmp_path, Entry("a.jpg", original, "succeeded"))
    assert len(list((directory / "files").iterdir())) == len(page.images) == 1


@pytest.mark.parametrize("name", ["index.html", "files"])
def test_what_is_not_a_gallery_is_never_replaced(tmp_path: Path, name: str) -> None:
    """D5: --output may name any directory of a person's own."""
    directory = tmp_path / "site"
    directory.mkdir()
    if name == "files":
        (directory / name).mkdir()
    else:
        (directory / name).write_text("<h1>mine</h1>")
    with pytest.raises(UsageError, match=rf"--output .*site: its {name} would be replaced"):
        gallery.prepare(directory)
    assert [path.name for path in directory.iterdir()] == [name]


def test_an_unusable_output_directory_is_reported(original: Path) -> None:
    with pytest.raises(UsageError, match=r"--output .*a\.jpg: File exists"):
        gallery.prepare(original)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (12_345_678, "12.3 MB"),
    ],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert gallery.readable_size(size) == text
