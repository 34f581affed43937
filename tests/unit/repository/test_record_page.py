"""docs/record.md: its example is a record, and its code works."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from darkroom.emulator import picture_element
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


def test_the_element_is_that_of_the_example(example: dict[str, Any]) -> None:
    """P7: the page's HTML and Python are what the gallery uses."""
    given = {"sizes": "(max-width: 40rem) 100vw, 20rem", "alt": "A harbor"}
    made = picture_element.picture(example, "https://pictures.example.com/", **given)
    assert block("html").strip() == made
    assert block("python") == inspect.getsource(picture_element.srcset)
