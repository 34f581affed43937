"""`darkroom deploy` on the emulator: a new stack, no changes, other changes, and failures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from darkroom import cli
from darkroom.bundle.build import Package
from darkroom.deploy.protection import protected
from darkroom.emulator import deployment
from darkroom.emulator.ministack import Emulator
from tests.e2e import pictures
from tests.e2e.harness import Operator, Pipeline

NAME = "by-command"
BUCKET = "by-command-code"
BUILD = str(Path(__file__).parents[2] / "build")


@pytest.fixture(scope="module")
def code_bucket(emulator: Emulator, package: Package) -> str:
    """An empty bucket; the package is built already."""
    assert package
    emulator.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": emulator.region}
    )
    return BUCKET


@pytest.fixture
def operator(code_bucket: str, terminal: Callable[[str], Operator]) -> Operator:
    assert code_bucket
    return terminal(NAME)


def pipeline_file(content: str) -> str:
    path = Path("mine.toml")
    path.write_text(content, "utf-8")
    return str(path)


def says(operator: Operator, *arguments: str, status: int = 1) -> str:
    """Return what the command writes to standard error when it fails."""
    operator.capture.readouterr()
    assert cli.main(["deploy", "--stack-name", NAME, *arguments]) == status
    return operator.capture.readouterr().err


def test_one_command_from_specification_to_thumbnails(
    emulator: Emulator, operator: Operator
) -> None:
    """D8: package, preflight, change set, events, canary; then no changes, and status 0."""
    new = ("--s3-bucket", BUCKET, "--output", BUILD, f"NamePrefix={NAME}", "--yes")
    planned = operator.reads("deploy", *new, "--dry-run")
    assert {one["action"] for one in planned["changes"]} == {"create"}
    assert NAME not in [
        one["StackName"] for one in emulator.client("cloudformation").describe_stacks()["Stacks"]
    ], "nothing is left of a dry run"

    protecting = ("--tags", "team=photos", "--termination-protection")
    done = operator.reads("deploy", *new, *protecting)
    assert done["status"] == "CREATE_COMPLETE"
    assert done["verification"]["verdict"] == "warn"  # nobody is subscribed
    assert "canary" in {one["check"] for one in done["verification"]["checks"]}
    bucket = done["outputs"]["UploadBucketName"]
    assert done["places"] == {
        "in": [f"s3://{bucket}/uploads/"],
        "out": [f"s3://{done['outputs']['ThumbnailBucketName']}/thumbnails/"],
    }
    pipeline = Pipeline(emulator, deployment.find(emulator, NAME))
    key = "uploads/cat.jpg"
    assert pipeline.thumbnails(key, pipeline.upload(key, pictures.jpeg()))

    cloudformation = emulator.client("cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
    assert stack["Tags"] == [{"Key": "team", "Value": "photos"}]
    assert stack["EnableTerminationProtection"] is True
    kept = protected(cloudformation.get_stack_policy(StackName=NAME)["StackPolicyBody"])
    assert kept
    assert kept >= {"EncryptionKey", "UploadBucket", "ThumbnailBucket", "WorkQueue"}
    assert "Worker" not in kept

    # What is not given keeps its value: bucket and prefix.
    again = operator.reads("deploy", "--output", BUILD, "--no-verify")
    assert again["changes"] == []


def test_a_removed_source_is_asked_for_twice(emulator: Emulator, operator: Operator) -> None:
    """D8: `--yes` does not cover data; a refused change set leaves nothing behind."""
    two = pipeline_file('[sources.default]\n[sources.scans]\nprefixes = ["scans/"]\n')
    options = ("--output", BUILD, "--no-verify", "--yes")
    grown = operator.reads("deploy", "--pipeline", two, *options)
    assert {"ScansUploadBucket"} <= {
        one["resource"] for one in grown["changes"] if one["action"] == "create"
    }

    asked = says(operator, *options, status=2)
    assert "ScansUploadBucket (delete: the old resource is retained, outside the stack)" in asked
    listed = emulator.client("cloudformation").list_change_sets(StackName=NAME)["Summaries"]
    assert "AVAILABLE" not in {one["ExecutionStatus"] for one in listed}
    shrunk = operator.reads("deploy", *options, "--replace-data")
    assert shrunk["status"] == "UPDATE_COMPLETE"
    policy = emulator.client("cloudformation").get_stack_policy(StackName=NAME)["StackPolicyBody"]
    kept = protected(policy)
    assert kept
    assert "UploadBucket" in kept
    assert "ScansUploadBucket" not in kept


def test_the_reason_of_a_failure_comes_first(emulator: Emulator, operator: Operator) -> None:
    """D8: then what is rolled back, and what to do; the stack still works."""
    (raised, other) = (f"{NAME}-dead-letters", f"{NAME}-retries")
    emulator.client("cloudwatch").set_alarm_state(
        AlarmName=raised, StateValue="ALARM", StateReason="a dead letter of yesterday"
    )
    error = says(operator, "--output", BUILD, "--yes", "CodeKey=gone.zip", "MemorySize=2048")
    assert f"  but not {raised}, which is in ALARM already" in error
    assert other in error
    last = error[error.index("error: ") :].splitlines()
    assert last[0].startswith("error: Worker: ")
    assert "gone.zip" in last[0]
    assert last[1].endswith("(UPDATE_ROLLBACK_COMPLETE). It is as it was before.")
    assert " UPDATE_FAILED Worker (Lambda::Function): " in error, "and as it came"
    again = operator.reads("deploy", "--output", BUILD, "--no-verify")
    assert again["changes"] == []


def test_nothing_is_deployed_where_preflight_fails(operator: Operator) -> None:
    """D8, D4: the checks' table is the result, and the status 1."""
    found = operator.does("deploy", "--output", BUILD, "--yes", "MemorySize=1", status=1)
    assert "MemorySize is 1, below" in found
