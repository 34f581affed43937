"""What kept logs add: bytes and records to Firehose, flow logs, access logs, and objects."""

import math

from worker.limits import CONCURRENT_REQUESTS

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
"""Share of the bytes that an object of 3 to 4 MB has, by gzip; a flow log's too."""

FLOW_RECORD_BYTES = 120
"""Of a record in the default format, like AWS's examples.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-records-examples.html
"""

RECORDS_PER_CONNECTION = 2
"""One for each direction."""

ACCESS_RECORD_BYTES = 850
"""Of a request with our names and keys (tests/unit/darkroom/capacity/test_log_archive.py).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
"""

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


def flow_log_bytes(pictures: float, *, threads: int, writes: int) -> float:
    """Return at most how many bytes an invocation with this many pictures adds to the flow log.

    At most, because connections that stay open for the next invocation are not opened again: how
    long S3 keeps them is not documented.

    Args:
        pictures: Of the invocation.
        threads: Pictures at once, each of which is read through a connection.
        writes: Objects that are written for a picture, CONCURRENT_REQUESTS at once.
    """
    connections = min(threads, pictures) + min(CONCURRENT_REQUESTS, writes * pictures)
    return connections * RECORDS_PER_CONNECTION * FLOW_RECORD_BYTES


def bytes_per_second(region: str) -> float:
    """Return how many bytes per second a stream takes, before Firehose raises that by itself.

    https://docs.aws.amazon.com/firehose/latest/dev/limits.html
    """
    return (5 if region in FAST_REGIONS else 1) * 2**20
