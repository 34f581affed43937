"""AWS's error codes: which of them mean that something does not exist."""

import pytest
from botocore.exceptions import ClientError

from darkroom.aws.errors import is_not_found, is_refused, sentence


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("404", "Not Found", True),
        ("NoSuchKey", "", True),
        ("NoSuchTagSet", "", True),
        ("ServerSideEncryptionConfigurationNotFoundError", "", True),
        ("AWS.SimpleQueueService.NonExistentQueue", "", True),
        ("InvalidSubnetID.NotFound", "", True),
        ("ValidationError", "Stack with id x does not exist", True),
        ("ValidationError", "Template format error", False),
        ("KMS.NotFoundException", "the queue exists, its key does not", False),
        ("AccessDenied", "", False),
        ("InternalError", "", False),
    ],
)
def test_not_found_is_told_from_other_failures(code: str, message: str, expected: bool) -> None:
    """D4: only what is known not to exist counts as missing."""
    error = ClientError({"Error": {"Code": code, "Message": message}}, "Describe")
    assert is_not_found(error) is expected


def test_a_refusal_is_not_a_missing_resource() -> None:
    """S5: S3 answers 403 for a missing object where the caller may not list the bucket."""
    error = ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")
    assert is_refused(error)
    assert not is_not_found(error)


def test_an_action_that_the_endpoint_does_not_have_is_named() -> None:
    """D6: an emulator answers so for what it does not emulate."""
    error = ClientError(
        {"Error": {"Code": "InvalidAction", "Message": "?"}}, "ListMessageMoveTasks"
    )
    assert sentence(error) == (
        "this endpoint does not support ListMessageMoveTasks (InvalidAction)"
    )
