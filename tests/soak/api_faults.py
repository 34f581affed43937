"""Trouble that comes through the AWS API while the worker works: in its queue and in its rights."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.e2e.harness import Pipeline

PAUSE_SECONDS = 0.3
TAKEN_SHARE = 0.4  # messages taken out of the queue for a while, of the number of uploads
COPIED_SHARE = 0.5  # of those
LONGEST_DELAY = 5  # seconds
LATE_COPIES_SHARE = 0.2  # of those copied, copied once more when all is uploaded

OUT_OF_ORDER = "message put back out of order"

LOST_RIGHTS = ("s3:PutObject", "s3:GetObjectVersion", "s3:PutObject")
WITHOUT_SECONDS = 4.0


class Disturber:
    """Takes messages out of the work queue, puts them back in another order, some of them twice.

    It never deletes one. Each time costs the message one of its receives, as it would if a
    consumer was lost right after receiving it.
    """

    def __init__(self, pipeline: Pipeline, *, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._pipeline = pipeline
        self._rng = random.Random(seed)  # noqa: S311 -- chooses faults
        self._copied: set[str] = set()

    def disturb_queue(self, stop: threading.Event, uploaded: Callable[[], int]) -> None:
        """Go on until `stop`, as fast as there are uploads; then copy some of long before."""
        while not stop.wait(PAUSE_SECONDS):
            if self.done[OUT_OF_ORDER] < TAKEN_SHARE * uploaded():
                self._shuffle()
        copied = sorted(self._copied)
        for body in self._rng.sample(copied, int(len(copied) * LATE_COPIES_SHARE)):
            self._pipeline.send(body)
            self.done["message sent again, late"] += 1

    def _shuffle(self) -> None:
        sqs, url = self._pipeline.sqs, self._pipeline.stack.outputs["WorkQueueUrl"]
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
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

    def take_right(self, action: str) -> None:
        """Take one action from the worker's role, and give it back some seconds later."""
        with self._pipeline.without(action):
            time.sleep(WITHOUT_SECONDS)
        self.done[f"role without {action} for {WITHOUT_SECONDS:.0f} s"] += 1
