"""The account and region of a command, without AWS."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from darkroom.aws.session import open_account
from darkroom.errors import UsageError


class Body(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def test_verbose_reports_each_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Never its parameters, which may hold keys and message bodies."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    sqs: Any = open_account(region="eu-west-1").client("sqs")
    headers: Any = {}
    sqs.meta.events.register(
        "before-send", lambda **_: AWSResponse("https://sqs", 200, headers, Body(b"{}"))
    )
    with caplog.at_level(logging.INFO, "darkroom"):
        sqs.list_queues()
        sqs.purge_queue(QueueUrl="https://sqs/1/secret")
    assert caplog.messages == ["sqs ListQueues", "sqs PurgeQueue"]


def test_a_region_that_cannot_be_one_is_usage() -> None:
    with pytest.raises(UsageError, match=r"^'a b' is not the name of an AWS Region, "):
        open_account(region="a b")
