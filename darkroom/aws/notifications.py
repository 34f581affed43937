"""S3 event notifications that the commands send for existing objects."""

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from darkroom.errors import UserError
from worker.events import SourceObject

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef

BATCH = 10
"""Messages per request.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
"""

_ATTEMPTS = 5
_FIRST_DELAY = 0.2
"""Seconds; doubles with each attempt."""


def notification(source: SourceObject) -> str:
    """Return the message body of an ObjectCreated event; `worker.events.parse` reads it.

    Fields that are None are left out. Without a sequencer the event has no place in the order of
    its key's versions: the worker writes outputs where there are none, and keeps those of an event
    that has one.
    """
    details = {
        "key": quote_plus(source.key, safe="/"),
        "size": source.size,
        "eTag": source.etag,
        "versionId": source.version_id,
        "sequencer": source.sequencer,
    }
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": source.time,
        "s3": {"bucket": {"name": source.bucket}, "object": _without_none(details)},
    }
    return json.dumps({"Records": [_without_none(record)]}, separators=(",", ":"))


def send(sqs: "SQSClient", queue_url: str, bodies: Sequence[str]) -> None:
    """Send at most BATCH messages and return when SQS has confirmed all of them.

    Failed ones are sent again.

    Raises:
        UserError: some fail in every attempt, or for a reason that another attempt cannot change.
    """
    failed: list[BatchResultErrorEntryTypeDef] = []
    waiting = {str(number): body for number, body in enumerate(bodies)}
    for attempt in range(_ATTEMPTS):
        response = sqs.send_message_batch(
            QueueUrl=queue_url,
            Entries=[{"Id": name, "MessageBody": body} for name, body in waiting.items()],
        )
        # A response that leaves a message out does not confirm it.
        for confirmed in response.get("Successful", []):
            del waiting[confirmed["Id"]]
        if not waiting:
            return
        failed = response.get("Failed", [])
        if any(one["SenderFault"] for one in failed):
            break
        time.sleep(_FIRST_DELAY * 2**attempt)
    reasons = sorted({f"{one['Code']}: {one.get('Message', '')}" for one in failed})
    raise UserError(
        f"{len(waiting)} of {len(bodies)} messages could not be sent to {queue_url}:"
        f" {'; '.join(reasons) or 'no reason given'}"
    )


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
