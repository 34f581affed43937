import gzip
import json
import re
from datetime import UTC, datetime

import pytest

from darkroom.emulator.log_delivery import object_key, processed, subscription_record

STEPS = [
    ("Decompression", "GZIP"),
    ("CloudWatchLogProcessing", "true"),
    ("AppendDelimiterToRecord", r"\n"),
]
EVENTS = [{"timestamp": 1, "message": "one"}, {"timestamp": 2, "message": "two"}]
RECORD = subscription_record("0" * 12, "/darkroom/worker", "stream", "all", EVENTS)


def test_a_record_has_what_cloudwatch_logs_documents() -> None:
    """O6: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html."""
    record = json.loads(gzip.decompress(RECORD))
    events = record.pop("logEvents")
    assert record == {
        "messageType": "DATA_MESSAGE",
        "owner": "0" * 12,
        "logGroup": "/darkroom/worker",
        "logStream": "stream",
        "subscriptionFilters": ["all"],
    }
    assert [{key: one[key] for key in ("timestamp", "message")} for one in events] == EVENTS
    assert len({one["id"] for one in events}) == len(EVENTS)


def test_an_object_is_named_as_firehose_names_it() -> None:
    """O6: below its hour, where `darkroom logs` looks for it."""
    time = datetime(2026, 5, 1, 12, 30, 59, tzinfo=UTC)
    key = object_key("worker/!{timestamp:yyyy/MM/dd/HH}/", "darkroom.worker", time)
    assert re.fullmatch(
        r"worker/2026/05/01/12/darkroom\.worker-1-2026-05-01-12-30-59-[0-9a-f-]{36}", key
    )


def test_each_line_of_a_record_is_a_line() -> None:
    """O6, pitfall 48: several events come in a record, compressed."""
    assert processed([RECORD, RECORD], STEPS) == b"one\ntwo\n" * 2


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], RECORD),
        (STEPS[:2], b"onetwo"),
        (STEPS[::2], b'{"messageType": "DATA_MESSAGE"'),
    ],
)
def test_a_processor_that_is_not_there_does_nothing(
    steps: list[tuple[str, str]], expected: bytes
) -> None:
    """O6, pitfalls 48 and 55: so that a template without one is seen."""
    assert processed([RECORD], steps).startswith(expected)
