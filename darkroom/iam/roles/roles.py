"""The roles of those who deploy, look at and operate one specification's stack."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troposphere import If, Ref, Sub, Template

from darkroom.iam.roles import commands
from darkroom.iam.roles.commands import Access
from darkroom.iam.roles.permissions import (
    ALL_RESOURCES,
    Permission,
    by_service,
    resource_permissions,
)
from darkroom.iam.roles.role_template import OWN_KEY, Grant, role_template
from darkroom.iam.roles.service_reference import HANDLERS
from darkroom.iam.roles.stack_arns import STACK_NAME
from templates.naming import NAME_PREFIX
from templates.parameters.builder import is_given

BOUNDARY = "PermissionsBoundaryArn"
"""The pipeline's parameter with the boundary of its roles."""

THROUGH_CLOUDFORMATION = {"aws:CalledViaFirst": "cloudformation.amazonaws.com"}
"""Whoever holds the role cannot do these things except by a change of the stack.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-calledvia
"""

_HAS_BOUNDARY = "HasPermissionsBoundary"
_ATTACHING = frozenset({"iam:AttachRolePolicy", "iam:DetachRolePolicy"})
_TAG_KEY = "kms:TagResource"
_NEW_KEY = {"aws:RequestTag/Application": Ref(NAME_PREFIX)}

_BOUND = frozenset(
    f"iam:{action}"
    for action in (
        "CreateRole",
        "DeleteRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
    )
)
"""Those that may be limited to roles with a boundary.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""


@dataclass(frozen=True)
class Kind:
    """What a role is for.

    Attributes:
        description: Of the role.
        accesses: What its commands do.
        handlers: What CloudFormation does in its name.
    """

    description: str
    accesses: Sequence[Access]
    handlers: Sequence[str] = ()


KINDS: Mapping[str, Kind] = {
    "deploy": Kind(
        "Deploys, verifies and deletes a Darkroom pipeline",
        (
            *(commands.STACK, commands.PACKAGE, commands.PREFLIGHT, commands.CHANGE_SETS),
            *(commands.TRIAL, commands.VERIFY, commands.CANARY, commands.UNANNOUNCED),
            commands.DELETE,
        ),
        HANDLERS,
    ),
    "read-only": Kind(
        "Looks at a Darkroom pipeline and its logs",
        (commands.STACK, commands.VERIFY, commands.UNANNOUNCED, commands.LOGS),
        ("read",),  # drift detection reads each resource in the caller's name
    ),
    "operator": Kind(
        "Operates a Darkroom pipeline: dead letters, rejections and existing objects",
        (commands.STACK, commands.DEAD_LETTERS, commands.BACKFILL, commands.LOGS),
    ),
}


def role(kind: str, template: Mapping[str, Any]) -> Template:
    """Return the template of a role.

    Args:
        kind: One of KINDS.
        template: The pipeline's, as JSON has it.
    """
    wanted = KINDS[kind]
    own, through_cloudformation = permissions_of(kind, template)
    creates = "create" in wanted.handlers
    found = role_template(
        wanted.description,
        [
            *commands.access_grants(own),
            *resource_grants(through_cloudformation, passed_to(template)),
        ],
        template["Parameters"],
        further_parameters=[BOUNDARY] if creates else [],
    )
    if creates:
        is_given(found, _HAS_BOUNDARY, Ref(BOUNDARY))
    return found


def permissions_of(
    kind: str, template: Mapping[str, Any]
) -> tuple[frozenset[Permission], frozenset[Permission]]:
    """Return what the commands do themselves, and what else CloudFormation does for them."""
    wanted = KINDS[kind]
    own = commands.access_permissions(template, wanted.accesses)
    needed = frozenset().union(*resource_permissions(template, wanted.handlers).values())
    return own, needed - commands.covered(needed, by=own)


def resource_grants(permissions: frozenset[Permission], services: list[str]) -> Iterator[Grant]:
    """Yield what CloudFormation does in the role's name.

    Args:
        permissions: All of that.
        services: Those that roles are passed to.
    """
    for service, actions, arns in by_service(permissions):
        sid = "".join(part.capitalize() for part in service.split("-"))
        if arns == [ALL_RESOURCES]:
            yield from _for_all_resources(sid, actions)
        elif service == "kms":
            yield from _key_grants(actions, arns)
        elif service == "iam":
            yield from _role_grants(actions, arns, services)
        else:
            yield _grant(sid, actions, arns)


def _grant(sid: str, actions: list[str], arns: list[str], **keys: Any) -> Grant:
    return Grant(
        sid=sid,
        actions=actions,
        resources=arns,
        condition={"StringEquals": {**THROUGH_CLOUDFORMATION, **keys}},
    )


def _for_all_resources(sid: str, actions: list[str]) -> Iterator[Grant]:
    """Yield the actions for which IAM has no resource but `*`."""
    if "kms:CreateKey" in actions:
        actions.remove("kms:CreateKey")
        yield _grant("KmsNewKey", ["kms:CreateKey"], [ALL_RESOURCES], **_NEW_KEY)
    if "lambda:CreateEventSourceMapping" in actions:
        actions.remove("lambda:CreateEventSourceMapping")
        function = Sub(
            "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}"
            f":function:${{{NAME_PREFIX}}}-*"
        )
        yield Grant(
            sid="LambdaNewMapping",
            actions=["lambda:CreateEventSourceMapping"],
            resources=[ALL_RESOURCES],
            condition={
                "StringEquals": THROUGH_CLOUDFORMATION,
                "ArnLike": {"lambda:FunctionArn": function},
            },
        )
    if actions:
        yield _grant(f"{sid}WithoutResource", actions, [ALL_RESOURCES])


def _key_grants(actions: list[str], arns: list[str]) -> Iterator[Grant]:
    """Yield what is done to the alias, to a key that has the stack's tag, and to one that gets it.

    The id of a key is AWS's; the tag tells the stack's. A request for a new key with tags is one to
    tag it as well, before there are any.
    """
    if aliases := [one for one in actions if "Alias" in one]:
        yield _grant("KmsAlias", aliases, [one for one in arns if ":alias/" in one])
    keys = [one for one in arns if ":key/" in one]
    yield _grant("KmsKey", [one for one in actions if one != _TAG_KEY], keys, **OWN_KEY)
    if _TAG_KEY in actions:
        yield _grant("KmsNewTags", [_TAG_KEY], keys, **_NEW_KEY)


def _role_grants(actions: list[str], arns: list[str], services: list[str]) -> Iterator[Grant]:
    """Yield what is done to the stack's roles: passed to its services, and kept in their bounds."""
    if "iam:PassRole" in actions:
        keys = {**THROUGH_CLOUDFORMATION, "iam:PassedToService": services}
        condition: Any = {"StringEquals": keys}
        yield Grant(
            sid="IamPassRole", actions=["iam:PassRole"], resources=arns, condition=condition
        )
    if bound := sorted(_BOUND & {*actions}):
        yield Grant(sid="IamBoundRoles", actions=bound, resources=arns, condition=_bound({}))
    if attaching := sorted(_ATTACHING & {*actions}):
        policies = Sub(
            f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:policy/${{{STACK_NAME}}}-*"
        )
        condition = _bound({"ArnLike": {"iam:PolicyARN": policies}})
        yield Grant(sid="IamAttach", actions=attaching, resources=arns, condition=condition)
    others = [one for one in actions if one not in {*bound, *attaching, "iam:PassRole"}]
    yield _grant("IamRoles", others, arns)


def _bound(further: Mapping[str, Any]) -> If:
    """Return the condition that a role has the pipeline's boundary, where it has one."""
    keys = {**THROUGH_CLOUDFORMATION, "iam:PermissionsBoundary": Ref(BOUNDARY)}
    return If(
        _HAS_BOUNDARY,
        {"StringEquals": keys, **further},
        {"StringEquals": THROUGH_CLOUDFORMATION, **further},
    )


def passed_to(template: Mapping[str, Any]) -> list[str]:
    """Return the services that the roles of a template trust."""
    return sorted(
        {
            service
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::IAM::Role"
            for principal in _values(resource["Properties"]["AssumeRolePolicyDocument"], "Service")
            for service in principal
        }
    )


def _values(value: Any, key: str) -> Iterator[Any]:
    """Yield what a key has, wherever it is in nested objects and lists."""
    if isinstance(value, Mapping):
        if key in value:
            yield value[key]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _values(one, key)
