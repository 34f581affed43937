"""Makes the mutants of policies: one change each, which grants less or more."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from darkroom.iam.evaluator import Policies, Statement


@dataclass(frozen=True)
class Mutant:
    """The policies with one statement changed, and a description of the change."""

    title: str
    sid: str
    change: str
    policies: Policies

    def __str__(self) -> str:
        """Return the statement's name and the change."""
        return f"{self.title}.{self.sid}: {self.change}"


def mutants(policies: Policies) -> Iterator[Mutant]:
    """Yield the policies with one change, for every possible change."""
    for title, statements in policies.items():
        for index, statement in enumerate(statements):
            for change, changed in _changes(statement):
                others = [*statements[:index], *changed, *statements[index + 1 :]]
                yield Mutant(title, statement["Sid"], change, {**policies, title: others})


def _changes(statement: Statement) -> Iterator[tuple[str, list[Statement]]]:
    yield "removed", []
    for part in ("Action", "Resource"):
        values = statement.get(part, [])
        for value in values if len(values) > 1 else []:
            rest = [other for other in values if other != value]
            yield f"without {part} {value}", [{**statement, part: rest}]
    for kind, names in _principals(statement):
        for name in names if len(names) > 1 else []:
            fewer_names = {
                **statement["Principal"],
                kind: [other for other in names if other != name],
            }
            yield f"without Principal {name}", [{**statement, "Principal": fewer_names}]
    condition: dict[str, Any] = statement.get("Condition", {})
    for operator, keys in condition.items():
        for key, expected in keys.items():
            kept = {name: value for name, value in keys.items() if name != key}
            changed = {**condition, operator: kept}
            yield f"without {operator} {key}", [{**statement, "Condition": changed}]
            for value in expected if isinstance(expected, list) and len(expected) > 1 else []:
                fewer = {**keys, key: [other for other in expected if other != value]}
                changed = {**condition, operator: fewer}
                yield f"without {operator} {key} {value}", [{**statement, "Condition": changed}]
    if statement["Effect"] == "Allow":
        yield from _wider(statement)


def _principals(statement: Statement) -> Iterator[tuple[str, list[str]]]:
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        yield from ((kind, names) for kind, names in principal.items() if isinstance(names, list))


def _wider(statement: Statement) -> Iterator[tuple[str, list[Statement]]]:
    service = statement["Action"][0].partition(":")[0]
    yield f"with Action {service}:*", [{**statement, "Action": [f"{service}:*"]}]
    if statement.get("Resource", ["*"]) != ["*"]:
        yield "with Resource *", [{**statement, "Resource": ["*"]}]
    for arn in statement.get("Resource", []):
        name, slash, path = arn.partition("/")
        if arn != "*" and not name.endswith("*"):
            resources = [*statement["Resource"], f"{name}-other{slash}{path}"]
            yield f"with Resource {resources[-1]}", [{**statement, "Resource": resources}]
        if slash and path != "*":
            resources = [*statement["Resource"], f"{name}/*"]
            yield f"with Resource {name}/*", [{**statement, "Resource": resources}]
        folder = path.removesuffix("/*").rpartition("/")[0]
        if folder and (path.endswith("/*") or "*" not in path):
            resources = [*statement["Resource"], f"{name}/{folder}/*"]
            yield f"with Resource {resources[-1]}", [{**statement, "Resource": resources}]
        if "??" in path:
            resources = [*statement["Resource"], arn.replace("??", "*")]
            yield f"with Resource {resources[-1]}", [{**statement, "Resource": resources}]
    if statement.get("Principal", "*") != "*":
        yield "with Principal *", [{**statement, "Principal": "*"}]
