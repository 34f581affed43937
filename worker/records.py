"""The record of a source key: what there is of its newest version, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Literal

from worker import __version__
from worker.events import SourceObject
from worker.results import Output, Properties, Rejection
from worker.settings import Source, Variants
from worker.storage import Stored, identity
from worker.versions import compare, order

SCHEMA = 1
"""The version of the format that docs/record.schema.json describes."""

State = Literal["done", "rejected", "deleted"]


@dataclass(frozen=True)
class Record:
    """What the newest version of a source key has ended as.

    Attributes:
        state: Whether it has outputs or never will; "deleted" after its source's deletion.
        source: The version.
        settings: What it was made with: see `made_with`.
        worker: The version of the worker that made it.
        objects: The entity tag, by key, of each object that belongs to it: its outputs, or the
            object that says why there are none.
        content: All of it, as it is stored.
    """

    state: State
    source: SourceObject
    settings: str
    worker: str
    objects: Mapping[str, str]
    content: Mapping[str, Any]

    def stored(self, key: str) -> Stored | None:
        """Return the object at a key as the record names it; None if it does not."""
        etag = self.objects.get(key)
        metadata = identity(self.source) | {"settings": self.settings}
        return None if etag is None else Stored(key, etag, metadata)

    def compare(self, source: SourceObject) -> Literal["older", "same", "newer"]:
        """Compare it with the version at hand, as `versions.compare` does."""
        return compare(identity(self.source), source)

    def is_beside(self, source: SourceObject) -> bool:
        """Return whether both have one place in the order, so that it does not tell them apart."""
        return order(self.source.sequencer) == order(source.sequencer)

    def is_of(self, source: SourceObject) -> bool:
        """Return whether it is of this very version, at this place in the order."""
        return self.is_beside(source) and (
            (self.source.version_id, self.source.etag) == (source.version_id, source.etag)
        )

    def is_like(self, other: Record) -> bool:
        """Return whether both name the same objects for the same reason."""
        return (
            self.is_of(other.source)
            and (self.state, self.settings) == (other.state, other.settings)
            and self.objects == other.objects
        )

    def body(self) -> bytes:
        """Return it as JSON."""
        return encode(self.content)


def made_with(source: Source, *, worker: str | None = None) -> str:
    """Return a digest of whatever changes a source's outputs or what the record says of a picture.

    That is the variants with their watermarks, whether an upload chooses among them, the metadata
    that are kept, and the worker.

    Args:
        source: The source's settings, with the watermarks read.
        worker: The worker's version; this one's by default.
    """
    relevant: dict[str, object] = {
        "variants": [_options(one) for one in source.variants],
        "worker": worker or __version__,
    }
    if source.choose_variants:
        relevant["choose_variants"] = True
    for name in ("keep_metadata", "copy_metadata"):
        if names := getattr(source, name):
            relevant[name] = sorted(names)
    return sha256(json.dumps(relevant, sort_keys=True, default=dict).encode()).hexdigest()[:16]


def _options(variants: Variants) -> dict[str, Any]:
    """Return what changes the outputs: of a watermark its content, not where it lies."""
    options = asdict(replace(variants, watermark=None))
    del options["watermark"]
    if mark := variants.watermark:
        options["watermark"] = asdict(replace(mark, key="", image=None))
    return options


def done(
    source: SourceObject,
    settings: str,
    outputs: Mapping[str, tuple[Output, Stored]],
    properties: Properties,
    *,
    time: str,
) -> Record:
    """Return the record of a version that has outputs.

    Args:
        source: The version.
        settings: What `made_with` returns.
        outputs: By key.
        properties: What `process` says of the object, beside its outputs.
        time: When it was processed, ISO 8601 in UTC.
    """
    entries = [
        {
            "name": output.name,
            "key": key,
            "type": output.content_type,
            "bytes": len(output.body),
            "etag": stored.etag.strip('"'),
            **output.metadata,
        }
        for key, (output, stored) in outputs.items()
    ]
    content = {**properties.record, "outputs": entries}
    return _record("done", source, settings, content, time, about_source=properties.source)


def rejected(
    state: Literal["rejected", "deleted"],
    source: SourceObject,
    settings: str,
    rejection: Rejection,
    *,
    stored: Stored | None = None,
    time: str | None = None,
) -> Record:
    """Return the record of a version that has no outputs.

    Args:
        state: Why.
        source: The version.
        settings: What `made_with` returns.
        rejection: The reason, for programs and for people.
        stored: The object under `rejected/`; None for this object's own content.
        time: When the record was written; None for the object under `rejected/`, of which a
            duplicate writes the same bytes.
    """
    about = {"reason": rejection.reason, "detail": rejection.detail}
    if stored:
        about |= {"key": stored.key, "etag": stored.etag.strip('"')}
    return _record(state, source, settings, {"outputs": [], "rejection": about}, time)


def _record(
    state: State,
    source: SourceObject,
    settings: str,
    content: Mapping[str, Any],
    time: str | None,
    about_source: Mapping[str, Any] | None = None,
) -> Record:
    about = {
        "schema": SCHEMA,
        "state": state,
        "source": _without_none(
            bucket=source.bucket,
            key=source.key,
            version_id=source.version_id,
            etag=source.etag,
            sequencer=source.sequencer,
            bytes=source.size,
            time=source.time,
            **(about_source or {}),
        ),
    }
    end = _without_none(processed_at=time, settings=settings, worker=__version__)
    return parse(encode({**about, **content, **end}))


def parse(body: bytes) -> Record:
    """Read a record.

    Raises:
        ValueError: It is not one that this worker writes.
    """
    try:
        content = json.loads(body)
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']!r} instead of {SCHEMA}")
        about = content["source"]
        entries = [*content["outputs"]]
        if "key" in content.get("rejection", ()):
            entries.append(content["rejection"])
        return Record(
            state=content["state"],
            source=SourceObject(
                about["bucket"],
                about["key"],
                about.get("version_id"),
                about.get("etag"),
                about.get("sequencer"),
                about.get("bytes"),
                about.get("time"),
            ),
            settings=content["settings"],
            worker=content["worker"],
            objects={entry["key"]: f'"{entry["etag"]}"' for entry in entries},
            content=content,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a record: {error!r}") from error


def encode(content: Mapping[str, Any]) -> bytes:
    """Return JSON as it is stored: for people as well, with a line's end."""
    return json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n"


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
