"""Objects read and written under this pipeline's rules, over an S3 client passed in."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
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

_GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_DELETE_MARKER = "MethodNotAllowed"  # what reading a delete marker's version answers
_CHANGED = frozenset({"PreconditionFailed", "412"})
_CONFLICT = _CHANGED | {"ConditionalRequestConflict", "409"}
_BROKEN_OFF = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_READS = 2
_TRIES = 8
"""Rounds of one conditional write; each lost round means that another worker has won one."""

_LONGEST_METADATA_KEY = 1_000
"""Bytes of the encoded source key in metadata: all metadata together may have 2 KB."""


class SupersededError(Exception):
    """The announced bytes were overwritten in a bucket without versions; a newer event follows."""


class ContentionError(Exception):
    """Too many workers were at one key at once; later there will be fewer."""


@dataclass(frozen=True)
class Destination:
    """Where outputs go and what each carries."""

    bucket: str
    encryption_key_arn: str


@dataclass(frozen=True)
class Stored:
    """One object of ours in the destination, and what its metadata say of its source."""

    key: str
    etag: str
    metadata: Mapping[str, str]

    @property
    def sequencer(self) -> str | None:
        """Return the sequencer of the version that it comes from."""
        return self.metadata.get("source-sequencer")


def current(client: Any, source: SourceObject) -> SourceObject | None:
    """Return the source as its bucket has it now, announced as `source` is; None if it is gone."""
    try:
        found = client.head_object(Bucket=source.bucket, Key=source.key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        return None
    return replace(
        source,
        version=found.get("VersionId"),
        etag=found["ETag"].strip('"'),
        size=found["ContentLength"],
        removed=False,
    )


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
        if code in _CHANGED and source.version is None:
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
) -> Stored | None:
    """Store an output unless the one in its place comes from a newer version of the source.

    Returns what is there now, from this version; None if it is from a newer one.

    The first write needs no look at what is there. Where something is, its metadata say which
    version it comes from, and If-Match makes looking and replacing one step: under SSE-KMS, an
    entity tag belongs to one write, not to the bytes.
    """
    metadata = {**output.metadata, **identity(source)}
    put = {
        "Bucket": destination.bucket,
        "Key": key,
        "Body": output.body,
        "ContentType": output.content_type,
        "CacheControl": cache_control,
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": destination.encryption_key_arn,
        "Metadata": metadata,
    }
    condition = {"IfNoneMatch": "*"}
    for _ in range(_TRIES):
        try:
            answer = client.put_object(**put, **condition)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            # If-Match on an object deleted since we looked answers 404.
            if code not in _CONFLICT and code not in _GONE:
                raise
        else:
            return Stored(key, answer["ETag"], metadata)
        present = look(client, destination.bucket, key)
        if present is None:
            condition = {"IfNoneMatch": "*"}
            continue
        standing = compare(present.metadata, source)
        if standing != "older":
            return present if standing == "same" else None
        condition = {"IfMatch": present.etag}
    raise ContentionError(f"{key}: lost {_TRIES} conditional writes in a row")


def look(client: Any, bucket: str, key: str) -> Stored | None:
    """Return the object at a key, without its bytes; None if there is none."""
    try:
        present = client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        return None
    return Stored(key, present["ETag"], present["Metadata"])


def listed(client: Any, bucket: str, prefix: str) -> list[tuple[str, str]]:
    """Return keys and entity tags of what lies right under a prefix that ends in `/`."""
    found: list[tuple[str, str]] = []
    # Below a further `/` lie the outputs of sources whose keys go on where this one's ends.
    arguments = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/"}
    while True:
        page = client.list_objects_v2(**arguments)
        found += [(entry["Key"], entry["ETag"]) for entry in page.get("Contents", ())]
        if not page["IsTruncated"]:
            return found
        arguments["ContinuationToken"] = page["NextContinuationToken"]


def remove(client: Any, bucket: str, stored: Stored) -> None:
    """Delete exactly what was looked at; what is gone or another object by now is left alone."""
    try:
        client.delete_object(Bucket=bucket, Key=stored.key, IfMatch=stored.etag)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _CHANGED | _GONE:
            raise


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


def compare(metadata: Mapping[str, str], source: SourceObject) -> Literal["older", "same", "newer"]:
    """Tell how the output with this metadata stands to the version at hand.

    A version without a sequencer has no place in the order: any that has one wins over it, and of
    two without one what comes later does.
    """
    present, offered = order(metadata.get("source-sequencer")), order(source.sequencer)
    if present != offered:
        return "newer" if present > offered else "older"
    return "same" if present or is_of(metadata, source) else "older"


def is_of(metadata: Mapping[str, str], source: SourceObject) -> bool:
    """Tell whether an output is of this very version, whichever event announced it."""
    return (
        source.version is not None
        and metadata.get("source-version") == source.version
        and metadata.get("source-etag") == source.etag
    )


def _which(source: SourceObject) -> dict[str, str]:
    if source.version is not None:
        return {"VersionId": source.version}
    return {"IfMatch": source.etag} if source.etag is not None else {}
