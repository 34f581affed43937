"""What `Ref` and `Fn::GetAtt` of a resource resolve to: placeholders, predictions, or real ids."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darkroom.cloudformation.resource_types import resource_type

if TYPE_CHECKING:
    from darkroom.cloudformation.resolver import ResolvedTemplate


@dataclass(frozen=True)
class Identifiers:
    """The two functions that a `ResolvedTemplate` calls with itself and a logical id."""

    ref: Callable[["ResolvedTemplate", str], str]
    attribute: Callable[["ResolvedTemplate", str, str], str]
    """Takes also the attribute's name."""


def _placeholder_ref(template: "ResolvedTemplate", title: str) -> str:
    is_id = resource_type(template.type_of(title)).ref == "id"
    return f"<{title}>" if is_id else template.name(title)


def _placeholder_attribute(template: "ResolvedTemplate", title: str, attribute: str) -> str:
    known = resource_type(template.type_of(title))
    if known.name and attribute == known.name:
        return template.name(title)
    return f"<{title}.{attribute}>"


PLACEHOLDERS = Identifiers(_placeholder_ref, _placeholder_attribute)
"""Names where the template gives them, else `<LogicalId>` and `<LogicalId.Attribute>`."""


def _predicted_ref(template: "ResolvedTemplate", title: str) -> str:
    known = resource_type(template.type_of(title))
    if known.ref == "arn":
        return template.arn(title)
    if known.ref == "url":
        region, suffix, account = map(template.pseudo, ("Region", "URLSuffix", "AccountId"))
        return f"https://sqs.{region}.{suffix}/{account}/{template.name(title)}"
    return _placeholder_ref(template, title)


def _predicted_attribute(template: "ResolvedTemplate", title: str, attribute: str) -> str:
    known = resource_type(template.type_of(title))
    if attribute == "Arn":
        return template.arn(title)
    if known.id_attribute and attribute == known.id_attribute:
        return _predicted_ref(template, title)
    return _placeholder_attribute(template, title, attribute)


PREDICTED = Identifiers(_predicted_ref, _predicted_attribute)
"""The ARNs and URLs that the resources will have; `<LogicalId>` stands for a generated name."""


def deployed(physical_ids: Mapping[str, str]) -> Identifiers:
    """Return the identifiers of a deployed stack, from its logical to physical ids.

    CloudFormation drops the ids of a deleted stack after a time; names then come from the template.
    """

    def ref(template: "ResolvedTemplate", title: str) -> str:
        return physical_ids.get(title) or template.name(title)

    def attribute(template: "ResolvedTemplate", title: str, attribute: str) -> str:
        known = resource_type(template.type_of(title))
        physical = ref(template, title)
        separator = {"arn": ":", "url": "/"}.get(known.ref)
        name = physical.rpartition(separator)[2] if separator else physical
        if known.name and attribute == known.name:
            return name
        if title in physical_ids:
            if known.id_attribute and attribute == known.id_attribute:
                return physical
            if attribute == "Arn" and known.arn:
                return template.arn(title, name)
        return f"<{title}.{attribute}>"

    return Identifiers(ref, attribute)
