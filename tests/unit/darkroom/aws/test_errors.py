"""AWS's error codes: which of them mean that something does not exist."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

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


def test_without_a_connection_the_advice_is_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: a Region without a host and a network without a way have the same error."""
    error = EndpointConnectionError(endpoint_url="https://sqs.eu-centrl-1.amazonaws.com/")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert sentence(error) == (
        "AWS cannot be reached: Could not connect to the endpoint URL:"
        ' "https://sqs.eu-centrl-1.amazonaws.com/"; check the spelling of the Region, the network'
        " and the proxy (HTTPS_PROXY)"
    )


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
def test_another_endpoint_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: a variable that is left from an emulator which has ended."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv(name, "http://localhost:4566")
    error = EndpointConnectionError(endpoint_url="http://localhost:4566/")
    assert sentence(error).endswith(f"; {name} is set: unset it to use AWS")
