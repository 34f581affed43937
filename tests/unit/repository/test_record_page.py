"""docs/record.md: its example is a record, and its code works."""

import hashlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from darkroom.emulator import picture_element
from worker import keys, records

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "record.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def block(language: str) -> str:
    (found,) = blocks(language)
    return found


@pytest.fixture
def example() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(block("json"))
    return found


def test_the_example_is_a_record(example: dict[str, Any]) -> None:
    """P7: by the schema, and for the worker."""
    schema = json.loads((DOCS / "record.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(example)
    assert records.parse(block("json").encode()).state == "done"


def test_the_element_is_that_of_the_example(example: dict[str, Any]) -> None:
    """P7: the page's HTML and Python are what the gallery uses."""
    given = {"sizes": "(max-width: 40rem) 100vw, 20rem", "alt": "A harbor"}
    made = picture_element.picture(example, "https://pictures.example.com/", **given)
    assert block("html").strip() == made
    assert inspect.getsource(picture_element.srcset) in blocks("python")


def test_the_key_of_a_record_can_be_computed() -> None:
    """Pitfall 84, P7: the page's line gives the key that the worker writes, with a hash."""
    (line,) = (one for one in blocks("python") if "sha256" in one)
    for key in ("uploads/harbor.jpg", "in/ä b.jpg"):
        variables = {"sha256": hashlib.sha256, "output_prefix": "imports/", "key": key}
        exec(line, variables)  # noqa: S102 - a line of this repository
        assert variables["record_key"] == keys.record_key(key, "imports/", hash_prefix=True)
