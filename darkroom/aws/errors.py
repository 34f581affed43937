"""AWS's and botocore's errors: sentences for people, and which of them mean "not there"."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from darkroom.errors import UserError

# Codes by which AWS services reject the credentials themselves.
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
INVALID_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
# Codes of an endpoint that does not know the action: an emulator, or a partition without it.
UNSUPPORTED = {"InvalidAction", "UnknownOperationException", "UnknownOperation"}
REFUSALS = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
}
# Codes of a request that came too soon, and that botocore has repeated for as long as it does.
THROTTLED = {
    "RequestLimitExceeded",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
NOT_FOUND = {
    "404",  # HEAD requests of S3 have no body that could hold a code
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceNotFound",
}
# NoSuchBucket, NoSuchKey, NoSuchTagSet (S3), NoSuchEntity (IAM), NoSuchDistribution (CloudFront).
NOT_FOUND_PREFIX = "NoSuch"
# NotFound (SNS), NotFoundException (KMS), ResourceNotFoundException (Lambda, Logs and others),
# DashboardNotFoundError (CloudWatch), InvalidSubnetID.NotFound (EC2), and S3's missing
# configurations, such as ServerSideEncryptionConfigurationNotFoundError.
NOT_FOUND_SUFFIXES = ("NotFound", "NotFoundException", "NotFoundError")

# AWS_ENDPOINT_URL, and AWS_ENDPOINT_URL_SQS for one service:
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
ENDPOINT_URL = "AWS_ENDPOINT_URL"


def error_code(error: ClientError) -> str:
    """Return the code of an error response, such as `AccessDenied`."""
    return error.response["Error"].get("Code", "?")


def is_not_found(error: ClientError) -> bool:
    """Return whether an error means that the requested resource does not exist.

    CloudFormation has no code of its own for a missing stack: it is a ValidationError that says so.
    A missing KMS key behind a resource that exists (`KMS.NotFoundException`) is not "not found".
    """
    code = error_code(error)
    if code == "ValidationError":
        return "does not exist" in error.response["Error"].get("Message", "")
    return not code.startswith("KMS") and (
        code in NOT_FOUND or code.startswith(NOT_FOUND_PREFIX) or code.endswith(NOT_FOUND_SUFFIXES)
    )


def is_refused(error: ClientError) -> bool:
    """Return whether an error means that the caller lacks the permission."""
    return error_code(error) in REFUSALS


def is_unsupported(error: ClientError) -> bool:
    """Return whether an error means that the endpoint does not have the requested action."""
    return error_code(error) in UNSUPPORTED


def is_passing(error: Exception) -> bool:
    """Return whether the same request may succeed later: it was throttled, or not answered."""
    if isinstance(error, ClientError):
        return error_code(error) in THROTTLED
    return isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)


@contextmanager
def explained() -> Iterator[None]:
    """Turn AWS's and botocore's errors into UserErrors; a `with` block or a decorator.

    Raises:
        UserError: the call failed; its cause is the original error.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UserError(sentence(error)) from error


def sentence(error: Exception) -> str:
    """Return an error of AWS or botocore as a sentence for people."""
    match error:
        case exceptions.NoRegionError():
            return "no region is given: use --region, AWS_REGION, or the profile's `region`"
        case exceptions.NoCredentialsError():
            return (
                "no AWS credentials are found: use --profile, or set them up as for the AWS CLI"
                " (`aws sts get-caller-identity` must work)"
            )
        case exceptions.ProfileNotFound():
            return f"{error}; `aws configure list-profiles` lists the existing ones"
        case exceptions.ConnectionError() | exceptions.HTTPClientError():
            return f"AWS cannot be reached: {_first_line(error)}; {_connection_advice()}"
        case exceptions.InvalidRegionError():
            return (
                f"{error.kwargs['region_name']!r} is not the name of an AWS Region, such as"
                " eu-central-1: check --region, AWS_REGION and the profile's `region`"
            )
        case ClientError():
            return _refusal(error)
    return f"AWS cannot be used: {_first_line(error)}"


def _connection_advice() -> str:
    endpoints = sorted(
        name for name, value in os.environ.items() if value and name.startswith(ENDPOINT_URL)
    )
    if endpoints:
        is_set = "is set: unset it" if len(endpoints) == 1 else "are set: unset them"
        return f"{' and '.join(endpoints)} {is_set} to use AWS"
    return "check the spelling of the Region, the network and the proxy (HTTPS_PROXY)"


def _refusal(error: ClientError) -> str:
    code = error_code(error)
    message = error.response["Error"].get("Message") or "no reason given"
    if code in INVALID_CREDENTIALS:
        return f"AWS does not accept the credentials: {message} ({code}); renew them and try again"
    if code in REFUSALS:
        return f"AWS refuses {error.operation_name} to these credentials: {message}"
    if code in UNSUPPORTED:
        return f"this endpoint does not support {error.operation_name} ({code})"
    return f"{error.operation_name} failed: {message} ({code})"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
