"""worker/watermarks.py: read once in an invocation, kept while unchanged, never left out."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from PIL import Image

from tests.unit.worker.imaging.corpus import saved
from tests.unit.worker.memory_s3 import MemoryS3, Stored, refusal
from tests.unit.worker.test_handler import (
    SETTINGS,
    UPLOADS,
    Clock,
    Queue,
    failures,
    lines,
    message,
    record,
)
from worker import logs
from worker.handler import Worker
from worker.limits import MOST_WATERMARK_BYTES
from worker.settings import Settings, Variants, Watermark

LOGO = "watermarks/logo.png"
RED, BLUE = ((255, 0, 0), (0, 0, 255))
PICTURE = saved(Image.new("RGB", (40, 40)), "PNG")


def marked(**more: Any) -> Settings:
    """Return settings whose variants have a watermark that covers the lower half."""
    mark = Watermark(LOGO, width=100, margin=0, min_width=1)
    made = Variants((40, 20), {"png": 100}, 10_000, watermark=mark)
    source = replace(SETTINGS.sources[UPLOADS], variants=(made,), **more)
    return replace(SETTINGS, sources={UPLOADS: source})


@pytest.fixture
def s3() -> MemoryS3:
    made = MemoryS3()
    made.upload(UPLOADS, "uploads/a b.jpg", "v1", PICTURE)
    return made


@pytest.fixture
def worker(s3: MemoryS3) -> Worker:
    return Worker(settings=marked(), s3=s3, sqs=Queue())


@pytest.fixture
def log() -> io.StringIO:
    logs.configure("INFO")
    (to_stdout,) = logs.LOGGER.handlers
    assert isinstance(to_stdout, logging.StreamHandler)
    buffer = io.StringIO()
    to_stdout.setStream(buffer)
    return buffer


def put_logo(s3: MemoryS3, color: tuple[int, int, int], etag: str) -> bytes:
    body = saved(Image.new("RGB", (40, 20), color), "PNG")
    s3.objects[LOGO] = Stored(body, etag, {})
    return body


def handle(worker: Worker, *messages: dict[str, Any]) -> list[str]:
    return failures(worker.handle_batch(messages or [message("m1", record())], Clock()))


def reads(s3: MemoryS3) -> list[str | None]:
    """Return the entity tags that reads of the watermark were conditional on."""
    return [
        arguments.get("IfNoneMatch")
        for operation, arguments in s3.calls
        if (operation, arguments.get("Key")) == ("GetObject", LOGO)
    ]


def corner(s3: MemoryS3, key: str = "uploads/a b.jpg") -> Any:
    """Return the color of the thumbnail's last pixel."""
    body = s3.objects[f"thumbnails/{key}/w40.png"].body
    with Image.open(io.BytesIO(body)) as thumbnail:
        return thumbnail.getpixel((39, 39))


def settings_of(s3: MemoryS3) -> str:
    content = json.loads(s3.objects["thumbnails/uploads/a b.jpg/index.json"].body)
    return str(content["settings"])


def test_it_is_read_once_in_an_invocation(worker: Worker, s3: MemoryS3) -> None:
    """Issue 15: for all messages of a batch, and then only asked whether it has changed."""
    put_logo(s3, RED, '"one"')
    for number in range(4):
        s3.upload(UPLOADS, f"uploads/{number}.jpg", "v1", PICTURE)
    batch = [message(str(n), record(key=f"uploads/{n}.jpg")) for n in range(4)]
    assert handle(worker, *batch) == []
    assert reads(s3) == [None]
    assert handle(worker) == []
    assert reads(s3) == [None, '"one"']
    assert {corner(s3, f"uploads/{n}.jpg") for n in range(4)} | {corner(s3)} == {RED}


def test_a_replaced_one_is_seen_by_the_next_invocation(worker: Worker, s3: MemoryS3) -> None:
    """Issue 15, P7: what was made with the old one is made again; by content, not by the write."""
    put_logo(s3, RED, '"one"')
    handle(worker)
    before = settings_of(s3)
    put_logo(s3, RED, '"another write of the same bytes"')
    handle(worker, message("m2", record(), tries=2))
    assert settings_of(s3) == before
    put_logo(s3, BLUE, '"two"')
    assert handle(worker, message("m3", record(), tries=2)) == []
    assert corner(s3) == BLUE
    assert settings_of(s3) != before


def test_what_has_none_asks_for_none(s3: MemoryS3) -> None:
    """Issue 15: without a watermark there is no request more."""
    plain = Worker(settings=SETTINGS, s3=s3, sqs=Queue())
    assert handle(plain) == []
    assert reads(s3) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, f"s3://thumbnails-bucket/{LOGO} is missing"),
        (b"no picture", f"s3://thumbnails-bucket/{LOGO} cannot be used"),
        (bytes(MOST_WATERMARK_BYTES + 1), "at most 1,000,000 are allowed"),
    ],
)
def test_without_it_nothing_is_published_and_nothing_rejected(
    worker: Worker, s3: MemoryS3, log: io.StringIO, body: bytes | None, problem: str
) -> None:
    """Issue 15, R2: the operator's fault: the message comes back, and the log says why."""
    if body is not None:
        s3.objects[LOGO] = Stored(body, '"one"', {})
    before = set(s3.objects)
    s3.upload(UPLOADS, "uploads/broken.jpg", "v1", b"junk")
    batch = [message("m1", record()), message("m2", record(key="uploads/broken.jpg"))]
    assert handle(worker, *batch) == ["m1", "m2"]
    assert set(s3.objects) == before
    for line in lines(log):
        assert (line["level"], line["outcome"]) == ("ERROR", "retried")
        assert problem in line["message"]
    put_logo(s3, RED, '"two"')
    assert handle(worker, message("m1", record(), tries=2)) == []
    assert corner(s3) == RED


def test_one_that_vanishes_is_not_taken_from_memory(worker: Worker, s3: MemoryS3) -> None:
    """Issue 15: a new environment would not have it either."""
    put_logo(s3, RED, '"one"')
    handle(worker)
    del s3.objects[LOGO]
    s3.upload(UPLOADS, "uploads/new.jpg", "v1", PICTURE)
    assert handle(worker, message("m2", record(key="uploads/new.jpg"))) == ["m2"]


def test_a_request_that_fails_says_so(worker: Worker, s3: MemoryS3, log: io.StringIO) -> None:
    """Issue 15, R2: throttling, or a missing permission, is no missing watermark."""
    put_logo(s3, RED, '"one"')

    def deny(_operation: str, arguments: dict[str, Any]) -> None:
        if arguments.get("Key") == LOGO:
            raise refusal("GetObject", "AccessDenied", 403)

    s3.before = deny
    assert handle(worker) == ["m1"]
    (line,) = lines(log)
    assert "AccessDenied" in line["exception"]


def test_a_deletion_needs_none(s3: MemoryS3) -> None:
    """Issue 15, P10: what is deleted does not stay because a watermark is missing."""
    put_logo(s3, RED, '"one"')
    worker = Worker(settings=marked(propagate_deletes=True), s3=s3, sqs=Queue())
    handle(worker)
    del s3.objects[LOGO]
    s3.upload(UPLOADS, "uploads/a b.jpg", "v2", None)
    deletion = record(version="v2", sequencer="0B") | {"eventName": "ObjectRemoved:DeleteMarker"}
    assert handle(worker, message("m2", deletion)) == []
    assert not [key for key in s3.results if key.startswith("thumbnails/")]


def test_no_key_of_a_result_is_a_watermarks() -> None:
    """Issue 15: outputs are written and deleted below other prefixes."""
    source = SETTINGS.sources[UPLOADS]
    for key in (source.output_key("x", "w1"), source.record_key("x"), source.rejection_key("x")):
        assert not key.startswith("watermarks/")


def test_the_digest_is_of_the_bytes(worker: Worker, s3: MemoryS3) -> None:
    """Issue 15: so that a command can compute it from the object alone."""
    body = put_logo(s3, RED, '"one"')
    (made,) = worker.watermarks.of_invocation()(worker.settings.sources[UPLOADS]).variants
    assert made.watermark
    assert made.watermark.digest == sha256(body).hexdigest()[:16]
