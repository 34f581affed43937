"""Notifications: the worker reads what was sent, and failed messages are sent again."""

from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from darkroom.aws import notifications
from darkroom.errors import UserError
from worker import events
from worker.events import SourceObject

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/work"


@given(
    st.builds(
        SourceObject,
        bucket=st.just("b"),
        key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        version_id=st.none() | st.text("abc.-_09", min_size=1),
        etag=st.none() | st.text("abc09", min_size=1),
        sequencer=st.none() | st.text("0123456789ABCDEF", min_size=1),
        size=st.none() | st.integers(min_value=0),
        time=st.none() | st.just("2026-11-21T10:00:00.000Z"),
    )
)
def test_the_worker_reads_the_same_object(source: SourceObject) -> None:
    """Pitfall 13: any key is encoded once, as S3 does, and decoded once."""
    found = events.parse(notifications.notification(source))
    assert found.objects == (source,)
    assert not found.problems


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Stubber]:
    monkeypatch.setattr(notifications, "_FIRST_DELAY", 0.0)
    client = botocore.session.Session().create_client(
        "sqs", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    return client, Stubber(client)


def expected(bodies: dict[str, str]) -> dict[str, Any]:
    entries = [{"Id": name, "MessageBody": body} for name, body in bodies.items()]
    return {"QueueUrl": URL, "Entries": entries}


def failure(name: str, *, code: str, ours: bool) -> dict[str, Any]:
    return {"Id": name, "Code": code, "SenderFault": ours, "Message": "later"}


def done(*names: str) -> list[dict[str, str]]:
    return [{"Id": name, "MessageId": f"m{name}", "MD5OfMessageBody": "0"} for name in names]


def test_only_failed_messages_are_sent_again(queue: tuple[Any, Stubber]) -> None:
    """R2: a batch may fail in part; what is neither confirmed nor refused is sent again."""
    client, stub = queue
    stub.add_response(
        "send_message_batch",
        {
            "Successful": done("0"),
            "Failed": [failure("2", code="InternalError", ours=False)],
        },
        expected({"0": "a", "1": "b", "2": "c"}),
    )
    stub.add_response(
        "send_message_batch",
        {"Successful": done("2"), "Failed": []},
        expected({"1": "b", "2": "c"}),
    )
    last = {"Successful": done("1"), "Failed": []}
    stub.add_response("send_message_batch", last, expected({"1": "b"}))
    with stub:
        notifications.send(client, URL, ["a", "b", "c"])
    stub.assert_no_pending_responses()


def test_a_refused_message_is_an_error(queue: tuple[Any, Stubber]) -> None:
    """D6: the sender's faults are not tried again."""
    client, stub = queue
    refused = failure("0", code="KmsAccessDenied", ours=True)
    stub.add_response("send_message_batch", {"Successful": [], "Failed": [refused]})
    with stub, pytest.raises(UserError, match=r"1 of 1 messages .*KmsAccessDenied: later"):
        notifications.send(client, URL, ["a"])
