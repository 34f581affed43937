"""All expectations of one stack: the requests to allow, and the requests to deny."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from darkroom.iam.expectations import (
    access_logs,
    alarms,
    cloudfront,
    flow_log,
    interface_endpoints,
    log_archive,
    log_groups,
    principals,
    producers,
    record_topic,
    upload_api,
    worker,
)
from darkroom.iam.expectations.expectation import KEY_POLICY, Expectation
from darkroom.iam.model import StackModel

SUBJECTS = (
    worker,
    producers,
    record_topic,
    alarms,
    principals,
    log_groups,
    flow_log,
    interface_endpoints,
    log_archive,
    access_logs,
    cloudfront,
    upload_api,
)


def allowed(stack: StackModel) -> list[Expectation]:
    """Return the requests to allow, for every identity and service of the stack."""
    return _without_external_checks(
        stack, [one for each in SUBJECTS for one in each.allowed(stack)]
    )


def denied(stack: StackModel) -> list[Expectation]:
    """Return the requests to deny, each with the one policy that has to deny it."""
    found = [other for one in allowed(stack) for other in _on_other_resources(one)]
    found += [one for each in SUBJECTS for one in each.denied(stack)]
    return _without_external_checks(stack, found)


def _without_external_checks(
    stack: StackModel, expectations: Sequence[Expectation]
) -> list[Expectation]:
    """Return the expectations without the checks of policies that are not in the stack."""
    external = stack.external_resources
    kept = (
        replace(one, checks=[check for check in one.checks if check.title not in external])
        for one in expectations
    )
    return [one for one in kept if one.checks]


def _on_other_resources(expectation: Expectation) -> Iterator[Expectation]:
    """Yield an allowed request on a resource whose name begins with the allowed one's name."""
    name, slash, path = expectation.request.resource.partition("/")
    if name in ("*", "any") or expectation.request.action == "sts:AssumeRole":
        return  # no name to extend; a trust policy has no resource
    if name.startswith(("arn:aws:ec2:", "arn:aws:logs:")):
        return  # allowed for the whole account
    request = replace(expectation.request, resource=f"{name}-other{slash}{path}")
    for check in expectation.checks:
        if check.kind != "deny-only" and check != KEY_POLICY:  # a key policy has no other key
            yield Expectation("another resource of the same type", request, (check,))
