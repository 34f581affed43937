"""The upload API on the emulator: what it refuses, what its URLs take, and what it reports."""

import base64
import hashlib
import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from darkroom import cli
from darkroom.checks.names import VERIFY
from darkroom.emulator import deployment, log_delivery
from darkroom.emulator.api_uploads import EmulatedApi
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import ROOT, template
from tests.e2e.harness import Pipeline
from tests.soak import throttled_uploads

Answer = tuple[int, dict[str, str], bytes]


def send(method: str, url: str, headers: dict[str, str], body: bytes = b"") -> Answer:
    parts = urlsplit(url)
    host = parts.netloc
    connection = (
        http.client.HTTPConnection(host, timeout=30)
        if parts.scheme == "http"
        else http.client.HTTPSConnection(
            host,
            timeout=30,
            context=ssl._create_unverified_context(),  # noqa: S323 -- on this host
        )
    )
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


@dataclass(frozen=True)
class Client:
    """A caller of the API, with a user's credentials and a key."""

    url: str
    key: str
    credentials: Credentials
    region: str

    def call(self, method: str, path: str, content: Any = None, *, signed: bool = True) -> Answer:
        body = b"" if content is None else json.dumps(content).encode()
        request = AWSRequest(method, f"{self.url}{path}", data=body)
        if self.key:
            request.headers["x-api-key"] = self.key
        if signed:
            SigV4Auth(self.credentials, "execute-api", self.region).add_auth(request)
        return send(method, f"{self.url}{path}", dict(request.headers.items()), body)

    def describe(self, body: bytes, name: str = "cat.jpg") -> dict[str, Any]:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        status, _, answer = self.call(
            "POST", "/uploads", {"name": name, "bytes": len(body), "sha256": digest}
        )
        assert status == 201, answer
        found: dict[str, Any] = json.loads(answer)
        return found

    def state(self, upload: str) -> dict[str, Any]:
        status, _, answer = self.call("GET", f"/uploads/{upload}")
        assert status == 200, answer
        found: dict[str, Any] = json.loads(answer)
        return found


def put(described: dict[str, Any], body: bytes, **changed: str) -> int:
    headers = described["headers"] | {k.replace("_", "-"): v for k, v in changed.items()}
    return send("PUT", described["url"], headers, body)[0]


Deployed = tuple[Pipeline, Callable[..., Client]]


def _deploy(
    emulator: Emulator, package_parameters: dict[str, str], name: str, **given: str
) -> Deployed:
    plan = specification.parse({"api": {}}, origin="test")
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name=name,
        parameters={**package_parameters, "NamePrefix": name, **given},
    )
    api = EmulatedApi.of(emulator, stack)

    def client(user: str, *, permitted: str = "*", api_key: str = api.key) -> Client:
        return Client(api.url, api_key, api.add_caller(user, permitted=permitted), emulator.region)

    return Pipeline(emulator, stack), client


@pytest.fixture(scope="module")
def deployed(emulator: Emulator, package_parameters: dict[str, str]) -> Deployed:
    return _deploy(emulator, package_parameters, "with-api", ApiRate="100", ApiBurst="200")


@pytest.fixture(scope="module")
def caller(deployed: Deployed) -> Client:
    return deployed[1]("caller")


def test_without_signature_permission_or_key_nothing_is_answered(
    deployed: Deployed, caller: Client
) -> None:
    """A1: unsigned, a wrong secret, another method than permitted, and no or another key: 403."""
    _, client = deployed
    wrong = Client(
        caller.url,
        caller.key,
        Credentials(caller.credentials.access_key, "wrong" * 8),
        caller.region,
    )
    for answer in (
        caller.call("GET", "/uploads/x", signed=False),
        wrong.call("GET", "/uploads/x"),
        client("poster", permitted="POST/*").call("GET", "/uploads/x"),
        client("keyless", api_key="").call("GET", "/uploads/x"),
        client("other-key", api_key="k" * 40).call("GET", "/uploads/x"),
    ):
        assert answer[0] == 403, answer
    status, headers, body = caller.call("GET", "/uploads/x")
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    assert json.loads(body)["request_id"]


def test_a_url_takes_the_described_bytes_and_only_once(caller: Client) -> None:
    """A1: other bytes, length, type or key are refused, and a second upload too."""
    body = pictures.jpeg()
    described = caller.describe(body)
    assert put(described, body[:-1] + b"x") == 400
    assert put(described, body + b"x", content_length=str(len(body) + 1)) == 403
    assert put(described, body, content_type="text/html") == 403
    assert put(described, body, if_none_match="other") == 403
    moved = described | {"url": described["url"].replace(described["key"], "uploads/api/x.jpg")}
    assert put(moved, body) == 403
    later = described | {"url": described["url"].replace("Expires=300", "Expires=86400")}
    assert put(later, body) == 403
    assert put(described, body) == 200
    assert put(described, body) == 412


def test_an_upload_is_followed_to_its_outputs(deployed: Deployed, caller: Client) -> None:
    """A1, P7: expected, then done with the outputs of the record; foreign ids are unknown."""
    pipeline, client = deployed
    body = pictures.jpeg()
    described = caller.describe(body)
    assert caller.state(described["id"])["state"] == "expected"
    assert put(described, body) == 200
    done = _until(caller, described["id"], "done")
    assert {one["name"] for one in done["outputs"]} == set(pipeline.variant_names)
    for output in done["outputs"]:
        stored = pipeline.stored(output["key"])
        assert stored is not None
        assert len(stored.body) == output["bytes"]
    other = client("other-caller")
    foreign, unknown = (
        other.call("GET", f"/uploads/{one}") for one in (described["id"], "unknown")
    )
    assert foreign[0] == unknown[0] == 404
    contents = [json.loads(one[2]) | {"request_id": ""} for one in (foreign, unknown)]
    assert contents[0] == contents[1]


@pytest.mark.usefixtures("person")
def test_the_deployed_api_is_verified(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    """A1: with what the emulator does not keep skipped; and a limit that was changed by hand."""
    pipeline, _ = deployed
    others = [part for check in VERIFY if check != "api" for part in ("--skip", check)]

    def verified() -> tuple[int, str]:
        status = cli.main(["verify", "--stack-name", pipeline.stack.name, *others])
        return status, capsys.readouterr().out

    status, text = verified()
    assert status == 0, text
    assert "refuses a request without signature and key" in text
    gateway = pipeline.emulator.client("apigateway")
    (key,) = [
        one["id"]
        for one in gateway.get_api_keys()["items"]
        if one["id"] == pipeline.stack.outputs["UploadApiKeyId"]
    ]

    def enable(value: str) -> None:
        operation = {"op": "replace", "path": "/enabled", "value": value}
        gateway.update_api_key(apiKey=key, patchOperations=[operation])

    enable("false")
    try:
        status, text = verified()
    finally:
        enable("true")
    assert status == 1
    assert "enabled is false, not true" in text


@pytest.mark.usefixtures("person")
def test_a_call_is_followed_through_the_log_and_the_archive(
    deployed: Deployed, caller: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """A1, O1, O6: by its id, with Lambda's lines about the invocation; and no URL is logged."""
    pipeline, _ = deployed
    described = caller.describe(pictures.jpeg())

    def logged(*where: str) -> list[dict[str, Any]]:
        stack = ["--stack-name", pipeline.stack.name, "--format", "json"]
        assert cli.main(["logs", described["id"], *where, *stack]) == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return found

    lines = logged()
    (own,) = [one["text"] for one in lines if isinstance(one["text"], dict)]
    assert (own["id"], own["key"]) == (described["id"], described["key"])
    assert own["api_request_id"]
    assert "Signature" not in json.dumps(lines)
    group = f"/{pipeline.stack.name}/upload-api"
    key = log_delivery.LogDelivery(pipeline.emulator, group).deliver()
    assert key
    assert key.startswith("upload-api/")
    archived = logged("--archive")
    assert {str(one["text"]) for one in archived} == {str(one["text"]) for one in lines}


def test_a_rejected_upload_says_why(caller: Client) -> None:
    """A1, R2: what is no picture has a reason."""
    described = caller.describe(b"no picture")
    assert put(described, b"no picture") == 200
    rejected = _until(caller, described["id"], "rejected")
    assert rejected["reason"]
    assert rejected["outputs"] == []


def _until(caller: Client, upload: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = caller.state(upload)
        if found["state"] == state:
            return found
        assert found["state"] in ("expected", "waiting")
        time.sleep(0.2)
    raise AssertionError(f"{upload} is not {state}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ApiRate": "1", "ApiBurst": "3"}, "Too Many Requests"),
        ({"ApiRate": "100", "ApiBurst": "200", "ApiQuota": "3"}, "Limit Exceeded"),
    ],
)
def test_too_many_calls_are_refused(
    given: dict[str, str], message: str, emulator: Emulator, package_parameters: dict[str, str]
) -> None:
    """A1: 429 of the stage and of the plan; the emulator takes no gateway responses from a body."""
    name = "api-" + message.split()[0].lower()
    _, client = _deploy(emulator, package_parameters, name, **given)
    caller = client(f"caller-{name}")
    answers = [caller.call("GET", "/uploads/x") for _ in range(8)]
    assert answers[0][0] == 404
    assert answers[-1][0] == 429, answers
    assert json.loads(answers[-1][2])["message"] == message


def test_throttled_uploads_are_neither_lost_nor_double(
    emulator: Emulator, package_parameters: dict[str, str], tmp_path: Path
) -> None:
    """A1: 200 pictures through a small limit; docs/api.md has the run of 1,000."""
    limits = {"NamePrefix": "throttled", "ApiRate": "40", "ApiBurst": "2"}
    finished = throttled_uploads.run(
        emulator,
        {**package_parameters, **limits},
        count=200,
        name="throttled",
        directory=tmp_path,
    )
    assert throttled_uploads.problems(finished, 200) == []


def test_the_command_uploads_and_tells_what_came_out(
    emulator: Emulator, caller: Client, tmp_path: Path
) -> None:
    """A1: thumbnails, a rejection and the API's refusal; a second run uploads nothing again."""
    folder = tmp_path / "my pictures"
    folder.mkdir()
    (folder / "a cat.jpg").write_bytes(pictures.jpeg())
    (folder / "junk.png").write_bytes(b"junk")
    (folder / "note.txt").write_bytes(b"a note")
    environment = {
        **emulator.environment,
        "AWS_ACCESS_KEY_ID": caller.credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": caller.credentials.secret_key,
        "DARKROOM_API_KEY": caller.key,
        "PYTHONPATH": str(ROOT),
    }

    def upload() -> dict[str, Any]:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "darkroom", "upload", str(folder), "--api", caller.url),
                *("--checkpoint", str(tmp_path / "done.jsonl"), "--format", "json"),
            ],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 1, done.stderr + done.stdout  # one was refused
        return {one["file"].rpartition("/")[2]: one for one in json.loads(done.stdout)}

    found = upload()
    assert {name: one["state"] for name, one in found.items()} == {
        "a cat.jpg": "done",
        "junk.png": "rejected",
        "note.txt": "refused",
    }
    assert {one["name"] for one in found["a cat.jpg"]["outputs"]} >= {"w400", "w400.webp"}
    assert "415" in found["note.txt"]["detail"]
    again = upload()
    assert {one["id"] for one in again.values()} == {one["id"] for one in found.values()}
