"""What a canary leaves where the caller may upload but not delete."""

import io
import json
from typing import Any

import botocore.session
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from darkroom.aws.queues import DeployedQueue, DeployedSource
from darkroom.checks.canary import Canary
from darkroom.console.progress import Progress
from worker.settings import Source, Variants

KEY = "uploads/canary-1.jpg"


def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return botocore.session.Session().create_client("s3", region_name="eu-west-1")


def canary(s3: Any, *suffixes: str, propagate_deletes: bool = False) -> Canary:
    variants = Variants(widths=(128,), formats={"jpeg": 85}, max_pixels=1)
    source = Source(
        name="default",
        variants=variants,
        cache_control="no-store",
        propagate_deletes=propagate_deletes,
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
        left = canary(s3, ".jpg")._delete(KEY)
    assert f"s3://uploads/{KEY}: no" in left
    assert f"s3://thumbnails/thumbnails/{KEY}/ (AccessDenied)" in left


def test_another_workloads_outputs_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """D4, T1: all that belong together, by their metadata, whatever their names."""
    s3 = client(monkeypatch)
    prefix = f"thumbnails/{KEY}/"

    def found(*names: str, count: str = "2") -> list[str]:
        with Stubber(s3) as stubber:
            listed = [{"Key": prefix + name} for name in names]
            stubber.add_response("list_objects_v2", {"Contents": listed})
            head = {"Metadata": {"outputs": count, "source-version": "v"}}
            stubber.add_response("head_object", head)
            stubber.add_response("head_object", head)
            return canary(s3, ".jpg")._other_outputs(KEY, "v")

    assert found("stats.json", "words.csv") == ["stats.json", "words.csv"]
    assert found("stats.json") == []
    assert found("w128", "w64") == [], "thumbnails are checked by their names and sizes"


@pytest.mark.parametrize(
    ("suffix", "reason", "verdict"),
    [(".jpg", "not_an_image", "fail"), (".txt", "not_text", "pass"), (".txt", "empty", "fail")],
)
def test_a_rejected_picture_is_right_where_pictures_are_not_processed(
    monkeypatch: pytest.MonkeyPatch, suffix: str, reason: str, verdict: str
) -> None:
    """D4, T1: it went all the way; a word count rejects pictures."""
    s3 = client(monkeypatch)
    body = json.dumps({"reason": reason}).encode()
    with Stubber(s3) as stubber:
        stream = StreamingBody(io.BytesIO(body), len(body))
        stubber.add_response("get_object", {"Body": stream})
        assert canary(s3, suffix)._rejected("rejected/x.json", 1.0).verdict == verdict


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
    body = json.dumps({"reason": reason}).encode()
    with Stubber(s3) as stubber, Stubber(one.sqs) as queue:
        for operation, response in [listing] * 4:
            stubber.add_response(operation, response)
        if sent:
            confirmed: Any = {"Id": "0", "MessageId": "m", "MD5OfMessageBody": "x"}
            queue.add_response("send_message_batch", {"Successful": [confirmed], "Failed": []})
        else:
            queue.add_client_error("send_message_batch", "AccessDenied")
        if reason:
            stream = StreamingBody(io.BytesIO(body), len(body))
            stubber.add_response("get_object", {"Body": stream})
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
        body = b'{"reason": "not_text"}'
        stream = StreamingBody(io.BytesIO(body), len(body))
        stubber.add_response("get_object", {"Body": stream})
        (found,) = one._deletion(KEY, "v", "e")
        stubber.assert_no_pending_responses()
    assert found.verdict == "fail"
    assert f"its record will stay at rejected/{KEY}.json" in found.message
