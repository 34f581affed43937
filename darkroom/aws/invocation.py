"""Invokes a worker's function as its queue would, and tells what comes of the message."""

import json
import time
import uuid
from typing import Any

from botocore.config import Config

from darkroom.aws.session import Account

TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})
"""A message with which a worker does nothing; S3 sends it to a new queue."""

MARGIN_SECONDS = 30.0
"""For a cold start, and for the answer."""


def deliver(account: Account, function: str, body: str, *, seconds: float) -> str:
    """Invoke a function with a message, once; return what went wrong, or nothing.

    Args:
        account: Whose function it is.
        function: Its name.
        body: The message's body.
        seconds: The function's timeout.

    Raises:
        ClientError: AWS refuses the invocation.
    """
    client: Any = account.session.create_client(
        "lambda",
        config=Config(
            connect_timeout=10,
            read_timeout=seconds + MARGIN_SECONDS,
            retries={"total_max_attempts": 1},  # a repeated request would be another invocation
        ),
    )
    answer = client.invoke(FunctionName=function, Payload=json.dumps(_event(body)).encode())
    result: Any = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer:
        error = result if isinstance(result, dict) else {}
        kind, message = error.get("errorType", "Error"), error.get("errorMessage", result)
        return f"{function} fails: {kind}: {message}"
    if not isinstance(result, dict) or result.get("batchItemFailures"):
        return f"{function} returns the message to the queue: its log has the reason"
    return ""


def _event(body: str) -> dict[str, Any]:
    """Return the event with which Lambda delivers a message.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    sent = str(time.time_ns() // 1_000_000)
    attributes = {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": sent,
        "ApproximateFirstReceiveTimestamp": sent,
    }
    message = {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "none: this message is in no queue",
        "body": body,
        "attributes": attributes,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }
    return {"Records": [message]}
