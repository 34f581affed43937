import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom.cloudformation.resolver import Reading
from darkroom.commands.package import Package
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from darkroom.errors import UserError
from templates import pipeline, specification


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    plan = specification.parse({}, origin="test")
    template: dict[str, Any] = json.loads(pipeline.render(pipeline.build(plan)))
    return template


def references(value: object) -> Iterator[str]:
    """Every logical id that a template's part refers to."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key in {"Fn::GetAtt", "DependsOn"}:
                yield from [item] if isinstance(item, str) else item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.mark.parametrize(("kind", "part"), deployment.REFUSED)
def test_what_is_removed_is_really_refused(
    emulator: Emulator, generated: dict[str, Any], kind: str, part: str
) -> None:
    """D5: the list is minimal: with any line of it left in, the embedded AWS refuses the stack."""
    stack = Reading(generated)
    properties = next(
        found
        for found in stack.of_type(kind.removeprefix("AWS::")).values()
        if not part or part in found
    )
    assert properties
    # By itself, so that nothing else can be what is refused.
    alone = {"Type": kind, "Properties": {part: properties[part]} if part else {}}
    with pytest.raises(UserError, match=f"{kind}.*{part}"):
        deployment.deploy(
            emulator, {"Resources": {"Refused": alone}}, stack_name="refused", parameters={}
        )


def test_nothing_else_is_changed(generated: dict[str, Any]) -> None:
    """D5: what is deployed is the generated template less the list, and nothing misses it."""
    before = json.dumps(generated)
    runnable, removed = deployment.runnable(generated)
    assert json.dumps(generated) == before
    assert set(removed.values()) == set(deployment.REFUSED.values())
    assert runnable == {
        **generated,
        "Resources": {
            name: item for name, item in generated["Resources"].items() if name not in removed
        },
    }
    assert not set(references(runnable)) & set(removed)


def test_the_concurrency_needs_its_correction(
    emulator: Emulator, generated: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """D5: the day the embedded AWS converts numbers itself, the correction can go."""
    archive = tmp_path / "worker.zip"
    archive.write_bytes(b"PK\x05\x06" + bytes(18))  # an empty zip: nothing is run here
    package = Package(path=archive, sha256="", size=22, unpacked_size=0, bytecode=None)
    template, _ = deployment.runnable(generated)
    parameters = deployment.package_parameters(emulator, package)

    def complaints(name: str) -> int:
        """How often its poller fails in three seconds; it polls every second."""
        stack_parameters = {**parameters, "NamePrefix": name}
        deployment.deploy(emulator, template, stack_name=name, parameters=stack_parameters)
        before = emulator.log.read_text().count(failure)
        time.sleep(3)
        emulator.client("cloudformation").delete_stack(StackName=name)
        return emulator.log.read_text().count(failure) - before

    failure = "poller error: '>=' not supported between instances of 'int' and 'str'"
    assert complaints("corrected") == 0
    monkeypatch.setattr(deployment, "_correct_concurrency", lambda *_: None)
    assert complaints("uncorrected") > 0


def test_a_failure_names_the_resource_and_its_reason(emulator: Emulator) -> None:
    """Trap 1, for one: the CLI alone would say "Failed to create/update the stack"."""
    notification = {"Event": "s3:ObjectCreated:*", "Queue": "arn:aws:sqs:eu-west-1:1:nowhere"}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"NotificationConfiguration": {"QueueConfigurations": [notification]}},
    }
    template = {"Resources": {"Broken": bucket}}
    with pytest.raises(UserError, match=r"(?s)aws cloudformation deploy.*Broken: .*Unable to val"):
        deployment.deploy(emulator, template, stack_name="stack", parameters={})
