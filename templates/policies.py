"""How a policy is spelled; never what it is about."""

from collections.abc import Sequence
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
    StringNotEquals,
)
from troposphere import AWSHelperFn, GetAtt, If, Ref, Sub

Arn = str | AWSHelperFn

ACCOUNT = Ref("AWS::AccountId")


def document(*statements: Statement | If) -> dict[str, Any]:
    """Return a policy of `statements`, some of them perhaps there on a condition only.

    A plain dictionary, because awacs' own document knows no conditions; with the Version that awacs
    leaves out unless told.
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

    An identity's policy has no `principal`; a resource's policy always has one.
    """
    return _statement(Allow, sid, actions, resources, conditions, principal)


def allow_assume(service_name: str, *conditions: ConditionElement) -> Statement:
    """Return a role's trust in the AWS service `service_name`, when all `conditions` hold."""
    return allow("Assume", [sts.AssumeRole], [], *conditions, principal=service(service_name))


def deny(
    sid: str,
    actions: Sequence[Action],
    resources: Sequence[Arn],
    *conditions: ConditionElement,
    principal: Principal | None = None,
) -> Statement:
    """Return a statement that refuses `actions` on `resources` when all `conditions` hold."""
    return _statement(Deny, sid, actions, resources, conditions, principal)


def deny_plaintext(actions: Sequence[Action], resources: Sequence[Arn]) -> Statement:
    """Return the refusal of every request that does not come over TLS."""
    return deny(
        "DenyPlaintext",
        actions,
        resources,
        Bool({"aws:SecureTransport": "false"}),
        principal=anyone(),
    )


def within(bucket: GetAtt | Sub, pattern: str) -> Sub:
    """Return the ARN of the objects of the bucket with the ARN `bucket` that match `pattern`.

    Not by Fn::Join, which takes twice the bytes (D7).
    """
    if isinstance(bucket, GetAtt):
        title, attribute = bucket.data["Fn::GetAtt"]
        text = f"${{{title}.{attribute}}}"
    else:
        text = bucket.data["Fn::Sub"]
    return Sub(f"{text}/{pattern.replace('${', '${!')}")


def anyone() -> Principal:
    """Return the principal that matches everybody: for refusals, and behind a condition."""
    return Principal("*")


def service(name: str | AWSHelperFn) -> Principal:
    """Return an AWS service as principal, e.g. `s3.amazonaws.com` (the same in every partition)."""
    return Principal("Service", [name])


def from_this_account() -> ConditionElement:
    """Return the condition that a service acts for this account (trap 32: confused deputy)."""
    return StringEquals({"aws:SourceAccount": ACCOUNT})


def on_behalf_of(arn: Arn) -> ConditionElement:
    """Return the condition that a service acts for the resource `arn` (a pattern may hold `*`)."""
    return ArnLike({"aws:SourceArn": arn})


def by_principal(arn: Arn) -> ConditionElement:
    """Return the condition that the caller is the role `arn`.

    For an endpoint's policy: a gateway endpoint takes no role as principal, it wants `*` and this.
    """
    return ArnEquals({"aws:PrincipalArn": arn})


def other_than(key: str, value: Any) -> tuple[ConditionElement, ConditionElement]:
    """Return the conditions that the request carries `key`, with another value than `value`.

    `StringNotEquals` alone also matches requests without the key.
    """
    return StringNotEquals({key: value}), Null({key: "false"})


def through_endpoint(grant: Statement, role_arn: Arn) -> Statement:
    """Return an identity's `grant` as an endpoint's policy spells it: the same, for that role."""
    return allow(
        grant.properties["Sid"],
        grant.properties["Action"],
        grant.properties["Resource"],
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
