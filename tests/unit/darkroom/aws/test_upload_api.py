"""The client of the upload API: what it sends, and what it does with each answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import Credentials
from botocore.exceptions import EndpointConnectionError, SSLError

from darkroom.aws import upload_api
from darkroom.aws.upload_api import RefusedError, Upload, UploadApi, parse_url
from darkroom.errors import UsageError, UserError

URL = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/v1"


@dataclass
class Answer:
    status_code: int
    content: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


def problem(status: int, detail: str) -> Answer:
    return Answer(status, json.dumps({"title": "No", "detail": detail}).encode())


class Service:
    """Answers one request after the other, and keeps them."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[AWSPreparedRequest] = []
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def send(self, request: AWSPreparedRequest) -> Answer:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, url: str = URL) -> UploadApi:
        return UploadApi(
            url=url,
            api_key="test",
            credentials=Credentials("AKID", "secret"),
            region="eu-west-1",
            send=self.send,
            sleep=self.sleep,
            clock=lambda: sum(self.pauses),
        )


EXPECTED = Answer(
    201,
    json.dumps(
        {"id": "i", "url": "https://s3/x?Signature=s", "headers": {"content-length": "3"}}
    ).encode(),
)
UPLOAD = Upload("i", "https://s3/x?Signature=s", {"content-length": "3", "if-none-match": "*"})


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize(
    ("url", "region"), [(URL, "eu-central-1"), ("https://127.0.0.1:1/_aws/x/v1", "eu-west-1")]
)
def test_a_request_is_signed_and_has_the_key(url: str, region: str) -> None:
    """A1: IAM says who calls, the key counts; the Region is the API's."""
    service = Service(EXPECTED)
    assert service.client(url).expect("cat.jpg", 3, "c2hh") == Upload(
        "i", "https://s3/x?Signature=s", {"content-length": "3"}
    )
    (request,) = service.requests
    assert (request.method, request.url) == ("POST", f"{url}/uploads")
    signature = text(request.headers["Authorization"])
    assert re.search(rf"Credential=AKID/\d+/{region}/execute-api/aws4_request", signature)
    assert text(request.headers["x-api-key"]) == "test"
    assert json.loads(text(request.body)) == {"name": "cat.jpg", "bytes": 3, "sha256": "c2hh"}


def test_an_upload_has_the_headers_that_are_signed_and_no_others_of_ours() -> None:
    """A1: S3 refuses another length, type or digest; our credentials are not S3's to see."""
    service = Service(Answer(200))
    service.client().put(UPLOAD, b"abc")
    (request,) = service.requests
    assert (request.method, request.url, request.body) == ("PUT", UPLOAD.url, b"abc")
    headers = {name.lower(): text(value) for name, value in request.headers.items()}
    assert headers["content-length"] == "3"
    assert headers["if-none-match"] == "*"
    assert not {"authorization", "x-api-key"} & headers.keys()


def test_what_is_there_already_is_uploaded() -> None:
    """A1: an answer that was lost is no failure."""
    Service(Answer(412)).client().put(UPLOAD, b"abc")


def test_a_refused_upload_has_the_reason_of_s3() -> None:
    body = b"<Error><Code>BadDigest</Code></Error>"
    with pytest.raises(RefusedError, match="400, BadDigest") as caught:
        Service(Answer(400, body)).client().put(UPLOAD, b"abd")
    assert caught.value.status == 400


def test_a_throttled_request_is_repeated_after_a_pause() -> None:
    """A1: at least as long as the API says, otherwise longer from try to try."""
    throttled = Answer(429, headers={"retry-after": "7"})
    service = Service(throttled, Answer(503), EndpointConnectionError(endpoint_url="x"), EXPECTED)
    service.client().expect("cat.jpg", 3, "c2hh")
    assert len(service.requests) == 4
    assert service.pauses[0] >= 7
    assert 0.5 <= service.pauses[1] <= 1
    assert 1 <= service.pauses[2] <= 2


def test_a_throttled_api_is_asked_by_nobody_before_it_may_be() -> None:
    """A1: not by another thread either: together they would use up what the limit lets through."""
    tries = upload_api.THROTTLED_TRIES
    service = Service(*[Answer(429, headers={"retry-after": "7"})] * tries, Answer(200), EXPECTED)
    client = service.client()
    with pytest.raises(UserError, match="429"):
        client.state("i")
    assert len(service.requests) == tries
    waited = len(service.pauses)
    client.put(UPLOAD, b"abc")  # S3 is not the API
    assert len(service.pauses) == waited
    client.expect("cat.jpg", 3, "c2hh")
    assert service.pauses[waited] >= 7


def test_a_used_up_quota_ends_at_once() -> None:
    """A1: nobody waits for an hour; it is no refusal of one file, and every other would be next."""
    service = Service(Answer(429, b'{"detail": "Limit Exceeded"}', {"retry-after": "3600"}))
    with pytest.raises(UserError, match="429: Limit Exceeded") as caught:
        service.client().state("i")
    assert not isinstance(caught.value, RefusedError)
    assert service.pauses == []


def test_a_request_that_always_fails_ends() -> None:
    """A1: with the reason, and without the signature of a URL, which is a permission."""
    service = Service(*[problem(503, "unavailable")] * upload_api.TRIES)
    with pytest.raises(RefusedError, match="503: unavailable"):
        service.client().state("i")
    assert len(service.pauses) == upload_api.TRIES - 1
    assert max(service.pauses) <= upload_api.LONGEST_PAUSE_SECONDS
    failures = [EndpointConnectionError(endpoint_url=UPLOAD.url) for _ in range(upload_api.TRIES)]
    with pytest.raises(UserError, match="no connection to https://s3/x: ") as caught:
        Service(*failures).client().put(UPLOAD, b"abc")
    assert "Signature=s" not in str(caught.value)
    wrong = Service(SSLError(endpoint_url="x", error=ValueError("no such authority")))
    with pytest.raises(UserError, match="no such authority"):
        wrong.client().state("i")
    assert wrong.pauses == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (problem(415, "name must end with .jpg"), "415: name must end with .jpg"),
        (Answer(403, b'{"message":"Forbidden"}'), "403: Forbidden; it takes credentials"),
        (Answer(400, b"<html>"), "answered 400$"),
        (Answer(200, b"[]"), "answered 200$"),
    ],
)
def test_a_refusal_has_the_reason(answer: Answer, message: str) -> None:
    """A1: the API's problem, API Gateway's message, or only the status."""
    service = Service(answer)
    with pytest.raises(RefusedError, match=message):
        service.client().state("i")
    assert service.pauses == []


@pytest.mark.parametrize("url", ["http://a.example/v1", "https://a.example", "a.example/v1", ""])
def test_a_url_has_https_and_a_stage(url: str) -> None:
    with pytest.raises(UsageError, match="example: https://"):
        parse_url(url)
    assert parse_url(f"{URL}/") == URL
