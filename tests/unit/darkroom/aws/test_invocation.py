"""What is said of a function that was invoked with a message."""

import io
import json
from typing import Any
from unittest import mock

import pytest

from darkroom.aws import invocation
from worker import events, retry


def delivered(answer: Any, error: str = "") -> tuple[str, dict[str, Any]]:
    """Return what went wrong, and the event that the function got."""
    account = mock.Mock()
    client = account.session.create_client.return_value
    client.invoke.return_value = {"Payload": io.BytesIO(json.dumps(answer).encode())} | (
        {"FunctionError": error} if error else {}
    )
    found = invocation.deliver(account, "worker", invocation.TEST_EVENT, seconds=60.0)
    return found, json.loads(client.invoke.call_args.kwargs["Payload"])


@pytest.mark.parametrize(
    ("answer", "error", "problem"),
    [
        ({"batchItemFailures": []}, "", ""),
        ({"batchItemFailures": [{"itemIdentifier": "1"}]}, "", "returns the message to the queue"),
        (None, "", "returns the message to the queue"),
        (
            {"errorType": "Runtime.ImportModuleError", "errorMessage": "No module"},
            "Unhandled",
            "worker fails: Runtime.ImportModuleError: No module",
        ),
        ({"errorMessage": "Task timed out"}, "Unhandled", "worker fails: Error: Task timed out"),
    ],
)
def test_each_end_is_told(answer: Any, error: str, problem: str) -> None:
    """D8: success, a message that comes back, and an error of the function."""
    found, _ = delivered(answer, error)
    assert problem in found
    assert bool(found) is bool(problem)


def test_the_worker_can_read_the_event() -> None:
    """D8: it is one message, received for the first time; a test event has no objects."""
    _, event = delivered({"batchItemFailures": []})
    (message,) = event["Records"]
    assert retry.receive_count(message) == 1
    assert not retry.may_be_poison(message, visibility_timeout=60, now=0.0)
    assert events.parse(message["body"]) == events.Notification()
