"""`darkroom iam-test`: a table that docs/security.md shows, JSON, and an exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from darkroom.cli import main
from darkroom.commands.iam_test import command
from darkroom.iam import least_privilege
from darkroom.iam.least_privilege import Failure
from darkroom.iam.least_privilege import Result as LeastPrivilege


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)


def test_the_command_counts() -> None:
    """S5: a table that docs/security.md shows, and the same numbers as JSON."""
    found = run()
    assert found.return_value == 0
    docs = (Path(__file__).parents[4] / "docs" / "security.md").read_text()
    assert found.stdout.strip() in docs
    counts = {words[0]: words[-2:] for words in map(str.split, found.stdout.splitlines()[1:4])}
    assert found.stdout.splitlines()[-1].startswith("PASSED: ")
    assert set(counts) == {"requests", "mutants"}
    assert all(total == passed for total, passed in counts.values())
    facts = json.loads(run("--format", "json").stdout)
    assert facts["passed"]
    assert facts["failures"] == facts["surviving_mutants"] == []
    assert f" {facts['allowed']} " in found.stdout
    assert f" {facts['denied']} " in found.stdout
    assert f" {facts['mutants']} " in found.stdout


def test_a_failure_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """S5, D6: what failed is a line of the table and an object of the JSON."""
    failure = Failure(
        expected="denied",
        action="s3:PutObject",
        resource="<UploadBucket.Arn>",
        principal="<WorkerRole.Arn>",
        reason="another action",
        policies=("WorkerRole", "S3Endpoint"),
    )
    bad = LeastPrivilege(
        allowed=2,
        denied=3,
        mutants=4,
        failures=(failure,),
        surviving_mutants=("WorkerRole.X: removed",),
    )
    monkeypatch.setattr(least_privilege, "verify", lambda _: bad)
    found = run()
    assert found.return_value == 1
    assert [line.split() for line in found.stdout.splitlines()[1:4]] == [
        ["requests", "allowed", "2", "2"],
        ["requests", "denied", "3", "2"],
        ["mutants", "detected", "4", "3"],
    ]
    assert (
        "FAILED: allowed, but must be denied: s3:PutObject on <UploadBucket.Arn> by"
        " <WorkerRole.Arn> (another action); decided by WorkerRole, S3Endpoint"
    ) in found.stdout
    assert "SURVIVED: WorkerRole.X: removed" in found.stdout
    assert found.stdout.endswith("1 wrong decision and 1 undetected mutant: the test failed.\n")
    facts = json.loads(run("--format", "json").stdout)
    assert not facts["passed"]
    assert facts["failures"][0]["reason"] == "another action"


def test_a_wrong_specification_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """D6: status 2, with the file's name."""
    assert main(["iam-test", "--pipeline", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: there is no such file" in capsys.readouterr().err
