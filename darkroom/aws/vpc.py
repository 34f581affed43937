"""What a network on AWS is really like: zones, prefix lists, DNS, routes and endpoints."""

from collections.abc import Iterator, Sequence
from typing import Any

from darkroom.aws.session import Account
from darkroom.checks.framework import Finding, fails, ok

DNS = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


def zones(account: Account) -> list[str]:
    """Return the zones that `Fn::GetAZs` gives, in the order that Zone parameters count.

    Where a zone has a default subnet, those without one are left out.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getavailabilityzones.html
    """
    ec2 = account.client("ec2")
    found = ec2.describe_availability_zones(
        Filters=[
            {"Name": "zone-type", "Values": ["availability-zone"]},
            {"Name": "state", "Values": ["available"]},
        ]
    )["AvailabilityZones"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    default = {
        subnet["AvailabilityZone"] for subnet in subnets["Subnets"] if subnet.get("DefaultForAz")
    }
    names = sorted(zone["ZoneName"] for zone in found)
    return [name for name in names if name in default] or names


def s3_prefix_list(account: Account) -> str | None:
    """Return the id of AWS's own prefix list for S3 in the region; None where there is none."""
    found = account.client("ec2").describe_managed_prefix_lists(
        Filters=[
            {"Name": "prefix-list-name", "Values": [f"com.amazonaws.{account.region}.s3"]},
            {"Name": "owner-id", "Values": ["AWS"]},
        ]
    )["PrefixLists"]
    return found[0]["PrefixListId"] if found else None


def dns(account: Account, vpc: str) -> Iterator[Finding]:
    """Tell whether names of endpoints resolve to private addresses in a VPC (trap 45)."""
    ec2 = account.client("ec2")
    for attribute, answer in DNS.items():
        if ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)[answer]["Value"]:
            yield ok(f"{vpc} has {attribute} on")
        else:
            yield fails(
                f"{vpc} has {attribute} off: the worker would resolve SQS's public address and"
                " wait for it until it times out",
                f"aws ec2 modify-vpc-attribute --vpc-id {vpc}"
                f" --{'enable-dns-support' if 'Support' in attribute else 'enable-dns-hostnames'}",
            )


def route_tables(account: Account, vpc: str, subnets: Sequence[str]) -> set[str]:
    """Return the route tables that the subnets use: their own, or else the VPC's main one."""
    found = account.client("ec2").describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}]
    )["RouteTables"]
    own: dict[str, str] = {}
    main = ""
    for table in found:
        for association in table.get("Associations", []):
            if association.get("Main"):
                main = table["RouteTableId"]
            elif subnet := association.get("SubnetId"):
                own[subnet] = table["RouteTableId"]
    return {own.get(subnet, main) for subnet in subnets}


def endpoints(account: Account, vpc: str, service: str, kind: str) -> list[dict[str, Any]]:
    """Return the endpoints in a VPC for a service's full name, of the type `kind`."""
    found = account.client("ec2").describe_vpc_endpoints(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "service-name", "Values": [service]},
        ]
    )["VpcEndpoints"]
    gone = {"deleting", "deleted", "rejected", "failed", "expired"}
    return [
        one
        for one in found
        if one["VpcEndpointType"] == kind and one.get("State", "").lower() not in gone
    ]
