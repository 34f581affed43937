"""Lines in the objects that Firehose writes."""

import json

import pytest

from darkroom.aws import log_archive

REQUEST = "6f1d4c1e-0000-4000-8000-000000000000"


@pytest.mark.parametrize("separator", ["", "\n", "\n\n", " "])
def test_archived_lines_need_no_line_breaks_between_them(separator: str) -> None:
    """O6, pitfall 55: whether Firehose separates extracted messages is not documented."""
    lines = [
        json.dumps({"timestamp": "2026-05-01T12:29:59.5Z", "key": 'a{"b": 1}', "message": "é}{"}),
        json.dumps({"time": "2026-05-01T12:30:00Z", "record": {"requestId": REQUEST}}),
        json.dumps({"_aws": {}, "ImagesProcessed": 1}),
    ]
    assert list(log_archive.split_records(separator.join(lines))) == lines
    assert list(log_archive.split_records(separator.join([*lines, "END RequestId: 1\n"]))) == [
        *lines,
        "END RequestId: 1" if separator != " " else " END RequestId: 1",
    ]


def test_archived_text_stays_whole() -> None:
    """O6, pitfall 55: flow logs, Lambda's text, and text that quotes JSON or what looks like it."""
    line = '{"timestamp":"2026-05-01T12:29:59Z"}'
    text = ['2 123456789012 eni-1 ACCEPT {"a": 1} {"b', "START RequestId: 1", '{"cut off', "[1]"]
    assert list(log_archive.split_records("\n".join(text))) == text
    assert list(log_archive.split_records("START" + line + line)) == ["START", line, line]
