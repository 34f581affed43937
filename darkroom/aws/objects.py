"""A bucket's existing objects: listed, read from an S3 Inventory, deleted with all versions."""

import csv
import gzip
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit

from botocore.exceptions import ClientError

from darkroom.aws.errors import is_not_found
from darkroom.errors import UsageError, UserError
from worker.events import SourceObject

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef, ObjectVersionTypeDef

Position = str | list[int]
"""Progress: a key of a listing, or file and row (from 0) of an inventory."""

_COLUMNS = {"Key", "Size", "LastModifiedDate", "ETag"}
DELETE_BATCH = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html

TRANSIENT = {"InternalError", "ServiceUnavailable", "SlowDown"}
"""Codes of keys to send again: DeleteObjects returns them in a 200, which botocore does not retry.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

DELETE_DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between the tries."""


@dataclass(frozen=True)
class ExistingObject:
    """The current version of an object, and its position in the listing or inventory.

    `source.size` is in bytes and never None; `modified` is UTC.
    """

    source: SourceObject
    modified: datetime
    position: Position
    storage_class: str = "STANDARD"
    """As the listing names it; an inventory without that field leaves it out."""


def list_objects(
    s3: "S3Client", bucket: str, prefixes: Sequence[str], after: str = ""
) -> Iterator[ExistingObject]:
    """Yield the current versions under any of `prefixes`, ordered by key; holds one page in memory.

    Keys up to and including `after` are skipped. No prefix may begin with another one.
    """
    for prefix in sorted(prefixes):
        if prefix < after and not after.startswith(prefix):
            continue
        marker: Any = {"KeyMarker": after} if after.startswith(prefix) and after else {}
        # Not ListObjectsV2: it returns no versions, and the worker reads exactly one.
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=prefix, **marker
        )
        for page in pages:
            for item in page.get("Versions", ()):
                if item["IsLatest"] and item["Key"] > after:
                    yield _listed(bucket, item)


def first_objects(s3: "S3Client", bucket: str, prefix: str) -> tuple[list[ExistingObject], bool]:
    """Return the current ones of the first 1,000 versions under a prefix, and whether that is all.

    One request, whatever the bucket holds.
    """
    page = s3.list_object_versions(Bucket=bucket, Prefix=prefix)
    found = [_listed(bucket, item) for item in page.get("Versions", ()) if item["IsLatest"]]
    return found, not page.get("IsTruncated", False)


def _listed(bucket: str, item: "ObjectVersionTypeDef") -> ExistingObject:
    return ExistingObject(
        source=SourceObject(
            bucket=bucket,
            key=item["Key"],
            version_id=_version(item["VersionId"]),
            etag=item["ETag"].strip('"'),
            size=item["Size"],
        ),
        modified=item["LastModified"],
        position=item["Key"],
        storage_class=item.get("StorageClass", "STANDARD"),
    )


@dataclass(frozen=True)
class Inventory:
    """The CSV files that one manifest names; their rows are not ordered."""

    bucket: str
    files: tuple[str, ...]
    columns: tuple[str, ...]
    description: str

    def objects(
        self, s3: "S3Client", bucket: str, after: Sequence[int] = (0, -1)
    ) -> Iterator[ExistingObject]:
        """Yield the current versions in `bucket`, row by row, after a file and row."""
        number, last = after
        for index, file in enumerate(self.files[number:], start=number):
            body = s3.get_object(Bucket=self.bucket, Key=file)["Body"]
            with (
                gzip.open(body) as unpacked,
                io.TextIOWrapper(unpacked, "utf-8", newline="") as rows,
            ):
                for row, values in enumerate(csv.reader(rows)):
                    if index == number and row <= last:
                        continue
                    record = dict(zip(self.columns, values, strict=True))
                    if (
                        record.get("IsLatest", "true") == "true"
                        and record.get("IsDeleteMarker") != "true"
                    ):
                        yield _from_row(bucket, record, [index, row])


def read_inventory(s3: "S3Client", url: str, *, bucket: str) -> Inventory:
    """Return the inventory of `bucket` that the manifest.json at an s3:// URL describes.

    Raises:
        UsageError: it does not exist, has another format, lacks a column, or is another bucket's.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
    """
    place = urlsplit(url)
    if place.scheme != "s3" or not place.netloc or not place.path.endswith(".json"):
        raise UsageError(f"--inventory {url}: not like s3://BUCKET/…/manifest.json")
    try:
        body = s3.get_object(Bucket=place.netloc, Key=place.path[1:])["Body"].read()
    except ClientError as error:
        if not is_not_found(error):
            raise
        raise UsageError(f"--inventory {url}: there is no such object") from None
    try:
        manifest = json.loads(body)
        source, kind, schema = (
            manifest[name] for name in ("sourceBucket", "fileFormat", "fileSchema")
        )
        destination = manifest["destinationBucket"].rpartition(":")[2]
        files = tuple(entry["key"] for entry in manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--inventory {url}: not the manifest of an inventory: {error!r}"
        ) from None
    if kind != "CSV":
        raise UsageError(
            f"--inventory {url}: its lists are {kind}; CSV is read, so configure one with that"
        )
    if source != bucket:
        raise UsageError(f"--inventory {url}: is of {source}, but the source is {bucket}")
    columns = tuple(name.strip() for name in schema.split(","))
    needed = set(_COLUMNS)
    if s3.get_bucket_versioning(Bucket=bucket).get("Status"):
        needed |= {
            "VersionId",
            "IsLatest",
            "IsDeleteMarker",
        }  # the worker reads exactly one version
    if missing := sorted(needed - set(columns)):
        raise UsageError(
            f"--inventory {url}: has no {', '.join(missing)}; configure it with these fields"
            + (" and all versions" if "VersionId" in missing else "")
        )
    return Inventory(destination, files, columns, f"the inventory {url}")


def _from_row(bucket: str, record: dict[str, str], position: list[int]) -> ExistingObject:
    if record.get("Bucket", bucket) != bucket:
        raise UserError(f"the inventory lists {record['Bucket']}, not {bucket}: {position}")
    return ExistingObject(
        source=SourceObject(
            bucket=bucket,
            key=unquote_plus(record["Key"]),
            version_id=_version(record.get("VersionId", "")),
            etag=record["ETag"],
            size=int(record["Size"] or 0),
        ),
        modified=datetime.fromisoformat(record["LastModifiedDate"]),
        position=position,
        storage_class=record.get("StorageClass", "STANDARD"),
    )


def _version(name: str) -> str | None:
    """Return the version id as an event has it: None for an object put without versioning."""
    return None if name in ("null", "") else name


@dataclass(frozen=True)
class UndeletedVersion:
    """A version that S3 has not deleted, and why."""

    key: str
    code: str
    message: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.key}: {self.message or self.code}"


def delete_versions(
    s3: "S3Client",
    bucket: str,
    prefix: str = "",
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[int, list[UndeletedVersion]]]:
    """Permanently delete all versions and delete markers under a prefix, page by page.

    Yields:
        After each page, how many were deleted, and those that S3 has not deleted.
    """
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": DELETE_BATCH}
    )
    for page in pages:
        found: list[ObjectIdentifierTypeDef] = [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        ]
        if found:
            left = _delete(s3, bucket, found, sleep)
            yield len(found) - len(left), left


def _delete(
    s3: "S3Client",
    bucket: str,
    versions: list["ObjectIdentifierTypeDef"],
    sleep: Callable[[float], None],
) -> list[UndeletedVersion]:
    """Delete up to DELETE_BATCH versions; try those again that S3 was too busy to delete."""
    left: list[UndeletedVersion] = []
    for delay in (*DELETE_DELAYS, None):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
        errors = answer.get("Errors", [])
        versions = [
            {"Key": error["Key"], "VersionId": error["VersionId"]}
            for error in errors
            if delay is not None and error["Code"] in TRANSIENT
        ]
        left += [
            UndeletedVersion(error["Key"], error["Code"], error.get("Message", ""))
            for error in errors
            if delay is None or error["Code"] not in TRANSIENT
        ]
        if delay is None or not versions:
            break
        sleep(delay)
    return left
