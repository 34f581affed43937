"""What a claim is, with the gates and the refusals that several subjects share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.requests import (
    INSIDE_OFFICE,
    KEY,
    SSE,
    of_service,
    of_stranger,
    of_user,
)
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION

RIGHTS = PolicyCheck("WorkerRole", "identity")
THUMBNAIL_GUARD = PolicyCheck("ThumbnailBucketPolicy", "guard")
KEY_POLICY = PolicyCheck("EncryptionKey", "resource")

# CloudWatch Logs' documentation of encryption lists what it calls.
LOG_ENCRYPTION = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


@dataclass(frozen=True)
class Expectation:
    """A request, the gates it meets, and why it must pass or must not."""

    why: str
    request: Request
    gates: Sequence[PolicyCheck]


def past_a_bucket(guard: PolicyCheck, arn: str) -> Iterator[Expectation]:
    """Yield who is refused at every bucket of the stack."""
    for action, resource in (
        ("s3:PutObject", f"{arn}/any"),
        ("s3:GetObject", f"{arn}/any"),
        ("s3:ListBucket", arn),
    ):
        yield Expectation(
            "plain HTTP", of_user(action, resource, **{"aws:SecureTransport": "false"}), (guard,)
        )
        yield Expectation("a stranger", of_stranger(action, resource), (guard,))
        anonymous = Request(
            principal="*",
            action=action,
            resource=resource,
            context={
                "aws:securetransport": "true",
                "aws:principalisawsservice": "false",
                "aws:viaawsservice": "false",
                "aws:sourceip": INSIDE_OFFICE,
            },
        )
        yield Expectation("nobody", anonymous, (guard,))


def past_the_key(guard: PolicyCheck, arn: str) -> Iterator[Expectation]:
    """Yield what is refused at every bucket under the key: an object under another."""
    for headers in (
        {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": f"{KEY}-of-others"},
        {SSE: "AES256"},
        {f"{SSE}-customer-algorithm": "AES256"},
    ):
        put = of_user("s3:PutObject", f"{arn}/any", **headers)
        yield Expectation("another encryption", put, (guard,))


def past_a_trust(role: str) -> Iterator[Expectation]:
    """Yield who may not take a role, whichever of the two services it is for."""
    gates, name = (PolicyCheck(role, "resource"),), f"<{role}>"
    mine = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
    for principal in ("lambda.amazonaws.com", "vpc-flow-logs.amazonaws.com"):
        foreign = {**mine, "aws:SourceAccount": OTHER_ACCOUNT}
        other = of_service(principal, "sts:AssumeRole", name, **foreign)
        yield Expectation("another account", other, gates)
        tag = of_service(principal, "sts:TagSession", name, **mine)
        yield Expectation("another action", tag, gates)
    other = of_service("ec2.amazonaws.com", "sts:AssumeRole", name, **mine)
    yield Expectation("another service", other, gates)
    yield Expectation("a user", of_user("sts:AssumeRole", name), gates)
