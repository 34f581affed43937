"""The default stack's template, as CloudFormation would read it."""

import json
from typing import Any

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from templates import pipeline, specification


def generate(**tables: Any) -> ResolvedTemplate:
    described = specification.parse(tables, origin="test")
    return ResolvedTemplate(json.loads(pipeline.render(pipeline.build(described))))


@pytest.fixture(scope="session")
def stack() -> ResolvedTemplate:
    return generate()
