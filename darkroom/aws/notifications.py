"""Objects announced to the worker once more, as S3 itself announces them."""

import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote_plus

from darkroom.errors import UserError
from worker.events import SourceObject

BATCH = 10
"""Messages that one request may send.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
"""

_TRIES = 5
_FIRST_WAIT = 0.2
"""Seconds; doubles with each try."""


def notification(source: SourceObject) -> str:
    """Return the body of the message that announces this version; `worker.events.parse` undoes it.

    What the source lacks, the message lacks. One without a sequencer has no place in the order of
    its key's versions: it brings outputs where there are none, and loses to whatever has one.
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
        "s3": {"bucket": {"name": source.bucket}, "object": _told(details)},
    }
    return json.dumps({"Records": [_told(record)]}, separators=(",", ":"))


def send(sqs: Any, queue_url: str, bodies: Sequence[str]) -> None:
    """Send at most BATCH messages; return when the queue has confirmed each of them.

    Those that fail are sent again. Raises UserError when some still fail after that.
    """
    waiting = {str(number): body for number, body in enumerate(bodies)}
    for attempt in range(_TRIES):
        answer = sqs.send_message_batch(
            QueueUrl=queue_url,
            Entries=[{"Id": name, "MessageBody": body} for name, body in waiting.items()],
        )
        # Only what is confirmed is done: an answer that leaves one out is no confirmation.
        for done in answer.get("Successful", []):
            del waiting[done["Id"]]
        if not waiting:
            return
        failed = answer.get("Failed", [])
        if any(one["SenderFault"] for one in failed):
            break
        time.sleep(_FIRST_WAIT * 2**attempt)
    reasons = sorted({f"{one['Code']}: {one.get('Message', '')}" for one in failed})
    raise UserError(
        f"{len(waiting)} of {len(bodies)} messages could not be sent to {queue_url}:"
        f" {'; '.join(reasons) or 'no reason given'}"
    )


def _told(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
