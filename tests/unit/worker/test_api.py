"""worker/api.py: what callers of the upload API get, and what they do not."""

from __future__ import annotations

import ast
import base64
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
from botocore.stub import Stubber
from hypothesis import given, settings
from hypothesis import strategies as st

from worker import api, records
from worker.api import Api
from worker.api_ids import caller_folder, new_id, parse_id
from worker.api_settings import ApiSettings
from worker.events import SourceObject
from worker.results import Output, Properties, Rejection
from worker.settings import SettingsError, Source
from worker.storage import Stored

ROOT = Path(__file__).parents[3]
NOW = 1_800_000_000.0
SHA = base64.b64encode(bytes(range(32))).decode()
CALLER = "AROAEXAMPLEEXAMPLE:session"
ENVIRONMENT = {
    "UPLOAD_BUCKET": "uploads",
    "THUMBNAIL_BUCKET": "thumbnails",
    "LOG_LEVEL": "INFO",
    "UPLOADS": json.dumps(
        {
            "source": "default",
            "prefix": "uploads/api/",
            "suffixes": [".jpg", ".png"],
            "max_bytes": 1000,
            "longest_seconds": 2400,
        }
    ),
}
SETTINGS = ApiSettings.from_environment(ENVIRONMENT)


def client() -> Any:
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "secret", "token")
    return session.create_client("s3", region_name="eu-west-1", config=api.client_config())


API = Api(SETTINGS, client(), now=lambda: NOW)


def event(method: str, resource: str, *, caller: Any = CALLER, **more: Any) -> dict[str, Any]:
    context = {"requestId": "request-1", "identity": {"caller": caller}}
    return {"httpMethod": method, "resource": resource, "requestContext": context, **more}


def post(body: Any, which: Api = API, **more: Any) -> tuple[int, dict[str, Any]]:
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    return told(which.answer(event("POST", "/uploads", body=text, **more)))


def get(upload: str, which: Api = API, **more: Any) -> tuple[int, dict[str, Any]]:
    path = {"id": upload}
    return told(which.answer(event("GET", "/uploads/{id}", pathParameters=path, **more)))


def told(answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return status and content of an answer; each must never be stored."""
    status, content = answer["statusCode"], json.loads(answer["body"])
    expected = "application/json" if status < 400 else "application/problem+json"
    assert answer["headers"] == {"content-type": expected, "cache-control": "no-store"}
    if status >= 400:
        assert content["status"] == status
        assert content["request_id"] == "request-1"
        assert content["title"]
        assert content["detail"]
    return status, content


def described(**more: Any) -> dict[str, Any]:
    return {"name": "cat.JPG", "bytes": 123, "sha256": SHA, **more}


def test_a_url_takes_exactly_the_described_bytes_once() -> None:
    """A1: length, type, SHA-256 and "only if new" are signed; the key is the server's."""
    status, content = post(described())
    assert status == 201
    assert content["headers"] == {
        "content-length": "123",
        "content-type": "image/jpeg",
        "if-none-match": "*",
        "x-amz-checksum-sha256": SHA,
    }
    assert content["method"] == "PUT"
    url = urlsplit(content["url"])
    query = parse_qs(url.query)
    assert query["X-Amz-SignedHeaders"] == [";".join(sorted([*content["headers"], "host"]))]
    assert query["X-Amz-Expires"] == [str(content["expires"])] == ["300"]
    assert url.path == f"/{content['key']}"
    assert url.hostname == "uploads.s3.eu-west-1.amazonaws.com"
    folder = caller_folder(CALLER)
    assert content["key"].startswith(f"uploads/api/{folder}/")
    assert content["key"].endswith(".jpg")  # as the source announces it


def test_each_caller_has_a_folder_whatever_the_session() -> None:
    """A1: whoever assumes a role chooses the session's name, but not the role's id."""
    assert caller_folder("AROAX:one") == caller_folder("AROAX:other") == caller_folder("AROAX")
    assert caller_folder("AROAX:one") != caller_folder("AROAY:one")
    _, one = post(described())
    _, other = post(described(), caller="AIDAOTHER")
    assert one["key"].split("/")[2] != other["key"].split("/")[2]


@pytest.mark.parametrize("caller", [None, "", ":session", 7, {}])
def test_nobody_is_nobody(caller: Any) -> None:
    """A1: without a caller there is no folder, so no URL."""
    assert post(described(), caller=caller)[0] == 403
    assert API.answer({})["statusCode"] == 403


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (None, 400, None),
        ("", 400, None),
        ("no JSON", 400, None),
        ("[]", 400, None),
        ('{"a":' * 800, 400, None),
        ("x" * 5000, 400, None),
        ('{"name":"a.jpg","name":"b.png","bytes":1,"sha256":"' + SHA + '"}', 400, None),
        ({"bytes": 1, "sha256": SHA}, 400, "name"),
        (described(key="uploads/x.jpg"), 400, None),
        (described(name="../../etc/x.jpg"), 400, "name"),
        (described(name="a\r\nb.jpg"), 400, "name"),
        (described(name="\ud800.jpg"), 400, "name"),
        (described(name=""), 400, "name"),
        (described(name="a" * 256), 400, "name"),
        (described(name=["a.jpg"]), 400, "name"),
        (described(bytes=0), 400, "bytes"),
        (described(bytes=-1), 400, "bytes"),
        (described(bytes=True), 400, "bytes"),
        (described(bytes=1.0), 400, "bytes"),
        (described(bytes="1"), 400, "bytes"),
        (described(sha256="a" * 44), 400, "sha256"),
        (described(sha256=SHA[:-1]), 400, "sha256"),
        (described(sha256=SHA[:-2] + "9="), 400, "sha256"),  # the same bytes, written otherwise
        (described(sha256=None), 400, "sha256"),
        (described(name="a.exe"), 415, "name"),
        (described(name="jpg"), 415, "name"),
        (described(bytes=1001), 413, "bytes"),
    ],
)
def test_a_wrong_description_names_its_field(body: Any, status: int, field: str | None) -> None:
    """A1: the function does not rely on API Gateway's validation."""
    found, content = post(body)
    assert (found, content.get("field")) == (status, field)


def test_a_body_may_be_in_base64() -> None:
    """A1: as API Gateway passes on what it takes for binary."""
    body = base64.b64encode(json.dumps(described()).encode()).decode()
    assert post(body, isBase64Encoded=True)[0] == 201
    assert post("\xff", isBase64Encoded=True)[0] == 400


def test_a_source_of_any_suffix_takes_any() -> None:
    """A1: a suffix that no key should have is left out."""
    which = replace(API, settings=replace(SETTINGS, suffixes=()))
    for name, end in (("a.HEIC", ".heic"), ("a", ""), ("a.b c", ""), ("a." + 40 * "x", "")):
        status, content = post(described(name=name), which)
        assert status == 201
        assert content["id"].endswith(end)
        assert "." in content["id"] or not end


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
@settings(max_examples=100, deadline=None)
def test_any_event_is_answered(value: Any) -> None:
    """A1: hostile bodies, ids and callers end in 400, 403, 404, 413 or 415, never in a fault."""
    tries = [
        event("POST", "/uploads", body=value),
        event("POST", "/uploads", body=json.dumps(value)),
        *(
            event("POST", "/uploads", body=json.dumps(described() | {f: value}))
            for f in described()
        ),
        event("GET", "/uploads/{id}", pathParameters={"id": value}),
        event("GET", "/uploads/{id}", pathParameters=value),
        event("GET", str(value), caller=value),
    ]
    for one in tries:
        assert API.answer(one)["statusCode"] in {201, 400, 403, 404, 413, 415}


@given(st.text(max_size=80))
def test_an_id_leads_nowhere_but_to_its_callers_folder(text: str) -> None:
    """A1: no id, however it is written, reaches a key of another caller."""
    folder = caller_folder(CALLER)
    for one in (text, f"{folder}-{text}", f"{folder}-{new_id('', '', now=NOW).uuid}{text}"):
        found = parse_id(one, folder)
        if found:
            key = found.key("uploads/api/")
            assert key.startswith(f"uploads/api/{folder}/")
            assert key.count("/") == 3
            assert str(found) == one


def test_ids_are_new_and_sorted_by_time() -> None:
    """A1: version 7 of RFC 9562; each id is found again."""
    folder = caller_folder(CALLER)
    made = [new_id(folder, ".jpg", now=NOW + second) for second in range(100)]
    assert len({one.uuid for one in made}) == 100
    assert [one.uuid for one in made] == sorted(one.uuid for one in made)
    for second, one in enumerate(made):
        assert one.time == pytest.approx(NOW + second, abs=0.001)
        assert parse_id(str(one), folder) == one


UPLOAD = new_id(caller_folder(CALLER), ".jpg", now=NOW - 10)
KEY = UPLOAD.key("uploads/api/")
RECORD = {"Bucket": "thumbnails", "Key": f"thumbnails/{KEY}/index.json"}
LISTING = {"Bucket": "uploads", "Prefix": KEY, "MaxKeys": 1}


def stubbed(*, record: bytes | None = None, stored: float | None = None) -> tuple[Api, Stubber]:
    which = Api(SETTINGS, client(), now=lambda: NOW)
    stub = Stubber(which.s3)
    if record is None:
        stub.add_client_error(
            "get_object", "NoSuchKey", http_status_code=404, expected_params=RECORD
        )
        found = (
            [{"Key": KEY, "LastModified": datetime.fromtimestamp(stored, UTC)}] if stored else []
        )
        stub.add_response("list_objects_v2", {"Contents": found}, LISTING)
    else:
        stub.add_response("get_object", {"Body": io.BytesIO(record)}, RECORD)
    stub.activate()
    return which, stub


@pytest.mark.parametrize(
    ("stored", "state"),
    [
        (None, {"state": "expected", "since": "2027-01-15T07:59:50.000Z"}),
        (NOW - 5, {"state": "waiting", "since": "2027-01-15T07:59:55.000Z"}),
        (
            NOW - 2401,
            {"state": "waiting", "since": "2027-01-15T07:19:59.000Z", "attention": True},
        ),
    ],
)
def test_an_upload_without_a_record_is_expected_or_waits(
    stored: float | None, state: dict[str, Any]
) -> None:
    """A1: and needs attention after the last receive of its message."""
    which, stub = stubbed(stored=stored)
    assert get(str(UPLOAD), which) == (200, {"id": str(UPLOAD), "key": KEY, **state})
    stub.assert_no_pending_responses()


SOURCE = SourceObject("uploads", KEY, "v1", "etag", "0A", 123, "2027-01-15T07:59:55Z")


def test_a_finished_upload_names_its_outputs() -> None:
    """A1, P7: from the record."""
    output = Output("w400", b"bytes", "image/jpeg", {"width": 400, "height": 300})
    stored = Stored(f"thumbnails/{KEY}/w400", '"e"', {})
    record = records.done(
        SOURCE, "s", {stored.key: (output, stored)}, Properties({}, {}), time="2027-01-15T08:00:00Z"
    )
    which, _ = stubbed(record=record.body())
    entry = {"name": "w400", "key": stored.key, "type": "image/jpeg", "bytes": 5}
    assert get(str(UPLOAD), which) == (
        200,
        {
            "id": str(UPLOAD),
            "key": KEY,
            "state": "done",
            "since": "2027-01-15T08:00:00Z",
            "version": "v1",
            "outputs": [{**entry, "width": 400, "height": 300}],
        },
    )


def test_a_rejected_upload_says_why() -> None:
    """A1: from the record."""
    why = Rejection("not_an_image", "It is text.")
    which, _ = stubbed(record=records.rejected("rejected", SOURCE, "s", why, time="T").body())
    status, content = get(str(UPLOAD), which)
    assert (status, content["state"]) == (200, "rejected")
    assert (content["reason"], content["detail"]) == ("not_an_image", "It is text.")
    assert content["outputs"] == []


def test_unknown_foreign_and_expired_ids_have_one_answer() -> None:
    """A1: nobody learns which ids there are."""
    expired = new_id(caller_folder(CALLER), ".jpg", now=NOW - 400)
    which = Api(SETTINGS, client(), now=lambda: NOW)
    with Stubber(which.s3) as stub:
        stub.add_client_error("get_object", "NoSuchKey")
        stub.add_response("list_objects_v2", {})
        answers = [
            get(str(expired), which),
            get(str(UPLOAD), which, caller="AIDAOTHER"),
            get("nothing", which),
            told(which.answer(event("GET", "/uploads/{id}"))),
            told(which.answer(event("DELETE", "/uploads/{id}"))),
        ]
        stub.assert_no_pending_responses()
    assert [status for status, _ in answers] == [404] * 5
    assert all(content == answers[0][1] for _, content in answers)


@pytest.mark.parametrize("record", [b"no JSON", b"{}"])
def test_a_fault_may_be_repeated(record: bytes) -> None:
    """A1: an answer without what S3 said, which may name roles and keys."""
    which, _ = stubbed(record=record)
    status, content = get(str(UPLOAD), which)
    assert status == 503
    assert "repeated" in content["detail"]
    which = Api(SETTINGS, client(), now=lambda: NOW)
    with Stubber(which.s3) as stub:
        stub.add_client_error("get_object", "AccessDenied", "arn:aws:iam::1:role/r may not")
        status, content = get(str(UPLOAD), which)
    assert (status, "arn" in str(content)) == (503, False)


def test_a_url_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """A1: it is a permission; the id is enough to find an upload."""
    with caplog.at_level("INFO", logger="worker"):
        _, content = post(described())
    (line,) = caplog.records
    assert vars(line)["fields"]["id"] == content["id"]
    assert "Signature" not in str(vars(line))


def test_a_missing_setting_is_named() -> None:
    """A1: a wrong environment fails with a sentence."""
    for name in ENVIRONMENT:
        rest = {key: value for key, value in ENVIRONMENT.items() if key != name}
        with pytest.raises(SettingsError, match=name):
            ApiSettings.from_environment(rest)
    for wrong in ("x", "[]", '{"prefix":"p/"}'):
        with pytest.raises(SettingsError):
            ApiSettings.from_environment(ENVIRONMENT | {"UPLOADS": wrong})
    assert SETTINGS.source == Source(name="default", variants=(), cache_control="")


def test_it_starts_without_pillow() -> None:
    """A1: its cold start is below the picture worker's, because it imports less."""
    seen: set[str] = set()
    pending = ["worker.api"]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        path = ROOT.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not name.startswith("worker") or not path.exists():
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                pending += [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                pending += [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
    assert "worker.records" in seen
    assert not [one for one in seen if one.startswith(("PIL", "worker.imaging", "worker.handler"))]
