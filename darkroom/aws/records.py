"""The worker's records, as the commands read them."""

from typing import TYPE_CHECKING

from darkroom.aws.objects import ExistingObject
from worker import records, storage
from worker.keys import output_name
from worker.records import Record
from worker.settings import Source, Variants

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def output_names(variants: Variants) -> dict[str, int]:
    """Return the names of the thumbnails of these variants, with the width in each name."""
    return {
        output_name(width, format_name, variants.name): width
        for width in variants.widths
        for format_name in variants.formats_at(width)
    }


def read_record(s3: "S3Client", bucket: str, key: str, source: Source) -> Record | None:
    """Return the record of the object at `key`; None if there is none of a known format."""
    found = storage.get(s3, bucket, source.record_key(key))
    try:
        return records.parse(found[1]) if found else None
    except ValueError:
        return None


def is_processed(record: Record | None, existing: ExistingObject, source: Source) -> bool:
    """Return whether a record is of this version of an object, and of the source's variants.

    The worker's version does not count: the caller's may be another one than the deployed.
    """
    return (
        record is not None
        and _is_of(record, existing)
        and record.settings == records.made_with(source, worker=record.worker)
    )


def is_recorded(record: Record | None, existing: ExistingObject) -> bool:
    """Return whether a record is of this version of an object, whatever it was made with."""
    return record is not None and _is_of(record, existing)


def is_stale(record: Record | None, existing: ExistingObject, source: Source) -> bool:
    """Return whether a record is of other variants than the source's, or of another worker.

    This project's version of the worker is taken for the deployed one. A record of another version
    of the object is not stale: the newer version's own event is on its way, or was lost.
    """
    return (
        record is not None
        and _is_of(record, existing)
        and record.settings != records.made_with(source)
    )


def _is_of(record: Record, existing: ExistingObject) -> bool:
    own, there = existing.source, record.source
    if own.version_id:
        return own.version_id == there.version_id
    return own.etag == there.etag
