"""`darkroom iam test`: a table that docs/security.md shows, JSON, and an exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from darkroom.cli import main
from darkroom.commands.iam import command
from darkroom.iam import least_privilege
from darkroom.iam.least_privilege import Failure
from darkroom.iam.least_privilege import Result as LeastPrivilege
from darkroom.iam.roles import proof


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)


def test_the_command_counts() -> None:
    """S5: a table that docs/security.md shows, and the same numbers as JSON."""
    found = run("test")
    assert found.return_value == 0
    docs = (Path(__file__).parents[4] / "docs" / "security.md").read_text()
    assert found.stdout.strip() in docs
    counts = {words[0]: words[-2:] for words in map(str.split, found.stdout.splitlines()[1:4])}
    assert found.stdout.splitlines()[-1].startswith("PASSED: ")
    assert set(counts) == {"requests", "mutants"}
    assert all(total == passed for total, passed in counts.values())
    facts = json.loads(run("test", "--format", "json").stdout)
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
    found = run("test")
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
    facts = json.loads(run("test", "--format", "json").stdout)
    assert not facts["passed"]
    assert facts["failures"][0]["reason"] == "another action"


def test_a_wrong_specification_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """D6: status 2, with the file's name."""
    assert main(["iam", "test", "--pipeline", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: there is no such file" in capsys.readouterr().err


def test_the_test_of_the_deploy_role_is_documented() -> None:
    """S5: docs/security.md shows its table."""
    found = run("deploy-role", "--test")
    assert found.return_value == 0
    docs = (Path(__file__).parents[4] / "docs" / "security.md").read_text()
    assert found.stdout.strip() in docs


@pytest.mark.parametrize("kind", ["deploy-role", "operator-role", "read-only-role"])
def test_a_role_is_printed_or_written(kind: str, tmp_path: Path) -> None:
    """S5: as a template for `aws cloudformation deploy`."""
    printed = run(kind)
    assert printed.return_value == 0
    assert json.loads(printed.stdout)["Outputs"]["RoleArn"]
    assert run(kind, "--output", str(tmp_path / "role.json")).stdout == ""
    assert (tmp_path / "role.json").read_text() == printed.stdout


def test_a_role_that_fails_its_test_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """S5, D6: in CI."""
    bad = LeastPrivilege(allowed=1, denied=1, mutants=1, failures=(), surviving_mutants=("X",))
    monkeypatch.setattr(proof, "verify", lambda *_: bad)
    found = run("operator-role", "--test")
    assert found.return_value == 1
    assert "SURVIVED: X" in found.stdout
