"""Runs every rule of ours over a template, read with each set of values that could break one."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.lint.rule import Rule, Severity
from darkroom.lint.rules import (
    alarms,
    buckets,
    dashboards,
    encryption,
    endpoints,
    event_source_mappings,
    event_sources,
    functions,
    logs,
    network,
    policies,
    queues,
    template,
)

MODULES: tuple[ModuleType, ...] = (
    queues,
    event_source_mappings,
    event_sources,
    functions,
    buckets,
    encryption,
    policies,
    network,
    endpoints,
    alarms,
    dashboards,
    logs,
    template,
)
RULES: dict[str, Rule] = {
    one.name: one for module in MODULES for one in vars(module).values() if isinstance(one, Rule)
}
CHINA = {
    "AWS::Partition": "aws-cn",
    "AWS::Region": "cn-north-1",
    "AWS::URLSuffix": "amazonaws.com.cn",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a tool says about a resource; `given` are the values it takes, empty for defaults."""

    tool: str
    rule: str
    resource: str
    problem: str
    fix: str = ""
    why: str = ""
    source: str = ""
    code: str = ""
    severity: Severity = "error"
    given: str = ""


def check(content: dict[str, Any], files: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield what our rules find, each problem once, with the first values that show it.

    `files` are the values of each parameter file. Beside them and the defaults, each parameter
    goes to its bounds, and each condition is tried both ways.
    """
    found: set[tuple[str, str, str]] = set()
    for given, values in _scenarios(content, files):
        stack = TemplateModel(content, dict(values))
        deployable = given in ("", *files)
        if not deployable and _stops(stack):
            continue  # CloudFormation would refuse these values by the template's own rules
        for one in RULES.values():
            for resource, problem in _problems(one, stack):
                # The same problem with other numbers is the same problem.
                key = (one.name, resource, re.sub(r"\d+", "", problem))
                if key not in found:
                    found.add(key)
                    yield Finding(
                        tool="rules",
                        rule=one.name,
                        resource=resource,
                        problem=problem,
                        fix=one.remediation,
                        why=one.why,
                        source=one.source,
                        code=one.code,
                        severity=one.severity,
                        given=given,
                    )


def _stops(stack: TemplateModel) -> bool:
    try:
        return bool(stack.broken_rules())
    except (AttributeError, KeyError, TypeError, ValueError):
        return False  # so that the rule that looks at them says so


def _problems(one: Rule, stack: TemplateModel) -> Iterator[tuple[str, str]]:
    """Yield a rule's problems; one that cannot read the template has not passed."""
    try:
        yield from one.check(stack)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        yield "template", f"is not written as this rule expects: {type(error).__name__} {error}"


def _scenarios(
    content: dict[str, Any], files: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a description and the values of each reading; the first are the defaults."""
    yield "", {}
    for name, values in files.items():
        yield name, dict(values)
    parameters = content.get("Parameters", {})
    others: dict[str, Any] = {}
    for name, value in _variations(content):
        default = parameters[name].get("Default")
        if str(value) != str(default):
            yield f"{name}={value}", {name: value}
            if name in _compared(content):
                others[name] = value
    yield "every condition the other way", others
    yield "in China", {**others, **CHINA}


def _variations(content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield parameter and value: its bounds, and what the template compares it with."""
    compared = _compared(content)
    for name, parameter in content.get("Parameters", {}).items():
        if name in compared:
            given = parameter.get("AllowedValues")
            # `<name>`: some value that is none of those it is compared with.
            yield from ((name, value) for value in (given or [*compared[name], f"<{name}>"]))
        elif parameter.get("Type") == "Number":
            yield from ((name, parameter[b]) for b in ("MinValue", "MaxValue") if b in parameter)


def _compared(content: dict[str, Any]) -> dict[str, list[str]]:
    """Return the parameters that conditions compare, with the values they are compared with."""
    found: dict[str, list[str]] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            pair = value.get("Fn::Equals")
            if isinstance(pair, list):
                names = [one["Ref"] for one in pair if isinstance(one, dict) and "Ref" in one]
                texts = [str(one) for one in pair if not isinstance(one, dict)]
                for name in names:
                    if name in content.get("Parameters", {}):
                        found.setdefault(name, []).extend(texts)
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(content.get("Conditions", {}))
    return found
