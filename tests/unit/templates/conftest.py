"""The default stack's template, as CloudFormation would read it."""

import json
from typing import Any

import pytest

from darkroom.cloudformation.resolver import Reading
from templates import pipeline, specification


def generate(**tables: Any) -> Reading:
    described = specification.parse(tables, origin="test")
    return Reading(json.loads(pipeline.render(pipeline.build(described))))


@pytest.fixture(scope="session")
def stack() -> Reading:
    return generate()
