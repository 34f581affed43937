"""The interface endpoints for other workloads in the VPC."""

import re
from collections.abc import Iterator
from dataclasses import replace

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import Expectation
from darkroom.iam.expectations.requests import by_user
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, StackModel


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield the actions that each endpoint allows."""
    for call, checks in _calls(stack):
        yield Expectation("a call of another workload", call, checks)


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield the same by another account or on its resources, and other actions."""
    for call, checks in _calls(stack):
        for key in ("aws:principalaccount", "aws:resourceaccount"):
            context = {**call.context, key: OTHER_ACCOUNT}
            yield Expectation("another account", replace(call, context=context), checks)
        yield Expectation("another action", replace(call, action=f"{call.action}Also"), checks)


def _calls(stack: StackModel) -> Iterator[tuple[Request, tuple[PolicyCheck, ...]]]:
    """Yield each call that an endpoint allows, with the endpoint policy that decides."""
    for service, actions in stack.specification.interface_endpoints().items():
        title = "".join(word.capitalize() for word in re.split("[.-]", service)) + "Endpoint"
        for action in actions:
            call = by_user(action, "any", **{"aws:ResourceAccount": ACCOUNT})
            yield call, (PolicyCheck(title, "resource-based"),)
