import json
import re
from pathlib import Path

import pytest
from cfnlint.helpers import REGIONS

from darkroom.cloudformation.parameters import violation
from darkroom.cloudformation.resolver import ResolvedTemplate
from templates.parameters import regions
from tests.unit.templates.conftest import generate

FILES = sorted((Path(__file__).parents[3] / "params").glob("*.json"))
# Partitions this stack is not for: their endpoints carry names of their own.
OTHER_PARTITIONS = ("us-iso", "eu-isoe", "eusc-")


def test_parameters_are_grouped_described_and_bounded(stack: ResolvedTemplate) -> None:
    """D2, R4: a console form a person can fill in."""
    groups = stack.template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(stack.template["Parameters"])
    for name, parameter in stack.template["Parameters"].items():
        assert len(parameter["Description"]) > 10, name
        bounds = {"AllowedPattern", "AllowedValues", "MaxValue"} & set(parameter)
        assert bounds or parameter["Type"] == "CommaDelimitedList", name


def test_defaults_satisfy_their_own_bounds(stack: ResolvedTemplate) -> None:
    for name, parameter in stack.template["Parameters"].items():
        if "Default" in parameter:
            assert not violation(parameter, parameter["Default"]), name


def test_only_the_code_must_be_given(stack: ResolvedTemplate) -> None:
    """D7: everything else has a default that works in a new account."""
    required = {
        name
        for name, parameter in stack.template["Parameters"].items()
        if "Default" not in parameter
    }
    assert required == {"CodeBucket", "CodeKey"}


ARN = "arn:aws-cn:iam::111122223333:policy/edge"
SIGNING = "arn:aws:lambda:eu-west-1:111122223333:code-signing-config:csc-"
KEY = "arn:aws:kms:eu-west-1:111122223333:key"
TOPIC = "arn:aws:sns:eu-west-1:444455556666"
# Of each text: values at its bounds, and just beyond them.
TEXTS: dict[str, tuple[list[str], list[str]]] = {
    # Pitfall 82: a hyphen and more follow the prefix in a bucket's name.
    "NamePrefix": (
        [
            *("darkroom", "a1", "x" * 20),
            *("xn-a", "xn", "sthrees", "amzn-s3-demos", "amzn-s3", "a-xn--a"),
        ],
        [
            *("A", "-a", "a-", "1a", "a_b", "", "x" * 21),
            *("xn--a", "sthree", "sthree-a", "amzn-s3-demo", "amzn-s3-demo-a"),
        ],
    ),
    "Environment": (["d", "x" * 64], ["", "x" * 65, "a b"]),
    "CodeBucket": (["my-code", "a1b", "x" * 63], ["My-Code", "x1", "", "x" * 64, "-ab"]),
    "CodeKey": (["a.zip", "x" * 1020 + ".zip"], ["code.tar", "", ".zip", "x" * 1021 + ".zip"]),
    "CodeSigningConfigArn": (
        ["", f"{SIGNING}{'0' * 17}"],
        [f"{SIGNING}{'0' * 16}", f"{SIGNING}{'0' * 18}", "csc-0"],
    ),
    "VpcCidr": (
        [
            *("10.0.0.0/16", "10.255.255.0/24", "10.0.0.0/24", "172.16.0.0/16", "172.31.0.0/24"),
            *("192.168.0.0/16", "192.168.255.0/24"),
        ],
        [
            *("10.0.0.0/15", "10.0.0.0/25", "10.256.0.0/24", "10.0.300.0/24", "9.0.0.0/24"),
            *("172.15.0.0/24", "172.32.0.0/24", "192.167.0.0/24", "192.169.0.0/24", "0.0.0.0/0"),
        ],
    ),
    "S3PrefixListId": (["", "pl-6da54004", "pl-0123456789abcdef0"], ["0.0.0.0/0", "pl-", "pl-g"]),
    "CriticalAlarmEmail": (["", "ops@example.com", "a@b.c"], ["ops", "a b@c.d", "a@b", "a@@b.c"]),
    "WarningAlarmEmail": (["", "ops@example.com", "a@b.c"], ["ops", "a b@c.d", "a@b", "a@@b.c"]),
    "ExistingCriticalTopicArn": (["", f"{TOPIC}:on-call"], [f"{TOPIC}:a.fifo", "on-call", TOPIC]),
    "ExistingWarningTopicArn": (["", f"{TOPIC}:on-call"], [f"{TOPIC}:a.fifo", "on-call", TOPIC]),
    "AlarmTopicKmsKeyArn": (["", f"{KEY}/0"], [f"{KEY}/", "alias/alarms"]),
    "FeedBucketName": (["my-bucket", "a1b", "x" * 63], ["My-Bucket", "x1", "", "x" * 64]),
    "FeedKmsKeyArn": (["", f"{KEY}/0"], [f"{KEY}/", "alias/feed"]),
    "FeedTopicArn": ([f"{TOPIC}:t", f"{TOPIC}:{'t' * 256}"], ["", TOPIC, f"{TOPIC}:{'t' * 257}"]),
    "PermissionsBoundaryArn": (
        ["", ARN, "arn:aws:iam::aws:policy/PowerUserAccess"],
        ["edge", ARN.removesuffix("edge"), ARN.replace("1111", "111", 1)],
    ),
}


def test_every_parameter_takes_its_bounds_and_nothing_beyond() -> None:
    """R4, pitfall 17, pitfall 44: sane values pass, others stop before anything is created."""
    stack = generate(
        network={"availability_zones": 4}, sources={"default": {}, "feed": {"type": "sns"}}
    )
    texts = set()
    for name, parameter in stack.template["Parameters"].items():
        if "AllowedValues" in parameter:
            good = [str(value) for value in parameter["AllowedValues"]]
            bad = ["", good[0] + good[-1], good[0] + " "]
        elif parameter["Type"] == "Number":
            least, most = parameter["MinValue"], parameter["MaxValue"]
            good, bad = [str(least), str(most)], [str(least - 1), str(most + 1), "many", ""]
        elif parameter["Type"] == "String":
            good, bad = TEXTS[name]
            texts.add(name)
        elif name == "AllowedUploadCidrs":
            good = ["", "198.51.100.0/24", "10.0.0.0/1, 192.0.2.1/32", "::/1", "2001:DB8::/128"]
            bad = ["0.0.0.0/0", "::/0", "10.0.0.0/0", "198.51.100.0/24,::/00", "192.0.2.1", "all"]
        else:
            good, bad = ["", "a,b"], ["x" * 4097]  # a list: what is in it, the template's rules see
        assert [value for value in good if violation(parameter, value)] == [], name
        assert [value for value in bad if not violation(parameter, value)] == [], name
    assert texts == TEXTS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_a_parameter_file_is_what_deploy_takes(stack: ResolvedTemplate, path: Path) -> None:
    """Pitfall 36, D4: a list of Key=Value, known keys, values within bounds, rules kept."""
    lines = json.loads(path.read_text())
    values = dict(line.split("=", 1) for line in lines)
    assert len(values) == len(lines)
    for name, value in values.items():
        assert not violation(stack.template["Parameters"][name], value), name
    assert stack.with_parameters(**values).broken_rules() == []


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
    stack: ResolvedTemplate, allowed: list[str], region: str, stops: bool
) -> None:
    """D2: where an operator limits them."""
    there = stack.with_parameters(AllowedRegions=allowed, **{"AWS::Region": region})
    assert there.broken_rules() == (
        ["AllowedRegions does not include this Region."] if stops else []
    )


@pytest.mark.parametrize("region", REGIONS)
def test_the_prefix_list_is_known_or_asked_for(stack: ResolvedTemplate, region: str) -> None:
    """Pitfall 25: never silently open; a given id is enough in every region."""
    there = stack.with_parameters(**{"AWS::Region": region})
    known = region in regions.S3_PREFIX_LISTS
    assert bool(there.broken_rules()) is not known
    if region.startswith(OTHER_PARTITIONS):
        return
    # Both branches of the Fn::If must resolve, for CloudFormation may look at either.
    assert region in stack.template["Mappings"][regions.PREFIX_LIST_MAPPING]
    given = there.with_parameters(S3PrefixListId="pl-0123456789abcdef0")
    assert given.broken_rules() == []
    rule = given.properties("WorkerSecurityGroup")["SecurityGroupEgress"][0]
    assert rule["DestinationPrefixListId"] == "pl-0123456789abcdef0"


def test_a_known_prefix_list_is_an_id() -> None:
    """Pitfall 25: no range, no guess."""
    for identifier in regions.S3_PREFIX_LISTS.values():
        assert re.fullmatch("pl-[0-9a-f]{8}", identifier)


def test_a_zone_parameter_for_each_zone() -> None:
    """R3: the specification says how many, the parameters which."""
    stack = generate(network={"availability_zones": 4})
    zones = [
        name for name in stack.template["Parameters"] if name.startswith("AvailabilityZoneIndex")
    ]
    assert zones == [
        "AvailabilityZoneIndexA",
        "AvailabilityZoneIndexB",
        "AvailabilityZoneIndexC",
        "AvailabilityZoneIndexD",
    ]
