"""The doors for other workloads of the network."""

import re
from collections.abc import Iterator
from dataclasses import replace

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import Expectation
from darkroom.iam.expectations.requests import of_user
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, StackModel


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield what the doors are open for."""
    for call, gates in _calls(stack):
        yield Expectation("another workload's call", call, gates)


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield the same, of or for another account, and another action."""
    for call, gates in _calls(stack):
        for key in ("aws:principalaccount", "aws:resourceaccount"):
            context = {**call.context, key: OTHER_ACCOUNT}
            yield Expectation("another account", replace(call, context=context), gates)
        yield Expectation("another action", replace(call, action=f"{call.action}Also"), gates)


def _calls(stack: StackModel) -> Iterator[tuple[Request, tuple[PolicyCheck, ...]]]:
    """Yield what the doors for other workloads are open for, each with its gate."""
    for service, actions in stack.plan.network.interface_endpoints.items():
        title = "".join(word.capitalize() for word in re.split("[.-]", service)) + "Endpoint"
        for action in actions:
            call = of_user(action, "any", **{"aws:ResourceAccount": ACCOUNT})
            yield call, (PolicyCheck(title, "resource"),)
