"""Messages of dead-letter queues: what was read, what was not deleted, and why they failed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.queues import DeployedQueue
from darkroom.errors import UserError
from darkroom.operations import dead_letters, log_search
from templates import specification

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


DAY = timedelta(days=1)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_spans_of_time_are_merged() -> None:
    """D6: each line of the log is read once, and nothing after now."""
    hour = timedelta(hours=1)
    spans = [(NOON + n * hour, NOON + (n + 2) * hour) for n in (5, 1, 0, 9, 12)]
    assert dead_letters.merged(spans, NOON + 10 * hour) == [
        (NOON, NOON + 3 * hour),
        (NOON + 5 * hour, NOON + 7 * hour),
        (NOON + 9 * hour, NOON + 10 * hour),
    ]
    assert dead_letters.merged([], NOON) == []


def test_the_log_is_searched_where_the_messages_were_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D6: FilterLogEvents reads slowly: not everything since the oldest dead letter."""
    now = datetime.now(UTC)
    old, killed, new = (
        replace(dead_letters.parse_message(QUEUE, MESSAGE), id=name, sent=now - age * DAY)
        for name, age in (("old", 13), ("killed", 9), ("new", 0.01))
    )
    searched: list[tuple[float, float]] = []

    class Group:
        def __init__(self, _: object, since: datetime, until: datetime) -> None:
            searched.append(((now - since) / DAY, (now - until) / DAY))
            self.covers = [one for one in (old, new) if since <= one.sent < until]

        def search(self, _: list[str]) -> Iterator[log_search.Line]:
            for message in self.covers:
                fields = {"outcome": "retried", "message_id": message.id, "message": message.id}
                yield log_search.Line(message.sent, "", fields)

    monkeypatch.setattr(log_search, "LogGroup", Group)
    stack: Any = None
    processed = [replace(one, undelivered=None) for one in (old, killed, new)]
    assert dead_letters.errors(stack, processed) == {
        "old": "old",
        "killed": dead_letters.KILLED,
        "new": "new",
    }
    rounded = [(round(since, 2), round(until, 2)) for since, until in searched]
    assert rounded == [(13, 12.75), (9, 8.75), (0.01, 0), (8.75, 5)]


def test_no_try_is_later_than_the_work_queues_retention() -> None:
    """Pitfall 19: SQS deletes a message of the work queue then, whoever reads it."""
    assert dead_letters.WORK_RETENTION.total_seconds() == specification.WORK_RETENTION_SECONDS


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
