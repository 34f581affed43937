"""The account and region of a command, without AWS."""

import logging

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from darkroom.aws.session import open_account


def test_verbose_reports_each_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused ones as well; never the parameters, which may hold keys and message bodies."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    sqs = open_account(region="eu-west-1").client("sqs")
    stub = Stubber(sqs)
    stub.add_response("list_queues", {})
    stub.add_client_error("send_message", "AccessDenied", http_status_code=403)
    with stub, caplog.at_level(logging.INFO, "darkroom"):
        sqs.list_queues()
        with pytest.raises(ClientError):
            sqs.send_message(QueueUrl="https://sqs/1/work", MessageBody="secret")
    assert caplog.messages == ["sqs ListQueues", "sqs SendMessage"]
