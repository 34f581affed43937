"""Where outputs live: keys that are a pure function of the source's key and the output's name."""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST_KEY = 1024
"""Bytes of UTF-8 that S3 allows in a key."""

_LOOKS_SHORTENED = re.compile(r"~[0-9a-f]{64}\Z")


def output_key(source_key: str, name: str) -> str:
    """Return the key of the output `name` made from the object at `source_key`."""
    return _fit("thumbnails/", source_key, f"/{name}")


def rejection_key(source_key: str) -> str:
    """Return the key of the record that says why `source_key` gave no outputs."""
    return _fit("rejected/", source_key, ".json")


def _fit(prefix: str, source_key: str, suffix: str) -> str:
    """Join the three; a source key too long for it is cut and its hash keeps it unique.

    A key that only looks as if it had been cut gets its hash as well: otherwise it could be made
    to collide with one that was.
    """
    key = prefix + source_key + suffix
    if len(key.encode()) <= LONGEST_KEY and not _LOOKS_SHORTENED.search(source_key):
        return key
    mark = "~" + sha256(source_key.encode()).hexdigest()
    room = LONGEST_KEY - len((prefix + mark + suffix).encode())
    # "ignore" drops the bytes of a character that the cut went through.
    return prefix + source_key.encode()[:room].decode(errors="ignore") + mark + suffix
