"""Message move tasks, which SQS runs on its own: the emulator has none of them."""

import io
import time
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.queues import DeployedQueue
from darkroom.console.progress import Progress
from darkroom.errors import UsageError, UserError
from darkroom.operations import redrive
from darkroom.operations.redrive import Move, Selection

DEFAULT = DeployedQueue("default", "https://sqs/work", "https://sqs/dead", "worker")
BULK = DeployedQueue("bulk", "https://sqs/bulk-work", "https://sqs/bulk-dead", "bulk-worker")
ARN = "arn:aws:sqs:eu-west-1:123456789012:"
HANDLE = "eyJ0YXNrSWQiOiIxIn0="
EARLIER, NOW = 1_763_700_000_000, 1_763_800_000_000


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Stubber]:
    monkeypatch.setattr(redrive, "FOLLOW_SECONDS", 0.0)
    client = botocore.session.Session().create_client(
        "sqs", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    return client, Stubber(client)


def attributes(stub: Stubber, url: str, **values: str) -> None:
    request = {"QueueUrl": url, "AttributeNames": list(values)}
    stub.add_response("get_queue_attributes", {"Attributes": values}, request)


def tasks(stub: Stubber, name: str, **task: Any) -> None:
    """What ListMessageMoveTasks answers: no handle unless the move is running."""
    request = {"SourceArn": ARN + name, "MaxResults": 1}
    found = {"SourceArn": ARN + name, "StartedTimestamp": EARLIER, **task}
    stub.add_response("list_message_move_tasks", {"Results": [found] if task else []}, request)


def start(stub: Stubber, name: str, to: str, **rate: int) -> None:
    request = {"SourceArn": ARN + name, "DestinationArn": ARN + to, **rate}
    stub.add_response("start_message_move_task", {"TaskHandle": HANDLE}, request)


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


def test_a_move_is_started_and_followed(sqs: tuple[Any, Stubber]) -> None:
    """Pitfall 21: one per queue, at the rate asked for, back to its own queue.

    No counter decides: one that says 0 may be wrong, and an empty move ends at once.
    """
    client, stub = sqs
    attributes(stub, DEFAULT.dead_letter_queue_url, QueueArn=ARN + "dead")
    attributes(stub, BULK.dead_letter_queue_url, QueueArn=ARN + "bulk-dead")
    tasks(stub, "dead", **completed(3))  # of another day
    attributes(stub, DEFAULT.work_queue_url, QueueArn=ARN + "work")
    start(stub, "dead", "work", MaxNumberOfMessagesPerSecond=50)
    tasks(stub, "bulk-dead")
    attributes(stub, BULK.work_queue_url, QueueArn=ARN + "bulk-work")
    start(stub, "bulk-dead", "bulk-work", MaxNumberOfMessagesPerSecond=50)
    tasks(stub, "dead", **running(2, 7), StartedTimestamp=NOW)
    tasks(stub, "bulk-dead", **completed(0), StartedTimestamp=NOW)
    tasks(stub, "dead", **completed(7), StartedTimestamp=NOW)
    stream = io.StringIO()
    with stub:
        moves = redrive.move_all(client, [DEFAULT, BULK], rate=50.2, progress=Progress(stream))
    stub.assert_no_pending_responses()
    assert moves["default"].data() == {"status": "COMPLETED", "moved": 7}
    assert moves["bulk"].data() == {"status": "COMPLETED", "moved": 0}


def test_an_earlier_move_is_not_taken_for_the_one_that_was_started(
    sqs: tuple[Any, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pitfall 21: SQS may still list the earlier, completed move as the newest one."""
    client, stub = sqs
    for listed in ([completed(3), running(1, 7), completed(7)], [completed(3), completed(3)]):
        attributes(stub, DEFAULT.dead_letter_queue_url, QueueArn=ARN + "dead")
        tasks(stub, "dead", **completed(3))
        attributes(stub, DEFAULT.work_queue_url, QueueArn=ARN + "work")
        start(stub, "dead", "work")
        for task in listed:
            started = EARLIER if task == completed(3) else NOW
            tasks(stub, "dead", **task, StartedTimestamp=started)
    monkeypatch.setattr(redrive, "LISTING_POLLS", 1)
    with stub:
        moves = redrive.move_all(client, [DEFAULT], rate=None, progress=Progress(io.StringIO()))
        assert (moves["default"].status, moves["default"].moved) == ("COMPLETED", 7)
        moves = redrive.move_all(client, [DEFAULT], rate=None, progress=Progress(io.StringIO()))
    stub.assert_no_pending_responses()
    assert moves["default"].status == "UNKNOWN"  # never listed: not reported as done


def test_a_running_move_is_followed_not_doubled(sqs: tuple[Any, Stubber]) -> None:
    """Pitfall 21: SQS refuses a second move of a queue; and one that fails says why."""
    client, stub = sqs
    attributes(stub, DEFAULT.dead_letter_queue_url, QueueArn=ARN + "dead")
    tasks(stub, "dead", **running(1, 9))
    reason = "CouldNotDetermineMessageSource"
    failed = {"Status": "FAILED", "ApproximateNumberOfMessagesMoved": 4, "FailureReason": reason}
    tasks(stub, "dead", **failed)
    stream = io.StringIO()
    with stub:
        moves = redrive.move_all(client, [DEFAULT], rate=None, progress=Progress(stream))
    stub.assert_no_pending_responses()
    assert "following it" in stream.getvalue()
    assert str(moves["default"]) == f"failed, 4 moved: {reason}"
    assert moves["default"].data() == {"status": "FAILED", "moved": 4, "reason": reason}


def test_ctrl_c_leaves_a_move_running_and_says_so(
    sqs: tuple[Any, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D6: SQS does the moving, so the command that follows it may end."""
    client, stub = sqs

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    attributes(stub, DEFAULT.dead_letter_queue_url, QueueArn=ARN + "dead")
    tasks(stub, "dead", **running(1, 9))
    tasks(stub, "dead", **running(2, 9))
    with stub, pytest.raises(KeyboardInterrupt, match=r"SQS continues to move.*--cancel stops it"):
        redrive.move_all(client, [DEFAULT], rate=None, progress=Progress(io.StringIO()))
    stub.assert_no_pending_responses()


def test_a_move_can_be_cancelled(sqs: tuple[Any, Stubber]) -> None:
    client, stub = sqs
    attributes(stub, DEFAULT.dead_letter_queue_url, QueueArn=ARN + "dead")
    tasks(stub, "dead", **running(5, 9))
    stub.add_response(
        "cancel_message_move_task",
        {"ApproximateNumberOfMessagesMoved": 5},
        {"TaskHandle": HANDLE},
    )
    attributes(stub, BULK.dead_letter_queue_url, QueueArn=ARN + "bulk-dead")
    tasks(stub, "bulk-dead", **completed(2))
    with stub:
        assert redrive.cancel(client, [DEFAULT, BULK]) == {"default": 5}
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("rate", [0.5, 501])
def test_a_rate_that_sqs_refuses_is_refused_first(sqs: tuple[Any, Stubber], rate: float) -> None:
    with pytest.raises(UsageError, match="SQS moves 1 to 500 messages per second"):
        redrive.move_all(sqs[0], [DEFAULT], rate=rate, progress=Progress())


def test_a_move_is_reported_with_what_is_known() -> None:
    assert str(Move("RUNNING", 2, 1234)) == "running, 2 of about 1,234 moved"
    assert str(Move("UNKNOWN")) == "unknown, 0 moved"


def test_an_empty_selection_is_everything() -> None:
    assert not Selection()
    assert Selection(ids=("m",))
    assert Selection(error="AccessDenied")


def test_an_endpoint_without_move_tasks_is_a_sentence(sqs: tuple[Any, Stubber]) -> None:
    """D6: the emulator has none; a selection does not need them."""
    client, stub = sqs
    attributes(stub, DEFAULT.dead_letter_queue_url, QueueArn=ARN + "dead")
    stub.add_client_error("list_message_move_tasks", "InvalidAction")
    with stub, pytest.raises(UserError, match=r"no message move tasks.*give message ids"):
        redrive.move_all(client, [DEFAULT], rate=None, progress=Progress())
