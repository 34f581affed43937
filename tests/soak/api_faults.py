"""Faults injected through the AWS API: in the worker's queue and in its permissions."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.e2e.harness import Pipeline

PAUSE_SECONDS = 0.3
TAKEN_SHARE = 0.4  # of the number of uploads: messages received and returned
COPIED_SHARE = 0.5  # of those
LONGEST_DELAY = 5  # seconds
LATE_COPIES_SHARE = 0.2  # of those copied, copied once more when all is uploaded

OUT_OF_ORDER = "message put back out of order"

REMOVED_PERMISSIONS = (
    "s3:PutObject",
    "s3:GetObjectVersion",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:PutObject",
)
WITHOUT_SECONDS = 4.0


class FaultInjector:
    """Receives messages from the work queue and returns them in another order, some of them twice.

    It never deletes one. Each time costs the message one of its receives, as a consumer would that
    is lost right after receiving it.
    """

    def __init__(self, pipeline: Pipeline, *, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._pipeline = pipeline
        self._rng = random.Random(seed)  # noqa: S311 -- chooses faults
        self._copied: set[str] = set()

    def disturb_queue(self, stop: threading.Event, uploaded: Callable[[], int]) -> None:
        """Continue until `stop`, at the pace of the uploads; then send some old messages again."""
        while not stop.wait(PAUSE_SECONDS):
            if self.done[OUT_OF_ORDER] < TAKEN_SHARE * uploaded():
                self._shuffle()
        copied = sorted(self._copied)
        for body in self._rng.sample(copied, int(len(copied) * LATE_COPIES_SHARE)):
            self._pipeline.send(body)
            self.done["message sent again, late"] += 1

    def _shuffle(self) -> None:
        sqs, url = self._pipeline.sqs, self._pipeline.stack.outputs["WorkQueueUrl"]
        response = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        messages = response.get("Messages", [])
        self._rng.shuffle(messages)
        for message in messages:
            body = message["Body"]
            if self._rng.random() < COPIED_SHARE and body not in self._copied:
                self._pipeline.send(body)
                self.done["message doubled"] += 1
                self._copied.add(body)
            sqs.change_message_visibility(
                QueueUrl=url,
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=self._rng.randint(0, LONGEST_DELAY),
            )
            self.done[OUT_OF_ORDER] += 1

    def remove_permission(self, action: str) -> None:
        """Remove one action from the worker's role, and restore it some seconds later."""
        with self._pipeline.without(action):
            time.sleep(WITHOUT_SECONDS)
        self.done[f"role without {action} for {WITHOUT_SECONDS:.0f} s"] += 1
