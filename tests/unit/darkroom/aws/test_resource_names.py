"""Names that a template gives, and the lookups that find existing resources by them."""

import json
from typing import Any

from darkroom.aws import resource_names
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.cloudformation.resource_types import RESOURCE_TYPES
from templates import pipeline, specification


def built(description: dict[str, Any]) -> dict[str, Any]:
    plan = specification.parse(description, origin="test")
    found: dict[str, Any] = json.loads(pipeline.render(pipeline.build(plan)))
    return found


def test_every_name_that_a_template_gives_is_looked_up() -> None:
    """Pitfall 52: a new kind of resource with a name cannot be forgotten."""
    template = built(
        {
            "sources": {
                "default": {},
                "scans": {"type": "eventbridge", "prefixes": ["in/"]},
                "feed": {"type": "sns", "prefixes": ["in/"]},
            },
            "logs": {"archive": True},
        }
    )
    resolved = ResolvedTemplate(template).with_parameters(NamePrefix="sought")
    named = [
        (resource["Type"], key, value)
        for title, resource in resolved.resources.items()
        for key, value in resolved.properties(title).items()
        if key.endswith("Name")
        and isinstance(value, str)
        and "sought" in value
        # A reference names another resource, which is looked up itself.
        and not (
            isinstance(resource["Properties"][key], dict) and "Ref" in resource["Properties"][key]
        )
    ]
    assert {(kind.removeprefix("AWS::"), key) for kind, key, _ in named} <= {
        (kind, RESOURCE_TYPES[kind].name) for kind in resource_names.EXISTS
    }
    assert len(named) > 15
