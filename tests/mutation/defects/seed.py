"""How a defect is registered, and how the template is changed for one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.mutation.additions import Template, statements


@dataclass(frozen=True)
class Defect:
    """A change in place, and the rule of ours that must notice it."""

    rule: str
    change: Callable[[Template], None]
    on: Callable[[Template], None] | None

    @property
    def name(self) -> str:
        return self.change.__name__.replace("_", " ")

    def apply(self, template: Template) -> None:
        if self.on:
            self.on(template)
        self.change(template)


DEFECTS: list[Defect] = []


def defect(
    rule: str, on: Callable[[Template], None] | None = None
) -> Callable[[Callable[[Template], None]], Callable[[Template], None]]:
    def register(change: Callable[[Template], None]) -> Callable[[Template], None]:
        DEFECTS.append(Defect(rule, change, on))
        return change

    return register


def of(template: Template, title: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][title]["Properties"]
    return found


def named(template: Template, title: str, sid: str) -> dict[str, Any]:
    """Return the statement `sid` of any policy of a resource."""
    found = (_statement(one) for among in _lists(of(template, title)) for one in among)
    return next(one for one in found if one.get("Sid") == sid)


def drop(template: Template, title: str, sid: str) -> None:
    for found in _lists(of(template, title)):
        found[:] = [one for one in found if _statement(one).get("Sid") != sid]


def _lists(value: Any) -> list[list[dict[str, Any]]]:
    if isinstance(value, list):
        return [found for item in value for found in _lists(item)]
    if isinstance(value, dict):
        here = [value["Statement"]] if isinstance(value.get("Statement"), list) else []
        return here + [found for item in value.values() for found in _lists(item)]
    return []


def _statement(one: dict[str, Any]) -> dict[str, Any]:
    """Return a statement, also of a condition that may leave it out."""
    found: dict[str, Any] = one["Fn::If"][1] if "Fn::If" in one else one
    return found


def configurations(template: Template) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of(template, "UploadBucket")["NotificationConfiguration"][
        "QueueConfigurations"
    ]
    return found


def key_filter(configuration: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = configuration["Filter"]["S3Key"]["Rules"]
    return found


def add_deny(t: Template, title: str, action: str, **condition: Any) -> None:
    """Add a Deny for everyone under a condition to the policy `title`."""
    statements(t, title).append(
        {
            "Sid": "Perimeter",
            "Effect": "Deny",
            "Principal": "*",
            "Action": action,
            "Resource": statements(t, title)[0]["Resource"],
            "Condition": condition,
        }
    )
