"""Keys of results: a pure function of the source's key and the output's name."""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST_KEY = 1024
"""Bytes of UTF-8 that S3 allows in a key."""

LONGEST_NAME = 64
"""Bytes of UTF-8 in an output's name."""

HASH_DIGITS = 2
"""Hexadecimal digits of the SHA-256 of a source key that `hash_prefix` puts before it."""

RECORD_NAME = "index.json"
"""The name of the record, beside the outputs."""

DEFAULT = "default"
"""The name of variants whose outputs have plain names."""

_LOOKS_SHORTENED = re.compile(r"~[0-9a-f]{64}\Z")


def output_name(width: int, format_name: str, variants: str = DEFAULT) -> str:
    """Return a thumbnail's name: `w400` for JPEG (or PNG), `w400.webp`, `w400.avif`, `w400.png`.

    Of variants that are not named `default` it begins with theirs: `square-w400.webp`.
    """
    name = f"w{width}" if format_name == "jpeg" else f"w{width}.{format_name}"
    return name if variants == DEFAULT else f"{variants}-{name}"


def output_key(
    source_key: str, name: str, output_prefix: str = "", *, hash_prefix: bool = False
) -> str:
    """Return the key of one output of the object at `source_key`.

    Args:
        source_key: The object's key.
        name: The output's name.
        output_prefix: The source's own, here and below: empty, or ending in `/`.
        hash_prefix: Whether a hash of the source's key follows it, here and below.

    Raises:
        ValueError: The name is empty, too long, the record's, or has a `/`.
    """
    if "/" in name or not 0 < len(name.encode()) <= LONGEST_NAME or name == RECORD_NAME:
        raise ValueError(
            f"output name {name!r}: 1 to {LONGEST_NAME} bytes without / are allowed, but not"
            f" {RECORD_NAME}"
        )
    return output_key_prefix(source_key, output_prefix, hash_prefix=hash_prefix) + name


def output_key_prefix(
    source_key: str, output_prefix: str = "", *, hash_prefix: bool = False
) -> str:
    """Return the prefix of the keys of all outputs of the object at `source_key`, ending in `/`.

    Whether the source's key is shortened does not depend on an output's name: all share one prefix.
    """
    hashed = f"{_hash(source_key)[:HASH_DIGITS]}/" if hash_prefix else ""
    return _fit(f"thumbnails/{output_prefix}{hashed}", source_key, "/", spare=LONGEST_NAME)


def record_key(source_key: str, output_prefix: str = "", *, hash_prefix: bool = False) -> str:
    """Return the key of the record of the object at `source_key`."""
    return output_key_prefix(source_key, output_prefix, hash_prefix=hash_prefix) + RECORD_NAME


def rejection_key(source_key: str, output_prefix: str = "") -> str:
    """Return the key of the record that says why the object at `source_key` has no outputs.

    It has no hash, so that the rejections below a prefix of source keys can be listed.
    """
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
    mark = "~" + _hash(source_key)
    room = longest - len((prefix + mark + suffix).encode())
    # "ignore" drops the bytes of a character that the cut went through.
    return prefix + source_key.encode()[:room].decode(errors="ignore") + mark + suffix


def _hash(source_key: str) -> str:
    return sha256(source_key.encode()).hexdigest()
