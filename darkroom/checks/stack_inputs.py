"""A stack's parameters with their values, whether it is deployed already or will be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from darkroom.aws.session import Account
from darkroom.cloudformation.resolver import ResolvedTemplate

PRODUCTION = {"prod", "production"}
"""Values of the parameter Environment, in lower case."""


@dataclass(frozen=True, kw_only=True)
class StackInputs:
    """What the checks of what exists outside the stack examine, before and after a deployment."""

    account: Account
    template: ResolvedTemplate
    """The template with these values, and with the ids that its resources have or will have."""

    values: Mapping[str, str]
    resources: Mapping[str, str] = field(default_factory=dict)
    """Logical to physical id of the stack's own resources; empty where it does not exist yet."""

    @property
    def physical_ids(self) -> frozenset[str]:
        """The physical ids of the stack's own resources."""
        return frozenset(self.resources.values())

    @property
    def is_production(self) -> bool:
        """Whether the parameter Environment says so."""
        return self.values.get("Environment", "").lower() in PRODUCTION

    @property
    def declared(self) -> Mapping[str, Any]:
        """The template's Parameters section."""
        return self.template.parameters


def with_defaults(declared: Mapping[str, Any], *values: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the declared parameters; later mappings win over earlier ones."""
    merged = {
        name: str(parameter["Default"])
        for name, parameter in declared.items()
        if "Default" in parameter
    }
    for mapping in values:
        merged |= {name: value for name, value in mapping.items() if name in declared}
    return merged
