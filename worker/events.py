"""Queue messages to the objects they notify of, whichever service wrapped them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

_WITHOUT_CONTENT = (
    "IntelligentTiering",
    "LifecycleTransition",
    "ObjectAcl",
    "ObjectAnnotation",
    "ObjectRestore",
    "ObjectRetention",
    "ObjectTagging",
    "Replication",
)
"""Families of events that change no object's content; a topic may carry them (pitfall 56).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
"""

_EVENTBRIDGE_WITHOUT_CONTENT = (
    "Object ACL Updated",
    "Object Access Tier Changed",
    "Object Restore Completed",
    "Object Restore Expired",
    "Object Restore Initiated",
    "Object Storage Class Changed",
    "Object Tags Added",
    "Object Tags Deleted",
)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html"""

_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True)
class SourceObject:
    """One version of one object, as its event names it.

    Attributes:
        bucket: The bucket's name.
        key: The key, decoded.
        version_id: Absent in a bucket without versioning.
        etag: The entity tag without quotes.
        sequencer: Its place in the order of the key's events; absent where the message does not
            come from an S3 event.
        size: In bytes.
        time: When the event happened, ISO 8601 in UTC.
        deleted: The event is a deletion: of this version, or of the whole object.
    """

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    size: int | None = None
    time: str | None = None
    deleted: bool = False


@dataclass(frozen=True)
class Notification:
    """The content of one message; all fields are empty for `s3:TestEvent` only.

    Attributes:
        objects: The objects it notifies of.
        skipped: The event's name for each record that is not about an object's content.
        problems: A sentence for each record that cannot be read.
    """

    objects: tuple[SourceObject, ...] = ()
    skipped: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class UnreadableMessageError(ValueError):
    """The message has no known format; it must not be deleted as if it were done."""


def parse(body: str) -> Notification:
    """Read an SQS message's body: an S3 notification or an EventBridge event, bare or inside SNS.

    Raises:
        UnreadableMessageError: The body as a whole is unknown. The message has to stay in the
            queue: an event that S3 sends once must not get lost for being new to the worker.
    """
    message = _load(body)
    if "TopicArn" in message and "Message" in message:
        if message.get("Type") != "Notification":
            raise UnreadableMessageError(f"an SNS message of type {message.get('Type')!r}")
        message = _load(message["Message"])
    if message.get("Event") == "s3:TestEvent":
        return Notification()
    if "Records" in message:
        records = message["Records"]
        if not isinstance(records, list) or not records:
            raise UnreadableMessageError("an S3 notification without records")
        return _collect(records, _from_notification)
    if message.get("source") == "aws.s3":
        return _collect([message], _from_event)
    raise UnreadableMessageError(
        f"neither an S3 notification nor an EventBridge event: keys {sorted(message)[:10]}"
    )


def _load(text: object) -> dict[str, Any]:
    if not isinstance(text, str):
        raise UnreadableMessageError(f"text expected, not {type(text).__name__}")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableMessageError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise UnreadableMessageError(f"a JSON object expected, not {type(message).__name__}")
    return message


class _WithoutContentError(Exception):
    """An event, named by the only argument, that is not about an object's content."""


def _collect(records: list[Any], read: Callable[[Any], SourceObject]) -> Notification:
    """Read each record on its own, so that a bad one does not hide the others."""
    objects: list[SourceObject] = []
    skipped: list[str] = []
    problems: list[str] = []
    for number, record in enumerate(records, start=1):
        try:
            objects.append(read(record))
        except _WithoutContentError as event:
            skipped.append(str(event))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"record {number} of {len(records)}: {error!r}")
    return Notification(tuple(objects), tuple(skipped), tuple(problems))


def _from_notification(record: Any) -> SourceObject:
    name = _text(record["eventName"])
    # Through SNS and in old configurations the name may carry its service's prefix.
    kind = name.removeprefix("s3:")
    if kind.partition(":")[0] in _WITHOUT_CONTENT:
        raise _WithoutContentError(name)
    deleted = kind.startswith(("ObjectRemoved:", "LifecycleExpiration:"))
    if not deleted and not kind.startswith("ObjectCreated:"):
        raise ValueError(f"event {name} is neither a creation nor a deletion")
    details = record["s3"]["object"]
    return _source(
        bucket=record["s3"]["bucket"]["name"],
        # S3 encodes keys here as a form does: `+` is a space. Once, here and nowhere else.
        key=unquote_plus(_text(details["key"]), errors="strict"),
        version_id=details.get("versionId"),
        etag=details.get("eTag"),
        sequencer=details.get("sequencer"),
        size=details.get("size"),
        time=record.get("eventTime"),
        deleted=deleted,
        expired=kind == "LifecycleExpiration:Delete",
    )


def _from_event(event: Any) -> SourceObject:
    kind = _text(event["detail-type"])
    if kind in _EVENTBRIDGE_WITHOUT_CONTENT:
        raise _WithoutContentError(kind)
    if kind not in ("Object Created", "Object Deleted"):
        raise ValueError(f"event {kind} is neither a creation nor a deletion")
    detail = event["detail"]
    details = detail["object"]
    return _source(
        bucket=detail["bucket"]["name"],
        key=_text(details["key"]),  # EventBridge passes the key as it is
        version_id=details.get("version-id"),
        etag=details.get("etag"),
        sequencer=details.get("sequencer"),
        size=details.get("size"),
        time=event.get("time"),
        deleted=kind == "Object Deleted",
        expired=detail.get("reason") == "Lifecycle Expiration"
        and detail.get("deletion-type") == "Permanently Deleted",
    )


def _source(
    *,
    bucket: object,
    key: str,
    version_id: object,
    etag: object,
    sequencer: object,
    size: object,
    time: object,
    deleted: bool,
    expired: bool,
) -> SourceObject:
    place = _optional_text(sequencer)
    if place is not None and not _HEXADECIMAL.fullmatch(place):
        raise ValueError(f"sequencer {place!r} is not hexadecimal")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise ValueError(f"size {size!r} is not a number of bytes")
    if expired and version_id:
        # With versioning, lifecycle rules permanently delete noncurrent versions only: that changes
        # nothing, so it has no place in the order of what does.
        place = None
    return SourceObject(
        bucket=_text(bucket),
        key=_text(key),
        version_id=_optional_text(version_id),
        etag=_optional_text(etag),
        sequencer=place,
        size=size,
        time=_optional_text(time),
        deleted=deleted,
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"text expected, not {value!r}")
    value.encode()  # fails for half a surrogate pair, which JSON can hold and S3 cannot
    return value


def _optional_text(value: object) -> str | None:
    # EventBridge leaves fields out, some producers send them empty: both mean absent.
    return None if value is None or value == "" else _text(value)
