import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest

from darkroom.emulator.picture_element import of_first_variants, picture, srcset

PLACEHOLDER = "data:image/webp;base64,UklGRg=="
SUFFIXES = {"image/jpeg": "", "image/png": "", "image/webp": ".webp", "image/avif": ".avif"}


def record(key: str = "a.jpg", /, **widths: tuple[int, ...]) -> dict[str, Any]:
    """A record with outputs of these widths, by the media type's second part."""
    outputs = []
    for subtype, values in widths.items():
        type_ = f"image/{subtype}"
        for width in values:
            name = f"thumbnails/{key}/w{width}{SUFFIXES[type_]}"
            outputs.append({"key": name, "type": type_, "width": width, "height": width // 2})
    return {"outputs": outputs, "placeholder": PLACEHOLDER, "color": "#102030"}


class Elements(HTMLParser):
    """Collects the name and attributes of each tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def element(content: dict[str, Any], **options: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The attributes of each `<source>` and of the `<img>`."""
    given = {"base": "https://cdn.example/", "sizes": "50vw", "alt": "", **options}
    first, *sources, (last, image) = Elements(picture(content, **given)).found
    assert (first[0], last) == ("picture", "img")
    assert {name for name, _ in sources} <= {"source"}
    return [attributes for _, attributes in sources], image


def candidates(attribute: str) -> list[tuple[str, str]]:
    """URL and width of each candidate, split as HTML's algorithm does."""
    found = re.findall(r"[\s,]*(\S*[^\s,])(?:\s+([^\s,]+))?(?:,|$)", attribute)
    return [(url, width) for url, width in found]


def test_a_browser_has_the_choice_of_type_and_width() -> None:
    """P7: smallest files first, and a type that every browser shows last, in its shape."""
    sources, image = element(record(jpeg=(1200, 400), webp=(1200, 400), avif=(1200, 400)))
    assert [one["type"] for one in sources] == ["image/avif", "image/webp"]
    base = "https://cdn.example/thumbnails/a.jpg"
    assert sources[1]["srcset"] == f"{base}/w400.webp 400w, {base}/w1200.webp 1200w"
    assert image["srcset"] == f"{base}/w400 400w, {base}/w1200 1200w"
    assert (image["src"], image["width"], image["height"]) == (f"{base}/w1200", "1200", "600")
    assert {one["sizes"] for one in [*sources, image]} == {"50vw"}


def test_not_every_width_needs_every_type() -> None:
    sources, image = element(record(jpeg=(1200, 400, 128), webp=(1200, 400)))
    assert [width for _, width in candidates(sources[0]["srcset"])] == ["400w", "1200w"]
    assert [width for _, width in candidates(image["srcset"])] == ["128w", "400w", "1200w"]


def test_a_type_without_the_largest_width_is_not_offered() -> None:
    """P7: a browser that knows it would look no further, and show it enlarged."""
    sources, _ = element(record(jpeg=(1200, 400), webp=(1200,), avif=(400,)))
    assert [one["type"] for one in sources] == ["image/webp"]


@pytest.mark.parametrize("subtype", ["jpeg", "webp", "avif"])
def test_one_type_needs_no_source(subtype: str) -> None:
    sources, image = element(record("a.jpg", **{subtype: (400,)}))
    assert sources == []
    assert image["srcset"].endswith(" 400w")


def test_a_width_is_offered_once() -> None:
    """P7: a picture narrower than its variants has several outputs of one width."""
    content = record(jpeg=(300, 300, 128))
    content["outputs"][0]["key"] = "thumbnails/a.jpg/w1200"
    assert [width for _, width in candidates(srcset(content, "image/jpeg", ""))] == ["128w", "300w"]


def test_the_placeholder_is_behind_what_is_not_transparent() -> None:
    """P7: behind transparent parts it would stay visible."""
    _, image = element(record(jpeg=(400,), webp=(400,)))
    assert image["style"] == f"background: #102030 url({PLACEHOLDER}) 0 0 / 100% 100%"
    _, image = element(record(png=(400,), webp=(400,)) | {"color": None})
    assert "style" not in image


@pytest.mark.parametrize(
    "key",
    [
        "a b.jpg",
        "a, b.jpg",
        ",a.jpg",
        "uploads/Größe/日本 1x.jpg",
        '"><script>alert(1)</script>.jpg',
        "100%25.jpg",
        "a?b#c&amp;d.jpg",
        "a\n400w.jpg",
        "'\\.jpg",
    ],
)
def test_any_key_is_one_url(key: str) -> None:
    """S7: percent-encoded, as a comma or a space could end it, and a quote the attribute."""
    content = record(key, jpeg=(1200, 400), webp=(1200, 400))
    sources, image = element(content)
    for one in [*sources, image]:
        found = candidates(one["srcset"])
        assert [unquote(url) for url, _ in found] == [
            f"https://cdn.example/{output['key']}"
            for width in ("400w", "1200w")
            for output in content["outputs"]
            if output["type"] == one.get("type", "image/jpeg") and f"{output['width']}w" == width
        ]
        assert all(url.isascii() for url, _ in found)
    assert unquote(image["src"]) == f"https://cdn.example/thumbnails/{key}/w1200"


def test_texts_stay_within_their_attributes() -> None:
    """S7: a title is a file's name."""
    nasty = '"><script>alert(1)</script>'
    html = picture(record(jpeg=(400,)), "", sizes=nasty, alt=nasty)
    assert "<script" not in html
    assert Elements(html).found[1][1]["alt"] == nasty


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["w400", "w400.webp", "my-set-w400"], ["w400", "w400.webp"]),
        (["my-set-w40", "my-set-w20", "set-w40", "w40"], ["my-set-w40", "my-set-w20"]),
    ],
)
def test_variants_are_not_mixed(names: list[str], kept: list[str]) -> None:
    """P7, T5: a square and the whole picture are no choices of one srcset."""
    found = of_first_variants({"state": "done", "outputs": [{"name": name} for name in names]})
    assert found == {"state": "done", "outputs": [{"name": name} for name in kept]}
