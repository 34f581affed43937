"""The Lambda handler of the upload API: presigned uploads, and what has become of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from worker import logs
from worker.api_ids import caller_folder, new_id, parse_id
from worker.api_requests import Problem, parse_description
from worker.api_settings import ApiSettings
from worker.api_states import EXPIRY_SECONDS, state_of
from worker.logs import LOGGER, fields
from worker.session import create_session

PROBLEM = "application/problem+json"

Answer = dict[str, Any]
"""What API Gateway takes from a function: status, headers and body."""


def handle(event: Mapping[str, Any], context: object) -> Answer:
    """Answer one request of API Gateway.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    return _api().answer(event, getattr(context, "aws_request_id", None))


@cache
def _api() -> Api:
    """Set up once per execution environment: at the first event, so that importing needs no AWS."""
    settings = ApiSettings.from_environment(os.environ)
    logs.configure(settings.log_level, os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "api"))
    client = create_session().create_client("s3", config=client_config())
    return Api(settings, client)


def client_config() -> Config:
    """Return the configuration of the client of S3, whose answers a caller waits for."""
    return Config(
        # Only this version signs headers, and so the bytes that a URL takes.
        signature_version="s3v4",
        connect_timeout=1,
        read_timeout=3,
        retries={"mode": "standard", "total_max_attempts": 2},
        # A gateway endpoint leads to its own region only, not to s3.amazonaws.com.
        s3={
            # Without it botocore signs URLs for s3.amazonaws.com in every region.
            "addressing_style": "virtual",
            "us_east_1_regional_endpoint": "regional",
        },
    )


@dataclass(frozen=True)
class Api:
    """The upload API.

    Attributes:
        settings: Its settings.
        s3: The client of S3.
        now: The time, in seconds since the epoch.
    """

    settings: ApiSettings
    s3: Any
    now: Callable[[], float] = time.time

    def answer(self, event: Mapping[str, Any], invocation: str | None = None) -> Answer:
        """Answer one request; a fault of S3 is an answer as well, and is logged.

        Args:
            event: The request.
            invocation: Lambda's id of this invocation, for the log.
        """
        request_id = str(_context(event).get("requestId", ""))
        ids = {"function_request_id": invocation, "api_request_id": request_id}
        try:
            return self._answer(event, ids)
        except Problem as problem:
            LOGGER.info(
                "request refused", extra=fields(**ids, status=problem.status, reason=str(problem))
            )
            return _answer(problem.status, {**problem.members, "request_id": request_id}, PROBLEM)
        except (BotoCoreError, ClientError, ValueError) as error:
            LOGGER.error("request failed", exc_info=error, extra=fields(**ids, status=503))
            detail = "storage did not answer as expected; the request may be repeated"
            members = Problem(503, "Unavailable", detail).members
            return _answer(503, {**members, "request_id": request_id}, PROBLEM)

    def _answer(self, event: Mapping[str, Any], ids: Mapping[str, str | None]) -> Answer:
        identity = _context(event).get("identity")
        caller = identity.get("caller") if isinstance(identity, Mapping) else None
        if not isinstance(caller, str) or not caller.partition(":")[0]:
            # API Gateway identifies every caller; without that nobody may be anybody.
            raise Problem(403, "Forbidden", "the request is not signed by an identity of IAM")
        folder = caller_folder(caller)
        match (event.get("httpMethod"), event.get("resource")):
            case ("POST", "/uploads"):
                return self._expect(event, folder, ids)
            case ("GET", "/uploads/{id}"):
                return self._find(event, folder)
        raise _unknown()

    def _expect(
        self, event: Mapping[str, Any], folder: str, ids: Mapping[str, str | None]
    ) -> Answer:
        """Return the URL of one upload, which takes exactly the bytes that were described."""
        described = parse_description(event, self.settings)
        upload = new_id(folder, described.suffix, now=self.now())
        key = upload.key(self.settings.upload_prefix)
        url = self.s3.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self.settings.upload_bucket,
                "Key": key,
                "ContentLength": described.size,
                "ContentType": described.content_type,
                "ChecksumSHA256": described.sha256,
                "IfNoneMatch": "*",  # neither a copy of the URL nor its owner overwrites
            },
            ExpiresIn=EXPIRY_SECONDS,
        )
        LOGGER.info(  # without the URL, which is a permission
            "upload expected",
            extra=fields(**ids, id=str(upload), key=key, bytes=described.size),
        )
        return _answer(
            201,
            {
                "id": str(upload),
                "key": key,
                "method": "PUT",
                "url": url,
                "headers": {
                    "content-length": str(described.size),
                    "content-type": described.content_type,
                    "if-none-match": "*",
                    "x-amz-checksum-sha256": described.sha256,
                },
                "expires": EXPIRY_SECONDS,
            },
        )

    def _find(self, event: Mapping[str, Any], folder: str) -> Answer:
        parameters = event.get("pathParameters")
        text = parameters.get("id") if isinstance(parameters, Mapping) else None
        upload = parse_id(text, folder) if isinstance(text, str) else None
        state = state_of(self.s3, self.settings, upload, now=self.now()) if upload else None
        if state is None:
            raise _unknown()
        return _answer(200, state)


def _unknown() -> Problem:
    """Return the one answer to an id that never was, that has expired or that is another's."""
    return Problem(404, "Not found", "there is no such upload")


def _context(event: Mapping[str, Any]) -> Mapping[str, Any]:
    context = event.get("requestContext")
    return context if isinstance(context, Mapping) else {}


def _answer(
    status: int, content: Mapping[str, Any], media_type: str = "application/json"
) -> Answer:
    return {
        "statusCode": status,
        # An answer may hold a URL that is a permission, or a state that changes.
        "headers": {"content-type": media_type, "cache-control": "no-store"},
        "body": json.dumps(content),
    }
