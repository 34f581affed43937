"""worker/retry.py: the waits, and how a picture that kills the worker ends alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from worker.retry import suspects

MAXIMUM_RECEIVES = 5

INVOCATION = """
import json, os, signal, sys
from tests.unit.worker.memory_s3 import MemoryS3
from tests.unit.worker.test_handler import SETTINGS, UPLOADS, Clock, Queue
from worker import handler
from worker.results import Output

def process(source, settings, memory):
    if source.read() == b"killer":
        os.kill(os.getpid(), signal.SIGKILL)  # as Lambda does when memory or time run out
    return [Output("out", b"out", "text/plain")]

class Told(Queue):
    def delete_message(self, **arguments):
        super().delete_message(**arguments)
        print("deleted", self.deleted[-1], flush=True)

handler.process = process
s3 = MemoryS3()
batch = json.loads(sys.argv[1])
for message in batch:
    key = json.loads(message["body"])["Records"][0]["s3"]["object"]["key"]
    s3.upload(UPLOADS, key, "v1", key.rpartition("-")[2].encode())
worker = handler.Worker(settings=SETTINGS, s3=s3, sqs=Told(), threads=2)
print("response", json.dumps(worker.work(batch, Clock())), flush=True)
"""


def message(name: str, received: int) -> dict[str, Any]:
    source = {"key": f"uploads/{name}", "versionId": "v1", "sequencer": "0A", "eTag": "e"}
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads-bucket"}, "object": source},
    }
    return {
        "messageId": name,
        "receiptHandle": f"handle of {name}",
        "body": json.dumps({"Records": [record]}),
        "attributes": {"ApproximateReceiveCount": str(received)},
    }


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


@pytest.mark.parametrize("killer", ["0-killer", "k-killer", "zz-killer"])
def test_a_picture_that_kills_the_worker_takes_nobody_along(
    killer: str,
) -> None:
    """R2: its batch-mates are done, and it alone is a dead letter, after its tries."""
    names = [killer, "a", "b", "l", "y", "z"]
    received = dict.fromkeys(names, 0)
    dead: list[str] = []
    done: set[str] = set()
    for _ in range(MAXIMUM_RECEIVES + 1):
        dead += [name for name, times in received.items() if times == MAXIMUM_RECEIVES]
        received = {name: times + 1 for name, times in received.items() if times < MAXIMUM_RECEIVES}
        if not received:
            break
        gone = invoke([message(name, times) for name, times in received.items()])
        done |= gone
        received = {name: times for name, times in received.items() if name not in gone}
    assert dead == [killer]
    assert done == set(names) - {killer}


def test_the_order_turns_around_with_each_try() -> None:
    """R2: who was behind the killer is in front of it the next time."""

    def order(received: int) -> list[str]:
        batch = [message(name, received) for name in "bca"]
        return [found["messageId"] for found in suspects(batch)]

    assert order(1) == []
    assert order(2) == order(4) == ["a", "b", "c"]
    assert order(3) == order(5) == ["c", "b", "a"]


def test_fewer_tries_go_first() -> None:
    """R2: one that has come often is more likely to be what kills."""
    batch = [message("a", 4), message("b", 2), message("c", 1), message("d", 3)]
    assert [found["messageId"] for found in suspects(batch)] == ["b", "d", "a"]
