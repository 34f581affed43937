"""How a parameter, a condition and a rule are declared; never what they are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from troposphere import AWSHelperFn, Equals, If, Not, NoValue, Parameter, Ref, Template

YES_NO = {"AllowedValues": ["true", "false"]}


@dataclass(frozen=True)
class Group:
    """A heading in the console and the parameters under it."""

    template: Template
    heading: str

    def add(self, title: str, description: str, **settings: Any) -> Ref:
        """Add a parameter under the heading, a string unless `settings` say otherwise."""
        parameter = Parameter(title, Description=description, **{"Type": "String", **settings})
        self.template.add_parameter(parameter)
        self.template.add_parameter_to_group(parameter, self.heading)
        return Ref(parameter)


def condition(template: Template, title: str, test: AWSHelperFn) -> str:
    """Add a condition; return its name."""
    template.add_condition(title, test)
    return title


def is_true(template: Template, title: str, parameter: Ref) -> str:
    """Add the condition that a parameter of YES_NO is on; return its name."""
    return condition(template, title, Equals(parameter, "true"))


def given(
    template: Template, title: str, parameter: Ref, *, otherwise: AWSHelperFn = NoValue
) -> If:
    """Return the parameter where it is not empty, and `otherwise` where it is."""
    return If(condition(template, title, Not(Equals(parameter, ""))), parameter, otherwise)


def rule(sentence: str, *tests: Any) -> dict[str, Any]:
    """Return a rule that stops a deployment with `sentence` unless every test holds."""
    return {"Assertions": [{"Assert": test, "AssertDescription": sentence} for test in tests]}


def contains(values: Any, value: Any) -> dict[str, Any]:
    """Return the test that `value` is one of `values`."""
    return {"Fn::Contains": [values, value]}


def differ(sentence: str, values: Sequence[Ref]) -> dict[str, Any]:
    """Return a rule that no two of `values` are the same."""
    return rule(sentence, *(Not(Equals(one, other)) for one, other in combinations(values, 2)))
