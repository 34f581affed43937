import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.helpers import REGIONS

from ops.reading import Reading
from templates import parameters
from tests.templates.conftest import generate

FILES = sorted((Path(__file__).parents[2] / "params").glob("*.json"))
# Partitions this stack is not for: their endpoints carry names of their own.
OTHER_PARTITIONS = ("us-iso", "eu-isoe", "eusc-")


def fits(parameter: dict[str, Any], value: str) -> bool:
    """Return whether CloudFormation would take `value`."""
    pattern = parameter.get("AllowedPattern", "")
    if pattern and not re.fullmatch(pattern, value):
        return False
    if "AllowedValues" in parameter:
        return value in map(str, parameter["AllowedValues"])
    if parameter["Type"] == "Number":
        return bool(parameter["MinValue"] <= int(value) <= parameter["MaxValue"])
    return bool(len(value) <= parameter.get("MaxLength", 4096))


def test_parameters_are_grouped_described_and_bounded(stack: Reading) -> None:
    """D2, R4: a console form a person can fill in."""
    groups = stack.template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(stack.template["Parameters"])
    for name, parameter in stack.template["Parameters"].items():
        assert len(parameter["Description"]) > 10, name
        bounds = {"AllowedPattern", "AllowedValues", "MaxValue"} & set(parameter)
        assert bounds or parameter["Type"] == "CommaDelimitedList", name


def test_defaults_satisfy_their_own_bounds(stack: Reading) -> None:
    for name, parameter in stack.template["Parameters"].items():
        if "Default" in parameter:
            assert fits(parameter, str(parameter["Default"])), name


def test_only_the_code_must_be_given(stack: Reading) -> None:
    """D7: everything else has a default that works in a new account."""
    required = {
        name
        for name, parameter in stack.template["Parameters"].items()
        if "Default" not in parameter
    }
    assert required == {"CodeBucket", "CodeKey"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("NamePrefix", ["darkroom", "a1", "x" * 20], ["A", "-a", "a-", "a_b", "", "x" * 21]),
        ("CodeKey", ["code/darkroom-0123.zip"], ["code.tar", ""]),
        ("CodeBucket", ["my-code"], ["My-Code", "x", ""]),
        ("MaximumConcurrency", ["2", "1000"], ["1", "1001"]),
        ("MemorySize", ["512", "10240"], ["128", "10241"]),
        ("VpcCidr", ["10.0.0.0/24", "172.31.0.0/16", "192.168.7.0/20"], ["10.0.0.0/25"]),
        ("VpcCidr", ["10.1.0.0/16"], ["8.8.8.0/24", "172.32.0.0/16", "10.0.0.0/8", "0.0.0.0/0"]),
        ("S3PrefixListId", ["", "pl-6da54004"], ["0.0.0.0/0", "pl-"]),
        ("AlarmEmail", ["", "ops@example.com"], ["ops", "a b@c.d"]),
        ("LogRetentionDays", ["30"], ["31"]),
        ("PermissionsBoundaryArn", ["", "arn:aws-cn:iam::111122223333:policy/edge"], ["edge"]),
        ("Architecture", ["arm64", "x86_64"], ["amd64"]),
    ],
)
def test_bounds_hold(stack: Reading, name: str, good: list[str], bad: list[str]) -> None:
    """R4, trap 17, trap 44: sane values pass, others stop before anything is created."""
    parameter = stack.template["Parameters"][name]
    assert [value for value in good if not fits(parameter, value)] == []
    assert [value for value in bad if fits(parameter, value)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_a_parameter_file_is_what_deploy_takes(stack: Reading, path: Path) -> None:
    """Trap 36, D4: a list of Key=Value, known keys, values within bounds, rules kept."""
    lines = json.loads(path.read_text())
    values = dict(line.split("=", 1) for line in lines)
    assert len(values) == len(lines)
    for name, value in values.items():
        assert fits(stack.template["Parameters"][name], value), name
    assert stack.given(**values).broken_rules() == []


def test_there_are_parameter_files() -> None:
    assert [path.name for path in FILES] == ["dev.json", "prod.json"]


@pytest.mark.parametrize(
    ("allowed", "region", "stops"),
    [
        (["*"], "eu-west-1", False),
        (["eu-west-1", "eu-north-1"], "eu-north-1", False),
        (["us-east-1"], "eu-west-1", True),
        (["eu-west-1x"], "eu-west-1", True),
    ],
)
def test_the_template_enforces_the_allowed_regions(
    stack: Reading, allowed: list[str], region: str, stops: bool
) -> None:
    """D2: wherever somebody wants it."""
    there = stack.given(AllowedRegions=allowed, **{"AWS::Region": region})
    assert there.broken_rules() == (["AllowedRegions does not name this region."] if stops else [])


@pytest.mark.parametrize("region", REGIONS)
def test_the_prefix_list_is_known_or_asked_for(stack: Reading, region: str) -> None:
    """Trap 25: never an open road in silence; a given id is enough in every region."""
    there = stack.given(**{"AWS::Region": region})
    known = region in parameters.S3_PREFIX_LISTS
    assert bool(there.broken_rules()) is not known
    if region.startswith(OTHER_PARTITIONS):
        return
    # Both branches of the Fn::If must resolve, for CloudFormation may look at either.
    assert region in stack.template["Mappings"][parameters.PREFIX_LIST_MAPPING]
    told = there.given(S3PrefixListId="pl-0123456789abcdef0")
    assert told.broken_rules() == []
    rule = told.properties("WorkerSecurityGroup")["SecurityGroupEgress"][0]
    assert rule["DestinationPrefixListId"] == "pl-0123456789abcdef0"


def test_a_known_prefix_list_is_an_id() -> None:
    """Trap 25: no range, no guess."""
    for identifier in parameters.S3_PREFIX_LISTS.values():
        assert re.fullmatch("pl-[0-9a-f]{8}", identifier)


def test_a_zone_parameter_for_each_zone() -> None:
    """R3: the specification says how many, the parameters which."""
    stack = generate(network={"zones": 4})
    zones = [name for name in stack.template["Parameters"] if name.startswith("Zone")]
    assert zones == ["ZoneA", "ZoneB", "ZoneC", "ZoneD"]
