"""All claims on one stack: what must be allowed, and what must be refused."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from darkroom.iam.expectations import (
    access_logs,
    alarms,
    cloudfront,
    interface_endpoints,
    log_archive,
    log_groups,
    principals,
    producers,
    worker,
)
from darkroom.iam.expectations.expectation import KEY_POLICY, Expectation
from darkroom.iam.model import StackModel

SUBJECTS = (
    worker,
    producers,
    alarms,
    principals,
    log_groups,
    interface_endpoints,
    log_archive,
    access_logs,
    cloudfront,
)


def required(stack: StackModel) -> list[Expectation]:
    """Return all that must be allowed, for every identity and service of the stack."""
    return _of_this_stack(stack, [one for each in SUBJECTS for one in each.required(stack)])


def forbidden(stack: StackModel) -> list[Expectation]:
    """Return all that must be refused, each at the one gate that has to refuse it."""
    claims = [other for claim in required(stack) for other in _of_others(claim)]
    claims += [one for each in SUBJECTS for one in each.forbidden(stack)]
    return _of_this_stack(stack, claims)


def _of_this_stack(stack: StackModel, claims: Sequence[Expectation]) -> list[Expectation]:
    """Return the claims without the gates that an existing network has, and not the stack."""
    kept = (
        replace(claim, gates=[gate for gate in claim.gates if gate.title not in stack.elsewhere])
        for claim in claims
    )
    return [claim for claim in kept if claim.gates]


def _of_others(claim: Expectation) -> Iterator[Expectation]:
    """Yield what is allowed on a resource of the stack, on one whose name begins with its name."""
    name, slash, path = claim.request.resource.partition("/")
    if name in ("*", "any") or claim.request.action == "sts:AssumeRole":
        return  # nothing of a name; a trust policy knows no resource
    if name.startswith(("arn:aws:ec2:", "arn:aws:logs:")):
        return  # of these the account's are allowed
    request = replace(claim.request, resource=f"{name}-of-others{slash}{path}")
    for gate in claim.gates:
        if gate.kind != "guard" and gate != KEY_POLICY:  # a key's policy is for that key alone
            yield Expectation("another of its kind", request, (gate,))
