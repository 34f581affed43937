"""Moves of dead letters that SQS does by itself: the embedded AWS has none of them."""

import argparse
import json
import time
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.queues import DeployedQueue
from darkroom.commands import dlq
from darkroom.commands.dlq import Letter
from darkroom.console.progress import Progress
from darkroom.errors import UserError

LANE = DeployedQueue("default", "https://sqs/work", "https://sqs/dead", "worker")
BULK = DeployedQueue("bulk", "https://sqs/bulk-work", "https://sqs/bulk-dead", "bulk-worker")
ARN = "arn:aws:sqs:eu-west-1:123456789012:"
HANDLE = "eyJ0YXNrSWQiOiIxIn0="


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Stubber]:
    monkeypatch.setattr(dlq, "FOLLOW_SECONDS", 0.0)
    client = botocore.session.Session().create_client(
        "sqs", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    return client, Stubber(client)


def attributes(stub: Stubber, url: str, **values: str) -> None:
    asked = {"QueueUrl": url, "AttributeNames": list(values)}
    stub.add_response("get_queue_attributes", {"Attributes": values}, asked)


def tasks(stub: Stubber, name: str, **task: Any) -> None:
    """What ListMessageMoveTasks answers: no handle unless the move is under way."""
    asked = {"SourceArn": ARN + name, "MaxResults": 1}
    found = {"SourceArn": ARN + name, "StartedTimestamp": 1_763_700_000_000, **task}
    stub.add_response("list_message_move_tasks", {"Results": [found] if task else []}, asked)


def start(stub: Stubber, name: str, to: str, **velocity: int) -> None:
    asked = {"SourceArn": ARN + name, "DestinationArn": ARN + to, **velocity}
    stub.add_response("start_message_move_task", {"TaskHandle": HANDLE}, asked)


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    dlq.add_arguments(parser)
    return parser.parse_args(["redrive", "--stack-name", "x", *arguments])


def running(moved: int, total: int) -> dict[str, Any]:
    return {
        "Status": "RUNNING",
        "TaskHandle": HANDLE,
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": total,
    }


def completed(moved: int) -> dict[str, Any]:
    return {
        "Status": "COMPLETED",
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": moved,
    }


def test_a_move_is_started_and_followed(
    sqs: tuple[Any, Stubber], capsys: pytest.CaptureFixture[str]
) -> None:
    """Trap 21: one for each queue with letters, at the velocity asked for, back to its own queue."""
    client, stub = sqs
    attributes(stub, LANE.dead_letter_queue_url, QueueArn=ARN + "dead")
    attributes(stub, BULK.dead_letter_queue_url, QueueArn=ARN + "bulk-dead")
    tasks(stub, "dead", **completed(3))  # of another day
    attributes(stub, LANE.dead_letter_queue_url, ApproximateNumberOfMessages="7")
    attributes(stub, LANE.work_queue_url, QueueArn=ARN + "work")
    start(stub, "dead", "work", MaxNumberOfMessagesPerSecond=50)
    tasks(stub, "bulk-dead")
    attributes(stub, BULK.dead_letter_queue_url, ApproximateNumberOfMessages="0")
    tasks(stub, "dead", **running(2, 7))
    tasks(stub, "dead", **completed(7))
    with stub:
        chosen = options("--velocity", "50", "--output", "json")
        assert dlq._move(client, [LANE, BULK], chosen, Progress()) == 0
    stub.assert_no_pending_responses()
    told = capsys.readouterr()
    assert json.loads(told.out) == {"default": {"status": "COMPLETED", "moved": 7}}
    assert "Queue bulk: no dead letters" in told.err


def test_a_move_under_way_is_followed_not_doubled(
    sqs: tuple[Any, Stubber], capsys: pytest.CaptureFixture[str]
) -> None:
    """Trap 21: SQS refuses a second move of a queue; and one that fails says why, with status 1."""
    client, stub = sqs
    attributes(stub, LANE.dead_letter_queue_url, QueueArn=ARN + "dead")
    tasks(stub, "dead", **running(1, 9))
    reason = "CouldNotDetermineMessageSource"
    failed = {"Status": "FAILED", "ApproximateNumberOfMessagesMoved": 4, "FailureReason": reason}
    tasks(stub, "dead", **failed)
    with stub:
        assert dlq._move(client, [LANE], options(), Progress()) == 1
    stub.assert_no_pending_responses()
    told = capsys.readouterr()
    assert "follows it" in told.err
    assert told.out == f"Queue default: failed, 4 moved: {reason}\n"


def test_ctrl_c_leaves_a_move_running_and_says_so(
    sqs: tuple[Any, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6: it is SQS that moves; whoever watches may go."""
    client, stub = sqs

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    attributes(stub, LANE.dead_letter_queue_url, QueueArn=ARN + "dead")
    tasks(stub, "dead", **running(1, 9))
    tasks(stub, "dead", **running(2, 9))
    with stub, pytest.raises(KeyboardInterrupt, match=r"SQS goes on moving .* --cancel stops it"):
        dlq._move(client, [LANE], options(), Progress())
    stub.assert_no_pending_responses()


def test_a_move_can_be_cancelled(
    sqs: tuple[Any, Stubber], capsys: pytest.CaptureFixture[str]
) -> None:
    client, stub = sqs
    attributes(stub, LANE.dead_letter_queue_url, QueueArn=ARN + "dead")
    tasks(stub, "dead", **running(5, 9))
    stub.add_response(
        "cancel_message_move_task",
        {"ApproximateNumberOfMessagesMoved": 5},
        {"TaskHandle": HANDLE},
    )
    attributes(stub, BULK.dead_letter_queue_url, QueueArn=ARN + "bulk-dead")
    tasks(stub, "bulk-dead", **completed(2))
    with stub:
        assert dlq._cancel(client, [LANE, BULK], "table") == 0
    stub.assert_no_pending_responses()
    assert capsys.readouterr().out == "Queue default: stopped, 5 were moved\n"


@pytest.mark.parametrize("velocity", ["0", "501", "fast"])
def test_a_velocity_that_sqs_refuses_is_refused_first(velocity: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        options("--velocity", velocity)


def test_what_could_not_be_deleted_is_named(sqs: tuple[Any, Stubber]) -> None:
    """D6: it was sent to work and is a dead letter still: that is said, and it is given back."""
    client, stub = sqs
    message = {
        "MessageId": "m",
        "ReceiptHandle": "h",
        "Body": "{}",
        "Attributes": {"SentTimestamp": "0", "ApproximateReceiveCount": "6"},
    }
    two = [message, {**message, "MessageId": "n", "ReceiptHandle": "i"}]
    stub.add_response("receive_message", {"Messages": two})
    failed = {"Id": "1", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}
    stub.add_response("delete_message_batch", {"Successful": [{"Id": "0"}], "Failed": [failed]})
    stub.add_response(
        "change_message_visibility_batch",
        {"Successful": [], "Failed": []},
        {
            "QueueUrl": LANE.dead_letter_queue_url,
            "Entries": [{"Id": "0", "ReceiptHandle": "i", "VisibilityTimeout": 0}],
        },
    )
    with (
        stub,
        pytest.raises(UserError, match=r"not deleted.*: n \(ReceiptHandleIsInvalid\)"),
        dlq.reading(client, LANE) as reader,
    ):
        reader.delete(next(reader.batches()))
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("line", "cause"),
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
def test_a_cause_is_the_same_for_every_object(line: dict[str, str], cause: str) -> None:
    assert dlq._cause(line) == cause


def test_what_eventbridge_could_not_deliver_says_so() -> None:
    """R2: such a letter never was on the work queue, and the worker's log knows nothing of it."""
    message: dict[str, Any] = {
        "MessageId": "m",
        "ReceiptHandle": "h",
        "Body": "{}",
        "Attributes": {"SentTimestamp": "0", "ApproximateReceiveCount": "1"},
        "MessageAttributes": {"ERROR_CODE": {"DataType": "String", "StringValue": "NO_RIGHT"}},
    }
    letter: Letter = dlq._letter(LANE, message)
    assert letter.undelivered == "never reached the work queue: NO_RIGHT"
    message["Attributes"]["DeadLetterQueueSourceArn"] = ARN + "work"
    assert dlq._letter(LANE, message).undelivered is None
