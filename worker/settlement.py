"""One announced object brought to its one right end: outputs, or a record of its rejection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, wait
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from worker import storage
from worker.events import SourceObject
from worker.keys import output_key, rejection_key
from worker.results import Output, Rejection
from worker.settings import Settings

Item = TypeVar("Item")
Result = TypeVar("Result")


class MisdirectedError(Exception):
    """A message names a bucket that is not this worker's to read."""


@dataclass(frozen=True)
class Ending:
    """How an object ended, for the log: `facts` are fields of the line, `cause` its traceback."""

    outcome: Literal["written", "rejected", "stale"]
    message: str
    facts: Mapping[str, object] = field(default_factory=dict)
    cause: BaseException | None = None


def settle(
    client: Any,
    settings: Settings,
    source: SourceObject,
    make: Callable[[SourceObject], Sequence[Output]],
    requests: Executor,
) -> Ending:
    """Bring one object to its end; raises whatever a later try may cure.

    `make` reads the object and turns it into outputs, or raises Rejection or SupersededError.
    Requests to S3 that need not wait for each other go through the executor `requests`, which
    must not be the one that runs this function.
    """
    if source.bucket != settings.upload_bucket:
        raise MisdirectedError(f"{source.bucket} is not the bucket {settings.upload_bucket}")
    began = time.monotonic()
    try:
        outputs = make(source)
    except Rejection as rejection:
        return _reject(client, settings, source, rejection)
    except storage.SupersededError:
        return Ending("stale", "overwritten since")

    def write(output: Output) -> storage.Written:
        key = output_key(source.key, output.name)
        return _write(client, settings, source, key, output, settings.cache_control)

    # One by one, waiting for S3 would take longer than the work.
    if "stale" in _together(requests, write, outputs):
        return Ending("stale", "a newer version is there")
    facts = {
        "outputs": len(outputs),
        "bytes_out": sum(len(output.body) for output in outputs),
        "seconds": round(time.monotonic() - began, 3),
    }
    return Ending("written", "outputs written", facts)


def _reject(client: Any, settings: Settings, source: SourceObject, rejection: Rejection) -> Ending:
    # The time is the event's, not the clock's: a duplicate writes the same bytes.
    record = {**asdict(source), "reason": rejection.reason, "detail": rejection.detail}
    body = json.dumps(record, ensure_ascii=False, indent=2).encode() + b"\n"
    output = Output(name="rejection", body=body, content_type="application/json")
    written = _write(client, settings, source, rejection_key(source.key), output, "no-cache")
    return Ending(
        "stale" if written == "stale" else "rejected",
        f"rejected: {rejection.detail}",
        {"reason": rejection.reason},
        rejection.__cause__,
    )


def _write(
    client: Any,
    settings: Settings,
    source: SourceObject,
    key: str,
    output: Output,
    cache_control: str,
) -> storage.Written:
    return storage.write(
        client,
        storage.Destination(settings.thumbnail_bucket, settings.encryption_key_arn),
        key=key,
        output=output,
        source=source,
        cache_control=cache_control,
    )


def _together(
    requests: Executor, function: Callable[[Item], Result], items: Iterable[Item]
) -> list[Result]:
    """Call the function with all items at once; raises the first failure after all have ended."""
    futures = [requests.submit(function, item) for item in items]
    wait(futures)  # what still ran after its message was handed back would race the next try
    return [future.result() for future in futures]
