"""Reads a template as CloudFormation would: functions resolved, statements found by name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from darkroom.cloudformation.policy_documents import documents

PSEUDO = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "pictures",
    "AWS::URLSuffix": "amazonaws.com",
}
ABSENT = object()


@dataclass(frozen=True)
class Reading:
    """A template with the parameter values it is read with."""

    template: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)

    def given(self, **values: Any) -> "Reading":
        """Return the same template read with these parameter and pseudo-parameter values."""
        return Reading(self.template, {**self.values, **values})

    @property
    def resources(self) -> dict[str, Any]:
        """Logical id to resource, as written."""
        found: dict[str, Any] = self.template["Resources"]
        return found

    def of_type(self, kind: str) -> dict[str, Any]:
        """Return logical id to resolved properties, for resources of type AWS::`kind`."""
        return {
            title: self.properties(title)
            for title, resource in self.resources.items()
            if resource["Type"] == f"AWS::{kind}" and self._exists(resource)
        }

    def properties(self, title: str) -> dict[str, Any]:
        """Return the resolved properties of the resource `title`."""
        resolved: dict[str, Any] = self.resolve(self.resources[title].get("Properties", {}))
        return resolved

    def statement(self, title: str, sid: str) -> dict[str, Any]:
        """Return the one statement of that resource's policies with this Sid."""
        (found,) = [s for s in self.statements(title) if s["Sid"] == sid]
        return found

    def statements(self, title: str) -> list[dict[str, Any]]:
        """Return all statements of all policies in the resource `title`, resolved."""
        return [
            statement
            for document in documents(self.properties(title))
            for statement in document["Statement"]
        ]

    def all_statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield logical id and statement, for every policy in the template."""
        for title in self.resources:
            for statement in self.statements(title):
                yield title, statement

    def parameter(self, name: str) -> Any:
        """Return the value of a parameter: given, or its default, or a stand-in for neither."""
        if name in self.values:
            return self.values[name]
        given = self.template["Parameters"][name].get("Default", f"<{name}>")
        return given.split(",") if self._is_list(name) else given

    def resolve(self, value: Any) -> Any:
        """Return `value` with its functions resolved; attributes that AWS makes up stand in <>."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            reader = getattr(self, "_" + function.lower().removeprefix("fn::"), None)
            if reader and (function == "Ref" or function.startswith("Fn::")):
                return reader(argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not ABSENT}

    def condition(self, name: str) -> bool:
        """Return whether the template's condition `name` holds."""
        return self._holds(self.template["Conditions"][name])

    def broken_rules(self) -> list[str]:
        """Return the sentences of the rules that the parameter values break."""
        return [
            str(assertion.get("AssertDescription", name))
            for name, rule in self.template.get("Rules", {}).items()
            if "RuleCondition" not in rule or self._holds(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._holds(assertion["Assert"])
        ]

    def _exists(self, resource: dict[str, Any]) -> bool:
        return "Condition" not in resource or self.condition(resource["Condition"])

    def _is_list(self, name: str) -> bool:
        return str(self.template["Parameters"][name]["Type"]).startswith(("Comma", "List"))

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return ABSENT
        if name in {**PSEUDO, **self.values}:
            return {**PSEUDO, **self.values}[name]
        if name in self.template.get("Parameters", {}):
            return self.parameter(name)
        return self._physical(name)

    def _getatt(self, path: list[str] | str) -> str:
        title, _, attribute = (path if isinstance(path, str) else ".".join(path)).partition(".")
        return self._physical(title) if attribute == "QueueName" else f"<{title}.{attribute}>"

    def _physical(self, title: str) -> str:
        """Return the name that a resource is given, or a stand-in where AWS makes one up."""
        properties = self.resources.get(title, {}).get("Properties", {})
        for key in (
            "BucketName",
            "QueueName",
            "FunctionName",
            "LogGroupName",
            "TopicName",
            "DeliveryStreamName",
        ):
            if key in properties:
                return str(self.resolve(properties[key]))
        return f"<{title}>"

    def _sub(self, argument: str | list[Any]) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):  # how a literal ${} is written
                return f"${{{name[1:]}}}"
            if name in given:
                return str(self.resolve(given[name]))
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
        return {"Fn::Select": [index, items]}  # of what only AWS knows, such as zones

    def _if(self, argument: list[Any]) -> Any:
        name, then, otherwise = argument
        return self.resolve(then if self.condition(name) else otherwise)

    def _findinmap(self, argument: list[Any]) -> Any:
        name, first, second = self.resolve(argument[:3])
        table = self.template.get("Mappings", {}).get(name, {}).get(first, {})
        return table.get(second, f"<{name}.{first}.{second}>")

    def _equals(self, pair: list[Any]) -> bool:
        one, other = self.resolve(pair)
        return str(one) == str(other)

    def _not(self, argument: list[Any]) -> bool:
        return not self._holds(argument[0])

    def _or(self, tests: list[Any]) -> bool:
        return any(map(self._holds, tests))

    def _and(self, tests: list[Any]) -> bool:
        return all(map(self._holds, tests))

    def _holds(self, test: Any) -> bool:
        named = isinstance(test, dict) and set(test) == {"Condition"}
        return bool(self.condition(test["Condition"]) if named else self.resolve(test))

    def _contains(self, argument: list[Any]) -> bool:
        values, value = self.resolve(argument)
        return value in values
