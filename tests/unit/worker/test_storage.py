"""worker/storage.py: reads within limits, writes that keep the newest."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, IncompleteReadError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worker.memory_s3 import MemoryS3, Stepped, refusal
from worker import storage
from worker.events import SourceObject
from worker.results import Output, Rejection
from worker.storage import ContentionError, OutputBucket, Stored, SupersededError

SOURCE = SourceObject(bucket="uploads", key="uploads/é b.jpg", version_id="v1", sequencer="0A")
BUCKET = OutputBucket(name="thumbnails", encryption_key_arn="arn:aws:kms:::key/k")
OUTPUT = Output(
    name="w400", body=b"bytes", content_type="image/jpeg", metadata={"width": "400", "height": "9"}
)


@pytest.fixture
def s3() -> MemoryS3:
    return MemoryS3()


def version(number: int, sequencer: str | None = None) -> SourceObject:
    return SourceObject(
        bucket=SOURCE.bucket,
        key=SOURCE.key,
        version_id=f"v{number}",
        etag=f"e{number}",
        sequencer=sequencer or f"{number:04X}",
    )


def write(s3: Any, source: SourceObject, body: bytes = b"bytes", key: str = "out") -> Stored | None:
    return storage.write(
        s3,
        BUCKET,
        key=key,
        output=Output(name="w400", body=body, content_type="image/jpeg"),
        source=source,
        cache_control="no-cache",
    )


def test_the_named_version_is_read(s3: MemoryS3) -> None:
    """Pitfall 14: the event's version, not whatever is newest when the message is processed."""
    s3.upload("uploads", SOURCE.key, "v1", b"one")
    s3.upload("uploads", SOURCE.key, "v2", b"two")
    assert storage.read(s3, SOURCE, limit=3).body.read() == b"one"


def test_an_objects_metadata_come_with_its_bytes(s3: MemoryS3) -> None:
    """P7: in the same request."""
    s3.upload("uploads", SOURCE.key, "v1", b"one", metadata={"focus": "0.1,0.2"})
    assert storage.read(s3, SOURCE, limit=3).metadata == {"focus": "0.1,0.2"}
    assert [operation for operation, _ in s3.calls] == ["GetObject"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Jane Doe", "Jane Doe"),
        ("=?UTF-8?B?SsO8cmdlbg==?=", "Jürgen"),
        ("=?UTF-8?Q?J=C3=BCrgen?=", "Jürgen"),
        ("=?nonsense?B?AAAA?=", "=?nonsense?B?AAAA?="),
        ("=?UTF-8?B?A?=", "=?UTF-8?B?A?="),
    ],
)
def test_metadata_are_copied_as_they_were_given(value: str, expected: str) -> None:
    """P6: S3 encodes what is not ASCII; what is no such form stays as it is."""
    assert storage.decoded({"author": value, "more": "x"}, ("author", "license")) == {
        "author": expected
    }


def test_too_large_is_rejected_before_the_download(s3: MemoryS3) -> None:
    """P5, pitfall 43: the limit is checked before any byte is downloaded."""

    class Unread(io.RawIOBase):
        def readinto(self, _buffer: Any) -> int:
            """Fail: the body must not be read."""
            raise AssertionError("read although it is too large")

    body: Any = Unread()
    s3.get_object = lambda **_: {  # type: ignore[method-assign]  # for this test
        "ContentLength": 5,
        "Body": StreamingBody(body, 5),
    }
    with pytest.raises(Rejection) as rejected:
        storage.read(s3, SOURCE, limit=4)
    assert rejected.value.reason == "too_large"
    assert body.closed  # or the connection would be kept with the bytes still on it


@pytest.mark.parametrize("breaks", [1, 2])
def test_an_interrupted_download_is_retried_once(s3: MemoryS3, breaks: int) -> None:
    """R2: inside the invocation first, then through the queue."""
    s3.upload("uploads", SOURCE.key, "v1", b"all of it")
    whole = s3.get_object
    left = iter(range(breaks))

    def get_object(**arguments: Any) -> dict[str, Any]:
        answer = whole(**arguments)
        if next(left, None) is not None:
            answer["Body"] = StreamingBody(io.BytesIO(b"all"), len(b"all of it"))
        return answer

    s3.get_object = get_object  # type: ignore[method-assign]  # for this test
    if breaks == 1:
        assert storage.read(s3, SOURCE, limit=9).body.read() == b"all of it"
    else:
        with pytest.raises(IncompleteReadError):
            storage.read(s3, SOURCE, limit=9)
    assert s3.count("GetObject") == 2


def test_no_bytes_are_a_reason(s3: MemoryS3) -> None:
    """P5: an empty object has a reason of its own."""
    s3.upload("uploads", SOURCE.key, "v1", b"")
    with pytest.raises(Rejection) as rejected:
        storage.read(s3, SOURCE, limit=4)
    assert rejected.value.reason == "empty"


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("NoSuchKey", 404, "deleted"),
        ("NoSuchVersion", 404, "deleted"),
        ("MethodNotAllowed", 405, "deleted"),
        ("InvalidObjectState", 403, "archived"),
    ],
)
def test_what_will_never_be_readable_is_rejected(
    s3: MemoryS3, code: str, status: int, reason: str
) -> None:
    """R2: retries would not help."""
    s3.before = raising(code, status)
    with pytest.raises(Rejection) as rejected:
        storage.read(s3, SOURCE, limit=4)
    assert rejected.value.reason == reason


@pytest.mark.parametrize("storage_class", ["GLACIER_IR", "INTELLIGENT_TIERING"])
def test_what_can_be_read_at_once_is_read(s3: MemoryS3, storage_class: str) -> None:
    """R2, pitfall 83: a backfill reads uploads that `archive_after_days` has moved."""
    s3.upload("uploads", SOURCE.key, "v1", b"one")
    whole = s3.get_object
    s3.get_object = lambda **arguments: {  # type: ignore[method-assign]  # for this test
        **whole(**arguments),
        "StorageClass": storage_class,
    }
    assert storage.read(s3, SOURCE, limit=3).body.read() == b"one"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDenied", 403),
        ("SlowDown", 503),
        ("InternalError", 500),
        ("RequestTimeout", 400),
        ("KMS.DisabledException", 400),
        ("PreconditionFailed", 412),
        ("SomethingNew", 400),
    ],
)
def test_everything_else_returns_to_the_queue(s3: MemoryS3, code: str, status: int) -> None:
    """R2: a permission or a key can be restored; only known final errors are final."""
    s3.before = raising(code, status)
    with pytest.raises(ClientError):
        storage.read(s3, SOURCE, limit=4)


def test_bytes_overwritten_without_versioning_are_superseded(s3: MemoryS3) -> None:
    """P6: without versioning the event's own bytes may be gone; the newer event is processed."""
    unversioned = SourceObject(bucket="uploads", key="k", etag="not-it")
    s3.upload("uploads", "k", "null", b"newer")
    with pytest.raises(SupersededError):
        storage.read(s3, unversioned, limit=9)


def test_metadata_identify_the_source() -> None:
    """P3: ASCII, within S3's 2 KB, and only what is known."""
    assert storage.identity(SOURCE) == {
        "source-bucket": "uploads",
        "source-key": "uploads/%C3%A9%20b.jpg",
        "source-version": "v1",
        "source-sequencer": "0A",
    }
    long = SourceObject(bucket="b", key="é" * 512, version_id="v" * 100, etag="e" * 64)
    metadata = storage.identity(long)
    assert "source-key" not in metadata
    assert len(json.dumps(metadata)) < 2_000


def test_a_write_has_exactly_these_arguments() -> None:
    """P3, S4, pitfall 39: no ACL among them, and S3's own model agrees."""
    client = botocore.session.Session().create_client(
        "s3",
        region_name="xx-test-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )
    identity = storage.identity(SOURCE)
    with Stubber(client) as stub:
        stub.add_response(
            "put_object",
            {"ETag": '"tag"'},
            {
                "Bucket": "thumbnails",
                "Key": "out",
                "Body": b"bytes",
                "ContentType": "image/jpeg",
                "CacheControl": "public",
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": BUCKET.encryption_key_arn,
                "Metadata": {"width": "400", "height": "9", **identity},
                "IfNoneMatch": "*",
            },
        )
        written = storage.write(
            client,
            BUCKET,
            key="out",
            output=OUTPUT,
            source=SOURCE,
            cache_control="public",
        )
        stub.assert_no_pending_responses()
    client.close()
    assert written == Stored("out", '"tag"', {"width": "400", "height": "9"} | identity)


def test_an_older_version_never_overwrites_a_newer_one(s3: MemoryS3) -> None:
    """P6, pitfall 14: whichever comes first."""
    write(s3, version(2), b"new")
    assert write(s3, version(1), b"old") is None
    assert s3.objects["out"].body == b"new"
    written = write(s3, version(3), b"newest")
    assert s3.objects["out"].body == b"newest"
    assert s3.objects["out"].metadata["source-version"] == "v3"
    assert written == storage.head(s3, "thumbnails", "out")


def test_a_duplicate_leaves_what_is_there(s3: MemoryS3) -> None:
    """P6, pitfall 51: at-least-once delivery must not pile up versions of one thumbnail."""
    written = write(s3, version(1))
    first = s3.objects["out"]
    assert write(s3, version(1)) == written
    assert s3.objects["out"] is first


def test_one_version_has_several_events(s3: MemoryS3) -> None:
    """P6: its permanent deletion comes after its upload, though the version is the same."""
    write(s3, version(1, sequencer="01"), b"uploaded")
    write(s3, version(1, sequencer="02"), b"deleted")
    assert write(s3, version(1, sequencer="01"), b"uploaded") is None
    assert s3.objects["out"].body == b"deleted"


def test_without_sequencers_the_last_one_stays(s3: MemoryS3) -> None:
    """P6: no order is known; a version with a sequencer wins over one without."""
    first, second = (SourceObject("uploads", "k", name, name) for name in ("x", "y"))
    write(s3, first)
    assert write(s3, second) == write(s3, second)
    assert s3.objects["out"].metadata["source-version"] == "y"
    write(s3, version(1))
    assert write(s3, first) is None


def test_a_write_that_is_overtaken_compares_again(s3: MemoryS3) -> None:
    """P6: between comparing and replacing, another worker may be faster."""
    write(s3, version(1))
    overtaking = iter([version(2), version(4)])

    def overtake(operation: str, arguments: Mapping[str, Any]) -> None:
        if operation == "PutObject" and "IfMatch" in arguments and overtaking:
            s3.before = _nothing
            write(s3, next(overtaking), b"overtaker")
            s3.before = overtake

    s3.before = overtake
    assert write(s3, version(3)) is None
    assert s3.objects["out"].metadata["source-version"] == "v4"


def test_an_output_deleted_meanwhile_is_written_anew(s3: MemoryS3) -> None:
    """P6: If-Match on nothing answers 404, which is not an error here."""
    write(s3, version(1))

    def delete(operation: str, arguments: Mapping[str, Any]) -> None:
        if operation == "PutObject" and "IfMatch" in arguments:
            s3.objects.clear()

    s3.before = delete
    write(s3, version(2))
    assert s3.objects["out"].metadata["source-version"] == "v2"


def test_endless_contention_returns_to_the_queue(s3: MemoryS3) -> None:
    """R2: bounded, then another try later."""
    write(s3, version(1))
    s3.before = _conflict
    with pytest.raises(ContentionError):
        write(s3, version(2))


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("SlowDown", 503)])
def test_a_denied_write_is_an_error(s3: MemoryS3, code: str, status: int) -> None:
    """R2: it is not a conflict."""
    s3.before = raising(code, status)
    with pytest.raises(ClientError, match=code):
        write(s3, version(1))


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_one_level_is_listed_page_by_page(s3: MemoryS3, page: int) -> None:
    """P6: no output is missed, and none of another source is included."""
    s3.page = page
    tags = {}
    for key in ("t/a/w1", "t/a/w2", "t/a/b/w1", "t/a/b/w2", "t/a.jpg/w1", "t/a", "t/a/x"):
        write(s3, version(1), key=key)
        tags[key] = s3.objects[key].etag
    found = storage.list_directory(s3, "thumbnails", "t/a/")
    assert sorted(found) == [(key, tags[key]) for key in ("t/a/w1", "t/a/w2", "t/a/x")]


def test_only_the_result_that_was_read_is_deleted(s3: MemoryS3) -> None:
    """P6: meanwhile it may have been replaced by a newer version, or deleted."""
    old = write(s3, version(1))
    new = write(s3, version(2))
    assert old is not None
    assert new is not None
    storage.delete(s3, "thumbnails", old.key, old.etag)
    assert s3.objects["out"].etag == new.etag
    storage.delete(s3, "thumbnails", new.key, new.etag)
    assert s3.objects == {}
    storage.delete(s3, "thumbnails", new.key, new.etag)


def test_a_denied_deletion_is_an_error(s3: MemoryS3) -> None:
    """P6: it may still be there, and no other delivery may follow."""
    old = write(s3, version(1))
    assert old is not None
    s3.before = raising("AccessDenied", 403)
    with pytest.raises(ClientError, match="AccessDenied"):
        storage.delete(s3, "thumbnails", old.key, old.etag)


def test_a_deletion_in_conflict_is_repeated(s3: MemoryS3) -> None:
    """P6, pitfall 54: the other request may have changed nothing."""
    old = write(s3, version(1))
    assert old is not None
    conflicts = iter([True, True])
    s3.conflict = lambda _operation: next(conflicts, False)
    storage.delete(s3, "thumbnails", old.key, old.etag)
    assert s3.objects == {}


@pytest.mark.parametrize("replaced", [False, True])
def test_a_deletion_that_lost_is_not_repeated(s3: MemoryS3, replaced: bool) -> None:
    """P6, pitfall 54: the result is gone, or is another delivery's to delete."""
    old = write(s3, version(1))
    assert old is not None

    def win(operation: str) -> bool:
        s3.conflict = lambda _operation: False
        del s3.objects["out"]
        if replaced:
            write(s3, version(2))
        return operation == "DeleteObject"

    s3.conflict = win
    storage.delete(s3, "thumbnails", old.key, old.etag)
    assert s3.count("DeleteObject") == 1
    assert bool(s3.objects) == replaced


def test_a_deletion_always_in_conflict_is_an_error(s3: MemoryS3) -> None:
    """P6, pitfall 54: the message comes back, and what is stale does not stay."""
    old = write(s3, version(1))
    assert old is not None
    s3.conflict = lambda _operation: True
    with pytest.raises(ContentionError, match="out: 4 deletions"):
        storage.delete(s3, "thumbnails", old.key, old.etag)


def test_the_current_version_is_returned(s3: MemoryS3) -> None:
    """P6: what a deletion left, with the identity that its outputs will have."""
    gone = SourceObject("uploads", "k", "v2", sequencer="0B", deleted=True)
    assert storage.current_version(s3, gone) is None
    s3.upload("uploads", "k", "v1", b"one")
    found = storage.current_version(s3, gone)
    assert found is not None
    assert (found.version_id, found.sequencer, found.size) == ("v1", "0B", 3)
    assert not found.deleted
    assert '"' not in (found.etag or '"')
    s3.upload("uploads", "k", "v2", None)
    assert storage.current_version(s3, gone) is None


@pytest.mark.parametrize("code", ["AccessDenied", "403", "SlowDown"])
def test_not_knowing_is_not_gone(s3: MemoryS3, code: str) -> None:
    """R2: a response that does not say whether the object exists deletes nothing."""
    s3.before = raising(code, 403)
    with pytest.raises(ClientError):
        storage.current_version(s3, SOURCE)
    with pytest.raises(ClientError):
        storage.head(s3, "thumbnails", "out")


@given(st.permutations([1, 2, 3, 4, 2, 4]))
def test_any_order_ends_as_the_newest(numbers: list[int]) -> None:
    """P6: reordered and duplicated deliveries leave what one in-order delivery leaves."""
    s3 = MemoryS3()
    for number in numbers:
        write(s3, version(number), f"body {number}".encode())
    assert s3.objects["out"].body == b"body 4"


@given(st.lists(st.integers(0, 2), max_size=40))
def test_any_interleaving_ends_as_the_newest(turns: list[int]) -> None:
    """P6: three workers on one output, each call of each at any moment between the others'."""
    s3 = MemoryS3()
    stepped = [Stepped(partial(write, source=version(number)), s3) for number in (1, 2, 3)]
    for turn in turns:
        stepped[turn].step()
    for one in stepped:
        while one.step():
            pass
    assert s3.objects["out"].metadata["source-version"] == "v3"


def raising(code: str, status: int) -> Any:
    def before(operation: str, _arguments: Mapping[str, Any]) -> None:
        raise refusal(operation, code, status)

    return before


def _nothing(_operation: str, _arguments: Mapping[str, Any]) -> None:
    return


def _conflict(operation: str, _arguments: Mapping[str, Any]) -> None:
    if operation == "PutObject":
        raise refusal(operation, "ConditionalRequestConflict", 409)


def test_a_repeated_write_looks_at_what_is_there(
    s3: MemoryS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: after a lost answer its own object is there, whatever the record has said before."""
    put, answers = s3.put_object, []

    def lost(**arguments: Any) -> dict[str, Any]:
        answers.append(put(**arguments))
        error = refusal("PutObject", "PreconditionFailed", 412)
        error.response["ResponseMetadata"]["RetryAttempts"] = 1
        raise error

    monkeypatch.setattr(s3, "put_object", lost)
    source = version(1)
    stored = storage.write(
        s3,
        BUCKET,
        key="out",
        output=OUTPUT,
        source=source,
        cache_control="no-cache",
        known=lambda: Stored("out", '"of the record"', storage.identity(source)),
    )
    (answer,) = answers
    assert stored
    assert stored.etag == answer["ETag"]
