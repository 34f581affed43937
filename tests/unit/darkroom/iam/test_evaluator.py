from typing import Any

import pytest
from ministack.core import iam_evaluator

from darkroom.iam.evaluator import PolicyCheck, Request, applies, is_allowed
from darkroom.iam.expectations.suite import allowed, denied
from darkroom.iam.model import model_of
from darkroom.iam.mutations import mutants
from templates import specification

CHECK = PolicyCheck("Policy", "identity-based")


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
    return is_allowed({"Policy": [statement]}, request, [CHECK])


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
        ({"NumericGreaterThan": {"K": "300"}}, {"k": "301"}, True),
        ({"NumericGreaterThan": {"K": "300"}}, {"k": "300"}, False),
        ({"NumericGreaterThan": {"K": "300"}}, {}, False),
        ({"NumericLessThan": {"K": "2"}}, {"k": "1"}, False),  # not known here, so it never holds
    ],
)
def test_conditions_hold_as_in_iam(
    condition: dict[str, Any], context: dict[str, str], holds: bool
) -> None:
    """S5: most mistakes in policies concern keys that are not sent."""
    assert decide(condition, context) is holds


def test_deny_overrides_allow_and_the_default_is_deny() -> None:
    """S5: explicit deny, then allow, then implicit deny."""
    allow = {"Sid": "A", "Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}
    deny = {**allow, "Sid": "D", "Effect": "Deny", "Action": ["s3:Put*"]}
    put = Request(principal="r", action="s3:PutObject", resource="b")
    get = Request(principal="r", action="S3:getobject", resource="b")
    assert is_allowed({"Policy": [allow, deny]}, get, [CHECK])
    assert not is_allowed({"Policy": [allow, deny]}, put, [CHECK])
    assert not is_allowed({"Policy": []}, get, [CHECK])
    assert is_allowed({"Policy": []}, get, [PolicyCheck("Policy", "deny-only")])


def test_not_elements_match_everything_else() -> None:
    """S5: NotAction, NotResource and NotPrincipal match what they do not list."""
    request = Request(principal="arn:r", action="s3:GetObject", resource="arn:b/k")
    for part, patterns, is_match in (
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
        assert applies(statement, request) is is_match


def test_a_resource_based_policy_matches_its_principals() -> None:
    """S5: a role by ARN, an account by its root, a service by name."""
    allow = {"Sid": "A", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["*"]}
    check = [PolicyCheck("Policy", "resource-based")]
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
        assert is_allowed({"Policy": [{**allow, "Principal": principal}]}, request, check) is passes
    assert not is_allowed({"Policy": [allow]}, request, check)


def test_a_second_evaluator_agrees() -> None:
    """S5: on every request with the worker's role, with its policy and every mutant of it."""
    stack = model_of(specification.parse({}, origin="test"))
    policies = {"WorkerRole": stack.statements("WorkerRole")}
    check = PolicyCheck("WorkerRole", "identity-based")
    expectations = [one for one in (*allowed(stack), *denied(stack)) if check in one.checks]
    assert len(expectations) > 100
    for mutant in mutants(policies):
        statements = [s for s in mutant.policies["WorkerRole"] if "Principal" not in s]
        parsed = [iam_evaluator.parse_policy_document({"Statement": statements})]
        for one in expectations:
            other = iam_evaluator.evaluate(_context(one.request), parsed).decision == "Allow"
            assert is_allowed(mutant.policies, one.request, [check]) is other, one


def _context(request: Request) -> iam_evaluator.EvalContext:
    return iam_evaluator.EvalContext(
        principal_arn=request.principal,
        principal_type="AssumedRole",
        principal_account=request.context[
            "aws:resourceaccount"
        ],  # MiniStack takes that of the caller
        action=request.action,
        resource_arn=request.resource,
        region="eu-west-1",
        secure_transport=request.context["aws:securetransport"] == "true",
        service_context=dict(request.context),
    )
