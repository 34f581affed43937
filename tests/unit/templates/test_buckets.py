from typing import Any

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.iam.evaluator import PolicyCheck, Request, is_allowed
from templates import buckets
from tests.unit.templates.conftest import generate
from worker.keys import output_key, record_key, rejection_key

BUCKETS = ("UploadBucket", "ThumbnailBucket")


def test_the_worker_is_refused_outside_its_network_and_nobody_else(stack: ResolvedTemplate) -> None:
    """S5, S6, pitfall 7: stolen credentials are of no use; the limit can be taken off."""
    for title in BUCKETS:
        statement = stack.statement(f"{title}Policy", "DenyWorkerOutsideEndpoint")
        assert statement["Condition"] == {
            "ArnEquals": {"aws:PrincipalArn": "<WorkerRole.Arn>"},
            "StringNotEquals": {"aws:SourceVpce": "<S3Endpoint>"},
        }
        without = stack.with_parameters(EnforceVpcEndpoint="false").statements(f"{title}Policy")
        assert "DenyWorkerOutsideEndpoint" not in {s["Sid"] for s in without}


def test_there_is_no_allow_list_unless_one_is_given(stack: ResolvedTemplate) -> None:
    """S3: absent by default."""
    assert "DenyUploadsOutsideCidrs" not in {
        s["Sid"] for s in stack.statements("UploadBucketPolicy")
    }


@pytest.mark.parametrize(
    ("action", "ip", "via", "service", "allowed"),
    [
        ("s3:PutObject", "198.51.100.7", "false", "false", True),
        ("s3:PutObject", "192.0.2.200", "false", "false", True),
        ("s3:PutObject", "203.0.113.9", "false", "false", False),
        ("s3:PutObject", "2001:db8::9", "false", "false", False),
        ("s3:PutObject", "203.0.113.9", "true", "false", True),
        ("s3:PutObject", "203.0.113.9", "false", "true", True),
        ("s3:GetObject", "203.0.113.9", "false", "false", True),
        ("s3:PutBucketPolicy", "203.0.113.9", "false", "false", True),
        ("s3:PutLifecycleConfiguration", "203.0.113.9", "false", "false", True),
    ],
)
def test_the_allow_list_locks_out_uploads_from_elsewhere_alone(
    stack: ResolvedTemplate, action: str, ip: str, via: str, service: str, allowed: bool
) -> None:
    """S3, pitfall 7: not AWS's services or administrators; the worker never uploads."""
    limited = stack.with_parameters(AllowedUploadCidrs=["198.51.100.0/24", "192.0.2.128/25"])
    policies = {"UploadBucketPolicy": limited.statements("UploadBucketPolicy")}
    request = Request(
        principal="arn:aws:iam::111122223333:user/alice",
        action=action,
        resource="<UploadBucket.Arn>/uploads/a.jpg",
        context={
            "aws:securetransport": "true",
            "aws:principalaccount": "111122223333",
            "aws:principalisawsservice": service,
            "aws:viaawsservice": via,
            "aws:sourceip": ip,
        },
    )
    assert (
        is_allowed(policies, request, [PolicyCheck("UploadBucketPolicy", "deny-only")]) is allowed
    )


def test_each_suffix_is_notified_in_both_cases() -> None:
    """Pitfall 11, T2: filters are case-sensitive, without wildcards, one each."""
    stack = generate(
        sources={"default": {"prefixes": ["in/", "out/"], "suffixes": [".jpg", ".png"]}}
    )
    configurations = stack.properties("UploadBucket")["NotificationConfiguration"][
        "QueueConfigurations"
    ]
    filters = [_filter(one) for one in configurations]
    assert sorted(filters) == sorted(
        (prefix, suffix)
        for prefix in ("in/", "out/")
        for suffix in (".jpg", ".JPG", ".png", ".PNG")
    )
    assert {one["Event"] for one in configurations} == {"s3:ObjectCreated:*"}
    assert {one["Queue"] for one in configurations} == {"<WorkQueue.Arn>"}


def test_uploads_move_to_another_storage_class_where_that_is_specified() -> None:
    """R2, pitfall 83: the source's own uploads only, to a class that the worker can read."""
    stack = generate(
        sources={
            "default": {"prefixes": ["in/", "raw/"], "archive_after_days": 0},
            "scans": {
                "prefixes": [""],
                "archive_after_days": 30,
                "archive_storage_class": "INTELLIGENT_TIERING",
                "output_prefix": "s/",
            },
        }
    )
    moved = {
        title: [
            (rule.get("Prefix"), *one.values())
            for rule in stack.properties(title)["LifecycleConfiguration"]["Rules"]
            for one in rule.get("Transitions", [])
        ]
        for title in ("UploadBucket", "ScansUploadBucket", "ThumbnailBucket")
    }
    assert moved == {
        "UploadBucket": [("in/", "GLACIER_IR", 0), ("raw/", "GLACIER_IR", 0)],
        "ScansUploadBucket": [(None, "INTELLIGENT_TIERING", 30)],
        "ThumbnailBucket": [],
    }
    names = [
        rule["Id"] for rule in stack.properties("UploadBucket")["LifecycleConfiguration"]["Rules"]
    ]
    assert len(set(names)) == 3
    # Its archive tiers would need a restore.
    assert "IntelligentTieringConfigurations" not in stack.properties("ScansUploadBucket")


def test_no_upload_moves_by_default(stack: ResolvedTemplate) -> None:
    """C1: only where it is specified."""
    (rule,) = stack.properties("UploadBucket")["LifecycleConfiguration"]["Rules"]
    assert "Transitions" not in rule


def test_deletions_are_notified_only_when_specified() -> None:
    """P6: deleting an upload removes its thumbnails when the specification says so."""
    stack = generate(sources={"default": {"suffixes": [".jpg"], "propagate_deletes": True}})
    configurations = stack.properties("UploadBucket")["NotificationConfiguration"][
        "QueueConfigurations"
    ]
    assert {(one["Event"], *_filter(one)) for one in configurations} == {
        (event, "uploads/", suffix)
        for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
        for suffix in (".jpg", ".JPG")
    }
    variables = stack.properties("Worker")["Environment"]["Variables"]
    assert '"propagate_deletes":true' in variables["SOURCES"]
    for title in ("WorkerRole", "S3Endpoint"):
        read = stack.statement(title, "ReadUploads")
        assert read["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]


def test_the_bucket_waits_for_the_queue_policy(stack: ResolvedTemplate) -> None:
    """Pitfall 1, T3: S3 tries the queue when the notification is set."""
    assert "WorkQueuePolicy" in stack.resources["UploadBucket"]["DependsOn"]


def test_only_the_upload_bucket_sends_notifications(stack: ResolvedTemplate) -> None:
    """R5, pitfall 16: what the worker writes starts nothing."""
    names = {title: stack.properties(title)["BucketName"] for title in BUCKETS}
    assert len(set(names.values())) == 2
    assert "NotificationConfiguration" not in stack.properties("ThumbnailBucket")


def test_a_record_is_announced_and_no_other_object() -> None:
    """T3, pitfall 1: by what the worker writes last; S3 tries the topic when it is set."""
    bucket = generate(events={"topic": True}).resources["ThumbnailBucket"]
    assert "RecordTopicPolicy" in bucket["DependsOn"]
    settings = bucket["Properties"]["NotificationConfiguration"]
    assert list(settings) == ["TopicConfigurations"]
    (configuration,) = settings["TopicConfigurations"]
    assert configuration["Event"] == "s3:ObjectCreated:*"
    prefix, suffix = _filter(configuration)
    record = record_key("uploads/a.jpg", "scans/")
    assert record.startswith(prefix)
    assert record.endswith(suffix)
    for other in (output_key("uploads/a.jpg", "my-index.json"), rejection_key("uploads/a.jpg")):
        assert not (other.startswith(prefix) and other.endswith(suffix))


def test_eventbridge_gets_the_events_of_the_thumbnail_bucket_alone() -> None:
    """T3: where it is asked for; the upload bucket's events go to the queue."""
    stack = generate(events={"eventbridge": True})
    assert stack.properties("ThumbnailBucket")["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    uploads = stack.properties("UploadBucket")["NotificationConfiguration"]
    assert list(uploads) == ["QueueConfigurations"]


def test_the_right_to_read_follows_the_prefixes() -> None:
    """S5: exact prefixes, in the role and in the endpoint's policy alike."""
    stack = generate(sources={"default": {"prefixes": ["in/", "raw/"]}})
    for title in ("WorkerRole", "S3Endpoint"):
        read = stack.statement(title, "ReadUploads")
        assert read["Action"] == ["s3:GetObjectVersion"]
        assert read["Resource"] == ["<UploadBucket.Arn>/in/*", "<UploadBucket.Arn>/raw/*"]
        write = stack.statement(title, "WriteOutputs")
        assert write["Resource"] == [
            f"<ThumbnailBucket.Arn>/{prefix}*" for prefix in buckets.OUTPUT_PREFIXES
        ]


def test_the_worker_writes_where_it_may() -> None:
    """P2, S5: the prefixes that are granted are the ones that the worker's keys begin with."""
    written = {output_key("uploads/a.jpg", "w400"), rejection_key("uploads/a.jpg")}
    assert {f"{key.split('/')[0]}/" for key in written} == set(buckets.OUTPUT_PREFIXES)


LOGO = "watermarks/logo.png"


def test_the_worker_reads_its_watermarks_and_nothing_beside_them() -> None:
    """Issue 15, S5: role and endpoint have the same keys, and only where variants have them."""
    variants = {"default": {"watermark": {"key": LOGO}}, "square": {"watermark": {"key": LOGO}}}
    marked = generate(
        variants=variants, sources={"default": {"variants": ["default", "square"]}}, cdn={}
    )
    for title in ("WorkerRole", "S3Endpoint"):
        statement = marked.statement(title, "ReadWatermarks")
        assert statement["Action"] == ["s3:GetObject"]
        assert statement["Resource"] == [f"<ThumbnailBucket.Arn>/{LOGO}"]
        sids = {one.get("Sid") for one in generate().statements(title)}
        assert "ReadWatermarks" not in sids
    (read,) = marked.statement("ThumbnailBucketPolicy", "ReadThumbnails")["Resource"]
    assert read == "<ThumbnailBucket.Arn>/thumbnails/uploads/*"


def test_nothing_expires_a_watermark(stack: ResolvedTemplate) -> None:
    """Issue 15: the bucket's lifecycle ends noncurrent versions alone, and announces records."""
    bucket = stack.resources["ThumbnailBucket"]["Properties"]
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule.keys() == {
        "AbortIncompleteMultipartUpload",
        "ExpiredObjectDeleteMarker",
        "Id",
        "NoncurrentVersionExpiration",
        "Status",
    }
    assert not LOGO.startswith(buckets.OUTPUT_PREFIXES)


def test_the_key_is_used_in_the_context_of_the_bucket(stack: ResolvedTemplate) -> None:
    """Pitfall 6: with bucket keys the context is the bucket's ARN, not the object's."""
    write = stack.statement("WorkerRole", "EncryptOutputs")
    context = write["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"]
    assert context == ["<ThumbnailBucket.Arn>"]
    read = stack.statement("WorkerRole", "DecryptUploads")
    context = read["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"]
    assert context == ["<UploadBucket.Arn>", "<UploadBucket.Arn>/*"]
    assert read["Action"] == ["kms:Decrypt"]


def _filter(configuration: dict[str, Any]) -> tuple[str, ...]:
    return tuple(rule["Value"] for rule in configuration["Filter"]["S3Key"]["Rules"])
