"""worker/retry.py: the waits, and how a poison message ends alone."""

from __future__ import annotations

import json
from typing import Any

from worker.retry import redelivered


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


def test_the_order_reverses_with_each_try() -> None:
    """R2: messages behind the poison message run before it the next time."""

    def order(received: int) -> list[str]:
        batch = [message(name, received) for name in "bca"]
        return [found["messageId"] for found in redelivered(batch)]

    assert order(1) == []
    assert order(2) == order(4) == ["a", "b", "c"]
    assert order(3) == order(5) == ["c", "b", "a"]


def test_fewer_tries_go_first() -> None:
    """R2: the more often a message came, the more likely it is the poison message."""
    batch = [message("a", 4), message("b", 2), message("c", 1), message("d", 3)]
    assert [found["messageId"] for found in redelivered(batch)] == ["b", "d", "a"]
