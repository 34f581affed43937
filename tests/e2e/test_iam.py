"""The calls that the worker's code makes are the calls that the least-privilege test expects."""

import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from darkroom.console.command import PIPELINE
from darkroom.iam.expectations import worker
from darkroom.iam.model import model_of
from templates import specification
from tests.e2e import pictures
from tests.e2e.harness import Pipeline
from worker import handler
from worker.session import create_session

KEY = "uploads/recorded.dat"  # no notification for this suffix: only this test's worker gets it

Permission = tuple[str, str]
"""An IAM action, and the bucket with the key's first folder, or the queue."""


class Recorder:
    """Records the permissions that each call of a botocore session needs."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.permissions: set[Permission] = set()

    def before(self, params: Mapping[str, Any], model: Any, context: Any, **_: Any) -> None:
        context["called"] = (model.name, dict(params))
        for action in self.actions(model.name, params):
            self.permissions.add((action, self.resource(action, params)))

    def after(self, http_response: Any, context: Any, **_: Any) -> None:
        operation, params = context["called"]
        if http_response.status_code == 404 and operation in {"GetObject", "HeadObject"}:
            # S3 answers 404 only to callers that may list the bucket, and 403 to others.
            self.permissions.add(("s3:ListBucket", self.names[params["Bucket"]]))
            if "VersionId" in params:  # which of the two is needed for a version is undocumented
                self.permissions.add(("s3:ListBucketVersions", self.names[params["Bucket"]]))

    @staticmethod
    def actions(operation: str, params: Mapping[str, Any]) -> Iterator[str]:
        match operation:
            case "GetObject" | "HeadObject":
                yield "s3:GetObjectVersion" if "VersionId" in params else "s3:GetObject"
            case "ListObjectsV2":
                yield "s3:ListBucket"
            case "PutObject" | "DeleteObject":
                yield f"s3:{operation}"
                if (
                    "IfMatch" in params
                ):  # https://docs.aws.amazon.com/AmazonS3/ (conditional writes)
                    yield "s3:GetObject"
            case "DeleteMessage" | "ChangeMessageVisibility":
                yield f"sqs:{operation}"
            case _:
                yield f"unexpected:{operation}"

    def resource(self, action: str, params: Mapping[str, Any]) -> str:
        if "QueueUrl" in params:
            return "<WorkQueue.Arn>"
        bucket = self.names[params["Bucket"]]
        return bucket if action == "s3:ListBucket" else f"{bucket}/{params['Key'].split('/')[0]}/"


@pytest.fixture
def recorder(running: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Run the worker's handler in this process, on the deployed stack, and record its calls."""
    emulator = running.emulator
    function = emulator.client("lambda").get_function_configuration(
        FunctionName=running.stack.outputs["FunctionName"]
    )
    for name, value in (emulator.environment | function["Environment"]["Variables"]).items():
        monkeypatch.setenv(name, value)
    recorded = Recorder(
        {running.uploads: "<UploadBucket.Arn>", running.thumbnail_bucket: "<ThumbnailBucket.Arn>"}
    )
    session: Any = create_session()
    session.register("provide-client-params.*.*", recorded.before)
    session.register("after-call.*.*", recorded.after)
    monkeypatch.setattr(handler, "create_session", lambda: session)
    handler._worker.cache_clear()
    yield recorded
    handler._worker.cache_clear()


def test_what_is_called_is_what_is_granted(running: Pipeline, recorder: Recorder) -> None:
    """S5, S6: every permission of the worker's code in role and endpoint policies has its call."""
    good, other, junk = pictures.jpeg(), pictures.turned(6), b"no picture"
    sequencer = iter(range(16, 256, 16))

    def deliver(body: bytes, *, receives: int = 1, **changes: str) -> dict[str, Any]:
        what = {"bucket": running.uploads, "version": running.upload(KEY, body), **changes}
        message = _message(next(sequencer), receives, **what)
        handler.handle({"Records": [message]}, CONTEXT)
        return message

    first = deliver(good)
    deliver(other)  # replaces it
    handler.handle({"Records": [first]}, CONTEXT)  # late: superseded
    deliver(junk)  # rejected; its thumbnails are deleted
    deliver(good, receives=2)  # deletes the rejection, and the message itself
    deliver(good, version="00000000000000000000000000000000")  # deleted before it was read
    deliver(good, bucket="another")  # delayed

    expected = worker.calls(model_of(specification.load(PIPELINE)))
    assert recorder.permissions == {
        (one.request.action, _folder(one.request.resource)) for one in expected
    }


CONTEXT: Any = SimpleNamespace(
    aws_request_id="00000000-0000-0000-0000-000000000000",
    get_remaining_time_in_millis=lambda: 60_000,
)


def _folder(resource: str) -> str:
    bucket, slash, key = resource.partition("/")
    return f"{bucket}/{key.split('/')[0]}/" if slash else bucket


def _message(sequencer: int, receives: int, *, bucket: str, version: str) -> dict[str, Any]:
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-21T00:00:00.000Z",
        "s3": {
            "bucket": {"name": bucket},
            "object": {
                "key": KEY,
                "size": 1,
                "eTag": f"{sequencer:032x}",
                "versionId": version,
                "sequencer": f"{sequencer:016X}",
            },
        },
    }
    return {
        "messageId": f"message-{sequencer}",
        "receiptHandle": f"handle-{sequencer}",
        "body": json.dumps({"Records": [record]}),
        "attributes": {
            "ApproximateReceiveCount": str(receives),
            "ApproximateFirstReceiveTimestamp": "0",
        },
    }
