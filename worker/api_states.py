"""What has become of an upload, by its record and its bucket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from worker import records
from worker.api_ids import UploadId
from worker.api_settings import ApiSettings
from worker.records import Record

EXPIRY_SECONDS = 300
"""How long an upload's URL may be used."""

CLOCK_SECONDS = 60
"""What the clocks of two hosts may differ by, and a request may take."""

_OUTPUT_FIELDS = ("name", "key", "type", "bytes", "width", "height")


def state_of(
    client: Any, settings: ApiSettings, upload: UploadId, *, now: float
) -> dict[str, Any] | None:
    """Return the state of an upload; None if there is none and none can come.

    The record is read first: it stays when an upload is deleted.

    Args:
        client: Of S3.
        settings: The API's.
        upload: The id, which names the caller that asks.
        now: Seconds since the epoch.

    Raises:
        ClientError: S3 refuses to answer.
        ValueError: The record is none.
    """
    key = upload.key(settings.upload_prefix)
    about = {"id": str(upload), "key": key}
    record = _record(client, settings.thumbnail_bucket, settings.source.record_key(key))
    if record:
        return {**about, **_ended(record)}
    since = _uploaded(client, settings.upload_bucket, key)
    if since is not None:
        waited = now - since.timestamp()
        state: dict[str, Any] = {"state": "waiting", "since": _text(since)}
        if waited > settings.longest_seconds:
            # Every receive of its message is over: it is in the dead-letter queue, or was lost.
            state["attention"] = True
        return {**about, **state}
    if -CLOCK_SECONDS <= now - upload.time <= EXPIRY_SECONDS + CLOCK_SECONDS:
        made = datetime.fromtimestamp(upload.time, UTC)
        return {**about, "state": "expected", "since": _text(made)}
    return None


def _record(client: Any, bucket: str, key: str) -> Record | None:
    try:
        answer = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise
    with closing(answer["Body"]) as body:
        return records.parse(body.read())


def _uploaded(client: Any, bucket: str, key: str) -> datetime | None:
    """Return when an object was stored; None if there is none.

    It lists, because reading its head needs the permission to read the picture.
    """
    listed = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    found = [one["LastModified"] for one in listed.get("Contents", ()) if one["Key"] == key]
    return found[0] if found else None


def _ended(record: Record) -> Mapping[str, Any]:
    content = record.content
    about = {
        "state": record.state,
        "since": content.get("processed_at"),
        "version": record.source.version_id,
        "outputs": [
            {name: one[name] for name in _OUTPUT_FIELDS if name in one}
            for one in content["outputs"]
        ],
    }
    rejection = content.get("rejection")
    if rejection:
        about |= {"reason": rejection["reason"], "detail": rejection["detail"]}
    return about


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
