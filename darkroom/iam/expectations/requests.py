"""Builds requests as each caller sends them, with the condition keys that AWS adds."""

from collections.abc import Mapping

from darkroom.iam.evaluator import Request
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT

SSE = "s3:x-amz-server-side-encryption"

THUMBNAILS = "<ThumbnailBucket.Arn>"
ARCHIVE = "<LogArchiveBucket.Arn>"
KEY = "<EncryptionKey.Arn>"
UPLOAD_IP, OTHER_IP = "198.51.100.7", "203.0.113.9"
WORKER = "<WorkerRole.Arn>"
USER = f"arn:aws:iam::{ACCOUNT}:user/user"
EXTERNAL_USER = f"arn:aws:iam::{OTHER_ACCOUNT}:user/external"


def by_worker(action: str, resource: str, **context: str) -> Request:
    """Return a request with the worker's role, by its code or by Lambda."""
    return by(WORKER, action, resource, **context)


def by_user(action: str, resource: str, **context: str) -> Request:
    """Return a request by a user of this account."""
    return by(USER, action, resource, **context)


def by_external_user(action: str, resource: str, **context: str) -> Request:
    """Return a request by a user of another account."""
    return by(EXTERNAL_USER, action, resource, **context, **{"aws:PrincipalAccount": OTHER_ACCOUNT})


def by_anonymous(action: str, resource: str) -> Request:
    """Return a request without credentials, which has no key about its principal.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice
    """
    context = {
        "aws:SecureTransport": "true",
        "aws:ViaAWSService": "false",
        "aws:SourceIp": UPLOAD_IP,
    }
    return request("*", action, resource, context)


def by(principal: str, action: str, resource: str, **context: str) -> Request:
    """Return a request by an identity of this account, over TLS, from an allowed address.

    The resource is in this account.
    """
    return request(
        principal,
        action,
        resource,
        {
            "aws:SecureTransport": "true",
            "aws:PrincipalAccount": ACCOUNT,
            "aws:PrincipalArn": principal,
            "aws:ResourceAccount": ACCOUNT,
            "aws:PrincipalIsAWSService": "false",
            "aws:ViaAWSService": "false",
            "aws:SourceIp": UPLOAD_IP,
            **context,
        },
    )


def by_service(name: str, action: str, resource: str, **context: str) -> Request:
    """Return a request by an AWS service that acts for this account."""
    return request(
        name,
        action,
        resource,
        {
            "aws:SecureTransport": "true",
            "aws:PrincipalIsAWSService": "true",
            "aws:ViaAWSService": "false",
            "aws:SourceAccount": ACCOUNT,
            **context,
        },
    )


def by_log_delivery(
    *,
    resource: str,
    source: str,
    principal: str = "delivery.logs.amazonaws.com",
    action: str = "s3:PutObject",
    account: str = ACCOUNT,
    acl: str = "bucket-owner-full-control",
) -> Request:
    """Return the request of CloudWatch Logs that delivers another service's log to a bucket."""
    context = {"aws:SourceArn": source, "aws:SourceAccount": account, "s3:x-amz-acl": acl}
    return by_service(principal, action, resource, **context)


def request(principal: str, action: str, resource: str, context: Mapping[str, str]) -> Request:
    """Return a request with no condition keys but `context`."""
    lowered = {key.lower(): value for key, value in context.items()}
    return Request(principal=principal, action=action, resource=resource, context=lowered)
