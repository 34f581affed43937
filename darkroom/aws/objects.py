"""The objects that a bucket has already: from its listing, or from an S3 Inventory."""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from botocore.exceptions import ClientError

from darkroom.errors import UsageError, UserError
from worker.events import SourceObject

Position = str | list[int]
"""How far one has come: a key of a listing, or file and row (from 0) of an inventory."""

_COLUMNS = {"Key", "Size", "LastModifiedDate", "ETag"}


@dataclass(frozen=True)
class Existing:
    """The current version of an object, and its place in what it was found in.

    `source.size` is in bytes and always there; `modified` is UTC.
    """

    source: SourceObject
    modified: datetime
    position: Position


def listed(s3: Any, bucket: str, prefixes: Sequence[str], after: str = "") -> Iterator[Existing]:
    """Yield the current versions under any of `prefixes`, in the order of keys; a page in memory.

    `after` is the key of the last one that is not wanted. No prefix may begin with another.
    """
    for prefix in sorted(prefixes):
        if prefix < after and not after.startswith(prefix):
            continue
        marker = {"KeyMarker": after} if after.startswith(prefix) and after else {}
        # Not ListObjectsV2: that does not tell versions, and the worker reads exactly one.
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=prefix, **marker
        )
        for page in pages:
            for item in page.get("Versions", ()):
                if item["IsLatest"] and item["Key"] > after:
                    yield Existing(
                        source=SourceObject(
                            bucket=bucket,
                            key=item["Key"],
                            version=_version(item["VersionId"]),
                            etag=item["ETag"].strip('"'),
                            size=item["Size"],
                        ),
                        modified=item["LastModified"],
                        position=item["Key"],
                    )


@dataclass(frozen=True)
class Inventory:
    """The lists that one manifest names, as CSV; rows stand in no order."""

    bucket: str
    files: tuple[str, ...]
    columns: tuple[str, ...]
    described: str

    def objects(self, s3: Any, bucket: str, after: Sequence[int] = (0, -1)) -> Iterator[Existing]:
        """Yield the current versions in `bucket` behind file and row `after`, row by row."""
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
                    told = dict(zip(self.columns, values, strict=True))
                    if (
                        told.get("IsLatest", "true") == "true"
                        and told.get("IsDeleteMarker") != "true"
                    ):
                        yield _from_row(bucket, told, [index, row])


def inventory(s3: Any, url: str, *, bucket: str) -> Inventory:
    """Return the inventory of `bucket` that the manifest.json at an s3:// URL describes.

    Raises UsageError when it cannot be used: its format, a column that is missing, another bucket.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
    """
    place = urlsplit(url)
    if place.scheme != "s3" or not place.netloc or not place.path.endswith(".json"):
        raise UsageError(f"--inventory {url}: like s3://BUCKET/…/manifest.json")
    try:
        body = s3.get_object(Bucket=place.netloc, Key=place.path[1:])["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "NoSuchBucket"}:
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


def _from_row(bucket: str, told: dict[str, str], position: list[int]) -> Existing:
    if told.get("Bucket", bucket) != bucket:
        raise UserError(f"the inventory lists {told['Bucket']}, not {bucket}: {position}")
    return Existing(
        source=SourceObject(
            bucket=bucket,
            key=unquote_plus(told["Key"]),
            version=_version(told.get("VersionId", "")),
            etag=told["ETag"],
            size=int(told["Size"] or 0),
        ),
        modified=datetime.fromisoformat(told["LastModifiedDate"]),
        position=position,
    )


def _version(name: str) -> str | None:
    """Return what an event would name: what was put without versions has none, but an ETag."""
    return None if name in ("null", "") else name
