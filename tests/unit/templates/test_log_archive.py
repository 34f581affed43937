from typing import Any

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.iam.evaluator import PolicyCheck, Request, is_allowed
from templates.specification import SpecificationError
from tests.unit.templates.conftest import generate

ACCOUNT = "111122223333"
KINDS = {
    "WorkerLog": "worker",
    "UploadApiLog": "upload-api",
    "UploadApiAccessLog": "upload-api-access",
}


def _destination(stack: ResolvedTemplate, title: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.properties(f"{title}Delivery")[
        "ExtendedS3DestinationConfiguration"
    ]
    return found


@pytest.fixture(scope="module")
def stack() -> ResolvedTemplate:
    return generate(api={})


@pytest.mark.parametrize("title", KINDS)
def test_every_line_goes_from_its_group_to_the_bucket(stack: ResolvedTemplate, title: str) -> None:
    """O6: filter, stream and destination name one another, and nothing is filtered out."""
    subscription = stack.properties(f"{title}Subscription")
    assert subscription == {
        "LogGroupName": stack.properties(f"{title}Group")["LogGroupName"],
        "FilterPattern": "",
        "DestinationArn": f"<{title}Delivery.Arn>",
        "RoleArn": "<LogSubscriptionRole.Arn>",
    }
    destination = _destination(stack, title)
    assert destination["BucketARN"] == "<LogArchiveBucket.Arn>"
    assert destination["RoleARN"] == "<LogDeliveryRole.Arn>"


@pytest.mark.parametrize("title", KINDS)
def test_lines_are_taken_out_and_compressed_once(stack: ResolvedTemplate, title: str) -> None:
    """Pitfalls 48, 55: CloudWatch Logs compresses, several events in a record."""
    destination = _destination(stack, title)
    processing = destination["ProcessingConfiguration"]
    assert processing["Enabled"] is True
    assert [
        (one["Type"], {each["ParameterName"]: each["ParameterValue"] for each in one["Parameters"]})
        for one in processing["Processors"]
    ] == [
        ("Decompression", {"CompressionFormat": "GZIP"}),
        ("CloudWatchLogProcessing", {"DataMessageExtraction": "true"}),
        ("AppendDelimiterToRecord", {"Delimiter": r"\n"}),
    ]
    assert destination["CompressionFormat"] == "GZIP"


def test_logs_are_kept_by_kind_and_hour(stack: ResolvedTemplate) -> None:
    """O6: what cannot be delivered stays, apart, with the kind of error."""
    for title, kind in KINDS.items():
        destination = _destination(stack, title)
        assert destination["Prefix"] == f"{kind}/!{{timestamp:yyyy/MM/dd/HH}}/"
        # Firehose refuses a prefix with expressions whose errors have none.
        assert destination["ErrorOutputPrefix"] == f"failed/{kind}/!{{firehose:error-output-type}}/"


@pytest.mark.parametrize("title", KINDS)
def test_a_stream_is_encrypted_with_the_stacks_key(stack: ResolvedTemplate, title: str) -> None:
    """S4: in the stream; in the bucket, by the bucket's own default."""
    encryption = stack.properties(f"{title}Delivery")["DeliveryStreamEncryptionConfigurationInput"]
    assert encryption == {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": "<EncryptionKey.Arn>"}
    assert "EncryptionConfiguration" not in _destination(stack, title)


@pytest.mark.parametrize("title", KINDS)
def test_a_failed_delivery_is_logged_in_cloudwatch(stack: ResolvedTemplate, title: str) -> None:
    """O2, O6: in a group that no subscription reads, or each failure would cause the next."""
    options = _destination(stack, title)["CloudWatchLoggingOptions"]
    group = stack.properties("LogDeliveryLogGroup")["LogGroupName"]
    assert options == {"Enabled": True, "LogGroupName": group, "LogStreamName": "darkroom"}
    # Firehose makes no log stream by itself.
    stream = stack.properties("LogDeliveryLogStream")
    assert stream == {"LogGroupName": group, "LogStreamName": "darkroom"}
    subscribed = stack.resources_of_type("Logs::SubscriptionFilter").values()
    assert group not in {one["LogGroupName"] for one in subscribed}


def test_logs_go_when_their_time_is_over(stack: ResolvedTemplate) -> None:
    """O6, pitfall 51: by a parameter; deleted ones stay as long as those of the other buckets."""
    given = stack.with_parameters(LogArchiveRetentionDays=400, NoncurrentVersionRetentionDays=9)
    (rule,) = given.properties("LogArchiveBucket")["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 400
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 9}
    parameters = stack.template["Parameters"]
    assert parameters["LogArchiveRetentionDays"]["Default"] == 365
    assert parameters["LogRetentionDays"]["Default"] < 365


def test_the_roles_are_exactly_these(stack: ResolvedTemplate) -> None:
    """S5: a right more or less is a decision, made here."""
    actions = {
        title: {s["Sid"]: s["Action"] for s in stack.statements(title)}
        for title in ("LogDeliveryRole", "LogSubscriptionRole")
    }
    assert actions == {
        "LogDeliveryRole": {
            "Assume": ["sts:AssumeRole"],
            "WriteLogs": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
            "ListBucket": [
                "s3:GetBucketLocation",
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
            ],
            "EncryptLogs": ["kms:Decrypt", "kms:GenerateDataKey"],
            "LogDeliveryErrors": ["logs:PutLogEvents"],
        },
        "LogSubscriptionRole": {
            "Assume": ["sts:AssumeRole"],
            "SendLogs": ["firehose:PutRecord", "firehose:PutRecordBatch"],
        },
    }
    assert stack.statement("LogDeliveryRole", "WriteLogs")["Resource"] == [
        f"<LogArchiveBucket.Arn>/{prefix}/*" for prefix in (*KINDS.values(), "failed")
    ]
    context = stack.statement("LogDeliveryRole", "EncryptLogs")["Condition"]["StringLike"]
    assert context == {"kms:EncryptionContext:aws:s3:arn": ["<LogArchiveBucket.Arn>"]}


@pytest.mark.parametrize(
    ("other", "mine"),
    [("darkroom.worker", True), ("darkroom-two.worker", False)],
)
def test_the_streams_of_a_stack_are_not_anothers(
    stack: ResolvedTemplate, other: str, mine: bool
) -> None:
    """Pitfall 32, pitfall 52: a dot follows the prefix, and no prefix has one."""
    arn = f"arn:aws:firehose:eu-west-1:{ACCOUNT}:deliverystream/{other}"
    policies = {"Role": stack.statements("LogSubscriptionRole")}
    request = Request(principal="any", action="firehose:PutRecord", resource=arn)
    assert is_allowed(policies, request, [PolicyCheck("Role", "identity-based")]) is mine
    streams = stack.resources_of_type("KinesisFirehose::DeliveryStream").values()
    assert (other in {stream["DeliveryStreamName"] for stream in streams}) is mine
    pattern = stack.template["Parameters"]["NamePrefix"]["AllowedPattern"]
    assert "." not in pattern.replace("[a-z0-9-]", "").replace("[a-z]", "").replace("[a-z0-9]", "")


def test_each_service_assumes_its_role_for_this_account_alone(stack: ResolvedTemplate) -> None:
    """Pitfall 32, pitfall 47: by what each really sends; CloudWatch Logs sends no account."""
    delivery = stack.statement("LogDeliveryRole", "Assume")
    assert delivery["Principal"] == {"Service": ["firehose.amazonaws.com"]}
    assert delivery["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {
            "aws:SourceArn": f"arn:aws:firehose:eu-west-1:{ACCOUNT}:deliverystream/darkroom.*"
        },
    }
    subscription = stack.statement("LogSubscriptionRole", "Assume")
    assert subscription["Principal"] == {"Service": ["logs.amazonaws.com"]}
    assert subscription["Condition"] == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:*"}
    }


def test_aws_delivers_the_flow_log_to_the_archive(stack: ResolvedTemplate) -> None:
    """O6, S6: all traffic of the VPC, by hour, with no role and no log group in between."""
    assert stack.properties("FlowLog") == {
        "ResourceId": "<Vpc>",
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogDestinationType": "s3",
        "LogDestination": "<LogArchiveBucket.Arn>",
        "DestinationOptions": {
            "FileFormat": "plain-text",
            "HiveCompatiblePartitions": False,
            "PerHourPartition": True,
        },
        "Tags": stack.properties("Vpc")["Tags"],
    }
    assert not {"FlowLogRole", "FlowLogGroup"} & set(stack.resources)


def test_the_archive_admits_the_flow_log_before_it_is_there(stack: ResolvedTemplate) -> None:
    """Pitfall 65: with AWS's own statements, or AWS would change the policy."""
    assert stack.resources["FlowLog"]["DependsOn"] == ["LogArchiveBucketPolicy"]
    source = {"aws:SourceArn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:*"}
    account = {"aws:SourceAccount": ACCOUNT}
    for title, sid, actions, resources, equals in (
        (
            "LogArchiveBucketPolicy",
            "AWSLogDeliveryWrite",
            ["s3:PutObject"],
            [f"<LogArchiveBucket.Arn>/AWSLogs/{ACCOUNT}/*"],
            {**account, "s3:x-amz-acl": "bucket-owner-full-control"},
        ),
        (
            "LogArchiveBucketPolicy",
            "AWSLogDeliveryAclCheck",
            ["s3:GetBucketAcl", "s3:ListBucket"],
            ["<LogArchiveBucket.Arn>"],
            account,
        ),
    ):
        statement = stack.statement(title, sid)
        assert statement["Principal"] == {"Service": ["delivery.logs.amazonaws.com"]}
        assert (statement["Action"], statement["Resource"]) == (actions, resources)
        assert statement["Condition"] == {"StringEquals": equals, "ArnLike": source}
    use = stack.statement("EncryptionKey", "DeliverLogs")
    assert {"kms:GenerateDataKey", "kms:Decrypt", "kms:DescribeKey"} <= set(use["Action"])
    assert use["Condition"] == {"StringEquals": account, "ArnLike": source}


@pytest.mark.parametrize("vpc", ["create", "existing"])
def test_only_a_created_vpc_has_its_flow_log_in_the_archive(vpc: str) -> None:
    """O6, S5: the default is no error in an existing VPC, and nothing is admitted for it."""
    found = generate(network={"vpc": vpc})
    created = vpc == "create"
    assert ("FlowLog" in found.resources) is created
    sids = {one["Sid"] for one in found.statements("LogArchiveBucketPolicy")}
    assert ("AWSLogDeliveryWrite" in sids) is created
    assert ("DeliverLogs" in {one["Sid"] for one in found.statements("EncryptionKey")}) is created


def test_there_is_no_archive_where_it_is_off() -> None:
    """O6: by specification, with all that belongs to it."""
    stack = generate(logs={"archive": False, "s3_access_logs": False})
    for kind in ("KinesisFirehose::DeliveryStream", "Logs::SubscriptionFilter", "Logs::LogStream"):
        assert not stack.resources_of_type(kind)
    assert len(stack.resources_of_type("S3::Bucket")) == 2
    assert len(stack.resources_of_type("IAM::Role")) == 2
    assert "LogArchiveRetentionDays" not in stack.template["Parameters"]
    assert "LogArchiveBucketName" not in stack.template["Outputs"]


def test_a_compliance_lock_is_for_ten_years_at_most() -> None:
    """O6: nobody can undo a larger number that was typed by mistake."""
    for mode, most in (("governance", 36_500), ("compliance", 3653)):
        stack = generate(logs={"object_lock": mode})
        assert stack.template["Parameters"]["LogArchiveRetentionDays"]["MaxValue"] == most


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_the_archive_can_be_locked(mode: str) -> None:
    """O6: nobody deletes a line before its time; as long as it is kept, so that it does go."""
    stack = generate(logs={"object_lock": mode}).with_parameters(LogArchiveRetentionDays=90)
    bucket = stack.properties("LogArchiveBucket")
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"] == {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": mode.upper(), "Days": 90}},
    }
    unlocked = generate().properties("LogArchiveBucket")
    assert not [key for key in unlocked if key.startswith("ObjectLock")]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"logs": {"archive": False, "object_lock": "governance"}},
            'logs: object_lock = "governance" needs archive = true',
        ),
        (
            {"logs": {"archive": False, "archive_flow_logs": True}},
            "logs: archive_flow_logs needs archive = true",
        ),
        (
            {"logs": {"archive_flow_logs": True}, "network": {"vpc": "existing"}},
            "logs.archive_flow_logs: an existing VPC's flow logs belong to its owner",
        ),
    ],
)
def test_what_cannot_be_archived_is_refused(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        generate(**tables)


def test_s3_delivers_access_logs_where_it_can() -> None:
    """S1, S2: closed and versioned like the others, but under S3's key and without a lock."""
    stack = generate(logs={"object_lock": "compliance"}).with_parameters(LogArchiveRetentionDays=90)
    bucket = stack.properties("AccessLogBucket")
    archive = stack.properties("LogArchiveBucket")
    for key in ("PublicAccessBlockConfiguration", "OwnershipControls", "VersioningConfiguration"):
        assert bucket[key] == archive[key]
    assert bucket["LifecycleConfiguration"] == archive["LifecycleConfiguration"]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert "ObjectLockEnabled" not in bucket
    assert "ObjectLockEnabled" in archive


def test_access_logs_come_from_this_stacks_buckets() -> None:
    """S5, pitfall 32: S3's log delivery, for this account and these names, and nothing else."""
    stack = generate()
    allowed = [s for s in stack.statements("AccessLogBucketPolicy") if s["Effect"] == "Allow"]
    (statement,) = allowed
    assert statement["Principal"] == {"Service": ["logging.s3.amazonaws.com"]}
    assert statement["Action"] == ["s3:PutObject"]
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::darkroom-*-{ACCOUNT}-eu-west-1"},
    }
    refused = {s["Sid"] for s in stack.statements("AccessLogBucketPolicy")} - {statement["Sid"]}
    assert refused == {"DenyPlaintext", "DenyOtherAccounts"}


def test_an_access_log_alone_has_a_retention() -> None:
    """Pitfall 51: the parameter is there for either bucket."""
    stack = generate(logs={"archive": False})
    (rule,) = stack.properties("AccessLogBucket")["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 365
