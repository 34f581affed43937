from typing import Any

from awacs import s3
from awacs.aws import Statement, StringLike
from troposphere import encode_to_dict

from templates import policies


def read(statement: Statement) -> dict[str, Any]:
    (found,) = encode_to_dict(policies.document(statement))["Statement"]
    return dict(found)


def test_a_document_states_its_version() -> None:
    """C1: awacs leaves the version out, and then `${aws:username}` would be text."""
    assert encode_to_dict(policies.document())["Version"] == "2012-10-17"


def test_an_identity_statement_has_no_principal_and_a_trust_no_resource() -> None:
    grant = read(policies.allow("Read", [s3.GetObject], ["arn:aws:s3:::b/*"]))
    assert set(grant) == {"Sid", "Effect", "Action", "Resource"}
    trust = read(policies.allow_assume("lambda.amazonaws.com"))
    assert "Resource" not in trust
    assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}


def test_conditions_of_different_operators_all_count() -> None:
    """Pitfall 32: one condition must not overwrite another."""
    statement = policies.allow(
        "Send", [s3.PutObject], ["*"], policies.from_this_account(), policies.on_behalf_of("arn:x")
    )
    assert set(read(statement)["Condition"]) == {"StringEquals", "ArnLike"}


def test_a_grant_through_an_endpoint_is_the_grant_for_that_role() -> None:
    """S6: the two cannot drift."""
    grant = policies.allow("Read", [s3.GetObject], ["arn:aws:s3:::b/*"])
    endpoint = read(policies.through_endpoint(grant, "arn:role"))
    assert endpoint["Principal"] == "*"
    assert endpoint["Condition"] == {"ArnEquals": {"aws:PrincipalArn": "arn:role"}}
    for key in ("Sid", "Effect", "Action", "Resource"):
        assert endpoint[key] == read(grant)[key]


def test_other_than_needs_the_key_to_be_there() -> None:
    """S2: `StringNotEquals` alone also matches a request without the key."""
    statement = policies.deny("No", [s3.PutObject], ["*"], *policies.other_than("k", "v"))
    assert read(statement)["Condition"] == {
        "StringNotEquals": {"k": "v"},
        "Null": {"k": "false"},
    }


def test_plaintext_is_refused_to_everybody() -> None:
    """S2: no exception, AWS's own services included."""
    statement = read(policies.deny_plaintext([s3.PutObject], ["*"]))
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_permissions_alike_become_one_statement() -> None:
    """Pitfall 81: resources, or the values of the only condition, in one list."""

    def key(context: str) -> Statement:
        return policies.allow(context, [s3.GetObject], ["key"], StringLike({"c": [context]}))

    own = policies.from_this_account()
    grants = [
        policies.allow("A", [s3.GetObject], ["a"], own),
        policies.allow("B", [s3.GetObject], ["b"], own),
        policies.allow("C", [s3.GetObject], ["c"]),
        policies.allow("D", [s3.PutObject], ["d"], own),
        key("one"),
        key("two"),
    ]
    found = {
        one["Sid"]: (one["Resource"], one.get("Condition", {}).get("StringLike"))
        for one in encode_to_dict(policies.document(*policies.merged(grants)))["Statement"]
    }
    assert found == {
        "A": (["a", "b"], None),
        "C": (["c"], None),
        "D": (["d"], None),
        "one": (["key"], {"c": ["one", "two"]}),
    }
    assert read(grants[0])["Resource"] == ["a"], "the grants themselves stay as they are"
