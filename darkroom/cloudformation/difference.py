"""Compares two templates: which resources an update would replace, delete, create or change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER, ResourceNotFoundError

from darkroom.cloudformation.changes import Action, Change, fate, order
from darkroom.cloudformation.references import references

# us-east-1 has the newest schemas and the most types. Create-only properties do not differ by
# Region.
SCHEMA_REGION = "us-east-1"
RETAIN_POLICIES = ("Retain", "RetainExceptOnCreate")

ATTRIBUTES = ("Condition", "DeletionPolicy", "UpdateReplacePolicy")
"""The attributes beside `Properties` that CloudFormation acts on."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All changes, the most destructive first, and the parameters that a deployment must change."""

    changes: tuple[Change, ...]
    new_required_parameters: tuple[str, ...]
    removed_parameters: tuple[str, ...]

    @property
    def is_safe(self) -> bool:
        """Whether no existing resource is replaced or deleted."""
        return not any(change.is_unsafe for change in self.changes)


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """Return what changes from the template `old` to the template `new`, both unresolved.

    The resource schemas that cfn-lint ships list the properties that force a replacement
    (`createOnlyProperties`). They do not say whether an update interrupts. A property counts as
    changed when it is written differently, even if it resolves to the same value.
    """
    before, after = old["Resources"], new["Resources"]
    both = [title for title in before if title in after]
    changes = [_compare_resource(title, before[title], after[title]) for title in both]
    changed = {change.resource: change for change in changes if change}
    _add_dependent_replacements(changed, {title: after[title] for title in both})
    for title in before.keys() - after.keys():
        changed[title] = Change(
            resource=title,
            type=before[title]["Type"],
            action="delete",
            consequence=_fate(before[title], "DeletionPolicy"),
        )
    for title in after.keys() - before.keys():
        changed[title] = Change(resource=title, type=after[title]["Type"], action="create")
    old_parameters, new_parameters = old.get("Parameters", {}), new.get("Parameters", {})
    return Difference(
        changes=tuple(sorted(changed.values(), key=order)),
        new_required_parameters=tuple(
            name
            for name, parameter in new_parameters.items()
            if name not in old_parameters and "Default" not in parameter
        ),
        removed_parameters=tuple(name for name in old_parameters if name not in new_parameters),
    )


def _compare_resource(title: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change | None:
    kind = new["Type"]
    if old["Type"] != kind:
        return Change(
            resource=title,
            type=kind,
            action="replace",
            properties=("Type",),
            consequence=_fate(old, "DeletionPolicy"),
        )
    before, after = old.get("Properties", {}), new.get("Properties", {})
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changed += [name for name in ATTRIBUTES if old.get(name) != new.get(name)]
    if not changed:
        return None
    forced = _changed_paths(kind, "createOnlyProperties", before, after)
    if forced:
        return _replacement(title, new, "replace", forced)
    conditional = _changed_paths(kind, "conditionalCreateOnlyProperties", before, after)
    if conditional:
        return _replacement(title, new, "may replace", conditional)
    return Change(resource=title, type=kind, action="update", properties=tuple(sorted(changed)))


def _add_dependent_replacements(changed: dict[str, Change], resources: Mapping[str, Any]) -> None:
    """Add the resources whose create-only properties refer to a replaced resource."""
    while True:
        replaced = {title for title, change in changed.items() if change.action == "replace"}
        further = [
            _replacement(title, resource, "replace", [path])
            for title, resource in resources.items()
            if title not in replaced
            for path in _schema_paths(resource["Type"], "createOnlyProperties")
            if replaced & set(references(_value_at(resource.get("Properties", {}), path)))
        ]
        if not further:
            return
        changed.update({change.resource: change for change in further})


def _replacement(
    title: str, resource: Mapping[str, Any], action: Action, paths: list[str]
) -> Change:
    properties = resource.get("Properties", {})
    unchanged_names = [
        path
        for path in _schema_paths(resource["Type"], "createOnlyProperties")
        if _is_name(path) and path not in paths and _value_at(properties, path) is not None
    ]
    consequence = _fate(resource, "UpdateReplacePolicy")
    if unchanged_names:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-resource-name.html
        name = unchanged_names[0]
        consequence = f"fails: the old resource still has this {name}; change {name} too"
    return Change(
        resource=title,
        type=resource["Type"],
        action=action,
        properties=tuple(paths),
        consequence=consequence,
    )


def _fate(resource: Mapping[str, Any], policy: str) -> str:
    """Return what happens to the old resource."""
    default = resource.get("DeletionPolicy") if policy == "DeletionPolicy" else None
    return fate(resource["Type"], is_retained=resource.get(policy, default) in RETAIN_POLICIES)


def _is_name(path: str) -> bool:
    return "." not in path and path.endswith("Name") and path != "ServiceName"


def _changed_paths(
    kind: str, section: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[str]:
    return [
        path
        for path in _schema_paths(kind, section)
        if _value_at(before, path) != _value_at(after, path)
    ]


def _schema_paths(kind: str, section: str) -> list[str]:
    """Return the properties in a section of a schema, e.g. `DnsOptions.PrivateDnsPreference`."""
    try:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(SCHEMA_REGION, kind).schema
    except ResourceNotFoundError:  # a custom resource, or a type newer than the schemas
        return []
    paths = schema.get(section) or []
    return [path.removeprefix("/properties/").replace("/", ".") for path in paths]


def _value_at(properties: Any, path: str) -> Any:
    """Return the value at a path, or the function or list that is met on the way there."""
    value = properties
    for part in path.split("."):
        if not isinstance(value, Mapping) or _is_function(value):
            return value
        value = value.get(part)
    return value


def _is_function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))
