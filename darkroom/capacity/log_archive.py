"""What the log archive adds: bytes and records to Firehose, and objects in the bucket."""

import math

RECORD_BYTES = 1_000
RECORD_BYTES_PER_PICTURE = 155
"""Of a compressed record with an invocation's lines; by gzip of 1, 5, 50 and 100 pictures' lines.

Each is sent as a record of its own: CloudWatch Logs does not document how it gathers them, and
fewer and larger records are cheaper.
"""

BILLED_BYTES = 5_000
"""Firehose bills each record in steps of these. https://aws.amazon.com/firehose/pricing/"""

OBJECT_BYTES = 5e6
OBJECT_SECONDS = 300
"""Firehose writes an object for each of them, whichever comes first (templates/log_archive.py)."""

COMPRESSED = 0.13
"""Share of the lines' bytes that an object of 3 to 4 MB has, by gzip."""

FAST_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")


def record_bytes(pictures: float) -> float:
    """Return the bytes of the record of an invocation with this many pictures."""
    return RECORD_BYTES + RECORD_BYTES_PER_PICTURE * pictures


def billed_bytes(pictures: float) -> float:
    """Return the bytes of that record that Firehose bills."""
    return math.ceil(record_bytes(pictures) / BILLED_BYTES) * BILLED_BYTES


def objects(log_bytes: float, invocations: float, seconds: float) -> float:
    """Return how many objects Firehose writes in this time for these lines."""
    return max(log_bytes / OBJECT_BYTES, min(invocations, seconds / OBJECT_SECONDS))


def bytes_per_second(region: str) -> float:
    """Return how many bytes per second a stream takes, before Firehose raises that by itself.

    https://docs.aws.amazon.com/firehose/latest/dev/limits.html
    """
    return (5 if region in FAST_REGIONS else 1) * 2**20
