"""A picture that ends every invocation that works on it, and what becomes of its batch-mates."""

from collections.abc import Iterator

import pytest

from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Pipeline
from tests.soak.faults import Plan
from tests.soak.observations import dead_letters
from tests.soak.proxy import Proxy, put_before_worker

KILLER = "uploads/kills its worker.jpg"
MATES = [f"uploads/beside it {number}.jpg" for number in range(4)]
BATCH_SIZE = 1 + len(MATES)


@pytest.fixture
def doomed(emulator: Emulator, package_parameters: dict[str, str]) -> Iterator[Pipeline]:
    """A stack whose worker dies, as if out of memory, whenever it reads the object KILLER."""
    plan = specification.parse({"queues": {"default": {"batch_size": BATCH_SIZE}}}, origin="test")
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name="doomed",
        parameters={**package_parameters, "NamePrefix": "doomed"},
    )
    pipeline = Pipeline(emulator, stack)
    pipeline.drained()  # of S3's test events: the emulator loses invocations when it updates
    faults = Plan(seed=0, doomed={f"/{pipeline.uploads}/{KILLER}"}, active=False)
    with Proxy(emulator, faults) as proxy:
        put_before_worker(proxy, emulator, pipeline.stack.outputs["FunctionName"])
        pipeline.sqs.set_queue_attributes(  # six function time-outs by construction
            QueueUrl=stack.outputs["WorkQueueUrl"], Attributes={"VisibilityTimeout": "3"}
        )
        yield pipeline


def test_a_picture_that_kills_its_worker_ends_alone(doomed: Pipeline) -> None:
    """T4, P5, R1, R2: its batch-mates get their thumbnails; only its own message is dead."""
    client = doomed.emulator.client("lambda")
    (mapping,) = client.list_event_source_mappings(
        FunctionName=doomed.stack.outputs["FunctionName"]
    )["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    killed = doomed.upload(KILLER, pictures.jpeg())  # the first of the batch: the worst place
    versions = {key: doomed.upload(key, pictures.jpeg()) for key in MATES}
    doomed.until(lambda: doomed.waiting() >= BATCH_SIZE or None, "announcements of all")
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    doomed.drained()
    for key, version in versions.items():
        doomed.thumbnails(key, version)
    assert [letter.announces for letter in dead_letters(doomed)] == [{(KILLER, killed)}]
