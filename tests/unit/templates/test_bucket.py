import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.iam.evaluator import PolicyCheck, Request, is_allowed
from tests.unit.templates.conftest import generate

BUCKETS = ("UploadBucket", "ThumbnailBucket", "LogArchiveBucket")


@pytest.fixture(scope="module")
def stack() -> ResolvedTemplate:
    return generate()


@pytest.mark.parametrize("title", BUCKETS)
def test_a_bucket_is_closed(stack: ResolvedTemplate, title: str) -> None:
    """S1, pitfall 39: no public access, no ACLs, versioned, encrypted with bucket keys."""
    bucket = stack.properties(title)
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (ownership,) = bucket["OwnershipControls"]["Rules"]
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"
    assert "AccessControl" not in bucket
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


@pytest.mark.parametrize("title", BUCKETS)
def test_data_outlives_the_stack(stack: ResolvedTemplate, title: str) -> None:
    """Pitfall 28, pitfall 29: kept on delete and replace; a failed create leaves no name behind."""
    assert stack.resources[title]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert stack.resources[title]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("title", BUCKETS)
def test_old_versions_and_unfinished_uploads_go(stack: ResolvedTemplate, title: str) -> None:
    """Pitfall 51: versioned buckets keep every overwritten thumbnail otherwise."""
    (rule,) = stack.with_parameters(NoncurrentVersionRetentionDays=9).properties(title)[
        "LifecycleConfiguration"
    ]["Rules"]
    assert rule["Status"] == "Enabled"
    assert "Prefix" not in rule
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 9}
    assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] > 0
    # S3 refuses both in one rule, and what expires takes its marker along.
    expires = title == "LogArchiveBucket"
    assert ("ExpirationInDays" in rule) is expires
    assert rule.get("ExpiredObjectDeleteMarker", False) is not expires


@pytest.mark.parametrize("title", BUCKETS)
def test_a_bucket_policy_refuses_and_never_allows(stack: ResolvedTemplate, title: str) -> None:
    """S2, S5: rights come from roles alone, but for what AWS delivers to the archive."""
    statements = stack.statements(f"{title}Policy")
    delivering = {s["Sid"] for s in statements if s["Effect"] == "Allow"}
    delivers = title == "LogArchiveBucket"
    assert delivering == ({"AWSLogDeliveryWrite", "AWSLogDeliveryAclCheck"} if delivers else set())
    assert all(s["Principal"] == "*" for s in statements if s["Sid"] not in delivering)


@pytest.mark.parametrize("title", BUCKETS)
@pytest.mark.parametrize(
    ("sid", "condition"),
    [
        ("DenyPlaintext", {"Bool": {"aws:SecureTransport": "false"}}),
        (
            "DenyOtherAccounts",
            {
                "StringNotEquals": {"aws:PrincipalAccount": "111122223333"},
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            },
        ),
    ],
)
def test_plain_http_and_other_accounts_are_refused(
    stack: ResolvedTemplate, title: str, sid: str, condition: dict[str, object]
) -> None:
    """S2, pitfall 7: the bucket and all in it; AWS's own services are not locked out."""
    statement = stack.statement(f"{title}Policy", sid)
    assert statement["Action"] == ["s3:*"]
    assert statement["Resource"] == [f"<{title}.Arn>", f"<{title}.Arn>/*"]
    assert statement["Condition"] == condition


@pytest.mark.parametrize("title", BUCKETS)
def test_writes_under_another_key_are_refused(stack: ResolvedTemplate, title: str) -> None:
    """S2, pitfall 74: by each of S3's headers; without them the bucket encrypts."""
    header = "s3:x-amz-server-side-encryption"
    expected = {
        "DenyOtherKeys": {
            "StringNotEquals": {f"{header}-aws-kms-key-id": "<EncryptionKey.Arn>"},
            "StringEquals": {header: "aws:kms"},
        },
        "DenyOtherEncryption": {
            "StringNotEquals": {header: "aws:kms"},
            "Null": {header: "false"},
        },
        "DenyCustomerKeys": {"Null": {f"{header}-customer-algorithm": "false"}},
    }
    for sid, condition in expected.items():
        statement = stack.statement(f"{title}Policy", sid)
        assert statement["Action"] == ["s3:PutObject"]
        assert statement["Resource"] == [f"<{title}.Arn>/*"]
        assert statement["Condition"] == condition


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"": "aws:kms", "-aws-kms-key-id": "<EncryptionKey.Arn>"}, True),
        ({"": "aws:kms", "-aws-kms-key-id": "arn:of-others"}, False),
        ({"": "aws:kms"}, False),
        ({"": "AES256"}, False),
        ({"-customer-algorithm": "AES256"}, False),
    ],
)
def test_what_a_writer_may_say_of_encryption(
    stack: ResolvedTemplate, headers: dict[str, str], allowed: bool
) -> None:
    """S2: nothing, or the stack's key."""
    policies = {"Policy": stack.statements("ThumbnailBucketPolicy")}
    request = Request(
        principal="arn:aws:iam::111122223333:role/any",
        action="s3:PutObject",
        resource="<ThumbnailBucket.Arn>/a",
        context={
            "aws:securetransport": "true",
            "aws:principalaccount": "111122223333",
            "aws:principalisawsservice": "false",
            **{f"s3:x-amz-server-side-encryption{name}": value for name, value in headers.items()},
        },
    )
    assert is_allowed(policies, request, [PolicyCheck("Policy", "deny-only")]) is allowed


@pytest.mark.parametrize("title", BUCKETS)
def test_a_bucket_policy_lives_as_long_as_its_bucket(stack: ResolvedTemplate, title: str) -> None:
    """Pitfall 64: after the stack's deletion the data is still protected."""
    for attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
        bucket, policy = (stack.resources[name] for name in (title, f"{title}Policy"))
        assert policy[attribute] == bucket[attribute]
        assert policy[attribute].startswith("Retain")


def test_requests_to_each_bucket_are_noted(stack: ResolvedTemplate) -> None:
    """O1: each bucket under its own prefix, by the time of the request, once S3 may write."""
    for title in BUCKETS:
        logging = stack.properties(title)["LoggingConfiguration"]
        name = stack.properties(title)["BucketName"]
        assert logging["DestinationBucketName"] == stack.properties("AccessLogBucket")["BucketName"]
        assert name.startswith(f"darkroom-{logging['LogFilePrefix'].rstrip('/')}-")
        partition = logging["TargetObjectKeyFormat"]["PartitionedPrefix"]
        assert partition == {"PartitionDateSource": "EventTime"}
        assert "AccessLogBucketPolicy" in stack.resources[title]["DependsOn"]
        assert "CKV_AWS_18" not in str(stack.resources[title].get("Metadata"))
    assert "LoggingConfiguration" not in stack.properties("AccessLogBucket")
    without = generate(logs={"s3_access_logs": False})
    assert not [title for title in without.resources if title.startswith("AccessLog")]
    assert "CKV_AWS_18" in str(without.resources["UploadBucket"]["Metadata"])
