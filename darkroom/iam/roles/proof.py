"""The least-privilege test of a role, and the mutation test of that test."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from darkroom.cloudformation.resolver import PSEUDO, ResolvedTemplate
from darkroom.iam.evaluator import Request, Statement, allowed
from darkroom.iam.least_privilege import Decision, Failure, Result
from darkroom.iam.mutations import mutants
from darkroom.iam.roles.commands import USES_OF_KEYS
from darkroom.iam.roles.permissions import ALL_RESOURCES, Permission
from darkroom.iam.roles.roles import (
    BOUNDARY,
    THROUGH_CLOUDFORMATION,
    passed_to,
    permissions_of,
)
from darkroom.iam.roles.service_reference import actions_of
from darkroom.iam.roles.stack_arns import CODE_BUCKET, STACK_NAME
from templates.naming import NAME_PREFIX

_VALUES = {
    NAME_PREFIX: "pictures",
    STACK_NAME: "pictures-stack",
    CODE_BUCKET: "code-bucket",
    BOUNDARY: f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:policy/boundary",
}
_OTHERS = {**_VALUES, NAME_PREFIX: "others", STACK_NAME: "others-stack", CODE_BUCKET: "o"}
_ELSEWHERE = {"AWS::Region": "us-west-2", "AWS::AccountId": "999999999999"}

_THROUGH: Mapping[str, str] = THROUGH_CLOUDFORMATION
_KEYS = {
    "aws:RequestTag/Application": _VALUES[NAME_PREFIX],
    "aws:ResourceTag/Application": _VALUES[NAME_PREFIX],
    "iam:PermissionsBoundary": _VALUES[BOUNDARY],
    "iam:PassedToService": "lambda.amazonaws.com",
    "iam:PolicyARN": f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:policy/pictures-stack-Worker-1",
    "lambda:FunctionArn": (
        f"arn:aws:lambda:{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}:function:pictures-worker"
    ),
}
"""Condition keys as the stack's own requests have them."""

_LIMITED_BY: Mapping[str, str] = {
    "iam:AttachRolePolicy": "iam:PolicyARN",
    "iam:CreateRole": "iam:PermissionsBoundary",
    "iam:DeleteRolePolicy": "iam:PermissionsBoundary",
    "iam:DetachRolePolicy": "iam:PolicyARN",
    "iam:PassRole": "iam:PassedToService",
    "iam:PutRolePermissionsBoundary": "iam:PermissionsBoundary",
    "iam:PutRolePolicy": "iam:PermissionsBoundary",
    "kms:CreateKey": "aws:RequestTag/Application",
    "kms:TagResource": "aws:RequestTag/Application",
    "lambda:CreateEventSourceMapping": "lambda:FunctionArn",
}
"""Action → the condition key that it is limited by, besides the way through CloudFormation.

What is done to a key is limited by its tag.
"""


def verify(kind: str, pipeline: Mapping[str, Any], role: Mapping[str, Any]) -> Result:
    """Return the result of the test for one role.

    Each permission that the pipeline's resources and the commands need must be allowed. It must be
    denied for another stack or elsewhere, and, where only CloudFormation may use it, otherwise.
    Each mutant of the policies has to fail the test.

    Args:
        kind: One of roles.KINDS.
        pipeline: The template that the role is for, as JSON has it.
        role: The role's own template, as JSON has it.
    """
    expected: dict[tuple[Any, ...], tuple[Decision, Request]] = {}
    for decision, request in _expectations(kind, pipeline):
        key = (decision, request.action, request.resource, *sorted(request.context.items()))
        expected[key] = decision, request
    by_service: dict[str, list[tuple[Decision, Request]]] = defaultdict(list)
    for decision, request in expected.values():
        by_service[request.action.partition(":")[0]].append((decision, request))
    policies: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for statement in _statements(role):
        policies[statement["Action"][0].partition(":")[0]].append(statement)
    changed = list(mutants(policies))
    return Result(
        allowed=sum(decision == "allowed" for decision, _ in expected.values()),
        denied=sum(decision == "denied" for decision, _ in expected.values()),
        mutants=len(changed),
        failures=tuple(
            Failure(
                expected=decision,
                action=request.action,
                resource=request.resource,
                principal=f"the {kind} role",
                reason=", ".join(f"{key} {value}" for key, value in request.context.items()),
                policies=("Role",),
            )
            for service, requests in by_service.items()
            for decision, request in requests
            if not _is_as_expected(policies[service], decision, request)
        ),
        surviving_mutants=tuple(
            str(mutant)
            for mutant in changed
            if all(
                _is_as_expected(mutant.policies[mutant.title], *one)
                for one in by_service[mutant.title]
            )
        ),
    )


def _is_as_expected(statements: Iterable[Statement], decision: Decision, request: Request) -> bool:
    return allowed(statements, request) is (decision == "allowed")


def _statements(role: Mapping[str, Any]) -> list[dict[str, Any]]:
    resolved = ResolvedTemplate(role, _VALUES)
    return [
        statement
        for title in resolved.resources_of_type("IAM::ManagedPolicy")
        for statement in resolved.statements(title)
    ]


def _expectations(kind: str, pipeline: Mapping[str, Any]) -> Iterator[tuple[Decision, Request]]:
    own, through_cloudformation = permissions_of(kind, pipeline)
    for one in own:
        yield from _decisions(one, {})
    for one in through_cloudformation:
        for service in passed_to(pipeline) if one.action == "iam:PassRole" else [""]:
            yield from _decisions(one, {**_THROUGH, "iam:PassedToService": service})
        for request in _requests(one, {}):
            yield "denied", request
    granted = {one.action.lower() for one in own | through_cloudformation}
    for service in sorted({one.service for one in own | through_cloudformation}):
        others = [f"{service}:{name}" for name in actions_of(service)]
        other = next(one for one in others if one not in granted)
        for one in own | through_cloudformation:
            if one.service == service:
                yield from (
                    ("denied", replace(request, action=other))
                    for request in _requests(one, _THROUGH)
                )


def _decisions(
    permission: Permission, context: Mapping[str, str]
) -> Iterator[tuple[Decision, Request]]:
    """Yield what one permission allows, and what is next to it."""
    for request in _requests(permission, context):
        yield "allowed", request
        key = _LIMITED_BY.get(permission.action) if context else None
        if ":key/" in permission.arn and not key and (context or permission.action in USES_OF_KEYS):
            key = "aws:ResourceTag/Application"
        if key:
            yield "denied", replace(request, context={**request.context, key: "other"})
    if permission.arn != ALL_RESOURCES:
        for resource in _neighbors(permission.arn):
            yield "denied", replace(request, resource=resource)


def _requests(permission: Permission, context: Mapping[str, str]) -> Iterator[Request]:
    """Yield the request for a permission, with all keys as the stack has them."""
    yield Request(
        action=permission.action,
        resource=_concrete(permission.arn, _VALUES),
        context={**_KEYS, **context},
    )


def _neighbors(arn: str) -> set[str]:
    """Return the ARNs next to one: of another stack, in another place, or with a longer name."""
    here = _concrete(arn, _VALUES)
    name, slash, path = here.partition("/")
    found = {_concrete(arn, _OTHERS), _concrete(arn, {**_VALUES, **_ELSEWHERE})} - {here}
    found.add(f"{name}-other{slash}{path}" if not arn.partition("/")[0].endswith("*") else "arn:x")
    if slash and arn.partition("/")[2] != "*":
        found.add(f"{name}/unknown")
    if slash and not arn.endswith("*"):
        found.add(f"{here.rpartition('/')[0]}/unknown")
    return found


def _concrete(arn: str, values: Mapping[str, str]) -> str:
    """Return an ARN with the values of parameters, and an id for a `*`."""
    if arn == ALL_RESOURCES:
        return arn
    text = ResolvedTemplate({"Resources": {}}, values).resolve({"Fn::Sub": arn})
    return str(text).replace("*", "x1")
