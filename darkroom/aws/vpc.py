"""What a VPC and its region on AWS have: zones, prefix lists, DNS, routes and endpoints."""

from collections.abc import Collection, Sequence
from ipaddress import IPv4Network, collapse_addresses
from typing import TYPE_CHECKING

from darkroom.aws.session import Account

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import VpcEndpointTypeDef

HTTPS_PORT = 443
REMOVED_STATES = {"deleting", "deleted", "rejected", "failed", "expired"}


def availability_zones(account: Account) -> list[str]:
    """Return the zones of `Fn::GetAZs`, in the order that AvailabilityZoneIndex counts them.

    Where some zone has a default subnet, zones without one are left out.
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
    """Return the id of AWS's prefix list for S3 in the region, or None."""
    found = account.client("ec2").describe_managed_prefix_lists(
        Filters=[
            {"Name": "prefix-list-name", "Values": [f"com.amazonaws.{account.region}.s3"]},
            {"Name": "owner-id", "Values": ["AWS"]},
        ]
    )["PrefixLists"]
    return found[0]["PrefixListId"] if found else None


def dns_attributes(account: Account, vpc: str) -> dict[str, bool]:
    """Return the VPC's attributes that private DNS of endpoints needs, and whether each is on."""
    ec2 = account.client("ec2")
    support = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport")
    names = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
    return {
        "enableDnsSupport": support["EnableDnsSupport"]["Value"],
        "enableDnsHostnames": names["EnableDnsHostnames"]["Value"],
    }


def route_tables(account: Account, vpc: str, subnets: Sequence[str]) -> set[str]:
    """Return the route tables of the subnets: each one's own, or else the VPC's main one."""
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


def endpoints(account: Account, vpc: str, service: str) -> "list[VpcEndpointTypeDef]":
    """Return a VPC's endpoints of every type for a service's full name."""
    found = account.client("ec2").describe_vpc_endpoints(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "service-name", "Values": [service]},
        ]
    )["VpcEndpoints"]
    return [
        endpoint for endpoint in found if endpoint.get("State", "").lower() not in REMOVED_STATES
    ]


def admitted_ranges(
    account: Account, groups: Sequence[str], members: Collection[str]
) -> "tuple[list[IPv4Network], bool]":
    """Return the IPv4 ranges that security groups let in to port 443, and whether members may.

    Args:
        account: The account of the groups.
        groups: The groups of one network interface, whose rules add up.
        members: Ids of security groups; whether a rule lets in one of them is the second value.
    """
    ec2 = account.client("ec2")
    ranges, are_members_admitted = [], False
    found = ec2.describe_security_groups(GroupIds=list(groups))["SecurityGroups"]
    for rule in (rule for group in found for rule in group.get("IpPermissions", [])):
        # -1 is every protocol, which has no ports.
        is_https = rule["IpProtocol"] in ("tcp", "6") and (
            rule.get("FromPort", 0) <= HTTPS_PORT <= rule.get("ToPort", 65535)
        )
        if rule["IpProtocol"] == "-1" or is_https:
            ranges += [one["CidrIp"] for one in rule.get("IpRanges", [])]
            for prefix_list in rule.get("PrefixListIds", []):
                pages = ec2.get_paginator("get_managed_prefix_list_entries").paginate(
                    PrefixListId=prefix_list["PrefixListId"]
                )
                ranges += [entry["Cidr"] for page in pages for entry in page["Entries"]]
            pairs = rule.get("UserIdGroupPairs", [])
            are_members_admitted |= any(pair.get("GroupId") in members for pair in pairs)
    v4 = [IPv4Network(text) for text in ranges if ":" not in text]
    return list(collapse_addresses(v4)), are_members_admitted


def endpoint_zones(account: Account, service: str) -> set[str]:
    """Return the zones in which a service offers interface endpoints."""
    found = account.client("ec2").describe_vpc_endpoint_services(ServiceNames=[service])
    return {zone for detail in found["ServiceDetails"] for zone in detail["AvailabilityZones"]}
