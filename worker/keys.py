"""Where outputs live: keys that are a pure function of the source's key and the output's name."""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST_KEY = 1024
"""Bytes of UTF-8 that S3 allows in a key."""

LONGEST_NAME = 64
"""Bytes of UTF-8 in an output's name."""

_LOOKS_SHORTENED = re.compile(r"~[0-9a-f]{64}\Z")


def output_key(source_key: str, name: str, output_prefix: str = "") -> str:
    """Return the key of the output `name` made from the object at `source_key`.

    `output_prefix`, here and below, is the source's: empty, or ending in `/`.
    """
    if "/" in name or not 0 < len(name.encode()) <= LONGEST_NAME:
        raise ValueError(f"output name {name!r}: 1 to {LONGEST_NAME} bytes without / are allowed")
    return output_key_prefix(source_key, output_prefix) + name


def output_key_prefix(source_key: str, output_prefix: str = "") -> str:
    """Return what the keys of all of a source's outputs begin with, up to and with the last `/`.

    Whether the source's key is cut does not depend on an output's name: all lie at one place.
    """
    return _fit(f"thumbnails/{output_prefix}", source_key, "/", spare=LONGEST_NAME)


def rejection_key(source_key: str, output_prefix: str = "") -> str:
    """Return the key of the record that says why `source_key` gave no outputs."""
    return _fit(f"rejected/{output_prefix}", source_key, ".json")


def _fit(prefix: str, source_key: str, suffix: str, *, spare: int = 0) -> str:
    """Join the three within `spare` bytes of the limit; a source key too long for that is cut.

    Its hash keeps a cut key unique. A key that only looks as if it had been cut gets its hash as
    well: otherwise it could be made to collide with one that was.
    """
    longest = LONGEST_KEY - spare
    key = prefix + source_key + suffix
    if len(key.encode()) <= longest and not _LOOKS_SHORTENED.search(source_key):
        return key
    mark = "~" + sha256(source_key.encode()).hexdigest()
    room = longest - len((prefix + mark + suffix).encode())
    # "ignore" drops the bytes of a character that the cut went through.
    return prefix + source_key.encode()[:room].decode(errors="ignore") + mark + suffix
