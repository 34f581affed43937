"""The doors for other workloads of the network."""

import re
from collections.abc import Iterator
from dataclasses import replace

from ops.privilege.claims.callers import of_user
from ops.privilege.claims.claim import Claim
from ops.privilege.described import ACCOUNT, OTHER_ACCOUNT, Described
from ops.privilege.evaluation import Gate, Request


def required(stack: Described) -> Iterator[Claim]:
    """Yield what the doors are open for."""
    for call, gates in _calls(stack):
        yield Claim("another workload's call", call, gates)


def forbidden(stack: Described) -> Iterator[Claim]:
    """Yield the same, of or for another account, and another action."""
    for call, gates in _calls(stack):
        for key in ("aws:principalaccount", "aws:resourceaccount"):
            context = {**call.context, key: OTHER_ACCOUNT}
            yield Claim("another account", replace(call, context=context), gates)
        yield Claim("another action", replace(call, action=f"{call.action}Also"), gates)


def _calls(stack: Described) -> Iterator[tuple[Request, tuple[Gate, ...]]]:
    """Yield what the doors for other workloads are open for, each with its gate."""
    for service, actions in stack.plan.network.interface_endpoints.items():
        title = "".join(word.capitalize() for word in re.split("[.-]", service)) + "Endpoint"
        for action in actions:
            call = of_user(action, "any", **{"aws:ResourceAccount": ACCOUNT})
            yield call, (Gate(title, "resource"),)
