"""`darkroom diff`: a table for people, JSON for programs, and an exit status for scripts."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from darkroom import cli
from darkroom.commands.diff import command
from tests.unit.templates.conftest import generate


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments], standalone_mode=False)


@pytest.fixture
def two_zones(tmp_path: Path) -> Path:
    path = tmp_path / "two zones.json"
    path.write_text(json.dumps(generate().template))
    return path


@pytest.fixture
def three_zones(tmp_path: Path) -> Path:
    path = tmp_path / "three.json"
    path.write_text(json.dumps(generate(network={"availability_zones": 3}).template))
    return path


def test_what_is_created_is_safe(two_zones: Path, three_zones: Path) -> None:
    """D6: status 0, and a count of each action."""
    found = run(two_zones, three_zones)
    assert found.return_value == 0
    rows = [line.split() for line in found.stdout.splitlines()]
    assert ["create", "PrivateSubnetC", "EC2::Subnet"] in rows
    assert found.stdout.splitlines()[-1].startswith("2 to create, ")


def test_what_is_deleted_fails(two_zones: Path, three_zones: Path) -> None:
    """D6: status 1, so that a script stops before it deploys."""
    found = run(three_zones, two_zones, "--format", "json")
    assert found.return_value == 1
    changes = json.loads(found.stdout)["changes"]
    assert {one["resource"] for one in changes if one["action"] == "delete"} == {
        "PrivateSubnetC",
        "PrivateRouteTableAssociationC",
    }
    assert changes[0]["consequence"] == "the old resource is deleted"


def test_parameters_are_reported(tmp_path: Path, two_zones: Path) -> None:
    """D4: what a deployment must pass, and what it must not pass any longer."""
    new: dict[str, Any] = dict(copy.deepcopy(generate().template))
    new["Parameters"]["Added"] = {"Type": "String"}
    del new["Parameters"]["AvailabilityZoneIndexB"]
    path = tmp_path / "new.json"
    path.write_text(json.dumps(new))
    text = run(two_zones, path).stdout
    assert "The parameter Added is new and has no default: pass a value." in text
    assert "The parameter AvailabilityZoneIndexB was removed: stop passing it." in text


def test_no_change_is_reported(two_zones: Path) -> None:
    assert run(two_zones, two_zones).stdout == "No changes.\n"


def test_a_missing_file_is_a_usage_error(
    tmp_path: Path, two_zones: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """D6: status 2, with the file's name."""
    assert cli.main(["diff", str(tmp_path / "none.json"), str(two_zones)]) == 2
    assert "none.json: cannot be read" in capsys.readouterr().err
