"""Builds policy documents, statements and conditions."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import awacs.sts as sts
from awacs.aws import (
    Action,
    Allow,
    ArnEquals,
    ArnLike,
    Bool,
    Condition,
    ConditionElement,
    Deny,
    Null,
    Principal,
    Statement,
    StringEquals,
    StringLikeIfExists,
    StringNotEquals,
)
from troposphere import AWSHelperFn, GetAtt, If, Ref, Sub, encode_to_dict

Arn = str | AWSHelperFn

ACCOUNT = Ref("AWS::AccountId")


def document(*statements: Statement | If) -> dict[str, Any]:
    """Return a policy document of `statements`, some of which may be inside an Fn::If.

    It is a dictionary, because awacs.aws.PolicyDocument takes no Fn::If.
    """
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    sid: str,
    actions: Sequence[Action],
    resources: Sequence[Arn],
    *conditions: ConditionElement,
    principal: Principal | None = None,
) -> Statement:
    """Return a statement that allows `actions` on `resources` when all `conditions` hold.

    An identity-based policy has no `principal`; a resource-based policy always has one.
    """
    return _statement(Allow, sid, actions, resources, conditions, principal)


def allow_assume(service_name: str, *conditions: ConditionElement) -> Statement:
    """Return the statement that lets an AWS service assume a role when all `conditions` hold."""
    return allow("Assume", [sts.AssumeRole], [], *conditions, principal=service(service_name))


def deny(
    sid: str,
    actions: Sequence[Action],
    resources: Sequence[Arn],
    *conditions: ConditionElement,
    principal: Principal | None = None,
) -> Statement:
    """Return a statement that denies `actions` on `resources` when all `conditions` hold."""
    return _statement(Deny, sid, actions, resources, conditions, principal)


def deny_plaintext(actions: Sequence[Action], resources: Sequence[Arn]) -> Statement:
    """Return a statement that denies requests without TLS."""
    return deny(
        "DenyPlaintext",
        actions,
        resources,
        Bool({"aws:SecureTransport": "false"}),
        principal=anyone(),
    )


def within(bucket: GetAtt | Sub, pattern: str) -> Sub:
    """Return the ARN of the objects that match `pattern` in the bucket with the ARN `bucket`.

    It uses Fn::Sub, because Fn::Join takes twice the bytes (D7).
    """
    if isinstance(bucket, GetAtt):
        title, attribute = bucket.data["Fn::GetAtt"]
        text = f"${{{title}.{attribute}}}"
    else:
        text = bucket.data["Fn::Sub"]
    return Sub(f"{text}/{pattern.replace('${', '${!')}")


def anyone() -> Principal:
    """Return the principal that matches every caller, for a Deny or with a condition."""
    return Principal("*")


def service(name: str | AWSHelperFn) -> Principal:
    """Return an AWS service as principal, such as `s3.amazonaws.com` (in every partition)."""
    return Principal("Service", [name])


def from_this_account() -> ConditionElement:
    """Return the condition that a service acts for this account (pitfall 32: confused deputy)."""
    return StringEquals({"aws:SourceAccount": ACCOUNT})


def on_behalf_of(*arns: Arn) -> ConditionElement:
    """Return the condition that a service acts for one of `arns`, which may contain `*`."""
    return ArnLike({"aws:SourceArn": arns[0] if len(arns) == 1 else list(arns)})


def by_principal(arn: Arn) -> ConditionElement:
    """Return the condition that the caller is the role `arn`.

    A gateway endpoint's policy takes no role as principal: it needs `*` and this condition.
    """
    return ArnEquals({"aws:PrincipalArn": arn})


def in_this_account() -> ConditionElement:
    """Return the condition that the resource belongs to this account.

    Another account may take the name of a bucket that was deleted.
    """
    return StringEquals({"aws:ResourceAccount": ACCOUNT})


def listing(prefixes: Sequence[str]) -> ConditionElement:
    """Return the condition that a listing is of keys that begin with one of `prefixes`.

    It holds for a request without a prefix as well: S3 also asks for the permission to list when an
    object is missing, without a prefix, and then answers 404 instead of 403.
    """
    return StringLikeIfExists({"s3:prefix": [f"{prefix}*" for prefix in prefixes]})


def merged(statements: Iterable[Statement]) -> list[Statement]:
    """Return the statements, with those merged that differ in Sid and Resource only.

    A role's policies are limited in size. The Sid is that of the first one.
    """
    found: dict[str, list[Statement]] = {}
    for statement in statements:
        parts = {
            name: value
            for name, value in encode_to_dict(statement).items()
            if name not in ("Sid", "Resource")
        }
        found.setdefault(json.dumps(parts), []).append(statement)
    for first, *others in found.values():
        for other in others:
            first.properties["Resource"] = [
                *first.properties["Resource"],
                *other.properties["Resource"],
            ]
    return [first for first, *_ in found.values()]


def other_than(key: str, value: Any) -> tuple[ConditionElement, ConditionElement]:
    """Return the conditions that the request has `key` with a value other than `value`.

    `StringNotEquals` alone also matches requests without the key.
    """
    return StringNotEquals({key: value}), Null({key: "false"})


def through_endpoint(grant: Statement, role_arn: Arn) -> Statement:
    """Return the statement of an endpoint's policy that allows a role what `grant` allows it."""
    condition = grant.properties.get("Condition")
    return allow(
        grant.properties["Sid"],
        grant.properties["Action"],
        grant.properties["Resource"],
        *(condition.conditions if condition else ()),
        by_principal(role_arn),
        principal=anyone(),
    )


def _statement(
    effect: str,
    sid: str,
    actions: Sequence[Action],
    resources: Sequence[Arn],
    conditions: Sequence[ConditionElement],
    principal: Principal | None,
) -> Statement:
    optional: dict[str, Any] = {}
    if resources:  # a trust policy has none
        optional["Resource"] = list(resources)
    if conditions:
        optional["Condition"] = Condition(list(conditions))
    if principal is not None:
        optional["Principal"] = principal
    return Statement(Sid=sid, Effect=effect, Action=list(actions), **optional)
