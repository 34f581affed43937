"""What each delivery asks of S3, counted on the wire between the worker and the emulator."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from darkroom.aws import notifications
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Pipeline
from tests.soak.faults import FaultPlan
from tests.soak.proxy import Proxy, put_before_worker
from worker import keys, records
from worker.events import SourceObject
from worker.records import Record

KEY = "uploads/counted.jpg"
OUTPUTS = 5


@dataclass
class Wire:
    """A stack whose worker's requests are seen."""

    pipeline: Pipeline
    proxy: Proxy

    def upload(self, body: bytes) -> tuple[SourceObject, dict[str, int]]:
        """Upload it; return what its event says, and its requests."""
        version = self.pipeline.upload(KEY, body)
        record = self._record(lambda record: record.source.version_id == version)
        return record.source, self.requests()

    def send(self, source: SourceObject) -> dict[str, int]:
        """Deliver an event once more, as S3 may; return its requests."""
        self.pipeline.send(notifications.notification(source))
        return self.requests()

    def delete(self) -> dict[str, int]:
        """Delete the upload; return the requests."""
        self.pipeline.s3.delete_object(Bucket=self.pipeline.uploads, Key=KEY)
        self._record(lambda record: record.state == "deleted")
        return self.requests()

    def _record(self, is_expected: Callable[[Record], bool]) -> Record:
        """Wait for the record that the event leads to: S3 sends the event after its answer."""

        def look() -> Record | None:
            stored = self.pipeline.stored(keys.record_key(KEY))
            record = records.parse(stored.body) if stored else None
            return record if record and is_expected(record) else None

        return self.pipeline.until(look, "record")

    def requests(self) -> dict[str, int]:
        """Wait until the queue is empty; return the worker's requests to S3 since the last call."""
        self.pipeline.drained()
        buckets = {self.pipeline.uploads, self.pipeline.thumbnail_bucket}
        found: Counter[str] = Counter()
        for request in self.proxy.requests:
            bucket, _, key = request.path[1:].partition("/")
            if bucket in buckets:
                assert not request.waits, "for a 100 Continue before it sends its body"
                found[request.method if key else "LIST"] += 1
        self.proxy.requests.clear()
        return dict(found)


@pytest.fixture
def wire(emulator: Emulator, package_parameters: dict[str, str]) -> Iterator[Wire]:
    plan = specification.parse({"sources": {"default": {"propagate_deletes": True}}}, origin="test")
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name="counted",
        parameters={**package_parameters, "NamePrefix": "counted"},
    )
    pipeline = Pipeline(emulator, stack)
    pipeline.drained()  # of S3's test events: the emulator loses invocations when it updates
    with Proxy(emulator, FaultPlan(seed=0, active=False)) as proxy:
        put_before_worker(proxy, emulator, stack.outputs["FunctionName"])
        yield Wire(pipeline, proxy)


def test_each_delivery_asks_for_what_it_must(wire: Wire) -> None:
    """P7: the first one reads the picture, and writes its outputs and their record: no more.

    Where something is there already, each PUT that it refuses is counted too, and the second GET
    reads the record. Only a delivery that may follow one which has failed looks at what is there.
    """
    assert len(wire.pipeline.variant_names) == OUTPUTS
    first, requests = wire.upload(pictures.jpeg())
    assert requests == {"GET": 1, "PUT": OUTPUTS + 1}
    assert wire.send(first) == {"GET": 2, "PUT": OUTPUTS}, "a duplicate writes nothing"
    retried = replace(first, time=None)  # it may be a dead letter that was sent again
    assert wire.send(retried) == {"GET": 1, "LIST": 1, "HEAD": 1}

    second, requests = wire.upload(pictures.turned(6))
    assert requests == {"GET": 2, "PUT": 2 * OUTPUTS + 1}, "each output replaces one"
    assert wire.send(first) == {"GET": 2, "PUT": OUTPUTS}, "late, it writes nothing"

    _, requests = wire.upload(b"junk")
    assert requests == {"GET": 2, "PUT": 3, "DELETE": OUTPUTS}
    assert wire.send(second) == {"GET": 2, "PUT": OUTPUTS + 1, "DELETE": OUTPUTS}

    _, requests = wire.upload(pictures.jpeg())
    assert requests == {"GET": 2, "PUT": OUTPUTS + 2, "DELETE": 1}, "the rejection goes"
    assert wire.delete() == {"HEAD": 1, "GET": 1, "PUT": 3, "DELETE": OUTPUTS}
