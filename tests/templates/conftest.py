"""The default stack's template, as CloudFormation would read it."""

import json
from typing import Any

import pytest

from templates import pipeline, specification
from tests.templates.reading import Reading


def generate(**tables: Any) -> Reading:
    described = specification.parse(tables, origin="test")
    return Reading(json.loads(pipeline.render(pipeline.build(described))))


@pytest.fixture(scope="session")
def stack() -> Reading:
    return generate()
