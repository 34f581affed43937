"""The templates of many specifications: rules and least privilege."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.template_sizes.sizes import EXAMPLES
from darkroom.iam.least_privilege import verify
from darkroom.iam.model import model_of
from templates import pipeline, specification
from tests.unit.darkroom.iam.test_least_privilege import stack_of
from tests.unit.darkroom.lint.test_rules import findings, generated
from tests.unit.templates.test_sources import EVERY_KIND


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {
            "sources": {
                "default": {"propagate_deletes": True, "prefixes": ["in/"], "suffixes": [".jpg"]}
            }
        },
        {"network": {"availability_zones": 4}},
        {
            "logs": {
                "archive": True,
                "s3_access_logs": True,
                "archive_flow_logs": True,
                "object_lock": "governance",
            }
        },
        {
            "queues": {
                "default": {
                    "batch_size": 50,
                    "maximum_batching_window_seconds": 20,
                    "timeout_seconds": 900,
                }
            }
        },
        {
            "sources": {
                "default": {"archive_after_days": 0},
                "scans": {"prefixes": ["in/", "raw/"]},
            }
        },
        {"sources": {"old": {"type": "eventbridge", "propagate_deletes": True}}},
        {"sources": {"default": {}, "partner": {"type": "sns"}}},
        {
            "sources": {
                "wire": {"type": "sns", "raw_message_delivery": True, "prefixes": ["a/", "b/"]}
            }
        },
        {"events": {"topic": True, "eventbridge": True}},
        EVERY_KIND,
    ],
    ids=[
        *("default", "deletes", "zones", "logs", "batches"),
        *("create", "existing", "sns", "raw topic", "events", "every kind"),
    ],
)
def test_the_generated_template_keeps_every_rule(tables: dict[str, Any]) -> None:
    """D4: with its defaults, at every parameter's bounds, with every condition, in China."""
    assert findings(generated(**tables)) == []


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"sources": {"default": {"propagate_deletes": True}}},
        {"sources": {"default": {"prefixes": ["in/", "raw/pictures/"]}}},
        {
            "sources": {"default": {}, "scans": {"queue": "bulk"}},
            "queues": {"default": {}, "bulk": {}},
        },
        {"sources": {"old": {"type": "eventbridge"}}},
        {"sources": {"partner": {"type": "sns"}}},
        {
            "sources": {
                "partner": {"type": "sns", "raw_message_delivery": True, "propagate_deletes": True}
            }
        },
        {"network": {"vpc": "existing"}},
        {"network": {"vpc": "existing", "endpoints": "existing"}},
        {"network": {"interface_endpoints": {"kms": ["kms:Decrypt"]}}},
        EVERY_KIND,
    ],
    ids=[
        "default",
        "deletes",
        "prefixes",
        "queues",
        "existing bucket",
        "sns",
        "raw topic",
        "existing network",
        "existing endpoints",
        "interface endpoints",
        "every kind",
    ],
)
def test_policies_grant_exactly_what_is_needed(tables: dict[str, Any]) -> None:
    """S5, T5: every permission is needed, and no wider one goes unnoticed."""
    result = verify(stack_of(**tables))
    assert result.failures == ()
    assert result.surviving_mutants == ()
    assert result.allowed > 80
    assert result.denied > 250
    assert result.mutants > 180


@pytest.mark.parametrize(
    "logs",
    [
        {},
        {"archive_flow_logs": False, "s3_access_logs": False},
        {"archive": False},
        {"archive": False, "s3_access_logs": False},
    ],
    ids=["all", "worker", "access", "none"],
)
def test_log_delivery_is_allowed_where_logs_are_kept(logs: dict[str, bool]) -> None:
    """S5, O6: with each log bucket that the specification can enable."""
    result = verify(stack_of(logs=logs))
    assert result.failures == ()
    assert result.surviving_mutants == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_breaks_no_rule(path: Path) -> None:
    """D4, S5: our rules and the least-privilege test; `tox -e template` adds the linters."""
    plan = specification.load(path)
    assert findings(json.loads(pipeline.render(pipeline.build(plan)))) == []
    assert verify(model_of(plan)).is_passed
