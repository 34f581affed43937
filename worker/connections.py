"""Opens a client's first connection before its threads open theirs."""

import threading
from typing import Any


def send_first_request_alone(client: Any) -> Any:
    """Let a botocore client's first request be answered before it sends another; return the client.

    Each connection loads the certificate authorities into the TLS context that all of them share.
    OpenSSL 3 may crash the process if another thread verifies a certificate while the first of them
    adds these (https://github.com/urllib3/urllib3/issues/3155); later ones add nothing.
    """
    first = _FirstRequest()
    client.meta.events.register("before-send", first.wait)
    client.meta.events.register("response-received", first.end)
    return client


class _FirstRequest:
    def __init__(self) -> None:
        self._sending = threading.Lock()
        self._sender: int | None = None
        self._is_answered = False

    def wait(self, **_: object) -> None:
        """Return when it is answered, or if the caller's own is to be the first."""
        if self._is_answered:
            return
        self._sending.acquire()
        if self._is_answered:
            self._sending.release()
        else:
            self._sender = threading.get_ident()

    def end(self, *, exception: Exception | None = None, **_: object) -> None:
        """Let others send; after an error, the next is the first one again."""
        if self._sender == threading.get_ident():
            self._sender = None
            self._is_answered = exception is None
            self._sending.release()
