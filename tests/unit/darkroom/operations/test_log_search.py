"""Which lines of the log are about one object; tests/e2e shows both places."""

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from darkroom.console.progress import Progress
from darkroom.errors import UsageError, UserError
from darkroom.operations import log_search
from darkroom.operations.log_search import Archive, Line
from tests.unit.templates.conftest import generate

NOON = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
REQUEST = "6f0a3c1e-0000-4000-8000-000000000000"


class Log:
    """Lines that are searched as CloudWatch Logs does: by a part of their text."""

    def __init__(self, *lines: dict[str, Any] | str) -> None:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self._lines = [log_search.parse_line(text, NOON) for text in texts]

    def search(self, terms: Iterable[str]) -> Iterator[Line]:
        return (line for term in terms for line in self._lines if term in line.text)


def found(log: Log, wanted: str) -> list[str]:
    return [line.text for line in log_search.find_lines(log, wanted)]


def test_the_lines_of_an_object_and_of_its_invocation() -> None:
    """O1: of a batch its own message alone, and Lambda's lines in both of its formats."""
    start = f"START RequestId: {REQUEST} Version: $LATEST"
    report = {"type": "platform.report", "record": {"requestId": REQUEST}}
    mine = {"function_request_id": REQUEST, "message_id": "m-1", "key": "uploads/a b ü.jpg"}
    other = {"function_request_id": REQUEST, "message_id": "m-2", "key": "uploads/a b.jpg"}
    longer = {"function_request_id": "r-2", "message_id": "m-3", "key": "uploads/a b ü.jpg.jpg"}
    log = Log(start, mine, other, longer, report)
    texts = [start, json.dumps(mine), json.dumps(report)]
    assert found(log, "uploads/a b ü.jpg") == texts
    assert found(log, "m-1") == texts
    assert found(log, REQUEST) == [*texts[:2], json.dumps(other), texts[2]]
    assert found(log, "uploads/a") == []


def test_a_call_of_the_upload_api_is_followed_through_both_of_its_logs() -> None:
    """A1, O1: by upload id, object key, or the id of either request; not others' calls."""
    key, upload = "uploads/api/0f/one.jpg", "0f-one.jpg"
    worker = {"function_request_id": REQUEST, "message_id": "m-1", "key": key}
    ids = {"function_request_id": "lambda-1", "api_request_id": "gateway-1"}
    expected = {**ids, "id": upload, "key": key}
    report = {"type": "platform.report", "record": {"requestId": "lambda-1"}}
    access = {"requestId": "gateway-1", "functionRequestId": "lambda-1", "path": "/v1/uploads"}
    asked = {
        "requestId": "gateway-2",
        "functionRequestId": "-",
        "path": f"/v1/uploads/{upload}",
        "time": str(int(NOON.timestamp() * 1000)),
    }
    other = {"requestId": "gateway-3", "functionRequestId": "-", "path": "/v1/uploads/0f-two.jpg"}
    log = Log(worker, expected, report, access, asked, other)

    def lines(*wanted: dict[str, Any]) -> list[str]:
        return sorted(map(json.dumps, wanted))

    assert sorted(found(log, key)) == lines(worker, expected, report, access)
    assert sorted(found(log, upload)) == lines(expected, report, access, asked)
    for request in ids.values():
        assert sorted(found(log, request)) == lines(expected, report, access)
    assert log_search.parse_line(json.dumps(asked), NOON.replace(hour=1)).time == NOON


@pytest.mark.parametrize("has_api", [True, False])
def test_the_logs_of_an_upload_api_are_searched_too(has_api: bool) -> None:
    """A1, O1: where the stack has one; its groups are found by their logical ids."""
    asked: list[str] = []

    def paginate(**options: Any) -> list[dict[str, Any]]:
        asked.append(options["logGroupName"])
        return [{"events": []}]

    titles = log_search.API_LOG_GROUPS.values()
    stack: Any = SimpleNamespace(
        name="s",
        resources={title: f"/s/{title}" for title in titles} if has_api else {},
        output=lambda _name: "/s/worker",
        client=lambda _service: SimpleNamespace(
            get_paginator=lambda _name: SimpleNamespace(paginate=paginate)
        ),
    )
    with pytest.raises(UserError, match="not found in the log of s"):
        log_search.search(stack, "a", since=NOON, until=NOON, archive=False)
    assert asked == ["/s/worker", *(f"/s/{title}" for title in titles if has_api)]


def test_each_kind_of_log_ends_its_groups_name_and_begins_its_objects() -> None:
    """A1, O6: one name in the template, in the archive and here."""
    live = generate(api={})
    for kind, title in log_search.API_LOG_GROUPS.items():
        assert live.properties(title)["LogGroupName"] == f"/darkroom/{kind}"
        streams = live.resources_of_type("KinesisFirehose::DeliveryStream").values()
        prefixes = [one["ExtendedS3DestinationConfiguration"]["Prefix"] for one in streams]
        assert any(prefix.startswith(f"{kind}/!") for prefix in prefixes)


def test_what_no_pattern_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="no ASCII letter or digit"):
        found(Log(), "…")


def test_only_the_hours_asked_for_are_listed() -> None:
    """O6: and one before and after, for an object is named by the arrival of its first line."""
    nothing: Any = None  # no stack is asked
    archive = Archive(nothing, NOON, NOON.replace(hour=13), Progress())
    assert list(archive.prefixes()) == [f"worker/2026/05/01/{hour}/" for hour in (11, 12, 13, 14)]


class ArchivedStack:
    """A stack whose archive has one object, with this text."""

    name = "s"

    def __init__(self, text: str) -> None:
        self._body = gzip.compress(text.encode())

    def client(self, _service: str) -> Any:
        """Return an S3 client for that object."""
        page = {"Contents": [{"Key": "worker/2026/05/01/12/o", "LastModified": NOON}]}
        return SimpleNamespace(
            get_paginator=lambda _name: SimpleNamespace(
                paginate=lambda **asked: [page if asked["Prefix"].endswith("/12/") else {}]
            ),
            get_object=lambda **_: {"Body": io.BytesIO(self._body)},
        )

    def output(self, _name: str) -> str:
        """Return the bucket's name."""
        return "logs"


def test_the_archive_is_searched_without_line_breaks() -> None:
    """O6, pitfall 55: it may be the only copy of the log."""
    lines = [
        {"timestamp": NOON.isoformat(), "function_request_id": REQUEST, "key": key}
        for key in ("uploads/a.jpg", "uploads/b.jpg")
    ]
    stack: Any = ArchivedStack("".join(map(json.dumps, lines)))
    archive = Archive(stack, NOON, NOON, Progress())
    assert [line.fields for line in log_search.find_lines(archive, "uploads/b.jpg")] == lines[1:]


def test_a_line_of_json_is_an_object_for_programs() -> None:
    line = {"timestamp": "2026-05-01T12:29:59.5Z", "level": "INFO", "message": "done", "key": "a"}
    assert log_search.parse_line(json.dumps(line) + "\n", NOON).data() == {
        "time": "2026-05-01 12:29:59.500",
        "text": line,
    }
    for text in ("START", "[1]", '"a"'):
        assert log_search.parse_line(text, NOON).data()["text"] == text


def test_people_see_no_control_characters_and_whole_tracebacks() -> None:
    """Lambda's report has tabs; an exception has lines of its own; a key may hold anything."""
    log: list[dict[str, Any] | str] = [
        f"REPORT RequestId: {REQUEST}\tDuration: 14 ms\tBilled Duration: 15 ms\t",
        {
            "level": "ERROR",
            "message": "processing failed",
            "key": "a\x1b[2J",
            "exception_name": "ValueError",
            "exception": "Traceback:\n  File x\nValueError: a",
        },
        {"type": "platform.report", "record": {"requestId": REQUEST, "status": "timeout"}},
    ]
    text = log_search.render(Log(*log).search([""]))
    header, report, failure, *rest = text.splitlines()
    assert header.split() == ["time", "(UTC)", "level", "message"]
    assert "�" not in report
    assert report.endswith("Duration: 14 ms  Billed Duration: 15 ms")
    assert failure.endswith("ERROR  processing failed  key=a�[2J")
    assert [line.strip() for line in rest[:3]] == ["Traceback:", "File x", "ValueError: a"]
    assert rest[3].endswith(f"platform.report  requestId={REQUEST} status=timeout")
