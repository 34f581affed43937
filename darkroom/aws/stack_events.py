"""The events of a stack, by which an operation of CloudFormation is followed to its end."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from darkroom.aws.errors import is_passing, sentence
from darkroom.errors import UserError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

POLL_SECONDS = 3.0
BEGINNINGS = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}
"""States of the stack itself with which an operation begins."""

SUCCESSES = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
CANCELLED = ("Resource creation cancelled", "Resource update cancelled")
"""Reasons of resources that fail because another one did."""


@dataclass(frozen=True, kw_only=True)
class StackEvent:
    """A resource, or the stack itself, has reached a state."""

    id: str
    time: datetime
    resource: str
    """Logical id; the stack's name for the stack itself."""

    type: str
    status: str
    reason: str
    is_stack: bool

    @property
    def is_failure(self) -> bool:
        """Whether the resource failed by itself, not because another one did."""
        return (
            self.status.endswith("_FAILED")
            and not self.is_stack
            and not self.reason.startswith(CANCELLED)
        )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How an operation ended."""

    status: str
    reasons: tuple[str, ...] = ()
    """Of a failure, the first one first: resource and reason."""

    @property
    def is_success(self) -> bool:
        """Whether the stack is what was asked for."""
        return self.status in SUCCESSES


class StackEvents:
    """Reads the events of one operation, each of them once."""

    def __init__(
        self, client: "CloudFormationClient", stack_id: str, after: str | None = None
    ) -> None:
        """Begin after the event with the id `after`, or with the newest operation."""
        self._client = client
        self._stack_id = stack_id
        self._after = after

    @classmethod
    def from_now(cls, client: "CloudFormationClient", stack_id: str) -> "StackEvents":
        """Return the events of an operation that has not begun yet."""
        newest = client.describe_stack_events(StackName=stack_id)["StackEvents"][:1]
        return cls(client, stack_id, newest[0]["EventId"] if newest else "")

    def read(self) -> list[StackEvent]:
        """Return the new events, the oldest first."""
        found: list[StackEvent] = []
        for event in self._newest_first():
            if event.id == self._after:
                break
            found.append(event)
            if self._after is None and event.is_stack and event.status in BEGINNINGS:
                break
        if found:
            self._after = found[0].id
        return found[::-1]

    def _newest_first(self) -> Iterable[StackEvent]:
        pages = self._client.get_paginator("describe_stack_events").paginate(
            StackName=self._stack_id
        )
        for page in pages:
            for one in page["StackEvents"]:
                yield _event(one)


def follow(
    events: StackEvents,
    *,
    timeout: float,
    report: Callable[[StackEvent], None],
    wait: Callable[[str], None] = lambda _: None,
    poll: float = POLL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Ended:
    """Report an operation's events until the last one, and return how it ended.

    Args:
        events: The operation's events.
        timeout: Seconds to wait for the end.
        report: Takes each event as it comes.
        wait: Takes a sentence about what is waited for: the stack's state, or an error that
            passes.
        poll: Seconds between two requests.
        clock: Seconds.
        sleep: Waits for some seconds.

    Raises:
        UserError: It takes longer, or AWS refuses the caller.
    """
    seen: list[StackEvent] = []
    end = clock() + timeout
    status = "not begun"
    while True:
        try:
            new = events.read()
        except (BotoCoreError, ClientError) as error:
            if not is_passing(error):
                raise
            new = []
            wait(sentence(error))
        for event in new:
            report(event)
            seen.append(event)
            if event.is_stack:
                status = event.status
        if status.endswith(("_COMPLETE", "_FAILED")):
            return Ended(status=status, reasons=() if status in SUCCESSES else _reasons(seen))
        if clock() >= end:
            raise UserError(f"the stack's operation has not ended: {status}")
        wait(status)
        sleep(poll)


def _reasons(events: Iterable[StackEvent]) -> tuple[str, ...]:
    """Return why an operation failed: the resources' reasons, or else the stack's own."""
    events = list(events)
    failures = [one for one in events if one.is_failure]
    own = [one for one in events if one.is_stack and one.reason and "ROLLBACK" in one.status]
    own += [one for one in events if one.is_stack and one.status.endswith("_FAILED")]
    return tuple(
        dict.fromkeys(f"{one.resource}: {one.reason or one.status}" for one in failures or own[:1])
    )


def _event(found: Any) -> StackEvent:
    return StackEvent(
        id=found["EventId"],
        time=found["Timestamp"],
        resource=found.get("LogicalResourceId", ""),
        type=found.get("ResourceType", ""),
        status=found.get("ResourceStatus", ""),
        reason=found.get("ResourceStatusReason", ""),
        is_stack=found.get("PhysicalResourceId") == found["StackId"],
    )
