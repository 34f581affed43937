"""S3 in memory: versions, conditional writes with S3's own answers, faults on request."""

from __future__ import annotations

import hashlib
import io
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody


@dataclass(frozen=True)
class Stored:
    body: bytes
    etag: str
    arguments: dict[str, Any]

    @property
    def metadata(self) -> dict[str, str]:
        """Return the user metadata."""
        metadata: dict[str, str] = self.arguments.get("Metadata", {})
        return metadata


def refusal(operation: str, code: str, status: int) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": code},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        operation,
    )


@dataclass
class MemoryS3:
    """The three calls that the worker makes; `before` runs ahead of each and may raise."""

    versions: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    objects: dict[str, Stored] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: Callable[[str, dict[str, Any]], None] = lambda _operation, _arguments: None

    def upload(self, bucket: str, key: str, version: str, body: bytes) -> None:
        """Put a version of a source there."""
        self.versions[bucket, key, version] = body

    def get_object(self, **arguments: Any) -> dict[str, Any]:
        """Read one version of a source."""
        self._called("GetObject", arguments)
        place = arguments["Bucket"], arguments["Key"], arguments.get("VersionId", "null")
        if place not in self.versions:
            raise refusal("GetObject", "NoSuchVersion", 404)
        body = self.versions[place]
        if arguments.get("IfMatch", _etag(body)).strip('"') != _etag(body).strip('"'):
            raise refusal("GetObject", "PreconditionFailed", 412)
        return {
            "ContentLength": len(body),
            "Body": StreamingBody(io.BytesIO(body), len(body)),
            "ETag": _etag(body),
        }

    def put_object(self, **arguments: Any) -> dict[str, Any]:
        """Store an output if the condition holds."""
        self._called("PutObject", arguments)
        key, body = arguments["Key"], arguments["Body"]
        present = self.objects.get(key)
        if arguments.get("IfNoneMatch") == "*" and present:
            raise refusal("PutObject", "PreconditionFailed", 412)
        if "IfMatch" in arguments:
            if present is None:
                raise refusal("PutObject", "NoSuchKey", 404)
            if present.etag != arguments["IfMatch"]:
                raise refusal("PutObject", "PreconditionFailed", 412)
        # Under SSE-KMS the entity tag is not a digest of the bytes: here, of the write.
        etag = _etag(body + str(len(self.calls)).encode())
        self.objects[key] = Stored(body, etag, arguments)
        return {"ETag": etag}

    def head_object(self, **arguments: Any) -> dict[str, Any]:
        """Look at an output."""
        self._called("HeadObject", arguments)
        present = self.objects.get(arguments["Key"])
        if present is None:
            raise refusal("HeadObject", "404", 404)
        return {"ETag": present.etag, "Metadata": dict(present.metadata)}

    def count(self, operation: str) -> int:
        """Tell how often an operation was called."""
        return sum(called == operation for called, _ in self.calls)

    def _called(self, operation: str, arguments: dict[str, Any]) -> None:
        self.before(operation, arguments)
        self.calls.append((operation, arguments))


class Stepped:
    """Work on a MemoryS3 that goes from one call to the next only when it is told to."""

    def __init__(self, work: Callable[[Any], object], s3: MemoryS3) -> None:
        self._s3 = s3
        self._turns = threading.Semaphore(0)
        self._waiting: queue.Queue[bool] = queue.Queue()
        self._thread = threading.Thread(target=self._run, args=[work])
        self._thread.start()
        self._alive = self._waiting.get()

    def step(self) -> bool:
        """Let it make its next call and go on to the one after; False once it has ended."""
        if self._alive:
            self._turns.release()
            self._alive = self._waiting.get()
            if not self._alive:
                self._thread.join()
        return self._alive

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self._waiting.put(True)
            self._turns.acquire()
            return getattr(self._s3, operation)(**arguments)

        return call

    def _run(self, work: Callable[[Any], object]) -> None:
        try:
            work(self)
        finally:
            self._waiting.put(False)


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
