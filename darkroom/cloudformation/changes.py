"""What a deployment does to a resource, whether two templates or a change set say so."""

from dataclasses import dataclass
from typing import Literal

from darkroom.cloudformation.resource_types import resource_type

Action = Literal["replace", "may replace", "delete", "create", "update"]
ACTIONS: tuple[Action, ...] = ("replace", "may replace", "delete", "create", "update")
"""All actions, the most destructive first."""

UNSAFE: tuple[Action, ...] = ("replace", "may replace", "delete")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one resource, which properties cause it, and with what consequence."""

    resource: str
    type: str
    action: Action
    properties: tuple[str, ...] = ()
    consequence: str = ""

    @property
    def is_unsafe(self) -> bool:
        """Whether an existing resource is replaced or deleted."""
        return self.action in UNSAFE

    @property
    def takes_data(self) -> bool:
        """Whether that resource holds data."""
        return self.is_unsafe and resource_type(self.type).has_data


def order(change: Change) -> tuple[int, str]:
    """Return the key that sorts changes, the most destructive first."""
    return ACTIONS.index(change.action), change.resource


def fate(kind: str, *, is_retained: bool) -> str:
    """Return what happens to the old resource of a type."""
    if is_retained:
        return "the old resource is retained, outside the stack"
    has_data = resource_type(kind).has_data
    return "the old resource is deleted" + (", with its data" if has_data else "")
