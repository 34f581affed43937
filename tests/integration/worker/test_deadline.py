"""worker/deadline.py, and the retries of the client that the worker sets up."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from worker import handler
from worker.deadline import OutOfTimeError, no_request_after

OK = b"HTTP/1.1 200 OK\r\nETag: e\r\nContent-Length: 0\r\n\r\n"
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Length: 44\r\n\r\n"
    b"<Error><Code>SlowDown</Code></Error>        "
)
DENIED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 44\r\n\r\n"
    b"<Error><Code>AccessDenied</Code></Error>    "
)
INTERRUPTED = b""


@pytest.fixture
def responses() -> list[bytes | float]:
    """The server's responses in order; a number is the seconds before the next one."""
    return []


@pytest.fixture
def client(responses: list[bytes | float], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The worker's own client, with a server instead of S3."""

    class Scripted(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            """Send the next response."""
            while isinstance(answer := responses.pop(0), float):
                time.sleep(answer)
            self.wfile.write(answer)
            self.close_connection = True

        do_GET = do_HEAD  # noqa: N815 -- the base class looks for this name

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    environment = {
        "SOURCES": '{"uploads-bucket":{"name":"default"}}',
        "THUMBNAIL_BUCKET": "thumbnails-bucket",
        "ENCRYPTION_KEY_ARN": "arn:aws:kms:xx-test-1:111122223333:key/k",
        "VARIANTS": (
            '{"default":{"widths":[40],"formats":{"jpeg":85},"cache_control":"no-cache"}}'
        ),
        "MAX_OBJECT_BYTES": "1000",
        "MAX_PIXELS": "1000",
        "VISIBILITY_TIMEOUT": "360",
        "LOG_LEVEL": "INFO",
        "WORK_QUEUE_URL": "",
        "AWS_DEFAULT_REGION": "xx-test-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    backoff = "botocore.retries.standard.ExponentialBackoff.delay_amount"
    monkeypatch.setattr(backoff, lambda *_: 0.01)  # seconds; it would be up to one, then two
    handler._worker.cache_clear()
    try:
        made = handler._worker().s3
        yield made
        made.close()
    finally:
        handler._worker.cache_clear()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("error", [SLOW_DOWN, INTERRUPTED])
def test_errors_are_retried_in_the_invocation_first(
    client: Any, responses: list[bytes | float], error: bytes
) -> None:
    """R2: twice, before the message returns to the queue."""
    responses += [error, error, OK]
    client.list_objects_v2(Bucket="b")
    assert responses == []


def test_the_third_error_returns_the_message_to_the_queue(
    client: Any, responses: list[bytes | float]
) -> None:
    """R2: a failing service gets time, not more requests."""
    responses += [SLOW_DOWN, SLOW_DOWN, SLOW_DOWN, OK]
    with pytest.raises(ClientError, match="SlowDown"):
        client.list_objects_v2(Bucket="b")
    assert responses == [OK]


def test_access_denied_is_not_retried(client: Any, responses: list[bytes | float]) -> None:
    """R2: it would be denied again."""
    responses += [DENIED, OK]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.list_objects_v2(Bucket="b")
    assert responses == [OK]


def test_no_call_takes_half_of_the_shortest_usual_invocation(client: Any) -> None:
    """R2: the longest tries and the waits between them, against a timeout of 60 seconds."""
    config = client.meta.config
    tries = config.retries["total_max_attempts"]
    waits = sum(2**number for number in range(tries - 1))
    assert tries * (config.connect_timeout + config.read_timeout) + waits <= 30


def test_near_the_end_no_request_is_sent(client: Any, responses: list[bytes | float]) -> None:
    """R2: and the next invocation sends requests again."""
    responses += [OK]
    with no_request_after(time.monotonic() - 1, client), pytest.raises(OutOfTimeError):
        client.head_object(Bucket="b", Key="k")
    client.head_object(Bucket="b", Key="k")
    assert responses == []


def test_near_the_end_nothing_is_retried(client: Any, responses: list[bytes | float]) -> None:
    """R2: a request that hung until then must not hang twice more."""
    responses += [0.3, SLOW_DOWN, OK]
    with no_request_after(time.monotonic() + 0.2, client), pytest.raises(OutOfTimeError):
        client.list_objects_v2(Bucket="b")
    assert responses == [OK]
