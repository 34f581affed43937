"""docs/record.md: its example is a record, and its code works."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from worker import records

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "record.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def example() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(block("json"))
    return found


def test_the_example_is_a_record(example: dict[str, Any]) -> None:
    """P7: by the schema, and for the worker."""
    schema = json.loads((DOCS / "record.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(example)
    assert records.parse(block("json").encode()).state == "done"


def test_the_srcset_has_a_width_for_each_output(example: dict[str, Any]) -> None:
    """P7: a browser chooses by it; a key is percent-encoded in a URL."""
    names: dict[str, Any] = {"quote": quote}
    exec(block("python"), names)  # noqa: S102 -- the page's own code
    example["outputs"][0]["key"] = "thumbnails/a b/w400"
    made = names["srcset"](example, "image/jpeg", "https://cdn.example")
    assert made == "https://cdn.example/thumbnails/a%20b/w400 400w"
