"""benchmarks/reference: the reference pages are what the code says today."""

import re
from pathlib import Path

import pytest

from benchmarks.reference.pages import ROOT, pages
from templates import pipeline, specification
from templates.specification import Specification

PAGES = pages()
EXAMPLES = sorted((ROOT / "params" / "examples").glob("*.toml"))


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_current(name: str) -> None:
    """C1: `tox run -e docs` updates it."""
    assert (ROOT / name).read_text("utf-8") == PAGES[name]


def test_every_setting_is_explained() -> None:
    """C1: no row without a meaning."""
    rows = PAGES["docs/reference/specification.md"].splitlines()
    keys = [row for row in rows if row.startswith("| `")]
    assert len(keys) > len(Specification.model_fields)
    assert [row for row in keys if row.endswith("|  |")] == []


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_template_has_only_documented_parameters_and_outputs(section: str, path: Path) -> None:
    """C1: whatever the specification, its queues' and sources' names left out."""
    page = PAGES[f"docs/reference/{section.lower()}.md"]
    documented = re.findall(r"`(?:<(?:Queue|Source)>)?(\w+)`", page)
    plan = specification.load(path)
    names = "|".join(name.capitalize() for name in (*plan.queues, *plan.sources))
    for found in pipeline.build(plan).to_dict()[section]:
        assert re.sub(f"^(?:{names})", "", found) in documented
