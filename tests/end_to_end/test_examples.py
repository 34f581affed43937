"""The example specifications, each deployed and put to work."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ops import deployment
from ops.emulator import Emulator
from templates import specification
from tests.end_to_end import pictures
from tests.end_to_end.conftest import template
from tests.end_to_end.running import Pipeline
from tests.shapes.measuring import EXAMPLES


def _network(emulator: Emulator) -> dict[str, str]:
    """An account's own network with its endpoints: what `vpc = "existing"` is told."""
    ec2 = emulator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=zones[n])
        for n in range(2)
    ]
    group = ec2.create_security_group(GroupName="doors", Description="doors", VpcId=vpc)["GroupId"]
    name = f"com.amazonaws.{emulator.region}.s3"
    door = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=name)["VpcEndpoint"]["VpcEndpointId"]
    return {
        "VpcId": vpc,
        "SubnetIds": ",".join(subnet["Subnet"]["SubnetId"] for subnet in subnets),
        "StorageEndpointId": door,
        "QueueEndpointSecurityGroupId": group,
    }


def _parameters(name: str, emulator: Emulator) -> Mapping[str, str]:
    if name == "regulated":
        # Boundary and signing are refused where they name nothing: the template's tests have them.
        return {**_network(emulator), "UploadRanges": "127.0.0.0/8"}
    if name == "web":
        return {
            "DomainName": "pictures.example.com",
            "CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/c",
            "WebAclArn": "arn:aws:wafv2:us-east-1:000000000000:global/webacl/w/1",
        }
    return {}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(
    path: Path, emulator: Emulator, package_parameters: dict[str, str]
) -> None:
    """D5, T5: through the rights, events and settings of its own template, from each bucket."""
    plan = specification.load(path)
    name = path.stem
    stack = deployment.deploy(
        emulator,
        template(plan),
        stack_name=name,
        parameters={**package_parameters, **_parameters(name, emulator), "NamePrefix": name},
    )
    for source, settings in plan.sources.items():
        one = Pipeline(emulator, stack, source)
        key = f"{settings.prefixes[0]}a cat.jpg"
        stored = one.thumbnails(key, one.upload(key, pictures.jpeg()))
        made = plan.variants[settings.variants]
        assert len(stored) == len(made.widths) * len(made.formats)
        first = next(iter(stored.values()))
        assert first.head["CacheControl"] == made.cache_control
        assert first.metadata["source-bucket"] == one.uploads
        if settings.follow_deletes:
            one.s3.delete_object(Bucket=one.uploads, Key=key)
            assert one.rejection(key)["reason"] == "deleted"
