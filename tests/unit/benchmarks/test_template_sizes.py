"""The example specifications are valid, and the page has the size of each option."""

import json
from pathlib import Path

import pytest

from benchmarks.template_sizes.sizes import EXAMPLES, measured, table, written
from darkroom.iam.least_privilege import verify
from darkroom.iam.model import model_of
from templates import pipeline, specification
from templates.limits import MAX_DIRECT_TEMPLATE_BYTES
from tests.unit.darkroom.lint.test_rules import findings


def test_the_page_has_the_current_sizes() -> None:
    """D7, pitfall 31: `python -m benchmarks.template_sizes` writes them."""
    assert written() == table()


def test_the_promised_examples_exist() -> None:
    """D7: the leanest fits a direct deployment."""
    assert [path.stem for path in EXAMPLES] == ["regulated", "smallest", "volume", "web"]
    assert measured(specification.load(EXAMPLES[1]))[0] <= MAX_DIRECT_TEMPLATE_BYTES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_breaks_no_rule(path: Path) -> None:
    """D4, S5: our rules and the least-privilege test; `tox -e template` adds the linters."""
    plan = specification.load(path)
    assert findings(json.loads(pipeline.render(pipeline.build(plan)))) == []
    assert verify(model_of(plan)).is_passed
