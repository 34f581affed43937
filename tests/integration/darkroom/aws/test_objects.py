"""Existing objects: listed, or from an S3 Inventory; and inventories that are refused."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from darkroom.aws import objects
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UsageError
from worker.events import SourceObject

SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
URL = "s3://reports/pictures/all/2026-11-20T01-00Z/manifest.json"
ROWS = (
    '"pictures","uploads/a+b%2Bc%C3%BC.jpg","v2","true","false","7","2026-11-01T10:00:00.000Z","e2"\n'
    '"pictures","uploads/a+b%2Bc%C3%BC.jpg","v1","false","false","6","2026-10-01T10:00:00.000Z","e1"\n'
    '"pictures","uploads/gone.jpg","v4","true","true","","2026-10-01T10:00:00.000Z",""\n',
    '"pictures","uploads/old.jpg","null","true","false","5","2020-10-01T10:00:00.000Z","e5"\n',
)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with Emulator() as emulator:
        client = emulator.client("s3")
        for bucket in ("pictures", "reports"):
            client.create_bucket(
                Bucket=bucket,
                CreateBucketConfiguration={"LocationConstraint": emulator.region},
            )
        client.put_bucket_versioning(
            Bucket="pictures", VersioningConfiguration={"Status": "Enabled"}
        )
        for number, rows in enumerate(ROWS):
            client.put_object(
                Bucket="reports", Key=f"data/{number}.csv.gz", Body=gzip.compress(rows.encode())
            )
        yield client


def publish(s3: Any, **changed: Any) -> None:
    manifest = {
        "sourceBucket": "pictures",
        "destinationBucket": "arn:aws:s3:::reports",
        "version": "2016-11-30",
        "creationTimestamp": "1763600400000",
        "fileFormat": "CSV",
        "fileSchema": SCHEMA,
        "files": [{"key": f"data/{number}.csv.gz"} for number in range(len(ROWS))],
        **changed,
    }
    s3.put_object(Bucket="reports", Key=URL.partition("reports/")[2], Body=json.dumps(manifest))


def test_current_versions_are_read_from_an_inventory(s3: Any) -> None:
    """Pitfall 13: keys are encoded there; noncurrent versions and delete markers are left out."""
    publish(s3)
    found = list(objects.read_inventory(s3, URL, bucket="pictures").objects(s3, "pictures"))
    assert [one.source for one in found] == [
        SourceObject(
            bucket="pictures", key="uploads/a b+cü.jpg", version_id="v2", etag="e2", size=7
        ),
        # Put before versioning: an event has no version id, and the worker reads it by its ETag.
        SourceObject(bucket="pictures", key="uploads/old.jpg", etag="e5", size=5),
    ]
    assert found[0].modified.isoformat() == "2026-11-01T10:00:00+00:00"
    assert [one.position for one in found] == [[0, 0], [1, 0]]


@pytest.mark.parametrize(("after", "left"), [([0, -1], 2), ([0, 0], 1), ([0, 2], 1), ([1, 0], 0)])
def test_reading_continues_after_a_row(s3: Any, after: list[int], left: int) -> None:
    publish(s3)
    manifest = objects.read_inventory(s3, URL, bucket="pictures")
    assert len(list(manifest.objects(s3, "pictures", after))) == left


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fileFormat": "Parquet"}, "its lists are Parquet; CSV is read"),
        ({"fileFormat": "ORC"}, "its lists are ORC; CSV is read"),
        ({"sourceBucket": "others"}, "is of others, but the source is pictures"),
        ({"fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag"}, "VersionId; .*all versions"),
        ({"files": None}, "not the manifest of an inventory"),
    ],
)
def test_an_inventory_that_cannot_be_used_is_refused(
    s3: Any, changed: dict[str, Any], message: str
) -> None:
    publish(s3, **changed)
    with pytest.raises(UsageError, match=message):
        objects.read_inventory(s3, URL, bucket="pictures")


@pytest.mark.parametrize("url", ["https://x/manifest.json", "s3://reports", "s3://reports/no.json"])
def test_a_manifest_must_exist(s3: Any, url: str) -> None:
    with pytest.raises(UsageError, match="--inventory"):
        objects.read_inventory(s3, url, bucket="pictures")


def test_a_listing_continues_after_a_key(s3: Any) -> None:
    """D6: several prefixes in one order, from any key on."""
    names = ["a/1", "a/2", "a/é", "b/no", "c/1", "c/2"]
    for key in names:
        s3.put_object(Bucket="pictures", Key=key, Body=b"x")
        s3.put_object(Bucket="pictures", Key=key, Body=b"xy")
    prefixes = ["c/", "a/"]
    wanted = [key for key in names if key[0] in "ac"]
    for number, after in enumerate(["", *wanted]):
        found = list(objects.list_objects(s3, "pictures", prefixes, after))
        assert [one.source.key for one in found] == wanted[number:]
        assert {one.source.size for one in found} <= {2}


def test_the_storage_class_is_listed(s3: Any) -> None:
    """Pitfall 83: what reading costs depends on it; an inventory may leave it out."""
    for storage_class in ("STANDARD", "GLACIER_IR"):
        s3.put_object(
            Bucket="pictures", Key=f"k/{storage_class}", Body=b"x", StorageClass=storage_class
        )
    found = objects.list_objects(s3, "pictures", ["k/"])
    assert [one.storage_class for one in found] == ["GLACIER_IR", "STANDARD"]

    body = '"k/1","GLACIER_IR","v2","true","false","7","2026-11-01T10:00:00.000Z","e2"\n'
    s3.put_object(Bucket="reports", Key="data/classes.csv.gz", Body=gzip.compress(body.encode()))
    names = SCHEMA.replace("Bucket, Key", "Key, StorageClass")
    publish(s3, fileSchema=names, files=[{"key": "data/classes.csv.gz"}])
    inventory = objects.read_inventory(s3, URL, bucket="pictures")
    (one,) = inventory.objects(s3, "pictures")
    assert one.storage_class == "GLACIER_IR"
    publish(s3)
    plain = objects.read_inventory(s3, URL, bucket="pictures").objects(s3, "pictures")
    assert {one.storage_class for one in plain} == {"STANDARD"}
