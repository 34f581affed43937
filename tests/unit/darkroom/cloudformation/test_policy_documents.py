"""darkroom/cloudformation/policy_documents.py: policies are found, and their statements normal."""

from typing import Any

import pytest

from darkroom.cloudformation.policy_documents import (
    Statement,
    condition_keys,
    documents,
    is_within_account,
    normal,
)


def test_documents_are_found_at_any_depth() -> None:
    """S5: a role's trust policy, its inline policies, a key's policy."""
    trust, inline = {"Statement": [{"Sid": "Trust"}]}, {"Statement": {"Sid": "Inline"}}
    role = {"AssumeRolePolicyDocument": trust, "Policies": [{"PolicyDocument": inline}]}
    assert list(documents(role)) == [trust, inline]
    assert list(documents({"RoleName": "role", "Tags": ["Statement"]})) == []


def test_a_statement_has_lists_where_iam_accepts_a_value() -> None:
    """S5: the statement itself does not change."""
    statement: Statement = {
        "Effect": "Deny",
        "NotAction": "s3:GetObject",
        "Resource": ["a", "b"],
        "NotPrincipal": {"AWS": "arn:r", "Service": ["s3.amazonaws.com"]},
        "Condition": {"Bool": {"aws:SecureTransport": False}},
    }
    assert normal(statement) == {
        "Effect": "Deny",
        "NotAction": ["s3:GetObject"],
        "Resource": ["a", "b"],
        "NotPrincipal": {"AWS": ["arn:r"], "Service": ["s3.amazonaws.com"]},
        "Condition": {"Bool": {"aws:SecureTransport": [False]}},
    }
    assert statement["NotAction"] == "s3:GetObject"
    assert normal({"Principal": "*"}) == {"Principal": {"AWS": ["*"]}}
    assert normal(normal(statement)) == normal(statement)


@pytest.mark.parametrize(
    ("keys", "is_within"),
    [
        ({"aws:PrincipalAccount": ["1"], "aws:ResourceAccount": ["1"]}, True),
        ({"aws:PrincipalAccount": ["1"]}, False),
        ({"aws:PrincipalAccount": ["1"], "aws:ResourceAccount": ["1", "2"]}, False),
        ({}, False),
    ],
)
def test_a_statement_may_be_limited_to_the_account(keys: dict[str, Any], is_within: bool) -> None:
    """S6: both the caller's and the resource's account must be this one."""
    statement = {"Condition": {"StringEquals": keys}}
    assert is_within_account(statement, "1") is is_within
    assert condition_keys(statement) == {key.lower() for key in keys}
