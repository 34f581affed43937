"""Requests as each caller sends them, with the condition keys that AWS adds."""

from collections.abc import Mapping

from darkroom.iam.evaluator import Request
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT

SSE = "s3:x-amz-server-side-encryption"

THUMBNAILS = "<ThumbnailBucket.Arn>"
ARCHIVE = "<LogArchiveBucket.Arn>"
KEY = "<EncryptionKey.Arn>"
INSIDE_OFFICE, ELSEWHERE = "198.51.100.7", "203.0.113.9"
WORKER = "<WorkerRole.Arn>"
USER = f"arn:aws:iam::{ACCOUNT}:user/somebody"
STRANGER = f"arn:aws:iam::{OTHER_ACCOUNT}:user/stranger"


def of_worker(action: str, resource: str, **context: str) -> Request:
    """Return a request with the worker's role: of its code, or of Lambda from outside."""
    return by(WORKER, action, resource, **context)


def of_user(action: str, resource: str, **context: str) -> Request:
    """Return a request of somebody of this account."""
    return by(USER, action, resource, **context)


def of_stranger(action: str, resource: str) -> Request:
    """Return a request of somebody of another account."""
    return by(STRANGER, action, resource, **{"aws:PrincipalAccount": OTHER_ACCOUNT})


def by(principal: str, action: str, resource: str, **context: str) -> Request:
    """Return a request of an identity of this account, over TLS from the office."""
    return request(
        principal,
        action,
        resource,
        {
            "aws:SecureTransport": "true",
            "aws:PrincipalAccount": ACCOUNT,
            "aws:PrincipalArn": principal,
            "aws:PrincipalIsAWSService": "false",
            "aws:ViaAWSService": "false",
            "aws:SourceIp": INSIDE_OFFICE,
            **context,
        },
    )


def of_service(name: str, action: str, resource: str, **context: str) -> Request:
    """Return a request of a service that acts for this account."""
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


def request(principal: str, action: str, resource: str, context: Mapping[str, str]) -> Request:
    """Return a request that brings nothing but `context`."""
    lowered = {key.lower(): value for key, value in context.items()}
    return Request(principal=principal, action=action, resource=resource, context=lowered)
