"""The sizes of the log archive's records and objects, by gzip of lines like the worker's."""

import gzip
import json
import random
from uuid import UUID

import pytest

from darkroom.capacity import log_archive
from worker.metrics import Metrics

RANDOM = random.Random(1)  # noqa: S311 - ids that gzip cannot shorten, the same in every run


def identifier() -> str:
    return str(UUID(int=RANDOM.getrandbits(128)))


def picture(request: str) -> str:
    """Return a line about a picture (docs/logs.md)."""
    return json.dumps(
        {
            "timestamp": f"2026-11-27T16:12:{RANDOM.uniform(10, 59):.3f}Z",
            "level": "INFO",
            "message": "The outputs are written",
            "service": "darkroom-prod-worker",
            "function_request_id": request,
            "cold_start": False,
            "message_id": identifier(),
            "receive_count": 1,
            "source": "default",
            "bucket": "darkroom-prod-uploads-111122223333-us-east-1",
            "key": f"uploads/2026/11/{identifier()}.jpg",
            "version_id": identifier().replace("-", ""),
            "outcome": "succeeded",
            "duration_ms": RANDOM.randrange(300, 900),
            "processing_ms": RANDOM.randrange(100, 600),
            "bytes_in": RANDOM.randrange(10**6, 9 * 10**6),
            "bytes_out": RANDOM.randrange(10**5, 5 * 10**5),
            "output_count": 6,
        }
    )


def invocation(pictures: int) -> list[str]:
    """Return the lines of an invocation: Lambda's, and the worker's with its metrics."""
    request, metrics = identifier(), Metrics()
    for name in ("EndToEndLatency", "ProcessingTime"):
        metrics.observe(name, RANDOM.randrange(1000))
    return [
        f"START RequestId: {request} Version: $LATEST",
        *(picture(request) for _ in range(pictures)),
        metrics.line({"Function": "darkroom-prod-worker"}),
        f"END RequestId: {request}",
        f"REPORT RequestId: {request}\tDuration: {RANDOM.uniform(300, 900):.2f} ms\t"
        f"Billed Duration: 512 ms\tMemory Size: 1792 MB\tMax Memory Used: 321 MB",
    ]


def record(lines: list[str]) -> bytes:
    """Return what CloudWatch Logs sends to Firehose.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
    """
    events = [
        {"id": str(RANDOM.randrange(10**55, 10**56)), "timestamp": 1795799999000, "message": line}
        for line in lines
    ]
    content = {
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": "/darkroom-prod/worker",
        "logStream": f"2026/11/27/[$LATEST]{identifier()}",
        "subscriptionFilters": ["darkroom-prod-worker-log-subscription"],
        "logEvents": events,
    }
    return gzip.compress(json.dumps(content).encode())


@pytest.mark.parametrize("pictures", [1, 5, 50, 100])
def test_a_record_has_the_bytes_that_are_planned_for(pictures: int) -> None:
    """O6: what the quota and the price of the archive rest on."""
    sizes = [len(record(invocation(pictures))) for _ in range(20)]
    assert sum(sizes) / 20 == pytest.approx(log_archive.record_bytes(pictures), rel=0.15)


@pytest.mark.parametrize("pictures", [1, 5])
def test_an_object_is_as_small_as_planned(pictures: int) -> None:
    """O6: what the storage of the archive rests on."""
    lines = [line for _ in range(800) for line in invocation(pictures)]
    content = "\n".join(lines).encode()
    share = len(gzip.compress(content)) / len(content)
    assert share == pytest.approx(log_archive.COMPRESSED, rel=0.25)


def test_a_flow_logs_record_is_as_long_as_planned() -> None:
    """D6: the default format, and how gzip shortens it."""
    lines = []
    for _ in range(5_000):
        interface = RANDOM.choice(["eni-1235b8ca123456789", "eni-0fedcba9876543210"])
        ours = f"10.0.{RANDOM.randrange(2)}.{RANDOM.randrange(10, 250)}"
        theirs = f"52.216.{RANDOM.randrange(256)}.{RANDOM.randrange(256)}"
        port, packets = RANDOM.randrange(1024, 65536), RANDOM.randrange(10, 400)
        counted = f"6 {packets} {packets * RANDOM.randrange(60, 1400)}"
        ended = f"1795799{RANDOM.randrange(100, 999)} 1795799999 ACCEPT OK"
        lines += [
            f"2 111122223333 {interface} {way} {counted} {ended}\n"
            for way in (f"{ours} {theirs} {port} 443", f"{theirs} {ours} 443 {port}")
        ]
    content = "".join(lines).encode()
    assert len(content) / len(lines) == pytest.approx(log_archive.FLOW_RECORD_BYTES, rel=0.05)
    share = len(gzip.compress(content)) / len(content)
    assert share == pytest.approx(log_archive.COMPRESSED, rel=0.25)


def test_an_access_logs_record_is_as_long_as_planned() -> None:
    """D6: AWS's example with our names: a PUT of a thumbnail by the worker's role."""
    bucket = "darkroom-prod-thumbnails-111122223333-us-east-1"
    key = f"thumbnails/uploads/2026/11/{identifier()}.jpg/w1024.webp"
    role = "darkroom-prod-WorkerRole-1ABCDEFGHIJKL/darkroom-prod-worker"
    host = "s3.us-east-1.amazonaws.com"
    record = (
        f"{'a' * 64} {bucket} [27/Nov/2026:16:12:38 +0000] 10.0.1.17"
        f" arn:aws:sts::111122223333:assumed-role/{role} {'B' * 16} REST.PUT.OBJECT {key}"
        f' "PUT /{bucket}/{key} HTTP/1.1" 200 - - 40123 41 12 "-"'
        f' "Boto3/1.42.0 md/Botocore#1.42.0 ua/2.1 os/linux lang/python#3.13'
        f' cfg/retry-mode#standard"'
        f" {'v' * 32} {'h' * 76} SigV4 TLS_AES_128_GCM_SHA256 AuthHeader {bucket}.{host}"
        f" TLSv1.3 - -\n"
    )
    assert len(record) == pytest.approx(log_archive.ACCESS_RECORD_BYTES, rel=0.05)
