"""What is in the thumbnail bucket and in the dead-letter queue, in the ledger's terms."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from PIL import Image

from darkroom.console.progress import Progress
from tests.e2e.harness import Pipeline
from tests.e2e.pictures import Colour
from tests.soak.ledger import Finding, Found, Source, Stored
from worker import events, keys

READERS = 8
RECORD = "the record"  # beside the outputs' names, none of which has a space


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
    } | {keys.rejection_key(source.key): (source.key, RECORD) for source in sources}
    histories = _histories(pipeline)
    unknown = [
        Finding("unknown object", key, "an object that belongs to no upload")
        for key in sorted(histories.keys() - owners.keys())
    ]
    outputs: dict[str, dict[str, list[Stored | None]]] = {}
    jobs = [(key, histories[key]) for key in owners if key in histories]
    with ThreadPoolExecutor(READERS) as pool:
        read = pool.map(lambda job: _read(pipeline, *job), jobs)
        for count, ((key, _), history) in enumerate(zip(jobs, read, strict=True), start=1):
            source, name = owners[key]
            outputs.setdefault(source, {})[name] = history
            progress.update(f"Read {count:,} of {len(jobs):,} objects")
    dead_versions: dict[str, set[str]] = {}
    for dead_letter in dead:
        for key, version in dead_letter.objects:
            dead_versions.setdefault(key, set()).add(version)
    found = {}
    for item in sources:
        stored = outputs.get(item.key, {})
        record = stored.pop(RECORD, [])
        found[item.key] = Found(stored, record, frozenset(dead_versions.get(item.key, ())))
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


def _read(pipeline: Pipeline, key: str, versions: Sequence[str | None]) -> list[Stored | None]:
    """Fetch the current version; of those before, only the metadata."""
    history: list[Stored | None] = []
    bucket = pipeline.thumbnail_bucket
    for index, version in enumerate(versions):
        if version is None:
            history.append(None)
        elif index < len(versions) - 1:
            head = pipeline.s3.head_object(Bucket=bucket, Key=key, VersionId=version)
            history.append(_stored(head["Metadata"]))
        else:
            answer = pipeline.s3.get_object(Bucket=bucket, Key=key, VersionId=version)
            body = answer["Body"].read()
            if answer["ContentType"] == "application/json":
                history.append(_stored(answer["Metadata"], reason=json.loads(body)["reason"]))
            else:
                history.append(_stored(answer["Metadata"], colour=_middle(body)))
    return history


def _stored(
    metadata: Mapping[str, str], *, colour: Colour | None = None, reason: str | None = None
) -> Stored:
    version, sequencer = metadata["source-version"], metadata["source-sequencer"]
    return Stored(version, sequencer, colour=colour, reason=reason)


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
