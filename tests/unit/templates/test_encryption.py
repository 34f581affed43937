from typing import Any

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate

SERVICES = {
    "SendEvents": "s3.amazonaws.com",
    "PublishAlarms": "cloudwatch.amazonaws.com",
    "EncryptLogs": "logs.eu-west-1.amazonaws.com",
}
KEY = "<EncryptionKey.Arn>"


def test_the_key_rotates_and_outlives_the_stack(stack: ResolvedTemplate) -> None:
    """Pitfall 30, S4: a key scheduled for deletion makes the data unreadable."""
    assert stack.properties("EncryptionKey")["EnableKeyRotation"] is True
    key = stack.resources["EncryptionKey"]
    assert key["DeletionPolicy"] == "RetainExceptOnCreate"
    assert key["UpdateReplacePolicy"] == "Retain"


def test_the_account_can_always_administer_the_key(stack: ResolvedTemplate) -> None:
    """Pitfall 30: without it a lost role would lose the data."""
    statement = stack.statement("EncryptionKey", "Administer")
    assert statement["Principal"] == {"AWS": ["arn:aws:iam::111122223333:root"]}
    assert {"kms:PutKeyPolicy", "kms:Decrypt", "kms:RevokeGrant"} <= set(statement["Action"])


def test_grants_are_for_aws_services_only(stack: ResolvedTemplate) -> None:
    """S4: a grant for another principal would be a use of the key that no policy shows."""
    granting = [
        one for one in stack.statements("EncryptionKey") if "kms:CreateGrant" in one["Action"]
    ]
    (statement,) = granting
    assert statement["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_no_action_without_encryption_context_is_allowed_under_one(stack: ResolvedTemplate) -> None:
    """Pitfall 60: the condition would never hold for kms:DescribeKey."""
    for one in stack.statements("EncryptionKey"):
        if "kms:EncryptionContext" in str(one.get("Condition")):
            assert "kms:DescribeKey" not in one["Action"]


@pytest.mark.parametrize("sid", SERVICES)
def test_a_service_uses_the_key_for_this_account_only(stack: ResolvedTemplate, sid: str) -> None:
    """S4, pitfall 32: each service by name, with what it really sends as condition."""
    statement = stack.statement("EncryptionKey", sid)
    assert statement["Principal"] == {"Service": [SERVICES[sid]]}
    ((_, condition),) = statement["Condition"].items()
    assert all("111122223333" in value for value in condition.values())


def test_no_other_principal_may_use_the_key(stack: ResolvedTemplate) -> None:
    """S4: the statements above are all there is."""
    sids = {statement["Sid"] for statement in stack.statements("EncryptionKey")}
    assert sids == {"Administer", "CreateServiceGrants", "DeliverLogs", *SERVICES}


def test_s3_and_alarms_can_reach_what_is_encrypted(stack: ResolvedTemplate) -> None:
    """Pitfall 3, pitfall 4: events and alarms vanish in silence without both actions."""
    for sid in ("SendEvents", "PublishAlarms"):
        actions = set(stack.statement("EncryptionKey", sid)["Action"])
        assert actions == {"kms:Decrypt", "kms:GenerateDataKey"}


def test_log_groups_are_named_in_the_encryption_context(stack: ResolvedTemplate) -> None:
    """Pitfall 5: CloudWatch Logs sends only its group as context; China has a suffix."""
    condition = stack.statement("EncryptionKey", "EncryptLogs")["Condition"]
    pattern = condition["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    for group in stack.resources_of_type("Logs::LogGroup").values():
        assert group["LogGroupName"].startswith(pattern.split("log-group:")[1].rstrip("*"))
    china = stack.with_parameters(
        **{"AWS::URLSuffix": "amazonaws.com.cn", "AWS::Region": "cn-north-1"}
    ).statement("EncryptionKey", "EncryptLogs")
    assert china["Principal"] == {"Service": ["logs.cn-north-1.amazonaws.com.cn"]}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("SQS::Queue", ["KmsMasterKeyId"]),
        ("SNS::Topic", ["KmsMasterKeyId"]),
        ("Logs::LogGroup", ["KmsKeyId"]),
        ("Lambda::Function", ["KmsKeyArn"]),
        (
            "S3::Bucket",
            [
                "BucketEncryption",
                "ServerSideEncryptionConfiguration",
                "0",
                "ServerSideEncryptionByDefault",
                "KMSMasterKeyID",
            ],
        ),
    ],
)
def test_everything_at_rest_is_under_the_one_key(
    stack: ResolvedTemplate, kind: str, path: list[str]
) -> None:
    """S4: one customer managed key for buckets, queues, topic, logs and environment."""
    found = stack.resources_of_type(kind)
    assert found
    for title, properties in found.items():
        if title == "AccessLogBucket":  # S3 delivers to no bucket under such a key
            continue
        value: Any = properties
        for step in path:
            value = value[int(step)] if step.isdigit() else value[step]
        assert value == KEY
