"""Wait until a stack's queues are empty, and enable or disable its event source mappings."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from darkroom.aws.errors import is_not_found
from darkroom.aws.stack import Stack
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.console.progress import Progress
from darkroom.console.text import elapsed, plural
from darkroom.errors import UserError

if TYPE_CHECKING:
    from types_boto3_sqs.literals import QueueAttributeNameType

EMPTY_SECONDS = 180.0
"""How long all counters have to be zero: they are approximate, and S3 may notify a minute late.

SQS: a queue is empty once all three are zero "for several minutes", without new messages.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/confirm-queue-is-empty.html
"""

POLL_SECONDS = 3.0
COUNTERS: tuple["QueueAttributeNameType", ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass
class Drain:
    """The queues of a stack in any state; a queue or mapping that does not exist is skipped."""

    stack: Stack
    template: ResolvedTemplate
    progress: Progress
    timeout: float
    """Seconds in which the worker has to empty the queues; EMPTY_SECONDS come on top."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    advice: str = "pass a longer --timeout, or --discard-messages"
    """What to do where something takes longer than the timeout."""

    @property
    def mappings(self) -> dict[str, str]:
        """Logical to physical id of each event source mapping that CloudFormation has created."""
        return self._physical("Lambda::EventSourceMapping")

    def waiting(self) -> int:
        """Return how many messages the work queues have, those in flight or delayed included."""
        return self._count(dead=False) or 0

    def dead_letters(self) -> int:
        """Return how many messages the dead-letter queues have, those in flight included."""
        return self._count(dead=True) or 0

    def refuse_dead_letters(self) -> None:
        """Raise UserError if there are dead letters."""
        if dead := self.dead_letters():
            raise UserError(
                f"{plural(dead, 'dead letter')} would be lost, each the only trace of an upload:"
                f" darkroom dlq redrive --stack-name {self.stack.name}"
                " (or purge, which saves them), or pass --discard-messages"
            )

    def run(self) -> None:
        """Wait until the worker has emptied the queues, then disable the mappings.

        Uploads that S3 reports in between make it wait again.

        Raises:
            UserError: a message became a dead letter, was not processed in time, or nothing
                processes it.
        """
        began = self.clock()
        self._wait_until_empty(began)
        self.disable()
        while self.waiting():
            self._wait_until_empty(began)
            self.disable()

    def disable(self) -> None:
        """Disable all event source mappings, and wait until they are."""
        for title, uuid in self.mappings.items():
            self._switch(title, uuid, "Disabled")

    def enable(self) -> None:
        """Enable all event source mappings, and wait until they are."""
        for title, uuid in self.mappings.items():
            self._switch(title, uuid, "Enabled")

    @property
    def is_disabled(self) -> bool:
        """Whether any event source mapping is disabled."""
        client = self.stack.client("lambda")
        return any(
            client.get_event_source_mapping(UUID=uuid)["State"] in ("Disabled", "Disabling")
            for uuid in self.mappings.values()
        )

    def _wait_until_empty(self, began: float) -> None:
        empty_since: float | None = None
        while (waiting := self._count(dead=False)) is not None:
            self.refuse_dead_letters()
            now = self.clock()
            if not waiting:
                empty_since = now if empty_since is None else empty_since
                if now - empty_since >= EMPTY_SECONDS:
                    return
                self.progress.update(
                    f"0 messages for {elapsed(now - empty_since)} of {elapsed(EMPTY_SECONDS)}"
                )
            else:
                empty_since = None
                messages = plural(waiting, "message")
                self._enable(messages)  # an earlier run may have disabled them
                self._check_time(began, f"waiting for the worker ({messages})")
            self.sleep(POLL_SECONDS)

    def _enable(self, messages: str) -> None:
        states = [self._switch(title, uuid, "Enabled") for title, uuid in self.mappings.items()]
        if not any(states):
            raise UserError(
                f"{messages} would be lost: the stack's function or event source mapping does not"
                " exist, so nothing processes them; pass --discard-messages"
            )

    def _switch(self, title: str, uuid: str, wanted: str) -> bool:
        """Enable or disable a mapping; return False if it or its function does not exist."""
        client = self.stack.client("lambda")

        def state() -> str:
            return client.get_event_source_mapping(UUID=uuid)["State"]

        try:
            # In a state such as Updating, Lambda accepts no change.
            self._wait(lambda: not state().endswith("ing"), f"{title} is changing")
            if state() != wanted:
                client.update_event_source_mapping(UUID=uuid, Enabled=wanted == "Enabled")
                self._wait(lambda: state() == wanted, f"{title} is not yet {wanted}")
                self.progress.step(f"{title} is {wanted}")
        except ClientError as error:
            if not is_not_found(error):
                raise
            return False
        return True

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        began = self.clock()
        while not done():
            self._check_time(began, what)
            self.sleep(min(POLL_SECONDS, 1.0))

    def _check_time(self, began: float, what: str) -> None:
        seconds = self.clock() - began
        if seconds > self.timeout:
            raise UserError(f"not done after {elapsed(seconds)}: {what}; {self.advice}")
        self.progress.update(f"{what}, for {elapsed(seconds)}")

    def _count(self, *, dead: bool) -> int | None:
        """Return how many messages the queues of one kind have, or None if there is no queue."""
        queues = self._physical("SQS::Queue").items()
        found = [self._messages(url) for title, url in queues if _is_dead(title) == dead]
        return _sum(number for number in found if number is not None)

    def _messages(self, url: str) -> int | None:
        sqs = self.stack.client("sqs")
        try:
            answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTERS))
        except ClientError as error:
            if not is_not_found(error):
                raise
            return None
        return sum(int(answer["Attributes"][name]) for name in COUNTERS)

    def _physical(self, kind: str) -> dict[str, str]:
        known = self.stack.resources
        titles = self.template.resources_of_type(kind)
        return {title: known[title] for title in titles if title in known}


def _is_dead(title: str) -> bool:
    return title.endswith("DeadLetterQueue")


def _sum(numbers: Iterable[int]) -> int | None:
    found = list(numbers)
    return sum(found) if found else None
