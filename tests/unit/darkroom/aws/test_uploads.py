"""Uploads through the API: each file once, its result, and going on after a stop."""

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from darkroom import cli
from darkroom.aws import uploads
from darkroom.aws.upload_api import RefusedError, Upload
from darkroom.aws.uploads import Checkpoint, Uploads, results_table
from darkroom.console.progress import Progress
from darkroom.emulator.pictures import File
from darkroom.errors import UsageError, UserError

URL = "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/v1"
OUTPUTS = [{"name": "w400", "key": "thumbnails/k/w400"}, {"name": "w400.webp", "key": "x"}]


class Api:
    """An API in memory: what is uploaded is done at the second look."""

    def __init__(self) -> None:
        self.calls = Counter[str]()
        self.looks = Counter[str]()
        self.stored: set[str] = set()
        self.names: dict[str, str] = {}
        self.problems: list[Exception] = []
        self._lock = threading.Lock()

    def expect(self, name: str, size: int, _sha256: str) -> Upload:
        if name.endswith(".txt"):
            raise RefusedError(415, "the API answered 415: name must end with .jpg")
        with self._lock:
            self.calls["POST"] += 1
            id_ = f"id{self.calls['POST']}"
        self.names[id_] = name
        return Upload(id_, f"https://s3/{id_}", {"content-length": str(size)})

    def put(self, one: Upload, _body: bytes) -> None:
        self.calls["PUT"] += 1
        if self.problems:
            raise self.problems.pop(0)
        self.stored.add(one.id)

    def state(self, id_: str) -> dict[str, Any]:
        if id_ not in self.names:
            raise RefusedError(404, "the API answered 404: there is no such upload")
        if id_ not in self.stored:
            return {"state": "expected"}
        self.looks[id_] += 1
        if self.names[id_] == "slow.jpg" or self.looks[id_] == 1:
            return {"state": "waiting", "attention": self.looks[id_] > 3}
        if self.names[id_] == "junk.jpg":
            return {"state": "rejected", "reason": "corrupt", "detail": "It ends early."}
        return {"state": "done", "outputs": OUTPUTS}


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "FIRST_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(uploads, "LONGEST_LOOK_SECONDS", 0.001)


def files(directory: Path, *names: str) -> list[File]:
    found = []
    for name in names:
        path = directory / name
        path.write_bytes(name.encode())
        found.append(File(path, name, name, len(name)))
    return found


def run(api: Any, directory: Path, chosen: list[File], *, timeout: float = 60) -> list[Any]:
    checkpoint = Checkpoint.open(directory / "state" / "upload.jsonl", URL)
    return Uploads(api, checkpoint, Progress(), timeout).run(chosen)


def test_each_file_ends_as_its_record_says(tmp_path: Path) -> None:
    """A1: thumbnails, a rejection with its reason, or the API's refusal; in the files' order."""
    chosen = files(tmp_path, "a.jpg", "junk.jpg", "note.txt", "b.jpg")
    found = run(Api(), tmp_path, chosen)
    assert [one.state for one in found] == ["done", "rejected", "refused", "done"]
    assert [one.is_ended for one in found] == [True, True, False, True]
    text = results_table(found)
    for part in ("w400, w400.webp", "corrupt: It ends early.", "415: name must end with .jpg"):
        assert part in text


def test_a_second_run_uploads_nothing_again(tmp_path: Path) -> None:
    """A1: but what has changed meanwhile, and what was never uploaded."""
    api = Api()
    chosen = files(tmp_path, "a.jpg", "b.jpg")
    run(api, tmp_path, chosen)
    assert api.calls == {"POST": 2, "PUT": 2}
    found = run(api, tmp_path, chosen)
    assert [one.state for one in found] == ["done", "done"]
    assert api.calls == {"POST": 2, "PUT": 2}
    (tmp_path / "b.jpg").write_bytes(b"another picture")
    api.stored.discard("id1")
    api.stored.discard("id2")
    run(api, tmp_path, chosen)
    assert api.calls == {"POST": 4, "PUT": 4}


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """A1: an id that was noted but not used costs another; a half line is none."""
    api = Api()
    chosen = files(tmp_path, "a.jpg")
    api.problems = [UserError("no connection")]
    with pytest.raises(UserError, match=r"no connection\nthe same command continues \(.*jsonl\)"):
        run(api, tmp_path, chosen)
    path = tmp_path / "state" / "upload.jsonl"
    path.write_text(path.read_text() + '{"api": "ht')
    assert [one.id for one in run(api, tmp_path, chosen)] == ["id2"]


def test_an_expired_url_is_asked_for_again_once(tmp_path: Path) -> None:
    """A1: after a slow upload; a second refusal is the file's outcome."""
    api = Api()
    api.problems = [RefusedError(403, "S3 answered 403, AccessDenied")]
    (found,) = run(api, tmp_path, files(tmp_path, "a.jpg"))
    assert (found.state, found.id) == ("done", "id2")
    api.problems = [RefusedError(403, "S3 answered 403, AccessDenied")] * 2
    (found,) = run(api, tmp_path, files(tmp_path, "b.jpg"))
    assert (found.state, found.detail) == ("refused", "S3 answered 403, AccessDenied")
    api.problems = [RefusedError(400, "S3 answered 400, BadDigest")]
    (found,) = run(api, tmp_path, files(tmp_path, "c.jpg"))
    assert found.state == "refused"


def test_files_are_uploaded_while_others_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A1: the next file is not held back by the batching window of the ones before."""
    api = Api()
    names = [f"{number}.jpg" for number in range(3 * uploads.AT_ONCE)]
    uploaded = threading.Event()
    state, put = api.state, api.put

    def state_when_uploaded(id_: str) -> dict[str, Any]:
        return state(id_) if uploaded.is_set() else {"state": "waiting"}

    def put_and_count(one: Upload, body: bytes) -> None:
        put(one, body)
        if len(api.stored) == len(names):
            uploaded.set()

    monkeypatch.setattr(api, "state", state_when_uploaded)
    monkeypatch.setattr(api, "put", put_and_count)
    found = run(api, tmp_path, files(tmp_path, *names), timeout=5)
    assert [one.state for one in found] == ["done"] * len(names)
    assert [one.file.label for one in found] == names


def test_the_first_failure_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A1: nobody waits for earlier files when nothing can be uploaded any more."""
    api = Api()
    expect = api.expect

    def expect_until_the_quota_is_used_up(name: str, size: int, sha256: str) -> Upload:
        if name == "b.jpg":
            raise UserError("the API answered 429: Limit Exceeded")
        return expect(name, size, sha256)

    monkeypatch.setattr(api, "expect", expect_until_the_quota_is_used_up)
    with pytest.raises(UserError, match="Limit Exceeded\nthe same command continues"):
        run(api, tmp_path, files(tmp_path, "slow.jpg", "b.jpg"), timeout=3600)


def test_without_news_a_run_gives_up(tmp_path: Path) -> None:
    """A1: the file is not lost: the same command waits on, or says where it may be."""
    (found,) = run(Api(), tmp_path, files(tmp_path, "slow.jpg"), timeout=0.05)
    assert (found.state, found.is_ended) == ("waiting", False)
    assert found.detail == "it may be in the dead-letter queue"


def test_a_file_that_vanishes_is_refused_alone(tmp_path: Path) -> None:
    chosen = files(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "a.jpg").unlink()
    found = run(Api(), tmp_path, chosen)
    assert [one.state for one in found] == ["refused", "done"]
    assert "No such file" in found[0].detail


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('nonsense\n{"api": "x"}\n', "upload.jsonl:1: not a checkpoint"),
        (
            json.dumps({"api": "https://b/v1", "file": "f", "sha256": "s", "id": "i"}),
            "another API, https://b/v1",
        ),
    ],
)
def test_another_file_is_no_checkpoint(tmp_path: Path, content: str, message: str) -> None:
    """C1: nothing of the caller's is overwritten."""
    path = tmp_path / "upload.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        Checkpoint.open(path, URL)
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["a.jpg", "--api", "http://x"], "not the URL of an API"),
        (["gone.jpg", "--api", URL], "gone.jpg: no such file"),
        (["a.jpg", "--api", URL], "no API key; set DARKROOM_API_KEY"),
    ],
)
def test_wrong_use_is_explained(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """C1: before anything is sent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DARKROOM_API_KEY", raising=False)
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert cli.main(["upload", *arguments]) == 2
    assert message in capsys.readouterr().err
