"""An expectation: a request with the decision that policies must come to; and shared ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.requests import (
    KEY,
    SSE,
    by_anonymous,
    by_external_user,
    by_service,
    by_user,
)
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION

WORKER_ROLE = PolicyCheck("WorkerRole", "identity-based")
THUMBNAIL_BUCKET_POLICY = PolicyCheck("ThumbnailBucketPolicy", "deny-only")
KEY_POLICY = PolicyCheck("EncryptionKey", "resource-based")

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
LOG_ENCRYPTION = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


@dataclass(frozen=True)
class Expectation:
    """A request, the reason that it must be allowed or denied, and the policies that decide."""

    reason: str
    request: Request
    checks: Sequence[PolicyCheck]


def denied_by_bucket_policy(check: PolicyCheck, arn: str) -> Iterator[Expectation]:
    """Yield the requests that every bucket policy denies."""
    for action, resource in (
        ("s3:PutObject", f"{arn}/any"),
        ("s3:GetObject", f"{arn}/any"),
        ("s3:ListBucket", arn),
    ):
        yield Expectation(
            "plain HTTP", by_user(action, resource, **{"aws:SecureTransport": "false"}), (check,)
        )
        yield Expectation("a user of another account", by_external_user(action, resource), (check,))
        yield Expectation("an anonymous caller", by_anonymous(action, resource), (check,))


def denied_with_other_keys(check: PolicyCheck, arn: str) -> Iterator[Expectation]:
    """Yield uploads under another key, which the policy of every encrypted bucket denies."""
    other = "another encryption key"
    for reason, headers in (
        (other, {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": f"{KEY}-other"}),
        (other, {SSE: "AES256"}),
        (other, {f"{SSE}-customer-algorithm": "AES256"}),
        ("the AWS managed key", {SSE: "aws:kms"}),
    ):
        put = by_user("s3:PutObject", f"{arn}/any", **headers)
        yield Expectation(reason, put, (check,))


def denied_by_trust_policy(role: str) -> Iterator[Expectation]:
    """Yield the requests to assume a role that its trust policy denies.

    They fit roles of Lambda and of VPC flow logs.
    """
    checks, arn = (PolicyCheck(role, "resource-based"),), f"<{role}>"
    context = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
    other_account = {**context, "aws:SourceAccount": OTHER_ACCOUNT}
    flow_logs = "vpc-flow-logs.amazonaws.com"
    other = by_service(flow_logs, "sts:AssumeRole", arn, **other_account)
    yield Expectation("another account", other, checks)
    for principal in ("lambda.amazonaws.com", flow_logs):
        tag = by_service(principal, "sts:TagSession", arn, **context)
        yield Expectation("another action", tag, checks)
    other = by_service("ec2.amazonaws.com", "sts:AssumeRole", arn, **context)
    yield Expectation("another service", other, checks)
    yield Expectation("a user", by_user("sts:AssumeRole", arn), checks)
