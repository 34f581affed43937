"""New workers that are bad, deployed while pictures come in: no dead letter, no loss."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from darkroom import cli
from darkroom.bundle.build import Package
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from templates import specification
from tests.e2e.conftest import template
from tests.e2e.harness import Operator, Pipeline
from tests.e2e.test_upgrades import Uploads

NAME = "changing"

FAILS_AT_IMPORT = "raise ImportError('libmissing.so.1')"
FAILS_ON_EVERY_PICTURE = """
def process(body, source, memory):
    raise RuntimeError("a defect")
"""
IS_SLOW = """
_fast = process


def process(body, source, memory):
    import time

    time.sleep(3)
    return _fast(body, source, memory)
"""


@pytest.fixture(scope="module")
def changing(emulator: Emulator, package_parameters: dict[str, str]) -> Pipeline:
    """A stack whose messages come back after five minutes, twice at most.

    A message that a bad worker receives has no outcome for longer than a test waits.
    """
    tables = {"queues": {"default": {"max_receive_count": 2}}}
    stack = deployment.deploy(
        emulator,
        template(specification.parse(tables, origin="test")),
        stack_name=NAME,
        parameters={**package_parameters, "NamePrefix": NAME, "CreateSqsEndpoint": "false"},
    )
    pipeline = Pipeline(emulator, stack)
    pipeline.drained()
    return pipeline


@pytest.fixture
def operator(changing: Pipeline, terminal: Callable[[str], Operator]) -> Operator:
    assert changing
    return terminal(NAME)


@pytest.fixture
def uploaded(emulator: Emulator, package: Package, tmp_path: Path) -> Callable[[str, str], str]:
    """Return a function that uploads the package with more code, and returns its parameter."""

    def upload(name: str, code: str) -> str:
        path = tmp_path / name
        with zipfile.ZipFile(package.path) as old, zipfile.ZipFile(path, "w") as new:
            for entry in old.namelist():
                if entry == "worker/process.py":
                    new.writestr(entry, old.read(entry) + code.encode())
                elif not entry.startswith("worker/__pycache__/process."):
                    new.writestr(entry, old.read(entry))
        emulator.client("s3").put_object(
            Bucket=deployment.CODE_BUCKET, Key=name, Body=path.read_bytes()
        )
        return f"CodeKey={name}"

    return upload


def dead_letters(pipeline: Pipeline) -> int:
    found = pipeline.sqs.get_queue_attributes(
        QueueUrl=pipeline.stack.outputs["DeadLetterQueueUrl"],
        AttributeNames=["ApproximateNumberOfMessages"],
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (FAILS_AT_IMPORT, "libmissing.so.1"),
        (FAILS_ON_EVERY_PICTURE, "returns the message to the queue"),
        (IS_SLOW, ""),
    ],
    ids=["import", "pictures", "slow"],
)
def test_no_message_is_lost_to_a_bad_worker(
    changing: Pipeline,
    operator: Operator,
    uploaded: Callable[[str, str], str],
    code: str,
    problem: str,
    request: pytest.FixtureRequest,
) -> None:
    """Pitfall 92, R2: the old worker is back, or the slow one works; every picture is processed."""
    name: str = request.node.callspec.id
    before = code_key(changing)
    given = uploaded(f"{name}.zip", code)
    uploads = Uploads(changing, pause=1.0, most=15)
    with uploads.arriving(name):
        options = ("--code-only", given, "--yes", "--format", "json")
        status = cli.main(["deploy", "--stack-name", NAME, *options])
    _, said = operator.capture.readouterr()
    if problem:
        assert problem in said[said.index("error: ") :].splitlines()[0]
    assert code_key(changing) == (before if problem else f"{name}.zip")
    assert status == (1 if problem else 0)
    assert uploads.versions
    for key, version in uploads.versions.items():
        assert changing.thumbnails(key, version)
    changing.drained()
    assert dead_letters(changing) == 0
    failed = [line["key"] for line in changing.log_lines() if "a defect" in str(line)]
    assert all("/canary-" in key for key in failed), "no picture met the bad worker"


def code_key(pipeline: Pipeline) -> str:
    """Return the package that the stack has."""
    (stack,) = pipeline.emulator.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    found = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    return str(found["CodeKey"])


def test_back_to_the_package_of_before(
    changing: Pipeline, operator: Operator, package_parameters: dict[str, str]
) -> None:
    """D8: by name here: the emulator's events do not have the functions' properties."""
    operator.does("rollback", "--yes", status=1)
    good = package_parameters["CodeKey"]
    back = operator.reads("rollback", "--code-key", good, "--yes", "--no-verify")
    assert code_key(changing) == good
    assert "Worker" in {one["resource"] for one in back["changes"]}


def test_an_interrupted_deployment_continues(
    changing: Pipeline, operator: Operator, package_parameters: dict[str, str]
) -> None:
    """D8: it left the mapping disabled; the same command tries the worker and enables it."""
    functions = changing.emulator.client("lambda")
    (mapping,) = functions.list_event_source_mappings(
        FunctionName=changing.stack.outputs["FunctionName"]
    )["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    options = ("--code-only", f"CodeKey={package_parameters['CodeKey']}", "--yes")
    done = operator.reads("deploy", *options)
    assert done["changes"] == []
    assert functions.get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Enabled"
