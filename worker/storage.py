"""S3 objects: bounded reads of sources, conditional writes and deletions of results."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any, NamedTuple
from urllib.parse import quote

from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from worker.events import SourceObject
from worker.results import Output, Rejection, WatermarkError
from worker.versions import compare

REASONS = ("archived", "deleted", "empty", "too_large")
"""The reasons for which an object is rejected before it is processed."""

_NOT_FOUND = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_NOT_MODIFIED = frozenset({"NotModified", "304"})
_DELETE_MARKER = "MethodNotAllowed"  # what reading a delete marker's version answers
_PRECONDITION_FAILED = frozenset({"PreconditionFailed", "412"})
_CONCURRENT = frozenset({"ConditionalRequestConflict", "OperationAborted", "409"})
_CONFLICT = _PRECONDITION_FAILED | _CONCURRENT
_INTERRUPTED = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_READ_ATTEMPTS = 2
_WRITE_ATTEMPTS = 8
_DELETE_ATTEMPTS = 4
"""Attempts of one conditional write or deletion; mostly each lost one means that another worker
has won."""

_LONGEST_METADATA_KEY = 1_000
"""Bytes of the encoded source key in metadata, which together may have 2 KB."""


class SupersededError(Exception):
    """The object was overwritten in a bucket without versioning; a newer event follows."""


class ContentionError(Exception):
    """Too many workers wrote to one key at the same time; later there will be fewer."""


@dataclass(frozen=True)
class OutputBucket:
    """The bucket of all results, and the KMS key that encrypts them."""

    name: str
    encryption_key_arn: str


@dataclass(frozen=True)
class Stored:
    """One result in the output bucket, with the metadata that name its source."""

    key: str
    etag: str
    metadata: Mapping[str, str]

    @property
    def sequencer(self) -> str | None:
        """Return the sequencer of the version that it was made from."""
        return self.metadata.get("source-sequencer")

    def is_made_like(self, metadata: Mapping[str, str]) -> bool:
        """Return whether it was made from the same version with the same settings."""
        names = ("source-version", "source-etag", "settings")
        return all(self.metadata.get(name) == metadata.get(name) for name in names)


class Content(NamedTuple):
    """What an object holds.

    Attributes:
        body: Its bytes.
        metadata: Its user-defined metadata: names without `x-amz-meta-`, in lower case.
    """

    body: io.BytesIO
    metadata: Mapping[str, str]


class Put(NamedTuple):
    """The answer to a conditional write.

    Attributes:
        etag: The entity tag of what was stored; None if something else is there, or another request
            was first. That may have been this one: botocore repeats it if the answer is lost.
        is_repeated: Whether a request that was refused was a repeated one.
    """

    etag: str | None
    is_repeated: bool


def decoded(metadata: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the values of these names in user-defined metadata, those that are there.

    S3 returns a value that is not ASCII as RFC 2047 has it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata
    """
    found = {}
    for name in names:
        if name in metadata:
            try:
                found[name] = str(make_header(decode_header(metadata[name])))
            except (HeaderParseError, LookupError, ValueError):
                found[name] = metadata[name]
    return found


def current_version(client: Any, source: SourceObject) -> SourceObject | None:
    """Return the source as its bucket has it now, otherwise as `source` is; None if it is gone."""
    try:
        found = client.head_object(Bucket=source.bucket, Key=source.key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_FOUND:
            raise
        return None
    return replace(
        source,
        version_id=found.get("VersionId"),
        etag=found["ETag"].strip('"'),
        size=found["ContentLength"],
        deleted=False,
    )


def read(client: Any, source: SourceObject, *, limit: int) -> Content:
    """Return the bytes and the metadata of exactly this version of a source.

    Args:
        client: An S3 client.
        source: The version to read.
        limit: The most bytes that are downloaded.

    Raises:
        Rejection: There is nothing to read, or it is larger than `limit`.
        SupersededError: The bucket has no versioning, and other bytes by now.
        ClientError: Something that a later try may cure: throttling, a missing permission.
    """
    for _ in range(_READ_ATTEMPTS - 1):
        try:
            return _read_once(client, source, limit=limit)
        except _INTERRUPTED:
            continue  # botocore retries requests, but not a response whose body is interrupted
    return _read_once(client, source, limit=limit)


def _read_once(client: Any, source: SourceObject, *, limit: int) -> Content:
    try:
        response = client.get_object(Bucket=source.bucket, Key=source.key, **_version(source))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _NOT_FOUND or code == _DELETE_MARKER:
            raise Rejection("deleted", "The object was deleted before it could be read.") from error
        if code == "InvalidObjectState":
            raise Rejection("archived", "The object is in an archive storage class.") from error
        if code in _PRECONDITION_FAILED and source.version_id is None:
            raise SupersededError(source.key) from error
        raise
    size: int = response["ContentLength"]
    # As a context manager the body would be the bare stream, which ends early without an error.
    with closing(response["Body"]) as body:
        if size > limit:  # leaving the block closes the connection: the bytes are never fetched
            raise Rejection(
                "too_large", f"The object has {size:,} bytes; at most {limit:,} are allowed."
            )
        if size == 0:
            raise Rejection("empty", "The object has no bytes.")
        return Content(io.BytesIO(body.read()), response.get("Metadata", {}))


def write(
    client: Any,
    bucket: OutputBucket,
    *,
    key: str,
    output: Output,
    source: SourceObject,
    cache_control: str,
    settings: str = "",
    known: Callable[[], Stored | None] = lambda: None,
    over: str | None = None,
    replace_same: bool = False,
) -> Stored | None:
    """Store an output unless a newer version's output has its place.

    The first write does not look at what is there. Where something is, its metadata name the
    version it comes from, and If-Match makes comparing and replacing one step: under SSE-KMS an
    entity tag belongs to one write, not to the bytes.

    Args:
        client: An S3 client.
        bucket: The output bucket.
        key: The output's key.
        output: The output.
        source: The version that it was made from.
        cache_control: Its Cache-Control.
        settings: A digest of the settings that it was made with; an output of the same version is
            replaced where this differs.
        known: Called where something is at the key: returns what it probably is, without asking S3.
        over: The entity tag of what is there, if it is known.
        replace_same: Replace this version's own output as well, so that it has a new entity tag.

    Returns:
        The output of this version that is there now; None if there is a newer version's.

    Raises:
        ContentionError: Other workers have won every attempt.
    """
    metadata = {name: str(value) for name, value in output.metadata.items()} | identity(source)
    if settings:
        metadata["settings"] = settings
    for attempt in range(_WRITE_ATTEMPTS):
        written, is_repeated = put(
            client,
            bucket,
            key,
            output.body,
            content_type=output.content_type,
            cache_control=cache_control,
            metadata=metadata,
            over=over,
        )
        if written is not None:
            return Stored(key, written, metadata)
        present = None if attempt or is_repeated else known()
        present = present or head(client, bucket.name, key)
        if present is None:
            over = None
            continue
        age = compare(present.metadata, source)
        if age == "newer":
            return None
        if age == "same" and not replace_same and present.is_made_like(metadata):
            return present
        over = present.etag
    raise ContentionError(f"{key}: lost {_WRITE_ATTEMPTS} conditional writes in a row")


def put(
    client: Any,
    bucket: OutputBucket,
    key: str,
    body: bytes,
    *,
    content_type: str,
    cache_control: str,
    metadata: Mapping[str, str],
    over: str | None,
) -> Put:
    """Store an object over the one with the entity tag `over`, or over nothing."""
    condition = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over}
    try:
        response = client.put_object(
            Bucket=bucket.name,
            Key=key,
            Body=body,
            ContentType=content_type,
            CacheControl=cache_control,
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=bucket.encryption_key_arn,
            Metadata=dict(metadata),
            **condition,
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        # If-Match on an object that was deleted meanwhile answers 404.
        if code not in _CONFLICT and code not in _NOT_FOUND:
            raise
        return Put(None, error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0)
    return Put(response["ETag"], is_repeated=False)


def get(client: Any, bucket: str, key: str) -> tuple[str, bytes] | None:
    """Return the entity tag and the bytes of a small object; None if there is none."""
    for attempt in range(_READ_ATTEMPTS):
        try:
            response = client.get_object(Bucket=bucket, Key=key)
            with closing(response["Body"]) as body:
                return response["ETag"], body.read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_FOUND:
                raise
            return None
        except _INTERRUPTED:
            if attempt == _READ_ATTEMPTS - 1:
                raise
    return None


def get_watermark(
    client: Any, bucket: str, key: str, *, etag: str | None, limit: int
) -> tuple[str, bytes] | None:
    """Return the entity tag and the bytes of a watermark; None if it still has this tag.

    Raises:
        WatermarkError: There is none, or it has more bytes than `limit`.
        ClientError: Something that a later try may cure: throttling, a missing permission.
    """
    for attempt in range(_READ_ATTEMPTS):
        try:
            known = {"IfNoneMatch": etag} if etag else {}
            response = client.get_object(Bucket=bucket, Key=key, **known)
            size: int = response["ContentLength"]
            with closing(response["Body"]) as body:
                if size > limit:
                    raise WatermarkError(
                        f"the watermark s3://{bucket}/{key} has {size:,} bytes; at most {limit:,}"
                        " are allowed"
                    )
                return response["ETag"], body.read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _NOT_MODIFIED:
                return None
            if code in _NOT_FOUND:
                raise WatermarkError(
                    f"the watermark s3://{bucket}/{key} is missing; upload it, for example with"
                    f" aws s3 cp FILE s3://{bucket}/{key}"
                ) from error
            raise
        except _INTERRUPTED:
            if attempt == _READ_ATTEMPTS - 1:
                raise
    raise AssertionError  # the last attempt returns or raises


def head(client: Any, bucket: str, key: str) -> Stored | None:
    """Return the result at a key, without its bytes; None if there is none."""
    try:
        present = client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_FOUND:
            raise
        return None
    return Stored(key, present["ETag"], present["Metadata"])


def list_directory(client: Any, bucket: str, prefix: str) -> list[tuple[str, str]]:
    """Return keys and entity tags of the objects directly under a prefix that ends in `/`."""
    found: list[tuple[str, str]] = []
    # Below a further `/` are the outputs of sources whose keys continue where this one's ends.
    arguments = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/"}
    while True:
        page = client.list_objects_v2(**arguments)
        found += [(entry["Key"], entry["ETag"]) for entry in page.get("Contents", ())]
        if not page["IsTruncated"]:
            return found
        arguments["ContinuationToken"] = page["NextContinuationToken"]


def delete(client: Any, bucket: str, key: str, etag: str) -> None:
    """Delete an object if it still has this entity tag; do nothing if it is gone or replaced.

    Raises:
        ContentionError: It is still this one, but S3 has refused every attempt.
    """
    for _ in range(_DELETE_ATTEMPTS):
        try:
            client.delete_object(Bucket=bucket, Key=key, IfMatch=etag)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _PRECONDITION_FAILED | _NOT_FOUND:
                return
            if code not in _CONCURRENT:
                raise
        else:
            return
        # Another request was first (pitfall 54); it may have failed since: then this one is needed.
        present = head(client, bucket, key)
        if present is None or present.etag != etag:
            return
    raise ContentionError(f"{key}: {_DELETE_ATTEMPTS} deletions in conflict with others")


def identity(source: SourceObject) -> dict[str, str]:
    """Return the metadata that tie a result to the version of the source it was made from."""
    encoded_key = quote(source.key)
    values = {
        "source-bucket": source.bucket,
        "source-key": encoded_key if len(encoded_key) <= _LONGEST_METADATA_KEY else None,
        "source-version": source.version_id,
        "source-etag": source.etag,
        "source-sequencer": source.sequencer,
    }
    return {name: value for name, value in values.items() if value}


def _version(source: SourceObject) -> dict[str, str]:
    if source.version_id is not None:
        return {"VersionId": source.version_id}
    return {"IfMatch": source.etag} if source.etag is not None else {}
