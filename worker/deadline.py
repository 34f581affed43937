"""A deadline for requests: none is sent that might outlast the invocation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class OutOfTimeError(Exception):
    """Too little of the invocation is left for another request."""


@contextmanager
def no_request_after(moment: float, *clients: Any | None) -> Iterator[None]:
    """Refuse these clients' requests, and their retries, after a moment of `time.monotonic()`.

    They raise OutOfTimeError, which botocore does not retry. So a request that hangs ends as a
    message that returns to the queue, not as an invocation that is cut off with its whole batch.
    """

    def check(**_: object) -> None:
        if time.monotonic() > moment:
            raise OutOfTimeError("too little time left for another request")

    hooks = [
        (client.meta.events, f"before-send.{client.meta.service_model.service_name}")
        for client in clients
        if client is not None
    ]
    for events, name in hooks:
        events.register(name, check)
    try:
        yield
    finally:
        for events, name in hooks:
            events.unregister(name, check)
