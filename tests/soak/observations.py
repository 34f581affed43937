"""What is in the thumbnail bucket and in the dead-letter queue, in the ledger's terms."""

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from PIL import Image

from darkroom.console.progress import Progress
from tests.e2e.harness import Pipeline
from tests.e2e.harness import Stored as StoredObject
from tests.e2e.pictures import Colour
from tests.soak.ledger import REJECTION, Finding, Found, Record, Source, Stored
from worker import events, keys

READERS = 8
RECORD = "the record"  # beside the other objects' names


@dataclass(frozen=True)
class DeadLetter:
    """A message in the dead-letter queue, with the (key, version) pairs that it names."""

    body: str
    receipt: str
    objects: frozenset[tuple[str, str]]


def dead_letters(pipeline: Pipeline) -> list[DeadLetter]:
    """Return all dead letters; they stay hidden for ten minutes."""
    url = pipeline.stack.outputs["DeadLetterQueueUrl"]
    found = []
    while messages := pipeline.sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600
    ).get("Messages"):
        for message in messages:
            named = events.parse(message["Body"]).objects
            objects = frozenset((item.key, item.version_id or "") for item in named)
            found.append(DeadLetter(message["Body"], message["ReceiptHandle"], objects))
    return found


def observe(
    pipeline: Pipeline,
    sources: Sequence[Source],
    dead: Iterable[DeadLetter],
    *,
    progress: Progress,
) -> tuple[dict[str, Found], list[Finding]]:
    """Return what was found for each source's key, and the objects that belong to none."""
    owners = {
        keys.output_key(source.key, name): (source.key, name)
        for source in sources
        for name in pipeline.variant_names
    }
    for source in sources:
        owners[keys.rejection_key(source.key)] = source.key, REJECTION
        owners[keys.record_key(source.key)] = source.key, RECORD
    histories = _histories(pipeline)
    unknown = [
        Finding("unknown object", key, "an object that belongs to no upload")
        for key in sorted(histories.keys() - owners.keys())
    ]
    objects: dict[str, dict[str, list[Stored | None]]] = {}
    records: dict[str, list[Record | None]] = {}
    jobs = [(key, histories[key]) for key in owners if key in histories]
    with ThreadPoolExecutor(READERS) as pool:
        read = pool.map(lambda job: _read(pipeline, *job), jobs)
        for count, ((key, _), history) in enumerate(zip(jobs, read, strict=True), start=1):
            owner, name = owners[key]
            if name == RECORD:
                records[owner] = [_record(one) if one else None for one in history]
            else:
                objects.setdefault(owner, {})[name] = [
                    _object(one) if one else None for one in history
                ]
            progress.update(f"Read {count:,} of {len(jobs):,} objects")
    dead_versions: dict[str, set[str]] = {}
    for dead_letter in dead:
        for key, version in dead_letter.objects:
            dead_versions.setdefault(key, set()).add(version)
    found = {
        item.key: Found(
            objects.get(item.key, {}),
            records.get(item.key, ()),
            frozenset(dead_versions.get(item.key, ())),
        )
        for item in sources
    }
    return found, unknown


def _histories(pipeline: Pipeline) -> dict[str, list[str | None]]:
    """Return the version ids of every object in the bucket, oldest first; None is a deletion."""
    entries: list[tuple[Any, bool, int, str, str | None]] = []
    pages = pipeline.s3.get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=pipeline.thumbnail_bucket):
        for kind in ("Versions", "DeleteMarkers"):
            for entry in page.get(kind, []):
                version = entry["VersionId"] if kind == "Versions" else None
                moment = entry["LastModified"], entry["IsLatest"], -len(entries)
                entries.append((*moment, entry["Key"], version))
    histories: dict[str, list[str | None]] = {}
    # S3 lists newest first, which decides where the time is the same.
    for *_, key, version in sorted(entries, key=lambda entry: entry[:3]):
        histories.setdefault(key, []).append(version)
    return histories


def _read(
    pipeline: Pipeline, key: str, versions: Sequence[str | None]
) -> list[StoredObject | None]:
    """Fetch all versions of an object."""
    history: list[StoredObject | None] = []
    for version in versions:
        if version is None:
            history.append(None)
            continue
        answer = pipeline.s3.get_object(
            Bucket=pipeline.thumbnail_bucket, Key=key, VersionId=version
        )
        history.append(StoredObject(answer["Body"].read(), answer))
    return history


def _object(stored: StoredObject) -> Stored:
    is_rejection = stored.head["ContentType"] == "application/json"
    return Stored(
        stored.metadata["source-version"],
        stored.metadata["source-sequencer"],
        stored.etag,
        colour=None if is_rejection else _middle(stored.body),
        reason=stored.record["rejection"]["reason"] if is_rejection else None,
    )


def _record(stored: StoredObject) -> Record:
    content = stored.record
    rejection = content.get("rejection", {})
    objects = {output["name"]: output["etag"] for output in content["outputs"]}
    if "key" in rejection:
        objects[REJECTION] = rejection["etag"]
    source = content["source"]
    return Record(
        source["version_id"],
        source["sequencer"],
        content["state"],
        objects,
        reason=rejection.get("reason"),
    )


def _middle(body: bytes) -> Colour | None:
    """Return the colour in the middle; None if this is not an image, which the ledger reports."""
    try:
        with Image.open(io.BytesIO(body)) as image:
            found = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    except OSError:
        return None
    assert isinstance(found, tuple)
    red, green, blue = found
    return red, green, blue
