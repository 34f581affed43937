"""The HTML element that shows a picture, made from its record alone."""

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import quote

TYPES = ("image/avif", "image/webp", "image/jpeg", "image/png")
"""Media types of outputs, smallest files first; every browser shows the last two."""


def srcset(record: Mapping[str, Any], type_: str, base: str) -> str:
    """Return the srcset attribute of a picture's outputs of one media type.

    Args:
        record: A picture's record, whose state is "done".
        type_: The media type.
        base: The URL that keys are relative to, ending in `/`.
    """
    keys = {one["width"]: one["key"] for one in record["outputs"] if one["type"] == type_}
    return ", ".join(f"{base}{quote(key)} {width}w" for width, key in sorted(keys.items()))


def of_first_variants(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with the outputs of the first of its source's variants only.

    Names begin with that of the variants and a hyphen, those of `default` with neither.
    """
    first, *_ = (one["name"].rpartition("-")[0] for one in record["outputs"])
    outputs = [one for one in record["outputs"] if one["name"].rpartition("-")[0] == first]
    return {**record, "outputs": outputs}


def picture(record: Mapping[str, Any], base: str, *, sizes: str, alt: str) -> str:
    """Return the `<picture>` element of a record; see `srcset`, and HTML's `sizes` and `alt`."""
    outputs = sorted(record["outputs"], key=lambda one: one["width"])
    widest = {one["type"]: one for one in outputs}
    *others, last = sorted(widest, key=TYPES.index)
    # A browser looks no further than the first type that it knows.
    complete = [one for one in others if widest[one]["width"] == outputs[-1]["width"]]
    attributes = {
        "src": base + quote(widest[last]["key"]),
        "srcset": srcset(record, last, base),
        "sizes": sizes,
        "width": widest[last]["width"],
        "height": widest[last]["height"],
        "alt": alt,
    }
    if last != "image/png":  # a PNG is transparent: what is behind it would stay visible
        image = f"url({record['placeholder']}) 0 0 / 100% 100%"
        attributes["style"] = f"background: {record['color']} {image}"
    sources = [
        _tag("source", {"type": one, "srcset": srcset(record, one, base), "sizes": sizes})
        for one in complete
    ]
    return "\n".join(["<picture>", *sources, _tag("img", attributes), "</picture>"])


def _tag(name: str, attributes: Mapping[str, Any]) -> str:
    pairs = [f'{key}="{escape(str(value))}"' for key, value in attributes.items()]
    return f"<{' '.join([name, *pairs])}>"
