import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from darkroom.emulator import gallery
from darkroom.emulator.gallery import Picture, Shown

VOID = {"meta", "img", "br"}


def picture(kind: str = "JPEG", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 40, 40)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture())
    return path


class Strict(HTMLParser):
    """Fails on tags that are not closed in order; collects images and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_original_stands_beside_its_variants(original: Path) -> None:
    """D5: the bytes that the pipeline wrote, with their pixels and sizes, largest first."""
    small, large = picture(size=(10, 8)), picture(size=(20, 15))
    webp = picture("WEBP", (20, 15))
    variants = (
        Picture(small, "image/jpeg"),
        Picture(large, "image/jpeg"),
        Picture(webp, "image/webp"),
    )
    found = Strict(
        gallery.page([Shown("a.jpg", original, "thumbnails", seconds=1.234, variants=variants)])
    )
    assert [base64.b64decode(image.partition(",")[2]) for image in found.images] == [
        original.read_bytes(),
        large,
        small,
        webp,
    ]
    for text in ("a.jpg", "1.23 s", "original 40 × 30", "20 × 15", f"WEBP {len(webp)} B"):
        assert text in found.text


def test_a_rejection_shows_its_reason(tmp_path: Path) -> None:
    """P5: nothing is left out: what is no picture has a place on the page too."""
    path = tmp_path / "junk.jpg"
    path.write_bytes(b"junk")
    found = Strict(gallery.page([Shown("junk.jpg", path, "rejected", "not_an_image: None of …")]))
    assert found.images == []
    for text in ("junk.jpg", "rejected", "not_an_image: None of …", "no picture", "4 B"):
        assert text in found.text


def test_the_page_needs_nothing_from_outside(original: Path) -> None:
    """D5: one file: it can be mailed, and opened without a network."""
    page = gallery.page([Shown("a.jpg", original, "thumbnails")])
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "url(" not in page
    assert "<script" not in page


def test_names_cannot_break_the_page(original: Path) -> None:
    """A file may be called anything, and a rejection quotes what the file says of itself."""
    nasty = '</h2><script>alert("x")</script>$summary.jpg'
    page = gallery.page([Shown(nasty, original, "rejected", nasty)])
    assert "<script" not in page
    assert Strict(page).text.count(nasty) == 2


def test_a_large_original_is_shown_reduced(tmp_path: Path) -> None:
    """The page stays small enough for a browser, and says what it did."""
    path = tmp_path / "large.bmp"
    Image.new("RGB", (3000, 2000), (200, 40, 40)).save(path)
    found = Strict(gallery.page([Shown("large.bmp", path, "thumbnails")]))
    assert "original 3000 × 2000" in found.text
    assert "18.0 MB BMP, shown reduced" in found.text
    with Image.open(io.BytesIO(base64.b64decode(found.images[0].partition(",")[2]))) as shown:
        assert shown.size == (1200, 800)


def test_many_pictures_are_listed_without_images(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PICTURES_WITH_IMAGES", 2)
    found = Strict(gallery.page([Shown(f"{n}.jpg", original, "thumbnails") for n in range(5)]))
    assert len(found.images) == 2
    assert "4.jpg" in found.text
    assert "5 thumbnails" in found.text


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
