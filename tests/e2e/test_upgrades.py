"""A deployed stack under another specification, and back, while pictures come in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from darkroom.cloudformation.difference import compare
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from templates.specification import Specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Pipeline
from worker import keys

# Short, so that what an update interrupts comes back within the test.
QUEUE = {"timeout_seconds": 10}
SMALLEST: dict[str, Any] = {
    "sources": {"default": {"suffixes": [".jpg"]}},
    "variants": {"default": {"widths": [64], "formats": {"jpeg": 80}}},
    "queues": {"default": QUEUE},
    "logs": {"archive": False},
}
LARGEST: dict[str, Any] = {
    "network": {"availability_zones": 3, "interface_endpoints": {"kms": ["kms:Decrypt"]}},
    "sources": {
        "default": {"suffixes": [".jpg", ".png"], "prefixes": ["uploads/", "in/"]},
        "scans": {"queue": "bulk", "variants": "small", "propagate_deletes": True},
    },
    "variants": {
        "default": {"widths": [96, 64], "formats": {"jpeg": 80, "webp": 70}},
        "small": {"widths": [32]},
    },
    "queues": {"default": {**QUEUE, "batch_size": 2}, "bulk": QUEUE},
    # An archive of the flow log takes the place of its log group, which a larger stack gives up.
    "logs": {"archive": True, "archive_flow_logs": False, "s3_access_logs": True},
    "cdn": {},
}


class Uploads:
    """Pictures that are uploaded one after the other, whatever else happens."""

    def __init__(self, pipeline: Pipeline, pause: float = 0.1, most: int = 1_000) -> None:
        """`pause` is in seconds; after `most` pictures there are no more."""
        self._pause, self._most = pause, most
        self.versions: dict[str, str] = {}
        self._pipeline = pipeline
        self._over = threading.Event()

    @contextmanager
    def arriving(self, lead: str) -> Iterator[None]:
        thread = threading.Thread(target=self._upload, args=(lead,))
        self._over.clear()
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _upload(self, lead: str) -> None:
        number = 0
        while number < self._most and not self._over.wait(self._pause):
            key = f"uploads/{lead} {number}.jpg"
            self.versions[key] = self._pipeline.upload(key, pictures.jpeg())
            number += 1


def test_the_smallest_stack_becomes_the_largest_and_back(
    emulator: Emulator, package_parameters: dict[str, str]
) -> None:
    """R2, D6: with pictures in flight, none is lost, and `darkroom diff` is right about it all."""

    def deployed(content: dict[str, Any]) -> tuple[Pipeline, dict[str, Any], Specification]:
        plan = specification.parse(content, origin="test")
        built = template(plan)
        stack = deployment.deploy(
            emulator,
            built,
            stack_name="growing",
            parameters={**package_parameters, "NamePrefix": "growing"},
        )
        pipeline = Pipeline(emulator, stack)
        # Six time-outs by construction: what an update interrupts should come back sooner here.
        pipeline.sqs.set_queue_attributes(
            QueueUrl=stack.outputs["WorkQueueUrl"], Attributes={"VisibilityTimeout": "5"}
        )
        return pipeline, built, plan

    small, smallest, plan = deployed(SMALLEST)
    uploads = Uploads(small)
    with uploads.arriving("growing"):
        large, largest, _ = deployed(LARGEST)
    assert uploads.versions
    for key, version in uploads.versions.items():  # under either specification's variants
        _made(large, key, version, plan)

    difference = compare(smallest, largest)
    lost = [one for one in difference.changes if one.action in ("replace", "delete")]
    assert not lost, "growing takes nothing away"

    other = Pipeline(emulator, large.stack, "scans")
    key = "uploads/a scan.jpg"
    assert set(other.thumbnails(key, other.upload(key, pictures.jpeg()))) == {"small-w32"}
    other.drained(queue="bulk")
    many = "uploads/many widths.jpg"
    its_version = large.upload(many, pictures.jpeg())
    before = large.thumbnails(many, its_version)

    uploads.versions.clear()
    with uploads.arriving("shrinking"):
        small, _, _ = deployed(SMALLEST)
    assert uploads.versions
    for key, version in uploads.versions.items():
        _made(small, key, version, plan)

    small.send(small.notification(many, before["w64"].metadata))
    assert set(small.thumbnails(many, its_version)) == {"w64"}
    small.drained()
    retired = [keys.output_key(many, name) for name in before if name != "w64"]
    assert not any(map(small.stored, retired)), "another delivery makes what is asked for now"

    removed = {one.resource for one in compare(largest, smallest).changes if one.action == "delete"}
    assert {"ScansUploadBucket", "BulkWorkQueue"} <= removed
    kept = [bucket["Name"] for bucket in small.s3.list_buckets()["Buckets"]]
    assert other.uploads in kept, "what holds data stays"
    queues = small.sqs.list_queues(QueueNamePrefix="growing-")["QueueUrls"]
    assert not [url for url in queues if "bulk" in url]


def _made(pipeline: Pipeline, key: str, version: str, plan: Specification) -> None:
    """Wait for what even the smallest specification makes of a picture."""
    (width,) = plan.variants["default"].widths
    name = f"thumbnails/{key}/w{width}"

    def there() -> bool | None:
        stored = pipeline.stored(name)
        return True if stored and stored.metadata["source-version"] == version else None

    pipeline.until(there, name)
