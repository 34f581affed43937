"""The client of a stack's upload API: signed requests, and what to do with each answer."""

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError, SSLError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from darkroom.aws.session import Account
from darkroom.aws.throttling import Pace
from darkroom.console.command import LOGGER
from darkroom.errors import UsageError, UserError

TRIES = 6
"""Of a request that fails in a way that may pass."""

THROTTLED_TRIES = 20
"""Of a request that the API throttles."""

LONGEST_PAUSE_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 60.0
"""That an API may ask for; one whose quota is used up asks for more, and the caller stops."""

THROTTLED = 429

_PASSING = frozenset({500, 502, 503, 504})
_HOST_REGION = re.compile(r"\.execute-api\.([a-z0-9-]+)\.")


class RefusedError(UserError):
    """The API or S3 refused a request."""

    def __init__(self, status: int, message: str) -> None:
        """`status` is HTTP's."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Upload:
    """An upload that the API expects."""

    id: str
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class UploadApi:
    """One API, at `url` with its stage, for the caller of `credentials` with an API key."""

    url: str
    api_key: str = field(repr=False)
    credentials: Credentials = field(repr=False)
    region: str
    send: Callable[[AWSPreparedRequest], Any] = field(repr=False)
    """Returns the answer: `status_code`, `headers` and `content`."""

    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _pace: Pace = field(default_factory=Pace, init=False, repr=False, compare=False)

    def expect(self, name: str, size: int, sha256: str) -> Upload:
        """Ask where a file may be uploaded.

        Args:
            name: The file's name, whose suffix the source must have.
            size: Its bytes.
            sha256: Of its bytes, in base64.

        Raises:
            RefusedError: With the API's reason.
        """
        content = json.dumps({"name": name, "bytes": size, "sha256": sha256}).encode()
        answer = self._ask("POST", "/uploads", content)
        return Upload(answer["id"], answer["url"], answer["headers"])

    def put(self, upload: Upload, body: bytes) -> None:
        """Upload a file's bytes; that they are there already, by a lost answer, is no error.

        Raises:
            RefusedError: With S3's reason: an expired URL, or other bytes than described.
        """

        def request() -> AWSRequest:
            return AWSRequest("PUT", upload.url, headers=dict(upload.headers), data=body)

        answer = self._send(request)
        if answer.status_code not in (200, 412):
            code = re.search(rb"<Code>(\w+)</Code>", answer.content)
            reason = code[1].decode() if code else "no reason given"
            raise RefusedError(answer.status_code, f"S3 answered {answer.status_code}, {reason}")

    def state(self, upload_id: str) -> Mapping[str, Any]:
        """Return what has become of an upload.

        Raises:
            RefusedError: With status 404 there is no such upload of this caller.
        """
        found: Mapping[str, Any] = self._ask("GET", f"/uploads/{upload_id}")
        return found

    def _ask(self, method: str, path: str, content: bytes = b"") -> Any:
        """Return the answer to a request of the API.

        Raises:
            RefusedError: With the API's reason.
            UserError: It is throttled for longer than a caller waits.
        """

        def request() -> AWSRequest:
            if (seconds := self._pace.reserve(self.clock())) > 0:
                self.sleep(seconds)
            headers = {"x-api-key": self.api_key}
            if content:
                headers["content-type"] = "application/json"
            found = AWSRequest(method, self.url.rstrip("/") + path, headers=headers, data=content)
            SigV4Auth(self.credentials, "execute-api", self._signed_region()).add_auth(found)
            return found

        for _ in range(THROTTLED_TRIES):
            answer = self._send(request)
            if answer.status_code != THROTTLED:
                self._pace.answered()
                break
            least = _retry_after(answer)
            if least > LONGEST_WAIT_SECONDS:
                break
            self._pace.throttled(self.clock(), least)
        try:
            body = json.loads(answer.content)
        except ValueError:
            body = {}
        if answer.status_code == THROTTLED:
            raise UserError(_problem(THROTTLED, body))
        if not 200 <= answer.status_code < 300 or not isinstance(body, dict):
            raise RefusedError(answer.status_code, _problem(answer.status_code, body))
        return body

    def _signed_region(self) -> str:
        found = _HOST_REGION.search(self.url)
        return found[1] if found else self.region

    def _send(self, request: Callable[[], AWSRequest]) -> Any:
        """Send a request, again while it fails in a way that may pass.

        Raises:
            UserError: There is no connection.
        """
        for number in range(1, TRIES + 1):
            prepared = request().prepare()
            error: Exception | None = None
            answer: Any = None
            try:
                answer = self.send(prepared)
            except SSLError as failure:  # no certificate becomes right by waiting
                raise _no_connection(prepared, failure) from None
            except (HTTPClientError, NoConnectionError) as failure:
                error = failure
            status = answer.status_code if answer else "no connection"
            LOGGER.info("%s %s: %s", prepared.method, prepared.url.partition("?")[0], status)
            if answer and answer.status_code not in _PASSING:
                return answer
            pause = _pause(number, answer)
            if pause > LONGEST_WAIT_SECONDS:
                break
            if number < TRIES:
                self.sleep(pause)
        if answer:
            return answer
        raise _no_connection(prepared, error)


def _no_connection(request: AWSPreparedRequest, error: Exception | None) -> UserError:
    # Not the whole URL: a presigned one is a permission.
    place = request.url.partition("?")[0]
    return UserError(f"no connection to {place}: {str(error).replace(request.url, place)}")


def _pause(number: int, answer: Any) -> float:
    """Return the seconds before the next try: as the answer says, or more from try to try."""
    most = min(LONGEST_PAUSE_SECONDS, 0.5 * 2**number)
    return max(_retry_after(answer), random.uniform(most / 2, most))  # noqa: S311  # nosec B311 # no secret


def _retry_after(answer: Any) -> float:
    given = answer.headers.get("retry-after", "") if answer else ""
    return float(given) if given.isdigit() else 0.0


def _problem(status: int, body: Any) -> str:
    """Return the API's reason as a sentence: application/problem+json, or the gateway's message."""
    content = body if isinstance(body, dict) else {}
    detail = content.get("detail") or content.get("message") or content.get("Message") or ""
    text = f"the API answered {status}" + (f": {detail}" if detail else "")
    if status == 403:
        text += "; it takes credentials that may call it, and its API key"
    return text


def http_sender(url: str, account: Account) -> Callable[[AWSPreparedRequest], Any]:
    """Return what sends requests, with the caller's proxies and certificates of authorities."""
    authorities = account.session.get_config_variable("ca_bundle")
    return URLLib3Session(verify=authorities or True, proxies=get_environ_proxies(url)).send


def parse_url(text: str) -> str:
    """Return the URL of an API without a slash at its end.

    Raises:
        UsageError: It is no HTTPS URL with a stage.
    """
    if not re.fullmatch(r"https://[^/\s?#]+(/[^/\s?#]+)+/?", text):
        raise UsageError(
            f"{text}: not the URL of an API with its stage; example:"
            " https://a1b2c3.execute-api.eu-west-1.amazonaws.com/v1"
        )
    return text.rstrip("/")
