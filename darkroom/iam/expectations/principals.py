"""Principals at the buckets, the queues and the key: users, roles and services."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    THUMBNAIL_BUCKET_POLICY,
    Expectation,
    denied_by_bucket_policy,
    denied_with_other_keys,
)
from darkroom.iam.expectations.requests import (
    KEY,
    OTHER_IP,
    SSE,
    THUMBNAILS,
    by,
    by_external_user,
    by_service,
    by_user,
    by_worker,
)
from darkroom.iam.model import ACCOUNT, StackModel

# What administrators, and services on their behalf, need of the key, and why.
ADMINISTRATION = {
    "kms:CancelKeyDeletion": "undo a deletion",
    "kms:CreateAlias": "create the stack",
    "kms:Decrypt": "read what is stored",
    "kms:DeleteAlias": "delete the stack",
    "kms:DescribeKey": "create the stack; inspect",
    "kms:DisableKey": "stop all use immediately",
    "kms:DisableKeyRotation": "update the stack",
    "kms:EnableKey": "undo DisableKey",
    "kms:EnableKeyRotation": "create the stack",
    "kms:Encrypt": "create the function: Lambda encrypts the environment",
    "kms:GenerateDataKey": "upload pictures",
    "kms:GetKeyPolicy": "detect drift",
    "kms:GetKeyRotationStatus": "detect drift",
    "kms:ListGrants": "inspect",
    "kms:ListKeyPolicies": "inspect",
    "kms:ListKeyRotations": "inspect",
    "kms:ListResourceTags": "update the stack",
    "kms:PutKeyPolicy": "update the stack; without it the key policy is final",
    "kms:ReEncryptFrom": "move data to another key",
    "kms:ReEncryptTo": "move data to another key",
    "kms:RevokeGrant": "delete the function",
    "kms:RotateKeyOnDemand": "after an incident",
    "kms:ScheduleKeyDeletion": "delete the data permanently",
    "kms:TagResource": "create the stack",
    "kms:UntagResource": "update the stack",
    "kms:UpdateAlias": "update the stack",
    "kms:UpdateKeyDescription": "update the stack",
}


_SERVICE_GRANT = "kms:GrantIsForAWSResource"


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield what users, and services on their behalf, do and no policy may deny."""
    for action, reason in ADMINISTRATION.items():
        yield Expectation(reason, by_user(action, KEY), (KEY_POLICY,))
    grant = by_user("kms:CreateGrant", KEY, **{_SERVICE_GRANT: "true"})
    yield Expectation("Lambda decrypts the environment through a grant", grant, (KEY_POLICY,))
    named = {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KEY}
    for source in stack.managed_sources:
        upload = f"{source.bucket}/{source.prefixes[0]}a.jpg"
        yield Expectation("upload", by_user("s3:PutObject", upload), source.bucket_checks)
        for action, resource in (
            ("s3:PutBucketPolicy", source.bucket),
            ("s3:GetObject", upload),
            ("s3:DeleteObject", upload),
            ("s3:ListBucket", source.bucket),
        ):
            request = by_user(action, resource, **{"aws:SourceIp": OTHER_IP})
            yield Expectation(
                "deploy and administer from any address", request, source.bucket_checks
            )
        context = {"aws:SourceIp": OTHER_IP, "aws:ViaAWSService": "true"}
        put = by_user("s3:PutObject", upload, **context)
        yield Expectation("an AWS service on behalf of a user", put, source.bucket_checks)
        put = by_user("s3:PutObject", upload, **named)
        yield Expectation("upload, naming the key", put, source.bucket_checks)
    other_role = f"arn:aws:iam::{ACCOUNT}:role/other"
    for check, arn in _bucket_checks(stack):
        other = by(other_role, "s3:GetObject", f"{arn}/any")
        yield Expectation("another role outside the endpoint", other, (check,))
    fetch = by_user("s3:GetObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400")
    yield Expectation("fetch a thumbnail", fetch, (THUMBNAIL_BUCKET_POLICY,))
    restore = by_user("s3:PutObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400")
    yield Expectation(
        "restore a thumbnail without naming the key", restore, (THUMBNAIL_BUCKET_POLICY,)
    )
    for check, queue in _queue_checks(stack):
        yield Expectation("read a queue", by_user("sqs:ReceiveMessage", queue), (check,))
    # A service has no aws:PrincipalAccount: denying other accounts must not deny it (pitfall 7).
    for check, bucket in _bucket_checks(stack):
        for action in ("s3:GetObject", "s3:PutObject"):
            request = by_service("logging.s3.amazonaws.com", action, f"{bucket}/any")
            yield Expectation("an AWS service", request, (check,))


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield what the policies of the buckets, the queues and the key deny everybody."""
    for check, arn in _bucket_checks(stack):
        yield from denied_by_bucket_policy(check, arn)
        yield from denied_with_other_keys(check, arn)
        for context in ({}, {"aws:SourceVpce": f"{stack.s3_endpoint}-other"}):
            for action, resource in (
                ("s3:PutObject", f"{arn}/any"),
                ("s3:GetObject", f"{arn}/any"),
                ("s3:ListBucket", arn),
            ):
                request = by_worker(action, resource, **context)
                yield Expectation("the worker's role outside its endpoint", request, (check,))
    for source in stack.managed_sources:
        for ip in (OTHER_IP, "2001:db8::9"):
            key = f"{source.bucket}/{source.prefixes[0]}a.jpg"
            upload = by_user("s3:PutObject", key, **{"aws:SourceIp": ip})
            yield Expectation("an upload from another address", upload, source.bucket_checks)
    for check, arn in _queue_checks(stack):
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage"):
            yield Expectation(
                "plain HTTP", by_user(action, arn, **{"aws:SecureTransport": "false"}), (check,)
            )
    for action in (*ADMINISTRATION, "kms:DeleteImportedKeyMaterial"):
        yield Expectation("a user of another account", by_external_user(action, KEY), (KEY_POLICY,))
    yield Expectation(
        "an action that nobody needs", by_user("kms:DeleteImportedKeyMaterial", KEY), (KEY_POLICY,)
    )
    unneeded = by_user("kms:DeleteImportedKeyMaterial", KEY, **{_SERVICE_GRANT: "true"})
    yield Expectation("an action that nobody needs", unneeded, (KEY_POLICY,))
    grant = by_user("kms:CreateGrant", KEY, **{_SERVICE_GRANT: "false"})
    yield Expectation("a grant for another principal", grant, (KEY_POLICY,))
    grant = by_external_user("kms:CreateGrant", KEY, **{_SERVICE_GRANT: "true"})
    yield Expectation("a user of another account", grant, (KEY_POLICY,))


def _bucket_checks(stack: StackModel) -> tuple[tuple[PolicyCheck, str], ...]:
    managed = ((source.bucket_checks[0], source.bucket) for source in stack.managed_sources)
    return (*managed, (THUMBNAIL_BUCKET_POLICY, THUMBNAILS))


def _queue_checks(stack: StackModel) -> Iterator[tuple[PolicyCheck, str]]:
    for queue in stack.queues:
        yield PolicyCheck(queue.work_queue_policy, "deny-only"), queue.work_queue
        yield PolicyCheck(queue.dead_letter_queue_policy, "deny-only"), queue.dead_letter_queue
