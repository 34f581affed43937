"""What a caller asks for: the description of a picture, validated without trusting API Gateway."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.api_settings import ApiSettings

LONGEST_BODY = 4096
"""Characters of a request's body; a description takes about 400 at most."""

LONGEST_NAME = 255
"""Characters of a picture's name."""

_FIELDS = ("name", "bytes", "sha256")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,15}", re.ASCII)
_CONTENT_TYPES = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".hif": "image/heif",
    ".jfif": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}


class Problem(Exception):  # noqa: N818 -- an answer, not an error of ours
    """A request that is answered with an error, as RFC 9457 describes it."""

    def __init__(self, status: int, title: str, detail: str, **more: str) -> None:
        """Refuse a request.

        Args:
            status: The HTTP status.
            title: The kind of problem, always the same words.
            detail: A sentence for people.
            **more: Further members, such as the `field` that is wrong.
        """
        super().__init__(detail)
        self.status = status
        self.members = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
            **more,
        }


@dataclass(frozen=True)
class Description:
    """A picture that a caller wants to upload.

    Attributes:
        suffix: The end of its name, in lower case.
        size: Its bytes.
        sha256: Of its bytes, in base64.
    """

    suffix: str
    size: int
    sha256: str

    @property
    def content_type(self) -> str:
        """The media type that its name stands for."""
        return _CONTENT_TYPES.get(self.suffix, "application/octet-stream")


def parse_description(event: Mapping[str, Any], settings: ApiSettings) -> Description:
    """Read the description in a request's body.

    Raises:
        Problem: It is not one (400), of another kind of file (415), or of too many bytes (413).
    """
    content = _content(event)
    for field in _FIELDS:
        if field not in content:
            raise _invalid(field, f"{field} is missing")
    for field in content:
        if field not in _FIELDS:
            raise Problem(
                400,
                "Invalid request",
                f"only {', '.join(_FIELDS)} are allowed",
            )
    name, size, sha256 = (content[field] for field in _FIELDS)
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= LONGEST_NAME
        or not name.isprintable()
        or not {"/", "\\"}.isdisjoint(name)
    ):
        raise _invalid(
            "name",
            f"name must be 1 to {LONGEST_NAME} printable characters without / and \\, like cat.jpg",
        )
    if type(size) is not int or size < 1:
        raise _invalid("bytes", "bytes must be a whole number of at least 1")
    if not _is_sha256(sha256):
        raise _invalid("sha256", "sha256 must be the SHA-256 of the bytes in base64, 44 characters")
    suffix = _suffix(name, settings)
    if size > settings.max_object_bytes:
        raise Problem(
            413,
            "Too large",
            f"{size} bytes; at most {settings.max_object_bytes} are allowed",
            field="bytes",
        )
    return Description(suffix, size, sha256)


def _content(event: Mapping[str, Any]) -> dict[str, Any]:
    body = event.get("body")
    if not isinstance(body, str) or len(body) > LONGEST_BODY:
        raise _not_json()
    try:
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body, validate=True).decode()
        content = json.loads(body, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _not_json() from error
    if not isinstance(content, dict):
        raise _not_json()
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return these pairs as a dictionary; another reader may take another one of two values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member twice")
    return found


def _not_json() -> Problem:
    example = '{"name": "cat.jpg", "bytes": 123, "sha256": "..."}'
    return Problem(400, "Invalid request", f"the body must be JSON like {example}")


def _invalid(field: str, detail: str) -> Problem:
    return Problem(400, "Invalid request", detail, field=field)


def _is_sha256(value: object) -> bool:
    if not isinstance(value, str) or len(value) != 44:
        return False
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    # The last character has two bits that decoders ignore, and S3 compares the text.
    return len(digest) == 32 and base64.b64encode(digest).decode() == value


def _suffix(name: str, settings: ApiSettings) -> str:
    """Return the suffix of the key: of those that the source announces (pitfall 11)."""
    lowered = name.lower()
    for suffix in settings.suffixes:
        if lowered.endswith(suffix):
            return suffix
    if not settings.suffixes:
        end = "." + lowered.rpartition(".")[2]
        return end if "." in lowered and _SUFFIX.fullmatch(end) else ""
    raise Problem(
        415,
        "Unsupported type of file",
        f"name must end with {', '.join(settings.suffixes)}",
        field="name",
    )
