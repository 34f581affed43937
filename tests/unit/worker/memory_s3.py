"""S3 in memory: versions, conditional writes with S3's error codes, injected faults."""

from __future__ import annotations

import hashlib
import io
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
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
    response: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


@dataclass
class MemoryS3:
    """The calls that the worker makes; `before` runs before each and may raise.

    A source's versions are in the order of their uploads; None is a delete marker.
    """

    versions: dict[tuple[str, str, str], bytes | None] = field(default_factory=dict)
    objects: dict[str, Stored] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: Callable[[str, dict[str, Any]], None] = lambda _operation, _arguments: None
    page: int = 1000
    """Entries in one page of a list."""
    conflict: Callable[[str], bool] = lambda _operation: False
    """Whether S3 answers 409 to a conditional request, as it may to one of several at once."""
    loses_answer: Callable[[str], bool] = lambda _operation: False
    """Whether the answer to a request is lost, which S3 has processed."""
    sources: set[str] = field(default_factory=set)
    metadata: dict[tuple[str, str, str], Mapping[str, str]] = field(default_factory=dict)
    """User-defined metadata of the sources' versions."""
    writes: int = 0
    hooks: list[Callable[..., None]] = field(default_factory=list)
    """What `client.meta.events` would call before each request."""

    @property
    def meta(self) -> Any:
        """Return the part of botocore's `meta` that is used: hooks on requests."""
        events = SimpleNamespace(
            register=lambda _name, hook: self.hooks.append(hook),
            unregister=lambda _name, hook: self.hooks.remove(hook),
        )
        return SimpleNamespace(events=events, service_model=SimpleNamespace(service_name="s3"))

    @property
    def results(self) -> dict[str, Stored]:
        """Return the outputs and the rejections: all but the records."""
        return {key: one for key, one in self.objects.items() if not key.endswith("/index.json")}

    def upload(
        self,
        bucket: str,
        key: str,
        version: str,
        body: bytes | None,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Add a version of a source, or a delete marker."""
        self.versions[bucket, key, version] = body
        self.metadata[bucket, key, version] = metadata or {}
        self.sources.add(bucket)

    def current(self, bucket: str, key: str) -> str | None:
        """Return the current version of a source."""
        for (at_bucket, at_key, version), body in reversed(self.versions.items()):
            if (at_bucket, at_key) == (bucket, key):
                return None if body is None else version
        return None

    def get_object(self, **arguments: Any) -> dict[str, Any]:
        """Read one version of a source."""
        self._called("GetObject", arguments)
        if arguments["Bucket"] not in self.sources:
            return self._get_result(arguments["Key"], arguments.get("IfNoneMatch"))
        place = arguments["Bucket"], arguments["Key"]
        version = arguments.get("VersionId") or self.current(*place)
        if version is None:
            raise refusal("GetObject", "NoSuchKey", 404)
        if (*place, version) not in self.versions:
            raise refusal("GetObject", "NoSuchVersion", 404)
        body = self.versions[*place, version]
        if body is None:
            raise refusal("GetObject", "MethodNotAllowed", 405)
        if arguments.get("IfMatch", _etag(body)).strip('"') != _etag(body).strip('"'):
            raise refusal("GetObject", "PreconditionFailed", 412)
        return {
            "ContentLength": len(body),
            "Body": StreamingBody(io.BytesIO(body), len(body)),
            "ETag": _etag(body),
            "Metadata": dict(self.metadata[*place, version]),
        }

    def _get_result(self, key: str, unless: str | None) -> dict[str, Any]:
        present = self.objects.get(key)
        if present is None:
            raise refusal("GetObject", "NoSuchKey", 404)
        if present.etag == unless:
            raise refusal("GetObject", "304", 304)
        body = StreamingBody(io.BytesIO(present.body), len(present.body))
        return {"ContentLength": len(present.body), "Body": body, "ETag": present.etag}

    def put_object(self, **arguments: Any) -> dict[str, Any]:
        """Store an output if the condition holds."""
        self._called("PutObject", arguments)
        key, body = arguments["Key"], arguments["Body"]
        present = self.objects.get(key)
        if {"IfMatch", "IfNoneMatch"} & arguments.keys():
            self._conflict("PutObject")
        if arguments.get("IfNoneMatch") == "*" and present:
            raise refusal("PutObject", "PreconditionFailed", 412)
        if "IfMatch" in arguments:
            self._match("PutObject", key, arguments["IfMatch"])
        # Under SSE-KMS the entity tag is not a digest of the bytes: here, of the write.
        self.writes += 1
        etag = _etag(body + str(self.writes).encode())
        self.objects[key] = Stored(body, etag, arguments)
        return {"ETag": etag}

    def head_object(self, **arguments: Any) -> dict[str, Any]:
        """Return the metadata of an output, or of a source's current version."""
        self._called("HeadObject", arguments)
        if arguments["Bucket"] in self.sources:
            place = arguments["Bucket"], arguments["Key"]
            version = self.current(*place)
            body = None if version is None else self.versions[*place, version]
            if body is None:
                raise refusal("HeadObject", "404", 404)
            return {"ETag": _etag(body), "VersionId": version, "ContentLength": len(body)}
        present = self.objects.get(arguments["Key"])
        if present is None:
            raise refusal("HeadObject", "404", 404)
        return {"ETag": present.etag, "Metadata": dict(present.metadata)}

    def list_objects_v2(self, **arguments: Any) -> dict[str, Any]:
        """List what is under a prefix, with common prefixes, a page at a time."""
        self._called("ListObjectsV2", arguments)
        prefix, delimiter = arguments["Prefix"], arguments.get("Delimiter", "")
        entries: dict[str, bool] = {}
        for key in sorted(self.objects):
            if key.startswith(prefix):
                head, deeper, _ = key[len(prefix) :].partition(delimiter or "\0")
                entries[prefix + head + deeper] = bool(deeper)
        # As in S3, a page goes on behind a name: what is deleted meanwhile moves nothing.
        left = [name for name in entries if name > arguments.get("ContinuationToken", "")]
        names = left[: self.page]
        answer: dict[str, Any] = {"IsTruncated": left != names}
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = names[-1]
        contents = [{"Key": n, "ETag": self.objects[n].etag} for n in names if not entries[n]]
        return answer | ({"Contents": contents} if contents else {})

    def delete_object(self, **arguments: Any) -> dict[str, Any]:
        """Delete an output if the condition holds."""
        self._called("DeleteObject", arguments)
        if "IfMatch" in arguments:
            self._conflict("DeleteObject")
            self._match("DeleteObject", arguments["Key"], arguments["IfMatch"])
        self.objects.pop(arguments["Key"], None)
        return {}

    def count(self, operation: str) -> int:
        """Return how often an operation was called."""
        return sum(called == operation for called, _ in self.calls)

    def _conflict(self, operation: str) -> None:
        if self.conflict(operation):
            raise refusal(operation, "ConditionalRequestConflict", 409)

    def _match(self, operation: str, key: str, etag: str) -> None:
        present = self.objects.get(key)
        if present is None:
            raise refusal(operation, "NoSuchKey", 404)
        if present.etag != etag:
            raise refusal(operation, "PreconditionFailed", 412)

    def _called(self, operation: str, arguments: dict[str, Any]) -> None:
        for hook in self.hooks:
            hook()
        self.before(operation, arguments)
        self.calls.append((operation, arguments))


class Stepped:
    """A thread on a MemoryS3 that makes each call only when `step` is called."""

    def __init__(self, work: Callable[[Any], object], s3: MemoryS3) -> None:
        self._s3 = s3
        self._turns = threading.Semaphore(0)
        self._waiting: queue.Queue[bool] = queue.Queue()
        self._thread = threading.Thread(target=self._run, args=[work])
        self._thread.start()
        self._alive = self._waiting.get()

    def step(self) -> bool:
        """Let it make its next call and run to the one after; return False once it has ended."""
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
