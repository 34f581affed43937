import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom.bundle.build import Package
from darkroom.cloudformation.resolver import ResolvedTemplate
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
    """D5: the list is minimal: with any line of it left in, the emulator refuses the stack."""
    stack = ResolvedTemplate(generated)
    properties = next(
        found
        for found in stack.resources_of_type(kind.removeprefix("AWS::")).values()
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
    """D5: what is deployed is the generated template less the list, with a number for text."""
    before = json.dumps(generated)
    runnable, removed = deployment.runnable(generated)
    assert json.dumps(generated) == before
    assert set(removed.values()) == set(deployment.REFUSED.values())
    mapping = runnable["Resources"]["WorkerEventSourceMapping"]["Properties"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 10}
    mapping["ScalingConfig"]["MaximumConcurrency"] = {"Ref": "MaximumConcurrency"}
    kept, statements = (
        one["Resources"]["ThumbnailBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        for one in (runnable, generated)
    )
    (index,) = (at for at, one in enumerate(statements) if one.get("Sid") == "DenyOtherKeys")
    kept.insert(index, statements[index])
    assert runnable == {
        **generated,
        "Resources": {
            name: item for name, item in generated["Resources"].items() if name not in removed
        },
    }
    assert not set(references(runnable)) & set(removed)
    assert [
        note.partition(" ")[2].partition(" ")[0] for note in deployment.concurrency_notes(generated)
    ] == ["MaximumConcurrency=10"]


def test_the_concurrency_must_be_a_number(
    emulator: Emulator, generated: dict[str, Any], tmp_path: Path
) -> None:
    """D5: the day the emulator converts numbers itself, this exception can go."""
    archive = tmp_path / "worker.zip"
    archive.write_bytes(b"PK\x05\x06" + bytes(18))  # an empty zip: nothing is run here
    package = Package(archive, "", 22, 0, None, resizes_with_vectors=False)
    template, _ = deployment.runnable(generated)
    parameters = deployment.package_parameters(emulator, package)

    def complaints(name: str, template: dict[str, Any]) -> int:
        """How often its poller has failed since the stack began; it polls every second."""
        before = emulator.log.read_text().count(failure)
        stack_parameters = {**parameters, "NamePrefix": name}
        deployment.deploy(emulator, template, stack_name=name, parameters=stack_parameters)
        time.sleep(3)
        emulator.client("cloudformation").delete_stack(StackName=name)
        return emulator.log.read_text().count(failure) - before

    failure = "poller error: '>=' not supported between instances of 'int' and 'str'"
    assert complaints("number", template) == 0
    mapping = template["Resources"]["WorkerEventSourceMapping"]["Properties"]
    mapping["ScalingConfig"] = {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}}
    assert complaints("text", template) > 0


def test_a_failure_names_the_resource_and_its_reason(emulator: Emulator) -> None:
    """Pitfall 1, for one: the waiter alone would say "encountered a terminal failure state"."""
    notification = {"Event": "s3:ObjectCreated:*", "Queue": "arn:aws:sqs:eu-west-1:1:nowhere"}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"NotificationConfiguration": {"QueueConfigurations": [notification]}},
    }
    template = {"Resources": {"Broken": bucket}}
    with pytest.raises(
        UserError, match=r"(?s)The stack stack could not be deployed.*Broken: .*Unable to val"
    ):
        deployment.deploy(emulator, template, stack_name="stack", parameters={})


def test_no_change_and_a_large_template_are_no_errors(emulator: Emulator, tmp_path: Path) -> None:
    """D5: as `aws cloudformation deploy` does: again, changed, and too large to send directly."""
    archive = tmp_path / "worker.zip"
    archive.write_bytes(b"PK\x05\x06" + bytes(18))
    package = Package(archive, "", 22, 0, None, resizes_with_vectors=False)
    deployment.package_parameters(emulator, package)  # makes the bucket for large templates
    names = {"Type": "String", "Default": "one"}

    def queue_name(text: str, **parameters: str) -> str:
        template = {
            "Parameters": {"Name": names},
            "Resources": {
                "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Name"}}},
                "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": text}},
            },
            "Outputs": {"Queue": {"Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}},
        }
        given = {**parameters, "Unknown": "ignored"}
        stack = deployment.deploy(emulator, template, stack_name="again", parameters=given)
        return stack.outputs["Queue"]

    assert queue_name("") == "one"
    assert queue_name("", Name="two") == "two"
    assert queue_name("") == "two", "a parameter that is not given keeps its value"
    assert queue_name(60_000 * "a") == "two"


@pytest.mark.parametrize(
    ("system", "libc", "linux"),
    [("linux", "glibc", True), ("linux", "", False), ("darwin", "", False)],
)
def test_the_worker_is_built_for_the_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, libc: str, linux: bool
) -> None:
    """D5: Linux runs the function's own package; macOS and musl run the same locked versions."""
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.libc_ver", lambda: (libc, ""))
    called = []
    monkeypatch.setattr(deployment, "build", lambda **_: called.append("package"))
    monkeypatch.setattr(deployment, "install_for_host", lambda _: called.append("installation"))
    deployment.package_for_this_host(tmp_path)
    assert called == ["package" if linux else "installation"]


def test_an_installation_for_the_host_has_worker_and_requirements(tmp_path: Path) -> None:
    """D5: what a Mac runs: the locked requirements, with pip's check of their hashes."""
    package = deployment.install_for_host(tmp_path)
    with zipfile.ZipFile(package.path) as archive:
        names = set(archive.namelist())
    assert {"worker/handler.py", "worker/imaging/thumbnails.py", "botocore/session.py"} <= names
    assert any(name.startswith("PIL/_imaging.") for name in names)
    assert package.path.stat().st_size == package.size
    before = package.path.stat().st_mtime_ns
    assert deployment.install_for_host(tmp_path) == package
    assert package.path.stat().st_mtime_ns == before, "it is not installed again"
