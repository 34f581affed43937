"""The order of the versions of one source key, and which version a stored result belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from worker.events import SourceObject


def order(sequencer: str | None) -> str:
    """Return a string that sorts as S3's sequencers of one key do; an absent one sorts first.

    S3 compares sequencers as hexadecimal numbers, padded on the right with zeros to one length.
    Without its trailing zeros a sequencer sorts the same way as plain text, whatever its length.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    return (sequencer or "").upper().rstrip("0")


def compare(metadata: Mapping[str, str], source: SourceObject) -> Literal["older", "same", "newer"]:
    """Compare a stored result with the version at hand: the result is older, the same or newer.

    A version without a sequencer has no place in the order: any version that has one wins over it,
    and of two without one the later delivery wins.

    Args:
        metadata: The stored result's metadata, as `storage.identity` writes them.
        source: The version at hand.
    """
    stored, offered = order(metadata.get("source-sequencer")), order(source.sequencer)
    if stored != offered:
        return "newer" if stored > offered else "older"
    return "same" if stored or is_of(metadata, source) else "older"


def is_of(metadata: Mapping[str, str], source: SourceObject) -> bool:
    """Return whether a stored result is of this very version, whichever event named it."""
    return (
        source.version_id is not None
        and metadata.get("source-version") == source.version_id
        and metadata.get("source-etag") == source.etag
    )
