"""worker/connections.py: one connection first, then as many as there are threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError

from worker.connections import send_first_request_alone


class Server:
    """Answers a client's requests and notes their order; the first one when it is told to."""

    def __init__(self, *, first_fails: bool = False) -> None:
        self.log: list[str] = []
        self.second_is_there = threading.Event()
        self._first_fails = first_fails
        self.client: Any = botocore.session.Session().create_client(
            "sqs",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        events: Any = self.client.meta.events
        events.register("before-send", self._arrive)
        send_first_request_alone(self.client)
        events.register("before-send", self._answer)

    def _arrive(self, **_: object) -> None:
        if self.log:
            self.second_is_there.set()

    def _answer(self, **_: object) -> AWSResponse:
        is_first = not self.log
        self.log.append("sent")
        if is_first:
            assert self.second_is_there.wait(30)
            # Time in which the second request would be sent, were it not held back.
            threading.Event().wait(0.2)
        self.log.append("answered")
        if is_first and self._first_fails:
            raise EndpointConnectionError(endpoint_url="https://sqs.test")
        return _Empty("https://sqs.test", 200, HTTPHeaders(), None)


class _Empty(AWSResponse):
    @property
    def content(self) -> bytes:
        return b"{}"


@pytest.mark.parametrize("first_fails", [False, True])
def test_the_second_request_waits_for_the_first_ones_answer(first_fails: bool) -> None:
    """R2, pitfall 87: none loads certificates while another verifies its first."""
    server = Server(first_fails=first_fails)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(server.client.list_queues) for _ in range(2)]
    assert all(call.exception() is None for call in calls)  # the failed one was sent again
    assert server.log == ["sent", "answered"] * (3 if first_fails else 2)


def test_later_requests_are_sent_at_once() -> None:
    """R2: after the first answer nobody waits: two requests meet while both are unanswered."""
    server = Server()
    server.second_is_there.set()
    server.client.list_queues()
    both = threading.Barrier(2)

    def meet(**_: object) -> None:
        both.wait(30)

    server.client.meta.events.register("before-send", meet)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(server.client.list_queues) for _ in range(2)]
    assert all(call.exception() is None for call in calls)
