"""docs/events.md: the rule selects records and nothing else, and the consumer reads one."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from darkroom.cloudformation.loader import load
from darkroom.cloudformation.resolver import ResolvedTemplate
from tests.unit.worker.memory_s3 import MemoryS3
from worker import keys, records
from worker.events import SourceObject
from worker.results import Output, Properties, Rejection
from worker.storage import Stored

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
RECORDED = ROOT / "tests" / "unit" / "worker" / "events" / "eventbridge-object-created.json"
BUCKET = "darkroom-thumbnails-111122223333-eu-west-1"
SOURCE = SourceObject("uploads-bucket", "uploads/são paulo 100% +1.JPG", "v1", "e1", "0A", 9)
RECORD = keys.record_key(SOURCE.key)


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def created(key: str, bucket: str = BUCKET) -> dict[str, Any]:
    """Return EventBridge's event of an object, as AWS sends it."""
    event: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    event["detail"]["bucket"]["name"] = bucket
    event["detail"]["object"]["key"] = key
    return event


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Return whether a pattern of values, prefixes and suffixes matches an event.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    return all(
        name in event
        and (
            matches(wanted, event[name])
            if isinstance(wanted, dict)
            else any(_is(one, event[name]) for one in wanted)
        )
        for name, wanted in pattern.items()
    )


def _is(wanted: Any, value: str) -> bool:
    if not isinstance(wanted, dict):
        return bool(wanted == value)
    ((operator, text),) = wanted.items()
    return {"prefix": value.startswith, "suffix": value.endswith}[operator](text)


@pytest.fixture
def pattern(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "rule.yaml"
    path.write_text(example("yaml"), encoding="utf-8")
    rule = ResolvedTemplate(load(path).content, {"ThumbnailBucketName": BUCKET})
    found: dict[str, Any] = rule.properties("RecordRule")["EventPattern"]
    return found


def test_the_rule_selects_records(pattern: dict[str, Any]) -> None:
    """C1, T3: of this bucket, and no thumbnail, no rejection and no deletion of a record."""
    assert matches(pattern, created(RECORD))
    assert matches(pattern, created(keys.record_key("a/index.json", "scans/")))
    for event in (
        created(RECORD, bucket="another"),
        created(keys.output_key(SOURCE.key, "w400")),
        created(keys.output_key(SOURCE.key, "my-index.json")),
        created(keys.rejection_key(SOURCE.key)),
        {**created(RECORD), "detail-type": "Object Deleted"},
        {**created(RECORD), "source": "aws.s4"},
    ):
        assert not matches(pattern, event)


def stored(state: str) -> records.Record:
    if state == "rejected":
        return records.rejected(
            "rejected", SOURCE, "digest", Rejection("too_large", "It has 9 bytes.")
        )
    key = keys.output_key(SOURCE.key, "w400")
    output = Output("w400", b"bytes", "image/jpeg", {"width": 400})
    return records.done(
        SOURCE,
        "digest",
        {key: (output, Stored(key, '"tag"', {}))},
        Properties({"type": "image/jpeg"}, {}),
        time="2026-01-02T03:04:05Z",
    )


@pytest.mark.parametrize(
    ("state", "printed"),
    [
        ("done", "done thumbnails/uploads/são paulo 100% +1.JPG/w400\n"),
        ("rejected", "rejected\n"),
    ],
)
def test_the_consumer_reads_the_record(
    state: str,
    printed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """C1, P7: it finds the state and the outputs with what the event says, and nothing else."""
    s3 = MemoryS3()
    s3.put_object(Bucket=BUCKET, Key=RECORD, Body=stored(state).body())
    monkeypatch.setitem(sys.modules, "boto3", SimpleNamespace(client=lambda _name: s3))
    names: dict[str, Any] = {}
    exec(example("python"), names)  # noqa: S102 -- our own page's example
    names["handler"](created(RECORD), None)
    assert capsys.readouterr().out == printed
    assert s3.calls[-1] == ("GetObject", {"Bucket": BUCKET, "Key": RECORD})
