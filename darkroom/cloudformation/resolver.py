"""Resolves a template as CloudFormation would: parameters, conditions, rules and functions."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from darkroom.cloudformation.identifiers import PLACEHOLDERS, Identifiers
from darkroom.cloudformation.policy_documents import as_list, documents
from darkroom.cloudformation.resource_types import resource_type

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "pictures",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()
"""What `AWS::NoValue` resolves to: the property or item is left out."""


@dataclass(frozen=True)
class ResolvedTemplate:
    """A template with parameter values, and with what its resources' identifiers resolve to.

    `values` holds parameters and pseudo parameters by name; the others have their defaults. A
    parameter without a default resolves to `<Name>`. What only AWS knows stays as it is written.
    """

    template: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    identifiers: Identifiers = PLACEHOLDERS

    def with_parameters(self, **values: Any) -> Self:
        """Return the same template with these parameter and pseudo-parameter values."""
        return replace(self, values={**self.values, **values})

    @property
    def resources(self) -> dict[str, Any]:
        """Logical id to resource, as written."""
        found: dict[str, Any] = self.template["Resources"]
        return found

    @property
    def parameters(self) -> dict[str, Any]:
        """Name to parameter declaration, as written."""
        found: dict[str, Any] = self.template.get("Parameters", {})
        return found

    def type_of(self, title: str) -> str:
        """Return a resource's type without `AWS::`, or nothing if there is no such resource."""
        return str(self.resources.get(title, {}).get("Type", "")).removeprefix("AWS::")

    def active_resources(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield logical id and resource, as written, for each resource whose condition holds."""
        for title, resource in self.resources.items():
            if self._is_active(resource):
                yield title, resource

    def _is_active(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self.condition(resource["Condition"])

    def resources_of_type(self, type_name: str) -> dict[str, dict[str, Any]]:
        """Return logical id to resolved properties, for the active resources of a type.

        Args:
            type_name: The type without `AWS::`, e.g. `SQS::Queue`.
        """
        return {
            title: self.properties(title)
            for title, resource in self.resources.items()
            if resource["Type"] == f"AWS::{type_name}" and self._is_active(resource)
        }

    def properties(self, title: str) -> dict[str, Any]:
        """Return the resolved properties of the resource `title`."""
        if title not in self._resolved:
            self._resolved[title] = self.resolve(self.resources[title].get("Properties", {}))
        return self._resolved[title]

    def name(self, title: str) -> str:
        """Return the name that the template gives a resource, or `<LogicalId>` for none."""
        key = resource_type(self.type_of(title)).name
        properties = self.resources.get(title, {}).get("Properties", {})
        name = self.resolve(properties[key]) if key and key in properties else NO_VALUE
        return f"<{title}>" if name in (NO_VALUE, "") else str(name)

    def arn(self, title: str, name: str = "") -> str:
        """Return the ARN of a resource by its `name`, by default the one that it will have.

        A type whose ARN is not in the table of resource types gets `<LogicalId.Arn>`.
        """
        pattern = resource_type(self.type_of(title)).arn
        if not pattern:
            return f"<{title}.Arn>"
        here = {"region": self.pseudo("Region"), "account": self.pseudo("AccountId")}
        path = pattern.format(name=name or self.name(title), **here)
        return f"arn:{self.pseudo('Partition')}:{path}"

    def statement(self, title: str, sid: str) -> dict[str, Any]:
        """Return the only statement with this Sid in that resource's policies."""
        (found,) = [one for one in self.statements(title) if one["Sid"] == sid]
        return found

    def statements(self, title: str) -> list[dict[str, Any]]:
        """Return all statements of all policies in the resource `title`, resolved."""
        return [
            statement
            for document in documents(self.properties(title))
            for statement in as_list(document["Statement"])
        ]

    def all_statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield logical id and statement, for every policy of the active resources."""
        for title, _ in self.active_resources():
            for statement in self.statements(title):
                yield title, statement

    def parameter(self, name: str) -> Any:
        """Return a parameter's value or default, or `<Name>` if it has neither."""
        if name in self.values:
            return self.values[name]
        declared = self.parameters[name]
        value = declared.get("Default", f"<{name}>")
        is_list = str(declared.get("Type")).startswith(("Comma", "List"))
        return [one.strip() for one in value.split(",")] if is_list else value

    def pseudo(self, name: str) -> str:
        """Return the value of the pseudo parameter AWS::`name`."""
        return str(self._ref(f"AWS::{name}"))

    def condition(self, name: str) -> bool:
        """Return whether the template's condition `name` holds."""
        if name not in self._conditions:
            self._conditions[name] = self._holds(self.template["Conditions"][name])
        return self._conditions[name]

    def broken_rules(self) -> list[str]:
        """Return the descriptions of the assertions that the parameter values break."""
        return [
            str(assertion.get("AssertDescription", name))
            for name, rule in self.template.get("Rules", {}).items()
            if "RuleCondition" not in rule or self._holds(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._holds(assertion["Assert"])
        ]

    def resolve(self, value: Any) -> Any:
        """Return `value` with its functions resolved and without what is `AWS::NoValue`."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function in FUNCTIONS:
                return FUNCTIONS[function](self, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    @cached_property
    def _resolved(self) -> dict[str, dict[str, Any]]:
        """Logical id to properties resolved so far."""
        return {}

    @cached_property
    def _conditions(self) -> dict[str, bool]:
        """Condition to whether it holds, for those evaluated so far."""
        return {}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.values:
            return self.values[name]
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameter(name)
        return self.identifiers.ref(self, name)

    def _getatt(self, path: list[str] | str) -> str:
        title, _, attribute = (path if isinstance(path, str) else ".".join(path)).partition(".")
        return self.identifiers.attribute(self, title, attribute)

    def _sub(self, argument: str | list[Any]) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):  # ${!Literal} stands for ${Literal}
                return f"${{{name[1:]}}}"
            if name in variables:
                return str(self.resolve(variables[name]))
            return str(self._getatt(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def _join(self, argument: list[Any]) -> str:
        separator, parts = argument
        return str(separator).join(map(str, self.resolve(parts)))

    def _split(self, argument: list[Any]) -> list[str]:
        separator, text = argument
        return str(self.resolve(text)).split(separator)

    def _select(self, argument: list[Any]) -> Any:
        index, items = self.resolve(argument)
        if isinstance(items, list) and str(index).isdigit() and int(index) < len(items):
            return items[int(index)]
        return {"Fn::Select": [index, items]}  # only AWS knows the list, e.g. Fn::GetAZs

    def _if(self, argument: list[Any]) -> Any:
        name, if_true, if_false = argument
        return self.resolve(if_true if self.condition(name) else if_false)

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = self.resolve(argument[:3])
        table = self.template.get("Mappings", {}).get(name, {}).get(first, {})
        return table.get(second, f"<{name}.{first}.{second}>")

    def _equals(self, pair: list[Any]) -> bool:
        one, other = self.resolve(pair)
        return str(one) == str(other)

    def _not(self, argument: list[Any]) -> bool:
        return not self._holds(argument[0])

    def _or(self, conditions: list[Any]) -> bool:
        return any(map(self._holds, conditions))

    def _and(self, conditions: list[Any]) -> bool:
        return all(map(self._holds, conditions))

    def _contains(self, argument: list[Any]) -> bool:
        values, value = self.resolve(argument)
        return value in values

    def _holds(self, condition: Any) -> bool:
        is_named = isinstance(condition, dict) and set(condition) == {"Condition"}
        name = condition["Condition"] if is_named else ""
        return bool(self.condition(name) if is_named else self.resolve(condition))


FUNCTIONS: dict[str, Callable[[ResolvedTemplate, Any], Any]] = {
    "Ref": ResolvedTemplate._ref,
    "Fn::And": ResolvedTemplate._and,
    "Fn::Contains": ResolvedTemplate._contains,
    "Fn::Equals": ResolvedTemplate._equals,
    "Fn::FindInMap": ResolvedTemplate._find_in_map,
    "Fn::GetAtt": ResolvedTemplate._getatt,
    "Fn::If": ResolvedTemplate._if,
    "Fn::Join": ResolvedTemplate._join,
    "Fn::Not": ResolvedTemplate._not,
    "Fn::Or": ResolvedTemplate._or,
    "Fn::Select": ResolvedTemplate._select,
    "Fn::Split": ResolvedTemplate._split,
    "Fn::Sub": ResolvedTemplate._sub,
}
"""The functions that are resolved; others, such as `Fn::GetAZs`, keep their resolved arguments."""
