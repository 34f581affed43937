"""Ids of uploads, which name their caller's folder and their time, and the keys that follow."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import sha256

FOLDER_DIGITS = 16
"""Hexadecimal digits of the SHA-256 of a caller's unique id: 64 bits."""

_ID = re.compile(
    rf"([0-9a-f]{{{FOLDER_DIGITS}}})-"
    r"([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"
    r"(\.[A-Za-z0-9!_.'()-]*|)",
    re.ASCII,
)


@dataclass(frozen=True)
class UploadId:
    """The id of one upload.

    Attributes:
        folder: Of the caller that it was made for.
        uuid: Version 7, which begins with the time.
        suffix: The key's, in lower case.
    """

    folder: str
    uuid: str
    suffix: str

    def __str__(self) -> str:
        """Return it as callers know it."""
        return f"{self.folder}-{self.uuid}{self.suffix}"

    @property
    def time(self) -> float:
        """When it was made, in seconds since the epoch."""
        return int(self.uuid[:8] + self.uuid[9:13], 16) / 1000

    def key(self, prefix: str) -> str:
        """Return the key of the upload below a prefix."""
        return f"{prefix}{self.folder}/{self.uuid}{self.suffix}"


def caller_folder(caller: str) -> str:
    """Return the folder of a caller.

    Args:
        caller: `requestContext.identity.caller`: a user's unique id, or a role's with the name of
            the session after a colon, which whoever assumes the role chooses.
    """
    return sha256(caller.partition(":")[0].encode()).hexdigest()[:FOLDER_DIGITS]


def new_id(folder: str, suffix: str, *, now: float) -> UploadId:
    """Return a new id.

    Args:
        folder: The caller's.
        suffix: The key's, in lower case.
        now: Seconds since the epoch.
    """
    # RFC 9562, section 5.7: 48 bits of time, 74 random ones.
    number = int(now * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    digits = f"{number & ~(0x3 << 62) | 0x2 << 62:032x}"
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return UploadId(folder, "-".join(parts), suffix)


def parse_id(text: str, folder: str) -> UploadId | None:
    """Return the id that a caller gave; None if it is none of this caller's."""
    match = _ID.fullmatch(text)
    return UploadId(*match.groups()) if match and match[1] == folder else None
