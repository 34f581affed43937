"""A poison message: an image that ends every invocation, and what becomes of its batch."""

from collections.abc import Iterator

import pytest

from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e import pictures
from tests.e2e.conftest import template
from tests.e2e.harness import Pipeline
from tests.soak.faults import FaultPlan
from tests.soak.observations import dead_letters
from tests.soak.proxy import Proxy, put_before_worker

POISON = "uploads/kills its worker.jpg"
OTHERS = [f"uploads/other {number}.jpg" for number in range(4)]
BATCH_SIZE = 1 + len(OTHERS)
VISIBILITY_SECONDS = 3


@pytest.fixture
def poisoned(emulator: Emulator, package_parameters: dict[str, str]) -> Iterator[Pipeline]:
    """A stack whose worker dies, as if out of memory, whenever it reads the object POISON."""
    plan = specification.parse({"queues": {"default": {"batch_size": BATCH_SIZE}}}, origin="test")
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name="poisoned",
        parameters={**package_parameters, "NamePrefix": "poisoned"},
    )
    pipeline = Pipeline(emulator, stack)
    pipeline.drained()  # of S3's test events: the emulator loses invocations when it updates
    faults = FaultPlan(seed=0, poison={f"/{pipeline.uploads}/{POISON}"}, active=False)
    with Proxy(emulator, faults) as proxy:
        name = pipeline.stack.outputs["FunctionName"]
        put_before_worker(proxy, emulator, name, VISIBILITY_TIMEOUT=str(VISIBILITY_SECONDS))
        pipeline.sqs.set_queue_attributes(  # six function time-outs by construction
            QueueUrl=stack.outputs["WorkQueueUrl"],
            Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)},
        )
        yield pipeline


def test_a_poison_message_ends_alone(poisoned: Pipeline) -> None:
    """T4, P5, R1, R2: the rest of its batch gets thumbnails; only its message is a dead letter."""
    client = poisoned.emulator.client("lambda")
    (mapping,) = client.list_event_source_mappings(
        FunctionName=poisoned.stack.outputs["FunctionName"]
    )["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    killed = poisoned.upload(POISON, pictures.jpeg())  # the first of the batch: the worst place
    versions = {key: poisoned.upload(key, pictures.jpeg()) for key in OTHERS}
    poisoned.until(lambda: poisoned.waiting() >= BATCH_SIZE or None, "all messages")
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    poisoned.drained()
    for key, version in versions.items():
        poisoned.thumbnails(key, version)
    assert [dead_letter.objects for dead_letter in dead_letters(poisoned)] == [{(POISON, killed)}]
