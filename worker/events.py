"""One queue message to the objects it announces, whichever service wrapped it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True)
class SourceObject:
    """One version of one object, as its event names it.

    `key` is decoded text. `version` is absent in a bucket without versions, `sequencer` where the
    message does not come from an S3 event. `size` is in bytes, `time` is ISO 8601 in UTC.
    `removed` marks the announcement of an object's end: of its version, or of all of it.
    """

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    size: int | None = None
    time: str | None = None
    removed: bool = False


@dataclass(frozen=True)
class Announcement:
    """What one message says: the objects it names and, in sentences, the records nobody can read.

    Both are empty for `s3:TestEvent` alone.
    """

    objects: tuple[SourceObject, ...] = ()
    problems: tuple[str, ...] = ()


class UnreadableMessageError(ValueError):
    """The message has no shape that the worker knows; it must not be deleted as if it were done."""


def parse(body: str) -> Announcement:
    """Read an SQS message's body: an S3 notification or an EventBridge event, bare or inside SNS.

    Raises UnreadableMessageError when the body as a whole cannot be understood, so that the message
    stays in the queue: an event that S3 sends once must not get lost for being new to us.
    """
    message = _load(body)
    if "TopicArn" in message and "Message" in message:
        if message.get("Type") != "Notification":
            raise UnreadableMessageError(f"an SNS message of type {message.get('Type')!r}")
        message = _load(message["Message"])
    if message.get("Event") == "s3:TestEvent":
        return Announcement()
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


def order(sequencer: str | None) -> str:
    """Return a string that sorts as S3's sequencers of one key do; an absent one sorts first.

    S3 says to compare them as hexadecimal numbers padded on the right with zeros to one length.
    Without its trailing zeros a sequencer sorts the same way as plain text, whatever its length.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    return (sequencer or "").upper().rstrip("0")


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


def _collect(records: list[Any], read: Callable[[Any], SourceObject]) -> Announcement:
    """Read each record by itself, so that a bad one does not hide the others."""
    objects: list[SourceObject] = []
    problems: list[str] = []
    for number, record in enumerate(records, start=1):
        try:
            objects.append(read(record))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"record {number} of {len(records)}: {error!r}")
    return Announcement(tuple(objects), tuple(problems))


def _from_notification(record: Any) -> SourceObject:
    name = _text(record["eventName"])
    # Through SNS and in old configurations the name may carry its service's prefix.
    kind = name.removeprefix("s3:")
    removed = kind.startswith(("ObjectRemoved:", "LifecycleExpiration:"))
    if not removed and not kind.startswith("ObjectCreated:"):
        raise ValueError(f"event {name} announces neither an object nor its end")
    details = record["s3"]["object"]
    return _source(
        bucket=record["s3"]["bucket"]["name"],
        # S3 encodes keys here as a form does: `+` is a space. Once, here and nowhere else.
        key=unquote_plus(_text(details["key"]), errors="strict"),
        version=details.get("versionId"),
        etag=details.get("eTag"),
        sequencer=details.get("sequencer"),
        size=details.get("size"),
        time=record.get("eventTime"),
        removed=removed,
        expired=kind == "LifecycleExpiration:Delete",
    )


def _from_event(event: Any) -> SourceObject:
    kind = _text(event["detail-type"])
    if kind not in ("Object Created", "Object Deleted"):
        raise ValueError(f"event {kind} announces neither an object nor its end")
    detail = event["detail"]
    details = detail["object"]
    return _source(
        bucket=detail["bucket"]["name"],
        key=_text(details["key"]),  # EventBridge passes the key as it is
        version=details.get("version-id"),
        etag=details.get("etag"),
        sequencer=details.get("sequencer"),
        size=details.get("size"),
        time=event.get("time"),
        removed=kind == "Object Deleted",
        expired=detail.get("reason") == "Lifecycle Expiration"
        and detail.get("deletion-type") == "Permanently Deleted",
    )


def _source(
    *,
    bucket: object,
    key: str,
    version: object,
    etag: object,
    sequencer: object,
    size: object,
    time: object,
    removed: bool,
    expired: bool,
) -> SourceObject:
    order_text = _optional_text(sequencer)
    if order_text is not None and not _HEXADECIMAL.fullmatch(order_text):
        raise ValueError(f"sequencer {order_text!r} is not hexadecimal")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise ValueError(f"size {size!r} is not a number of bytes")
    if expired and version:
        # Where there are versions, lifecycle rules delete for good only what is not current any
        # more: that changes nothing, so it has no place in the order of what does.
        order_text = None
    return SourceObject(
        bucket=_text(bucket),
        key=_text(key),
        version=_optional_text(version),
        etag=_optional_text(etag),
        sequencer=order_text,
        size=size,
        time=_optional_text(time),
        removed=removed,
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"text expected, not {value!r}")
    value.encode()  # half a surrogate pair, which JSON can hold, is no text that S3 could have
    return value


def _optional_text(value: object) -> str | None:
    # EventBridge leaves fields out, some producers send them empty: both mean absent.
    return None if value is None or value == "" else _text(value)
