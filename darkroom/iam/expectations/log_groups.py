"""The log groups under the KMS key."""

from collections.abc import Iterator
from dataclasses import replace

from darkroom.iam.evaluator import Request
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    LOG_ENCRYPTION,
    Expectation,
)
from darkroom.iam.expectations.requests import EXTERNAL_USER, KEY, request
from darkroom.iam.model import ACCOUNT, REGION, StackModel


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield how CloudWatch Logs uses the key."""
    for group in stack.resources_of_type("Logs::LogGroup").values():
        for action in LOG_ENCRYPTION:
            yield Expectation(
                "keep the log", _by_logs(action, group["LogGroupName"]), (KEY_POLICY,)
            )


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield the same for other log groups, and by other callers."""
    for action in (*LOG_ENCRYPTION, "kms:CreateGrant"):
        yield Expectation("another log", _by_logs(action, "/others/log"), (KEY_POLICY,))
    group = stack.properties("WorkerLogGroup")["LogGroupName"]
    yield Expectation("another action", _by_logs("kms:CreateGrant", group), (KEY_POLICY,))
    describe = _by_logs("kms:DescribeKey", group)
    yield Expectation("an action without encryption context", describe, (KEY_POLICY,))
    other_user = replace(_by_logs("kms:Decrypt", group), principal=EXTERNAL_USER)
    yield Expectation(
        "a user of another account, with the log group as context", other_user, (KEY_POLICY,)
    )


def _by_logs(action: str, log_group: str) -> Request:
    """Return the request of CloudWatch Logs: it sends the log group as encryption context."""
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log_group}"
    return request(
        f"logs.{REGION}.amazonaws.com",
        action,
        KEY,
        {"aws:SecureTransport": "true", "kms:EncryptionContext:aws:logs:arn": arn},
    )
