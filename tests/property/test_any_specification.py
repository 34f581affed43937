"""Random specifications, each through our rules and the least-privilege test."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from templates import pipeline, specification
from templates.naming import logical_id
from templates.specification import Specification
from templates.specification_values import RESERVED_NAMES
from tests.property.properties import faults, rendered, unnoticed
from tests.property.strategies import specifications, vocabulary


@settings(max_examples=40)
@given(specifications())
def test_any_specification_makes_a_stack_that_holds(plan: Specification) -> None:
    """D4, S5, R4, T5, pitfall 31: the same twice, resolvable, within AWS's limits, without finding.

    Larger structures may exceed the limit of a direct deployment: `generate.py` says so then.
    """
    assert faults(plan, rendered(plan)) == []


@settings(max_examples=3)
@given(specifications())
def test_no_right_of_any_specification_goes_unnoticed(plan: Specification) -> None:
    """S5: the test detects every mutant of the policies, whatever the specification."""
    assert unnoticed(plan, rendered(plan)) == []


def _ids(tables: dict[str, Any]) -> dict[str, set[str]]:
    """Return the names in each of a template's name spaces; resources and parameters share one."""
    plan = specification.parse(tables, origin="test")
    content = json.loads(pipeline.render(pipeline.build(plan)))
    return {
        "ids": {*content["Resources"], *content["Parameters"]},
        **{kind: set(content[kind]) for kind in ("Conditions", "Mappings", "Outputs", "Rules")},
    }


@pytest.mark.parametrize("kind", ["s3", "eventbridge", "sns"])
@pytest.mark.parametrize("vpc", ["create", "existing"])
def test_no_name_makes_an_id_that_is_there_already(kind: str, vpc: str) -> None:
    """T5: a source `worker-log` would make a second WorkerLogSubscription: it is refused."""
    named = _ids(
        {
            "network": {"vpc": vpc},
            "logs": {"archive": True, "archive_flow_logs": vpc == "create", "s3_access_logs": True},
            "cdn": {"custom_domain": True, "web_acl": True},
            **({"api": {"source": "zz"}} if kind == "s3" else {}),
            "sources": {
                "zz": {"type": kind, "queue": "zz"},
                "yy": {"type": kind, "queue": "yy"},
            },
            "queues": {"zz": {}, "yy": {"provisioned_mode": True}},
        }
    )
    for space, ids in named.items():
        nouns = {one[2:] for one in ids if one.startswith(("Zz", "Yy"))}
        own = {one for one in ids if not one.startswith(("Zz", "Yy"))}
        clashes = {name for name in vocabulary() for noun in nouns if logical_id(name, noun) in own}
        assert clashes <= set(RESERVED_NAMES), space


@pytest.mark.parametrize("kind", ["eventbridge", "sns"])
def test_without_a_bucket_of_its_own_a_stack_asks_nothing_about_uploads(kind: str) -> None:
    """D4: cfn-lint finds parameters and conditions that nothing uses."""
    given = _ids({"sources": {"default": {"type": kind}}})
    assert not {"AllowedUploadCidrs", "EnableUploadMetrics"} & given["ids"]
    assert not {"RestrictsUploadCidrs", "UploadMetricsEnabled"} & given["Conditions"]
