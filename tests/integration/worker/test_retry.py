"""A poison message that kills the worker's process becomes a dead letter alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.unit.worker.test_handler import SETTINGS
from tests.unit.worker.test_retry import message

MAXIMUM_RECEIVES = 5
INVOCATION = """
import json, os, signal, sys
from tests.unit.worker.memory_s3 import MemoryS3
from tests.unit.worker.test_handler import SETTINGS, UPLOADS, Clock, Queue
from worker import handler
from worker.results import Output

def process(source, settings, memory):
    if source.read() == b"poison":
        os.kill(os.getpid(), signal.SIGKILL)  # as Lambda does when memory or time run out
    return [Output("out", b"out", "text/plain")]

class PrintingQueue(Queue):
    def delete_message(self, **arguments):
        super().delete_message(**arguments)
        print("deleted", self.deleted[-1], flush=True)

s3 = MemoryS3()
batch = json.loads(sys.argv[1])
for message in batch:
    key = json.loads(message["body"])["Records"][0]["s3"]["object"]["key"]
    s3.upload(UPLOADS, key, "v1", key.rpartition("-")[2].encode())
worker = handler.Worker(
    settings=SETTINGS, s3=s3, sqs=PrintingQueue(), threads=2, processor=process
)
print("response", json.dumps(worker.handle_batch(batch, Clock())), flush=True)
"""


def invoke(batch: list[dict[str, Any]]) -> set[str]:
    """Run one invocation in a process of its own; return the messages that are gone after it."""
    command = [sys.executable, "-c", INVOCATION, json.dumps(batch)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode in (0, -9), child.stderr
    gone = set()
    for line in child.stdout.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "deleted":
            gone.add(rest)
        elif kind == "response":
            failed = {item["itemIdentifier"] for item in json.loads(rest)["batchItemFailures"]}
            gone |= {message["messageId"] for message in batch} - failed
    return gone


@pytest.mark.parametrize("poison", ["0-poison", "k-poison", "zz-poison"])
def test_a_poison_message_takes_no_other_message_along(
    poison: str,
) -> None:
    """R2: the rest of its batch succeeds; it alone becomes a dead letter, after its tries."""
    names = [poison, "a", "b", "l", "y", "z"]
    received = dict.fromkeys(names, 0)
    dead: list[str] = []
    done: set[str] = set()
    for _ in range(MAXIMUM_RECEIVES + 1):
        dead += [name for name, times in received.items() if times == MAXIMUM_RECEIVES]
        received = {name: times + 1 for name, times in received.items() if times < MAXIMUM_RECEIVES}
        if not received:
            break
        gone = invoke(
            [
                message(name, times, age=(times - 1) * SETTINGS.visibility_timeout)
                for name, times in received.items()
            ]
        )
        done |= gone
        received = {name: times for name, times in received.items() if name not in gone}
    assert dead == [poison]
    assert done == set(names) - {poison}
