from typing import Any

import pytest
from ministack.core import iam_evaluator

from darkroom.iam.evaluator import PolicyCheck, Request, applies, is_allowed
from darkroom.iam.expectations.suite import forbidden, required
from darkroom.iam.model import model_of
from darkroom.iam.mutations import mutations
from templates import specification

GATE = PolicyCheck("Policy", "identity")


def decide(condition: dict[str, Any], context: dict[str, str]) -> bool:
    statement = {
        "Sid": "S",
        "Effect": "Allow",
        "Action": ["s3:GetObject"],
        "Resource": ["arn:b/*"],
        "Condition": condition,
    }
    request = Request(
        principal="arn:role", action="s3:GetObject", resource="arn:b/k", context=context
    )
    return is_allowed({"Policy": [statement]}, request, [GATE])


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"K": "a"}}, {"k": "a"}, True),
        ({"StringEquals": {"K": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"K": "a"}}, {"k": "A"}, False),
        ({"StringEquals": {"K": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"K": "a"}}, {}, True),
        ({"StringNotEquals": {"K": "a"}}, {"k": "b"}, True),
        ({"StringNotEquals": {"K": "a"}}, {}, True),
        ({"StringNotEquals": {"K": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringLike": {"K": "a*c"}}, {"k": "abc"}, True),
        ({"StringLike": {"K": "a?c"}}, {"k": "ac"}, False),
        ({"ArnLike": {"K": "arn:aws:s3:::b*"}}, {"k": "arn:aws:s3:::bb"}, True),
        ({"ArnEquals": {"K": "arn:r"}}, {"k": "arn:r2"}, False),
        ({"Bool": {"K": "false"}}, {"k": "False"}, True),
        ({"Bool": {"K": "false"}}, {}, False),
        ({"Null": {"K": "true"}}, {}, True),
        ({"Null": {"K": "false"}}, {}, False),
        ({"Null": {"K": "false"}}, {"k": "x"}, True),
        ({"StringEquals": {"K": "a"}, "Bool": {"L": "true"}}, {"k": "a"}, False),
        ({"StringEquals": {"K": "a"}}, {"K": "a"}, True),
        ({"Bool": {"K": True}}, {"k": "true"}, True),
        ({"ForAnyValue:StringLike": {"K": ["a*"]}}, {"k": "ab"}, True),
        ({"NotIpAddress": {"K": "192.0.2.0/24"}}, {"k": "192.0.2.9"}, False),
        ({"NumericLessThan": {"K": "2"}}, {"k": "1"}, False),  # not known here, so it never holds
    ],
)
def test_conditions_hold_as_iam_says(
    condition: dict[str, Any], context: dict[str, str], holds: bool
) -> None:
    """S5: the rules for keys that are not sent are where policies go wrong."""
    assert decide(condition, context) is holds


def test_a_refusal_wins_and_silence_refuses() -> None:
    """S5: explicit deny, then allow, then implicit deny."""
    allow = {"Sid": "A", "Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}
    deny = {**allow, "Sid": "D", "Effect": "Deny", "Action": ["s3:Put*"]}
    put = Request(principal="r", action="s3:PutObject", resource="b")
    get = Request(principal="r", action="S3:getobject", resource="b")
    assert is_allowed({"Policy": [allow, deny]}, get, [GATE])
    assert not is_allowed({"Policy": [allow, deny]}, put, [GATE])
    assert not is_allowed({"Policy": []}, get, [GATE])
    assert is_allowed({"Policy": []}, get, [PolicyCheck("Policy", "guard")])


def test_what_is_excepted_is_not_meant() -> None:
    """S5: NotAction, NotResource and NotPrincipal speak of everything else."""
    request = Request(principal="arn:r", action="s3:GetObject", resource="arn:b/k")
    for part, patterns, meant in (
        ("Action", ["s3:Put*"], True),
        ("Action", "s3:Get*", False),
        ("Resource", ["arn:c/*"], True),
        ("Resource", ["arn:c/*", "arn:b/*"], False),
        ("Principal", {"AWS": "arn:other"}, True),
        ("Principal", {"AWS": ["arn:r"]}, False),
    ):
        whole = {"Action": "*", "Resource": "*", "Principal": "*"}
        statement = {"Effect": "Deny", **whole, f"Not{part}": patterns}
        del statement[part]
        assert applies(statement, request) is meant


def test_a_resource_policy_names_who_it_is_for() -> None:
    """S5: a role by ARN, an account by its root, a service by name; a right names nobody."""
    allow = {"Sid": "A", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["*"]}
    gate = [PolicyCheck("Policy", "resource")]
    request = Request(
        principal="arn:aws:iam::111:role/r",
        action="kms:Decrypt",
        resource="k",
        context={"aws:principalaccount": "111"},
    )
    for principal, passes in (
        ("*", True),
        ({"AWS": ["arn:aws:iam::111:root"]}, True),
        ({"AWS": ["arn:aws:iam::222:root"]}, False),
        ({"AWS": ["arn:aws:iam::111:role/r"]}, True),
        ({"AWS": ["arn:aws:iam::111:role/other"]}, False),
        ({"Service": ["s3.amazonaws.com"]}, False),
    ):
        assert is_allowed({"Policy": [{**allow, "Principal": principal}]}, request, gate) is passes
    assert not is_allowed({"Policy": [allow]}, request, gate)


def test_a_second_evaluator_agrees() -> None:
    """S5: on every claim over the worker's rights, and over every change to them."""
    stack = model_of(specification.parse({}, origin="test"))
    policies = {"WorkerRole": stack.statements("WorkerRole")}
    gate = PolicyCheck("WorkerRole", "identity")
    claims = [
        claim
        for claims in (required(stack), forbidden(stack))
        for claim in claims
        if gate in claim.gates
    ]
    assert len(claims) > 100
    for mutation in mutations(policies):
        rights = [s for s in mutation.policies["WorkerRole"] if "Principal" not in s]
        parsed = [iam_evaluator.parse_policy_document({"Statement": rights})]
        for claim in claims:
            other = iam_evaluator.evaluate(_their(claim.request), parsed).decision == "Allow"
            assert is_allowed(mutation.policies, claim.request, [gate]) is other, claim


def _their(request: Request) -> iam_evaluator.EvalContext:
    return iam_evaluator.EvalContext(
        principal_arn=request.principal,
        principal_type="AssumedRole",
        principal_account=request.context["aws:principalaccount"],
        action=request.action,
        resource_arn=request.resource,
        region="eu-west-1",
        secure_transport=request.context["aws:securetransport"] == "true",
        service_context=dict(request.context),
    )
