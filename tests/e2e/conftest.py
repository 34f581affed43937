"""One emulator for all end-to-end tests, and the stacks deployed to it."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom.bundle.build import Package
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import pipeline, specification
from tests.e2e.harness import Operator, Pipeline
from tests.workload import MAKES_THUMBNAILS, REASON

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator(plain_http=True) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def package() -> Package:
    """The worker's package in build/, where `darkroom local` finds it without a network."""
    if not MAKES_THUMBNAILS:
        pytest.skip(REASON)
    return deployment.package_for_this_host(ROOT / "build")


@pytest.fixture(scope="session")
def package_parameters(emulator: Emulator, package: Package) -> dict[str, str]:
    return deployment.package_parameters(emulator, package)


def template(plan: specification.Specification) -> dict[str, Any]:
    runnable, _ = deployment.runnable(json.loads(pipeline.render(pipeline.build(plan))))
    return runnable


@pytest.fixture(scope="session")
def running(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """The stack of the default specification, with its default parameters."""
    stack = deployment.deploy(
        emulator,
        template(specification.Specification()),
        stack_name="darkroom",
        parameters=package_parameters,
    )
    return Pipeline(emulator, stack)


@pytest.fixture(scope="session")
def impatient(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A second stack beside it, for faults: without back-off, two tries, seconds between them.

    Its WebPs are animated.
    """
    content = {
        "queues": {"default": {"max_receive_count": 2}},
        "variants": {"default": {"animated": True}},
    }
    plan = specification.parse(content, origin="test")
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name="impatient",
        parameters={**package_parameters, "NamePrefix": "impatient", "CreateSqsEndpoint": "false"},
    )
    pipeline = Pipeline(emulator, stack)
    pipeline.drained()  # S3's test events; the first invocation starts the function's process
    # Six timeouts by design; here a batch takes a second, and on a busy machine a few.
    pipeline.sqs.set_queue_attributes(
        QueueUrl=stack.outputs["WorkQueueUrl"], Attributes={"VisibilityTimeout": "5"}
    )
    return pipeline


@pytest.fixture
def terminal(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Callable[[str], Operator]:
    """A person whose environment means the emulator, for a stack by its name."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in emulator.environment.items():
        if name.startswith(("AWS_", "NO_PROXY")):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return lambda name: Operator(name, capsys, monkeypatch)


@pytest.fixture
def person(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run here work on the emulator, whatever the environment is."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in emulator.environment.items():
        if name.startswith(("AWS_", "NO_PROXY")):
            monkeypatch.setenv(name, value)
