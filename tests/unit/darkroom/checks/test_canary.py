"""What a canary leaves where the caller may upload but not delete."""

import io
from dataclasses import replace
from hashlib import sha256
from typing import Any

import botocore.session
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from darkroom.aws.queues import DeployedQueue, DeployedSource
from darkroom.checks.canary import Canary, _picture
from darkroom.console.progress import Progress
from tests.workload import outputs_of
from worker import records
from worker.events import SourceObject
from worker.imaging import thumbnails
from worker.records import Record
from worker.results import Output, Properties, Rejection
from worker.settings import Source, Variants
from worker.storage import Stored

KEY = "uploads/canary-1.jpg"


def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return botocore.session.Session().create_client("s3", region_name="eu-west-1")


def canary(s3: Any, *suffixes: str, widths: tuple[int, ...] = (128,), **settings: Any) -> Canary:
    variants = Variants(widths=widths, formats={"jpeg": 85}, max_pixels=1)
    source = Source(
        name="default",
        variants=(variants,),
        cache_control="no-store",
        **settings,
    )
    queue = DeployedQueue("default", "https://work", "https://dead", "worker")
    uploads = DeployedSource("uploads", source, queue, ("uploads/",), suffixes)
    sqs: Any = botocore.session.Session().create_client("sqs", region_name="eu-west-1")
    return Canary(s3, sqs, uploads, "thumbnails", "stack", 0.0, Progress())


def test_what_may_not_be_deleted_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """D4: S3 refuses single versions in a response that is not an error, and listings with one."""
    s3 = client(monkeypatch)
    version = {"Key": KEY, "VersionId": "v", "Size": 1}
    with Stubber(s3) as stubber:
        stubber.add_response("list_object_versions", {"IsTruncated": False, "Versions": [version]})
        stubber.add_response(
            "delete_objects",
            {"Errors": [{"Key": KEY, "VersionId": "v", "Code": "AccessDenied", "Message": "no"}]},
        )
        stubber.add_client_error("list_object_versions", "AccessDenied", http_status_code=403)
        stubber.add_response("list_object_versions", {"IsTruncated": False})
        left = canary(s3, ".jpg", hash_prefix=True)._delete(KEY)
    assert f"s3://uploads/{KEY}: no" in left
    hashed = sha256(KEY.encode()).hexdigest()[:2]
    assert f"s3://thumbnails/thumbnails/{hashed}/{KEY}/ (AccessDenied)" in left


VERSION = SourceObject("uploads", KEY, "v", "e", sequencer="0A")


def rejected(reason: str) -> dict[str, Any]:
    """Return the answer to reading the record of a rejection."""
    return answer(records.rejected("rejected", VERSION, "digest", Rejection(reason, "So it is.")))


def answer(record: Record) -> dict[str, Any]:
    body = record.body()
    return {"ETag": '"e"', "Body": StreamingBody(io.BytesIO(body), len(body))}


@pytest.mark.parametrize(
    ("names", "verdict", "message"),
    [
        (["stats.json", "words.csv"], "pass", "2 outputs"),
        (["w64"], "fail", "1 thumbnail: w128"),  # and w1, which is there
    ],
)
def test_the_record_says_what_there_has_to_be(
    monkeypatch: pytest.MonkeyPatch, names: list[str], verdict: str, message: str
) -> None:
    """D4, T1: another workload's outputs are enough, whatever their names; half are not."""
    s3 = client(monkeypatch)
    outputs = {
        f"thumbnails/{KEY}/{name}": (Output(name, b"", "text/plain"), Stored(name, '"e"', {}))
        for name in [*names, *(["w1"] if verdict == "fail" else [])]
    }
    one = canary(s3, ".jpg", widths=(128, 1) if verdict == "fail" else (128,))
    record = records.done(VERSION, "digest", outputs, Properties({}, {}), time="now")
    with Stubber(s3) as stubber:
        stubber.add_response("get_object", answer(record))
        found = one._outcome(KEY, "v")
    assert (found.verdict, message in found.message) == (verdict, True)


@pytest.mark.parametrize(("given", "verdict"), [(64, "pass"), (60, "fail")])
def test_the_thumbnails_of_all_variants_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, given: int, verdict: str
) -> None:
    """D4, T5: the whole picture and a square of it, each in its size."""
    s3 = client(monkeypatch)
    plain = Variants((128,), {"jpeg": 85, "webp": 80}, 10**7, min_widths={"webp": 200})
    square = Variants((64,), {"webp": 80}, 10**7, fit="cover", aspect_ratio=(1, 1), name="square")
    one = canary(s3, ".jpg")
    settings = replace(one.source.settings, variants=(plain, square))
    one = replace(one, source=replace(one.source, settings=settings))
    made = outputs_of(
        thumbnails.make(io.BytesIO(_picture()), [plain, replace(square, widths=(given,))])
    )
    named = {output.name.replace(str(given), "64"): output for output in made}
    outputs = {
        f"thumbnails/{KEY}/{name}": (replace(output, name=name), Stored(name, '"e"', {}))
        for name, output in named.items()
    }
    record = records.done(VERSION, "digest", outputs, Properties({}, {}), time="now")
    with Stubber(s3) as stubber:
        stubber.add_response("get_object", answer(record))
        for name in ("w128", "square-w64.webp"):
            output = named[name]
            body = StreamingBody(io.BytesIO(output.body), len(output.body))
            stored = {"Body": body, "ContentType": output.content_type, "SSEKMSKeyId": "key"}
            stubber.add_response("get_object", stored)
        found = one._outcome(KEY, "v")
    assert (found.verdict, "is 60 × 60, not 64 × 64" in found.message) == (verdict, given == 60)


def test_a_canary_without_a_record_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """D4: in time; the record of another version is none."""
    s3 = client(monkeypatch)
    with Stubber(s3) as stubber:
        stubber.add_response("get_object", rejected("empty"))
        found = canary(s3, ".jpg")._outcome(KEY, "another")
    assert found.verdict == "fail"
    assert "no record" in found.message


@pytest.mark.parametrize(
    ("suffix", "reason", "verdict"),
    [
        (".jpg", "not_an_image", "fail"),
        ("*", "corrupt", "fail"),
        ("*", "not_text", "pass"),
        (".txt", "not_text", "pass"),
        (".txt", "empty", "fail"),
    ],
)
def test_a_rejected_picture_is_right_where_pictures_are_not_processed(
    monkeypatch: pytest.MonkeyPatch, suffix: str, reason: str, verdict: str
) -> None:
    """D4, T1: it went all the way; a word count rejects pictures."""
    s3 = client(monkeypatch)
    with Stubber(s3) as stubber:
        stubber.add_response("get_object", rejected(reason))
        assert canary(s3, suffix)._outcome(KEY, "v").verdict == verdict


@pytest.mark.parametrize(
    ("sent", "reason", "verdict", "message"),
    [
        (True, "deleted", "pass", "without a retry"),
        (True, None, "fail", "S3 may answer 403 instead of 404"),
        (False, None, "warn", "was not checked"),
    ],
)
def test_a_version_that_is_gone_has_to_be_recorded(
    monkeypatch: pytest.MonkeyPatch,
    *,
    sent: bool,
    reason: str | None,
    verdict: str,
    message: str,
) -> None:
    """D4, pitfall 78: the worker reads it by the version that its message names."""
    s3 = client(monkeypatch)
    one = canary(s3, ".jpg")
    listing = ("list_object_versions", {"IsTruncated": False})
    with Stubber(s3) as stubber, Stubber(one.sqs) as queue:
        for operation, response in [listing] * 4:
            stubber.add_response(operation, response)
        if sent:
            confirmed: Any = {"Id": "0", "MessageId": "m", "MD5OfMessageBody": "x"}
            queue.add_response("send_message_batch", {"Successful": [confirmed], "Failed": []})
        else:
            queue.add_client_error("send_message_batch", "AccessDenied")
        if reason:
            stubber.add_response("get_object", rejected(reason))
        elif sent:
            stubber.add_client_error("get_object", "NoSuchKey", http_status_code=404)
        (found,) = one._deletion(KEY, "v", "e")
    assert found.verdict == verdict
    assert message in found.message


def test_the_record_of_its_own_deletion_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    """D4: where deletes are propagated, its event comes after the upload is gone, and stays."""
    s3 = client(monkeypatch)
    one = canary(s3, ".jpg", propagate_deletes=True)
    with Stubber(s3) as stubber:
        stubber.add_response("list_object_versions", {"IsTruncated": False})
        # What another workload has made of the picture is not the record of its deletion.
        stubber.add_response("get_object", rejected("not_text"))
        (found,) = one._deletion(KEY, "v", "e")
        stubber.assert_no_pending_responses()
    assert found.verdict == "fail"
    assert f"its record will stay at thumbnails/{KEY}/index.json" in found.message
