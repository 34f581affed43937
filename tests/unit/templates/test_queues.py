import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.cloudformation.resolver import ResolvedTemplate
from templates.specification import ProcessingQueue
from tests.unit.templates.conftest import generate
from worker.retry import longest_delay, shortest_delay

OUTAGE_SECONDS = 1800


def test_failures_end_in_a_real_queue(stack: ResolvedTemplate) -> None:
    """R1, pitfall 20: a redrive policy on the queue; Lambda ignores the function's setting."""
    redrive = stack.properties("WorkQueue")["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == "<DeadLetterQueue.Arn>"
    assert redrive["maxReceiveCount"] == 8
    assert "DeadLetterConfig" not in stack.properties("Worker")


def test_only_the_work_queue_may_use_the_dead_letter_queue(stack: ResolvedTemplate) -> None:
    """R1, pitfall 2: named and not referred to, or the two would wait for each other."""
    allowed = stack.properties("DeadLetterQueue")["RedriveAllowPolicy"]
    name = stack.properties("WorkQueue")["QueueName"]
    assert allowed == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [f"arn:aws:sqs:eu-west-1:111122223333:{name}"],
    }


def test_a_dead_letter_can_still_be_read_days_after_it_died(stack: ResolvedTemplate) -> None:
    """Pitfall 19, R1: it keeps its first enqueue time."""
    work, dead = stack.properties("WorkQueue"), stack.properties("DeadLetterQueue")
    days = 24 * 3600
    assert work["MessageRetentionPeriod"] <= 4 * days
    assert dead["MessageRetentionPeriod"] == 14 * days


def test_a_message_outlives_all_its_tries() -> None:
    """R1: the slowest pipeline's tries fit the work queue's retention."""
    stack = generate(queues={"default": {"timeout_seconds": 900, "max_receive_count": 60}})
    work = stack.properties("WorkQueue")
    tries = work["RedrivePolicy"]["maxReceiveCount"] * work["VisibilityTimeout"]
    assert tries <= work["MessageRetentionPeriod"]


@pytest.mark.parametrize("timeout", [50, 60, 900])
def test_visibility_is_six_timeouts(timeout: int) -> None:
    """Pitfall 41, R4: a longer function timeout would make the mapping fail."""
    stack = generate(
        queues={"default": {"timeout_seconds": timeout, "maximum_batching_window_seconds": 5}}
    )
    assert stack.properties("WorkQueue")["VisibilityTimeout"] == 6 * timeout + 5
    assert stack.properties("Worker")["Timeout"] == timeout


@given(st.integers(10, 900), st.integers(0, 300))
def test_all_receives_outlast_an_outage_of_half_an_hour(timeout: int, window: int) -> None:
    """R2: with the SQS endpoint and its shortest back-off, without it, and after failed batches.

    Up to three earlier receives, for which there was no time, leave enough for it.
    """
    queue = ProcessingQueue(timeout_seconds=timeout, maximum_batching_window_seconds=window)
    receives, visibility = queue.max_receive_count, queue.visibility_seconds
    assert (receives - 1) * visibility > OUTAGE_SECONDS
    for earlier in range(4):
        waits = [
            shortest_delay(longest_delay(tries, visibility_timeout=visibility))
            for tries in range(1 + earlier, receives)
        ]
        assert sum(waits) >= OUTAGE_SECONDS


def test_s3_may_send_from_that_bucket_and_account(stack: ResolvedTemplate) -> None:
    """T3, pitfall 1, pitfall 32: both conditions, the bucket by name to break the cycle."""
    statement = stack.statement("WorkQueuePolicy", "SendNotifications")
    bucket = stack.properties("UploadBucket")["BucketName"]
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == ["sqs:SendMessage"]
    assert statement["Principal"] == {"Service": ["s3.amazonaws.com"]}
    assert statement["Condition"] == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
        "StringEquals": {"aws:SourceAccount": "111122223333"},
    }


def test_nobody_else_may_send(stack: ResolvedTemplate) -> None:
    """T3: one Allow on the work queue, none on the dead letters."""
    allowed = {
        title: [s["Sid"] for s in stack.statements(title) if s["Effect"] == "Allow"]
        for title in ("WorkQueuePolicy", "DeadLetterQueuePolicy")
    }
    assert allowed == {"WorkQueuePolicy": ["SendNotifications"], "DeadLetterQueuePolicy": []}


@pytest.mark.parametrize("queue", ["WorkQueue", "DeadLetterQueue"])
def test_plain_http_is_refused(stack: ResolvedTemplate, queue: str) -> None:
    """S2: on both queues, every action."""
    policy = stack.properties(f"{queue}Policy")
    assert policy["Queues"] == [f"{stack.properties(queue)['QueueName']}"]
    statement = stack.statement(f"{queue}Policy", "DenyPlaintext")
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Action"] == ["sqs:*"]
    assert statement["Resource"] == [f"<{queue}.Arn>"]


def test_the_queues_are_standard_ones(stack: ResolvedTemplate) -> None:
    """Pitfall 15: S3 cannot send notifications to a FIFO queue."""
    for queue in stack.resources_of_type("SQS::Queue").values():
        assert "FifoQueue" not in queue
        assert not queue["QueueName"].endswith(".fifo")
