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


def merged(grants: Iterable[Statement | If]) -> list[Statement | If]:
    """Return the same permissions in fewer statements, because policies have limited sizes.

    Statements that differ in nothing but resources become one, and so do statements that differ
    in nothing but the values of their only condition. A merged one has the Sid of the first.
    Statements inside an Fn::If stay as they are.
    """
    by_resource: dict[str, Statement] = {}
    by_value: dict[str, Statement] = {}
    inside_if: list[Statement | If] = []
    for grant in grants:
        if isinstance(grant, If):
            inside_if.append(grant)
            continue
        alike = _text({**grant.properties, "Resource": None, "Sid": None})
        first = by_resource.setdefault(alike, grant)
        if first is not grant:
            both = _union(first.properties["Resource"], grant.properties["Resource"])
            by_resource[alike] = _with(first, Resource=both)
    for grant in by_resource.values():
        only = _only_condition(grant)
        tested = [type(only[0]).__name__, only[1]] if only else _text(grant.properties)
        alike = _text({**grant.properties, "Condition": tested, "Sid": None})
        first = by_value.setdefault(alike, grant)
        if first is not grant and only and (of_first := _only_condition(first)):
            values = _union(of_first[2], only[2])
            by_value[alike] = _with(first, Condition=Condition(type(only[0])({only[1]: values})))
    return [*by_value.values(), *inside_if]


def _only_condition(grant: Statement) -> tuple[ConditionElement, str, list[Any]] | None:
    """Return operator, key and values of a statement's only condition, if it lists values."""
    elements = grant.properties["Condition"].conditions if "Condition" in grant.properties else []
    tests = [(one, key, value) for one in elements for key, value in one.get_dict().items()]
    return tests[0] if len(tests) == 1 and isinstance(tests[0][2], list) else None


def _with(statement: Statement, **changed: Any) -> Statement:
    return Statement(**{**statement.properties, **changed})


def _union(some: list[Any], more: list[Any]) -> list[Any]:
    return [*some, *(one for one in more if _text(one) not in set(map(_text, some)))]


def _text(value: Any) -> str:
    return json.dumps(value, default=encode_to_dict, sort_keys=True)


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
