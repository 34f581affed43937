"""Messages of dead-letter queues: what was read, what was not deleted, and why they failed."""

from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.queues import DeployedQueue
from darkroom.errors import UserError
from darkroom.operations import dead_letters

QUEUE = DeployedQueue("default", "https://sqs/work", "https://sqs/dead", "worker")
MESSAGE: dict[str, Any] = {
    "MessageId": "m",
    "ReceiptHandle": "h",
    "Body": "{}",
    "Attributes": {"SentTimestamp": "0", "ApproximateReceiveCount": "6"},
}


def test_what_could_not_be_deleted_is_named() -> None:
    """D6: it was sent to work and is a dead letter still: that is said, and it is given back."""
    client: Any = botocore.session.Session().create_client(
        "sqs", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    stub = Stubber(client)
    two = [MESSAGE, {**MESSAGE, "MessageId": "n", "ReceiptHandle": "i"}]
    stub.add_response("receive_message", {"Messages": two})
    failed = {"Id": "1", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}
    stub.add_response("delete_message_batch", {"Successful": [{"Id": "0"}], "Failed": [failed]})
    stub.add_response(
        "change_message_visibility_batch",
        {"Successful": [], "Failed": []},
        {
            "QueueUrl": QUEUE.dead_letter_queue_url,
            "Entries": [{"Id": "0", "ReceiptHandle": "i", "VisibilityTimeout": 0}],
        },
    )
    with (
        stub,
        pytest.raises(UserError, match=r"not deleted.*: n \(ReceiptHandleIsInvalid\)"),
        dead_letters.reading(client, QUEUE) as reader,
    ):
        reader.delete(next(reader.batches()))
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            {
                "message": "processing failed; message returned to queue",
                "key": "uploads/a.jpg",
                "exception": "Traceback …\n  x\nContentionError: uploads/a.jpg: lost 8",
            },
            "ContentionError: KEY: lost 8",
        ),
        (
            {
                "message": "processing failed; message returned to queue",
                "exception": "…\nClientError: (AccessDenied) arn:aws:iam::1:role/x may not",
            },
            "ClientError: (AccessDenied) … may not",
        ),
        ({"message": "unreadable record 1 of 2"}, "unreadable record 1 of 2"),
    ],
)
def test_an_error_is_the_same_for_every_object(line: dict[str, str], error: str) -> None:
    assert dead_letters.generalize(line) == error


def test_what_eventbridge_could_not_deliver_says_so() -> None:
    """R2: such a message never was in the work queue, and the worker's log has nothing on it."""
    attribute = {"DataType": "String", "StringValue": "NO_RIGHT"}
    message = {**MESSAGE, "MessageAttributes": {"ERROR_CODE": attribute}}
    found = dead_letters.parse_message(QUEUE, message)
    assert found.undelivered == "not delivered to the work queue: NO_RIGHT"
    attributes = {**MESSAGE["Attributes"], "DeadLetterQueueSourceArn": "arn:aws:sqs:x:1:work"}
    assert (
        dead_letters.parse_message(QUEUE, {**message, "Attributes": attributes}).undelivered is None
    )


def test_what_the_worker_cannot_read_has_no_objects() -> None:
    for body in ("junk", "[]", '{"Service":"Amazon S3","Event":"s3:TestEvent"}'):
        assert dead_letters.parse_message(QUEUE, {**MESSAGE, "Body": body}).objects == ()


def test_the_most_frequent_error_comes_first() -> None:
    message = dead_letters.parse_message(QUEUE, MESSAGE)
    listing = dead_letters.Listing([("a", [message, message]), ("b", [message])], 7)
    assert listing.data()["messages"] == 3
    assert listing.data()["approximate_total"] == 7
    assert [(group["error"], group["count"]) for group in listing.data()["errors"]] == [
        ("a", 2),
        ("b", 1),
    ]
    assert listing.data()["errors"][1]["messages"] == [
        {
            "id": "m",
            "queue": "default",
            "sent": "1970-01-01T00:00:00+00:00",
            "receive_count": 6,
            "objects": [],
        }
    ]
