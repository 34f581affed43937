"""An operation of CloudFormation, followed by its events to its end."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber

from darkroom.aws import stack_events
from darkroom.aws.stack_events import Ended, StackEvents
from darkroom.errors import UserError

STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"


@pytest.fixture
def stubber(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    made: Any = botocore.session.Session().create_client("cloudformation", "eu-west-1")
    with Stubber(made) as found:
        yield found
        found.assert_no_pending_responses()


def client(stubber: Stubber) -> Any:
    """Return the stubbed client, which is typed as a client of any service."""
    return stubber.client


def event(number: int, resource: str, status: str, reason: str = "") -> dict[str, Any]:
    return {
        "StackId": STACK,
        "StackName": "s",
        "EventId": str(number),
        "LogicalResourceId": resource,
        "PhysicalResourceId": STACK if resource == "s" else f"physical-{resource}",
        "ResourceType": "AWS::CloudFormation::Stack" if resource == "s" else "AWS::SQS::Queue",
        "ResourceStatus": status,
        "Timestamp": datetime(2026, 1, 1, tzinfo=UTC),
        **({"ResourceStatusReason": reason} if reason else {}),
    }


def listed(stubber: Stubber, *newest_first: dict[str, Any], token: str = "") -> None:
    more = {"NextToken": token} if token else {}
    stubber.add_response("describe_stack_events", {"StackEvents": [*newest_first], **more})


def followed(events: StackEvents, timeout: float = 10.0) -> tuple[Ended, list[str], list[str]]:
    """Return the end, the ids of the events, and what was waited for; each wait is a second."""
    reported: list[str] = []
    waits: list[str] = []
    now = [0.0]
    ended = stack_events.follow(
        events,
        timeout=timeout,
        report=lambda one: reported.append(one.id),
        wait=waits.append,
        clock=lambda: now[0],
        sleep=lambda _: now.__setitem__(0, now[0] + 1),
    )
    return ended, reported, waits


BEGUN = event(2, "s", "UPDATE_IN_PROGRESS", "User Initiated")
EARLIER = event(1, "s", "CREATE_COMPLETE")


def test_each_event_comes_once_and_in_order(stubber: Stubber) -> None:
    """D8: from the first one after the execution, over pages and polls."""
    listed(stubber, EARLIER)
    events = StackEvents.from_now(client(stubber), STACK)
    listed(stubber, EARLIER)  # not begun
    listed(stubber, event(3, "Q", "UPDATE_IN_PROGRESS"), token="2")
    listed(stubber, BEGUN, EARLIER)
    cleaning = event(5, "s", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    listed(stubber, cleaning, event(4, "Q", "UPDATE_COMPLETE"), event(3, "Q", "x"))
    listed(stubber, event(6, "s", "UPDATE_COMPLETE"), cleaning)
    ended, reported, waits = followed(events)
    assert ended == Ended(status="UPDATE_COMPLETE")
    assert ended.is_success
    assert reported == ["2", "3", "4", "5", "6"]
    assert waits == ["not begun", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"]


def test_an_operation_under_way_is_followed_from_its_beginning(stubber: Stubber) -> None:
    """D8: after an interrupted command; earlier operations do not count."""
    failed = event(3, "Q", "UPDATE_FAILED", "no such key")
    listed(stubber, event(4, "s", "UPDATE_ROLLBACK_IN_PROGRESS"), failed, BEGUN, EARLIER)
    listed(stubber, event(5, "s", "UPDATE_ROLLBACK_COMPLETE"), event(4, "s", "x"))
    ended, reported, _ = followed(StackEvents(client(stubber), STACK))
    assert reported == ["2", "3", "4", "5"]
    assert ended == Ended(status="UPDATE_ROLLBACK_COMPLETE", reasons=("Q: no such key",))


def test_the_first_reason_is_not_a_cancellation(stubber: Stubber) -> None:
    """D8: what failed because another resource did is no reason."""
    listed(
        stubber,
        event(6, "s", "UPDATE_ROLLBACK_COMPLETE"),
        event(5, "s", "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed: [B, A]"),
        event(4, "A", "UPDATE_FAILED", "too many"),
        event(3, "C", "UPDATE_FAILED", "Resource update cancelled"),
        event(3, "B", "UPDATE_FAILED", "not allowed"),
        BEGUN,
    )
    ended, _, _ = followed(StackEvents(client(stubber), STACK, "0"))
    assert ended.reasons == ("B: not allowed", "A: too many")
    assert not ended.is_success


def test_an_alarm_that_takes_an_update_back_is_the_reason(stubber: Stubber) -> None:
    """D8: then no resource has failed, and the stack's own event says why."""
    reason = "The following alarms are in ALARM state: [worker-errors]"
    rolled_back = event(3, "s", "UPDATE_ROLLBACK_IN_PROGRESS", reason)
    listed(stubber, event(4, "s", "UPDATE_ROLLBACK_COMPLETE"), rolled_back, BEGUN)
    ended, _, _ = followed(StackEvents(client(stubber), STACK, "0"))
    assert ended.reasons == (f"s: {reason}",)


def test_throttling_and_a_lost_connection_pass(
    stubber: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D8: a wait of an hour outlives both; a refusal ends it."""
    stubber.add_client_error("describe_stack_events", "Throttling", "Rate exceeded")
    listed(stubber, event(3, "s", "UPDATE_COMPLETE"), BEGUN)
    ended, _, waits = followed(StackEvents(client(stubber), STACK, "0"))
    assert ended.is_success
    assert "Rate exceeded" in waits[0]

    events = StackEvents(client(stubber), STACK, "0")
    read = events.read
    answers = [EndpointConnectionError(endpoint_url="https://x")]

    def interrupted() -> list[stack_events.StackEvent]:
        if answers:
            raise answers.pop()
        return read()

    monkeypatch.setattr(events, "read", interrupted)
    listed(stubber, event(3, "s", "UPDATE_COMPLETE"), BEGUN)
    assert followed(events)[0].is_success

    stubber.add_client_error("describe_stack_events", "ExpiredToken")
    with pytest.raises(ClientError):
        followed(StackEvents(client(stubber), STACK, "0"))


def test_the_wait_is_bounded(stubber: Stubber) -> None:
    listed(stubber, BEGUN)
    listed(stubber, BEGUN)
    with pytest.raises(UserError, match="has not ended: UPDATE_IN_PROGRESS"):
        followed(StackEvents(client(stubber), STACK, "1"), timeout=1.0)
