"""A TLS proxy on loopback, between the worker and the emulator, that injects faults."""

import http.client
import os
import select
import signal
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import psutil

from darkroom.emulator.ministack import HOST, Emulator
from tests.soak.faults import Fault, FaultPlan

SLOW_SECONDS = 1.5  # for a slow response, in PIECES
PIECES = 6
HANG_SECONDS = 15.0  # longer than the function may run

# Headers of one connection only, and those that the proxy sets:
# https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
OWN_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}

ERROR = b'<?xml version="1.0"?><Error><Code>%s</Code><Message>injected</Message></Error>'


@dataclass(frozen=True)
class Request:
    """A request of the worker.

    Attributes:
        method: Its method.
        path: Its decoded path, `/bucket/key`.
        waits: It sent its headers first, and waits to be asked for its body.
    """

    method: str
    path: str
    waits: bool


class Proxy:
    """A context manager; the worker uses `proxy.url` as its AWS.

    Attributes:
        requests: What has come from the worker, in order.
    """

    def __init__(self, emulator: Emulator, plan: FaultPlan) -> None:
        """Prepare a proxy for `emulator`; it does not listen yet."""
        self.requests: list[Request] = []
        self._emulator = emulator
        self._plan = plan

    def __enter__(self) -> Self:
        """Listen, with the emulator's certificate, which the worker trusts already."""
        certificate = self._emulator.certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            certificate.with_name("chain.pem"), certificate.with_name("key.pem")
        )
        self._server = _Server((HOST, 0), _Handler)
        self._server.plan = self._plan
        self._server.requests = self.requests
        self._server.upstream = urlsplit(self._emulator.url)
        self._server.trust = ssl.create_default_context(cafile=certificate)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; open connections end with this program."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Return the URL that the worker uses."""
        return f"https://{HOST}:{self._server.server_address[1]}"


def put_before_worker(proxy: Proxy, emulator: Emulator, function: str, **variables: str) -> None:
    """Make a function use the proxy as its AWS, through its environment, as an operator could.

    The event source mapping is part of the emulator and does not use the proxy.

    Args:
        proxy: The proxy.
        emulator: The emulator.
        function: The function's name.
        variables: Other environment variables to change.
    """
    client = emulator.client("lambda")
    present = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    changed = {**present, **variables, "AWS_ENDPOINT_URL": proxy.url}
    client.update_function_configuration(FunctionName=function, Environment={"Variables": changed})


class _Server(ThreadingHTTPServer):
    plan: FaultPlan
    requests: list[Request]
    upstream: Any
    trust: ssl.SSLContext
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that workers close when they die: that is intended."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection from a worker, with a connection to the emulator."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        address = self.server.upstream
        self._upstream = http.client.HTTPSConnection(
            address.hostname, address.port, context=self.server.trust, timeout=60
        )

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def log_message(self, *_: object) -> None:
        """Log nothing: one line per request would not help."""

    def _relay(self) -> None:
        body = self._request_body()
        request = Request(
            self.command, unquote(self.path.partition("?")[0]), waits="Expect" in self.headers
        )
        self.server.requests.append(request)
        fault = self.server.plan.draw(request.method, request.path)
        if fault == "no response until the time-out":
            self._wait_for_the_client_to_close()
        elif fault == "connection closed without a response":
            self._close()
        elif fault == "worker killed before its request":
            self._kill_client()
        elif fault == "500 instead of a response":
            self._respond_with_error(500, b"InternalError")
        elif fault == "503 SlowDown":
            self._respond_with_error(503, b"SlowDown")
        else:
            answer = self._forward(body)
            content = answer.read()
            if fault == "500 after the request was processed":
                self._respond_with_error(500, b"InternalError")
            elif fault == "worker killed after its request":
                self._kill_client()
            else:
                self._respond(answer, content, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _relay  # noqa: N815 -- http.server's names

    def _request_body(self) -> bytes:
        """Read the whole body: by its length, or in chunks, as botocore uploads."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self._read_exactly(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self._read_line().partition(b";")[0], 16):
            body += self._read_exactly(size)
            self._read_line()
        while self._read_line().strip():
            pass
        return body

    def _read_exactly(self, size: int) -> bytes:
        """Read this many bytes; a partial request, from a worker that died, is not forwarded."""
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionAbortedError
        return data

    def _read_line(self) -> bytes:
        line = self.rfile.readline()
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError
        return line

    def _forward(self, body: bytes) -> http.client.HTTPResponse:
        """Forward the request unchanged: its signature covers path, query, host and headers."""
        for is_last in (False, True):
            try:
                self._upstream.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                for name, value in self.headers.items():
                    if name.lower() not in OWN_HEADERS:
                        self._upstream.putheader(name, value)
                self._upstream.putheader("Content-Length", str(len(body)))
                self._upstream.endheaders(body)
                return self._upstream.getresponse()
            except (http.client.RemoteDisconnected, ConnectionError):
                self._upstream.close()  # it had been idle for too long
                if is_last:
                    raise
        raise AssertionError("unreachable")

    def _respond(
        self, answer: http.client.HTTPResponse, content: bytes, fault: Fault | None
    ) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in OWN_HEADERS:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if fault == "response cut off half way":
            self.wfile.write(content[: len(content) // 2])
            self._close()
        elif fault == "slow response":
            size = max(1, -(-len(content) // PIECES))
            for start in range(0, max(1, len(content)), size):
                time.sleep(SLOW_SECONDS / PIECES)
                self.wfile.write(content[start : start + size])
        else:
            self.wfile.write(content)

    def _respond_with_error(self, status: int, code: bytes) -> None:
        content = b"" if self.command == "HEAD" else ERROR % code
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _close(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _wait_for_the_client_to_close(self) -> None:
        select.select([self.connection], [], [], HANG_SECONDS)
        self._close()

    def _kill_client(self) -> None:
        """Kill the worker process at the other end of this connection, as lack of memory would."""
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(
                    connection.laddr == self.client_address
                    for connection in process.net_connections("tcp")
                ):
                    os.kill(process.pid, signal.SIGKILL)
        self._close()
