"""worker/records.py: what a record says, and that its schema agrees."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

from worker import __version__, records
from worker.events import SourceObject
from worker.records import Record
from worker.results import Output, Properties, Rejection
from worker.settings import Source, Variants, Watermark
from worker.storage import Stored

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/record.schema.json").read_text(encoding="utf-8"))
VERSION = SourceObject("uploads", "uploads/é.jpg", "v1", "e1", "0A", 9, "2026-01-01T00:00:00Z")
BARE = SourceObject("uploads", "uploads/a.jpg")
TIME = "2026-01-02T03:04:05.678Z"
REJECTION = Rejection("too_large", "It has 9 bytes.")
THERE = Stored("rejected/uploads/é.jpg.json", '"tag"', {})


def done(source: SourceObject = VERSION, settings: str = "digest") -> Record:
    outputs = {
        f"thumbnails/{name}": (
            Output(name, b"bytes", "image/webp", {"width": 4, "height": 3}),
            Stored(f"thumbnails/{name}", f'"tag of {name}"', {}),
        )
        for name in ("w4.webp", "w4")
    }
    kept = {"taken": "2024-05-01T12:34:56+02:00", "copyright": None}
    properties = Properties({"type": "image/jpeg", "width": 8}, {"color": "#7d5a3c", **kept})
    return records.done(source, settings, outputs, properties, time=TIME)


@pytest.mark.parametrize(
    "record",
    [
        done(),
        done(BARE),
        records.rejected("rejected", VERSION, "digest", REJECTION),
        records.rejected("deleted", BARE, "digest", REJECTION, stored=THERE, time=TIME),
    ],
)
def test_a_record_is_what_its_schema_says(record: Record) -> None:
    """P7: a consumer may rely on docs/record.schema.json, and reads what was written."""
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(record.body()))
    assert records.parse(record.body()) == record


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "rejected"},
        {"state": "other"},
        {"schema": 2},
        {"outputs": []},
        {"outputs": [{"name": "w4"}]},
        {"source": {"bucket": "uploads"}},
        {"color": "red"},
        {"taken": "2024:05:01 12:34:56"},
        {"copyright": "x" * 301},
        {"processed_at": None},
        {"rejection": {"reason": "Not so", "detail": "It is."}},
    ],
)
def test_the_schema_notices(changed: dict[str, Any]) -> None:
    """P7: it is no check that cannot fail."""
    record = json.loads(done().body()) | changed
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(record)


def test_outputs_are_listed_in_their_order_with_all_that_a_page_needs() -> None:
    """P7: name, key, type, size, entity tag, and the metadata that the processor gave."""
    record = json.loads(done().body())
    assert record["outputs"][0] == {
        "name": "w4.webp",
        "key": "thumbnails/w4.webp",
        "type": "image/webp",
        "bytes": 5,
        "etag": "tag of w4.webp",
        "width": 4,
        "height": 3,
    }
    assert (record["source"]["type"], record["source"]["bytes"]) == ("image/jpeg", 9)
    assert (record["color"], record["worker"]) == ("#7d5a3c", __version__)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "source": {}}', b"\xff", b"null"],
)
def test_anything_else_is_no_record(body: bytes) -> None:
    """P6: a foreign file in the record's place names nothing."""
    with pytest.raises(ValueError, match=r"."):
        records.parse(body)


def test_a_change_of_variants_metadata_or_worker_changes_the_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P7: by it, what is stale is found; a source's name or caching changes no output."""
    source = Source("default", (Variants((40,), {"jpeg": 85}, 100),), "no-cache")
    digest = records.made_with(source)
    assert records.made_with(replace(source, name="other", cache_control="public")) == digest
    assert records.made_with(replace(source, copy_metadata=("author",))) != digest
    assert records.made_with(replace(source, choose_variants=True)) != digest
    keeping = replace(source, keep_metadata=("taken", "copyright"))
    assert records.made_with(keeping) != digest
    assert records.made_with(replace(source, keep_metadata=("copyright", "taken"))) == (
        records.made_with(keeping)
    )
    animated = replace(source.variants[0], animated=True)
    assert records.made_with(replace(source, variants=(animated,))) != digest
    changed = replace(source.variants[0], formats={"jpeg": 84})
    assert records.made_with(replace(source, variants=(changed,))) != digest
    monkeypatch.setattr(records, "__version__", "9.9.9")
    assert records.made_with(source) != digest


def test_a_change_of_the_watermark_changes_the_digest() -> None:
    """Issue 15, P7: by its content and its options; not by where it lies or who has drawn it."""
    plain = Variants((40,), {"jpeg": 85}, 100)

    def digest(mark: Watermark | None) -> str:
        source = Source("default", (replace(plain, watermark=mark),), "no-cache")
        return records.made_with(source)

    mark = Watermark("watermarks/a.png", digest="one")
    same = replace(mark, key="watermarks/b.png", image=Image.new("RGBa", (1, 1)))
    assert digest(same) == digest(mark)
    others = [
        replace(mark, **change)
        for change in (
            {"digest": "two"},
            {"position": "top"},
            {"width": 24},
            {"margin": 1},
            {"opacity": 99},
            {"min_width": 199},
        )
    ]
    assert len({digest(one) for one in (None, mark, *others)}) == 8


def test_the_workers_version_is_the_projects() -> None:
    """P7: the record says which worker made it."""
    assert f'\nversion = "{__version__}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
