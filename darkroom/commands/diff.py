"""Says what deploying one template over another would replace, remove or add, before it happens."""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER, ResourceNotFoundError

from darkroom.commands.validate import load
from darkroom.console.output import add_output
from darkroom.console.tables import table

Action = Literal["replace", "perhaps replace", "remove", "add", "update"]
ORDER: tuple[Action, ...] = ("replace", "perhaps replace", "remove", "add", "update")
UNSAFE: tuple[Action, ...] = ("replace", "perhaps replace", "remove")

# The newest schemas, and the most types; what forces a replacement does not differ by region.
REGION = "us-east-1"
KEEPS = ("Retain", "RetainExceptOnCreate")
HOLDERS = {
    *("DynamoDB::Table", "EFS::FileSystem", "KMS::Key", "Kinesis::Stream"),
    *("Logs::LogGroup", "RDS::DBInstance", "S3::Bucket", "SQS::Queue", "SecretsManager::Secret"),
}

# Besides properties, what of a resource CloudFormation acts on.
ATTRIBUTES = ("Condition", "DeletionPolicy", "UpdateReplacePolicy")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one resource, because of which properties, and with what consequence."""

    resource: str
    type: str
    action: Action
    properties: tuple[str, ...] = ()
    consequence: str = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All changes, the gravest first, and what a deployment must be told anew."""

    changes: tuple[Change, ...]
    parameters_to_give: tuple[str, ...]
    parameters_gone: tuple[str, ...]

    @property
    def is_safe(self) -> bool:
        """Whether nothing that is there goes, or is made anew."""
        return not any(change.action in UNSAFE for change in self.changes)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("old", type=Path, metavar="OLD", help="the template that is deployed")
    parser.add_argument("new", type=Path, metavar="NEW", help="the template that will be")
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the difference; return 1 if something would be replaced or removed, else 0."""
    found = compare(load(arguments.old).content, load(arguments.new).content)
    print(json.dumps(asdict(found), indent=2) if arguments.output == "json" else _told(found))
    return 0 if found.is_safe else 1


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """Return what changes from the template `old` to `new`, both as written.

    What forces a replacement, the resources' own schemas say (`createOnlyProperties`), as cfn-lint
    ships them; whether an update interrupts, they do not say. A property counts as changed when it
    is written in another way, also if it should come to the same value.
    """
    before, after = old["Resources"], new["Resources"]
    both = [title for title in before if title in after]
    changes = [_compared(title, before[title], after[title]) for title in both]
    changed = {change.resource: change for change in changes if change}
    _follow(changed, {title: after[title] for title in both})
    for title in before.keys() - after.keys():
        changed[title] = Change(
            resource=title,
            type=before[title]["Type"],
            action="remove",
            consequence=_fate(before[title], "DeletionPolicy"),
        )
    for title in after.keys() - before.keys():
        changed[title] = Change(resource=title, type=after[title]["Type"], action="add")
    given, wanted = old.get("Parameters", {}), new.get("Parameters", {})
    return Difference(
        changes=tuple(
            sorted(changed.values(), key=lambda one: (ORDER.index(one.action), one.resource))
        ),
        parameters_to_give=tuple(
            name for name in wanted if name not in given and "Default" not in wanted[name]
        ),
        parameters_gone=tuple(name for name in given if name not in wanted),
    )


def _compared(title: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Change | None:
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
    forced = _differing(kind, "createOnlyProperties", before, after)
    if forced:
        return _replaced(title, new, "replace", forced)
    perhaps = _differing(kind, "conditionalCreateOnlyProperties", before, after)
    if perhaps:
        return _replaced(title, new, "perhaps replace", perhaps)
    return Change(resource=title, type=kind, action="update", properties=tuple(sorted(changed)))


def _follow(changed: dict[str, Change], resources: Mapping[str, Any]) -> None:
    """Add what is replaced because it is bound to something that is."""
    while True:
        gone = {title for title, change in changed.items() if change.action == "replace"}
        further = [
            _replaced(title, resource, "replace", [path])
            for title, resource in resources.items()
            if title not in gone
            for path in _paths(resource["Type"], "createOnlyProperties")
            if gone & set(_references(_at(resource.get("Properties", {}), path)))
        ]
        if not further:
            return
        changed.update({change.resource: change for change in further})


def _replaced(title: str, resource: Mapping[str, Any], action: Action, paths: list[str]) -> Change:
    names = [path for path in _paths(resource["Type"], "createOnlyProperties") if _is_name(path)]
    kept = [
        path
        for path in names
        if path not in paths and _at(resource.get("Properties", {}), path) is not None
    ]
    fate = _fate(resource, "UpdateReplacePolicy")
    if kept:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-resource-name.html
        fate = f"fails, for the old one has its {kept[0]}: change that as well"
    return Change(
        resource=title,
        type=resource["Type"],
        action=action,
        properties=tuple(paths),
        consequence=fate,
    )


def _fate(resource: Mapping[str, Any], policy: str) -> str:
    """Say what becomes of the old resource."""
    default = resource.get("DeletionPolicy") if policy == "DeletionPolicy" else None
    if resource.get(policy, default) in KEEPS:
        return "the old one is kept, outside of the stack"
    holds = resource["Type"].removeprefix("AWS::") in HOLDERS
    return "the old one is deleted" + (", with what it holds" if holds else "")


def _is_name(path: str) -> bool:
    return "." not in path and path.endswith("Name") and path != "ServiceName"


def _differing(
    kind: str, section: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[str]:
    return [path for path in _paths(kind, section) if _at(before, path) != _at(after, path)]


def _paths(kind: str, section: str) -> list[str]:
    """Return the properties, e.g. `DnsOptions.PrivateDnsPreference`, that a schema's list names."""
    try:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    except ResourceNotFoundError:  # a custom resource, or a type newer than the schemas
        return []
    found = schema.get(section) or []
    return [path.removeprefix("/properties/").replace("/", ".") for path in found]


def _at(properties: Any, path: str) -> Any:
    """Return what stands at a path; a function or a list on the way stands for all of itself."""
    value = properties
    for part in path.split("."):
        if not isinstance(value, Mapping) or _is_function(value):
            return value
        value = value.get(part)
    return value


def _is_function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))


def _references(value: Any) -> Iterator[str]:
    """Yield the logical ids that a value names by Ref, Fn::GetAtt or Fn::Sub."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if key == "Ref":
            yield item
        elif key == "Fn::GetAtt":
            yield item.partition(".")[0] if isinstance(item, str) else item[0]
        elif key == "Fn::Sub":
            text = item if isinstance(item, str) else item[0]
            yield from (part.partition("}")[0].partition(".")[0] for part in text.split("${")[1:])
        yield from _references(item)


def _told(found: Difference) -> str:
    lines = []
    if found.changes:
        rows = [("action", "resource", "type", "because of", "consequence")]
        rows += [
            (
                change.action,
                change.resource,
                change.type.removeprefix("AWS::"),
                ", ".join(change.properties),
                change.consequence,
            )
            for change in found.changes
        ]
        lines += [table(rows), ""]
    for name in found.parameters_to_give:
        lines.append(f"The parameter {name} is new and has no default: give it.")
    for name in found.parameters_gone:
        lines.append(f"The parameter {name} is gone: do not give it any more.")
    counts = [
        f"{count} to {action}"
        for action in ORDER
        if (count := sum(change.action == action for change in found.changes))
    ]
    lines.append(f"{', '.join(counts) or 'Nothing changes'}.")
    return "\n".join(lines)
