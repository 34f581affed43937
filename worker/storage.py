"""Objects read and written under this pipeline's rules, over an S3 client passed in."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal
from urllib.parse import quote

from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from worker.events import SourceObject, order
from worker.results import Output, Rejection

Written = Literal["written", "stale", "duplicate"]

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_DELETE_MARKER = "MethodNotAllowed"  # what reading a delete marker's version answers
_CONFLICT = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_BROKEN_OFF = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_READS = 2
_TRIES = 8
"""Rounds of one conditional write; each lost round means that another worker has won one."""

_LONGEST_METADATA_KEY = 1_000
"""Bytes of the encoded source key in metadata: all metadata together may have 2 KB."""


class SupersededError(Exception):
    """The announced bytes were overwritten in a bucket without versions; a newer event follows."""


class ContentionError(Exception):
    """Too many workers wrote one output at once; later there will be fewer."""


@dataclass(frozen=True)
class Destination:
    """Where outputs go and what each carries."""

    bucket: str
    encryption_key_arn: str


def read(client: Any, source: SourceObject, *, limit: int) -> BinaryIO:
    """Return the bytes of exactly the announced version; the caller's memory is safe with them.

    Raises Rejection when there is nothing to read or more than `limit` bytes, SupersededError when
    the bucket keeps no versions and has other bytes by now, and the client's own errors for
    everything that a later try may cure (time-outs, throttling, a right that is missing).
    """
    for _ in range(_READS - 1):
        try:
            return _read_once(client, source, limit=limit)
        except _BROKEN_OFF:
            continue  # botocore tries requests again, but not what breaks off in an answer's body
    return _read_once(client, source, limit=limit)


def _read_once(client: Any, source: SourceObject, *, limit: int) -> BinaryIO:
    try:
        response = client.get_object(Bucket=source.bucket, Key=source.key, **_which(source))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _GONE or code == _DELETE_MARKER:
            raise Rejection("deleted", "The object was deleted before it could be read.") from error
        if code == "InvalidObjectState":
            raise Rejection("archived", "The object is in an archive storage class.") from error
        if code in _CONFLICT and source.version is None:
            raise SupersededError(source.key) from error
        raise
    size: int = response["ContentLength"]
    # The body as a context manager would be the bare stream, which ends early without an error.
    with closing(response["Body"]) as body:
        if size > limit:  # leaving the block closes the connection, the bytes are never fetched
            raise Rejection("too_large", f"{size:,} bytes; at most {limit:,} are allowed.")
        if size == 0:
            raise Rejection("empty", "The object has no bytes.")
        return io.BytesIO(body.read())


def write(
    client: Any,
    destination: Destination,
    *,
    key: str,
    output: Output,
    source: SourceObject,
    cache_control: str,
) -> Written:
    """Store an output unless the one in its place comes from a newer version of the source.

    The first write needs no look at what is there. Where something is, its metadata say which
    version it comes from, and If-Match makes looking and replacing one step. "duplicate": the same
    version's output is there already; "stale": a newer one's.
    """
    put = {
        "Bucket": destination.bucket,
        "Key": key,
        "Body": output.body,
        "ContentType": output.content_type,
        "CacheControl": cache_control,
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": destination.encryption_key_arn,
        "Metadata": {**output.metadata, **identity(source)},
    }
    condition = {"IfNoneMatch": "*"}
    for _ in range(_TRIES):
        try:
            client.put_object(**put, **condition)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            # If-Match on an object deleted since we looked answers 404.
            if code not in _CONFLICT and code not in _GONE:
                raise
        else:
            return "written"
        try:
            present = client.head_object(Bucket=destination.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            condition = {"IfNoneMatch": "*"}
            continue
        standing = compare(present["Metadata"], source)
        if standing != "older":
            return "duplicate" if standing == "same" else "stale"
        condition = {"IfMatch": present["ETag"]}
    raise ContentionError(f"{key}: lost {_TRIES} conditional writes in a row")


def identity(source: SourceObject) -> dict[str, str]:
    """Return the metadata that ties an output to the version of the source it comes from."""
    encoded_key = quote(source.key)
    values = {
        "source-bucket": source.bucket,
        "source-key": encoded_key if len(encoded_key) <= _LONGEST_METADATA_KEY else None,
        "source-version": source.version,
        "source-etag": source.etag,
        "source-sequencer": source.sequencer,
    }
    return {name: value for name, value in values.items() if value}


def compare(metadata: dict[str, str], source: SourceObject) -> Literal["older", "same", "newer"]:
    """Tell how the output with this metadata stands to the version at hand.

    Without sequencers on both sides there is no order between two versions: what comes later wins.
    """
    present, offered = order(metadata.get("source-sequencer")), order(source.sequencer)
    same_version = (
        source.version is not None
        and metadata.get("source-version") == source.version
        and metadata.get("source-etag") == source.etag
    )
    if same_version or present == offered != "":
        return "same"
    return "newer" if present > offered else "older"


def _which(source: SourceObject) -> dict[str, str]:
    if source.version is not None:
        return {"VersionId": source.version}
    return {"IfMatch": source.etag} if source.etag is not None else {}
