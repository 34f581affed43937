"""Declares parameters, conditions and rules, whatever they are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NewType

from troposphere import AWSHelperFn, Equals, If, Not, NoValue, Parameter, Ref, Template

Condition = NewType("Condition", str)
"""The name of a condition of the template."""

YES_NO = {"AllowedValues": ["true", "false"]}

# Parts of the parameters' patterns that several of them share.
BUCKET_NAME = "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
OPTIONAL_KMS_KEY = r"^$|^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/.+$"
# A standard topic: the name of a FIFO topic has a dot.
TOPIC = r"^arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$"


@dataclass(frozen=True)
class Group:
    """A heading in the console and the parameters under it."""

    template: Template
    heading: str

    def add(self, logical_id: str, description: str, **properties: Any) -> Ref:
        """Add a parameter under the heading; a string unless `properties` has another Type."""
        parameter = Parameter(
            logical_id, Description=description, **{"Type": "String", **properties}
        )
        self.template.add_parameter(parameter)
        self.template.add_parameter_to_group(parameter, self.heading)
        return Ref(parameter)


def condition(template: Template, logical_id: str, test: AWSHelperFn) -> Condition:
    """Add a condition; return its name."""
    template.add_condition(logical_id, test)
    return Condition(logical_id)


def is_true(template: Template, logical_id: str, parameter: Ref) -> Condition:
    """Add the condition that a parameter of YES_NO is "true"; return its name."""
    return condition(template, logical_id, Equals(parameter, "true"))


def is_given(template: Template, logical_id: str, parameter: Ref) -> Condition:
    """Add the condition that a parameter is not empty; return its name."""
    return condition(template, logical_id, Not(Equals(parameter, "")))


def if_given(
    template: Template, logical_id: str, parameter: Ref, *, otherwise: AWSHelperFn = NoValue
) -> If:
    """Add the condition that a parameter is not empty; return the parameter or `otherwise`."""
    return If(is_given(template, logical_id, parameter), parameter, otherwise)


def rule(message: str, test: Any) -> dict[str, Any]:
    """Return a rule that stops a deployment with `message` unless `test` holds."""
    return {"Assertions": [{"Assert": test, "AssertDescription": message}]}


def contains(values: Any, value: Any) -> dict[str, Any]:
    """Return the test that `values` contains `value`."""
    return {"Fn::Contains": [values, value]}


def differ(message: str, values: Sequence[Ref]) -> dict[str, Any]:
    """Return a rule that no two of `values` are equal; each has its own assertion.

    Fn::Or takes at most ten conditions, too few for the pairs of many values.
    """
    pairs = combinations(values, 2)
    tests = [Not(Equals(one, other)) for one, other in pairs]
    return {"Assertions": [rule(message, test)["Assertions"][0] for test in tests]}
