"""The network: one of the stack's own, or one that is there already."""

from dataclasses import dataclass

from troposphere import Ref, Template

from templates.parameters.builder import Group, differ, rule

# A private range of RFC 1918, /16 to /24: a VPC's largest, and the smallest that holds four /26.
OCTET = r"(25[0-5]|(2[0-4]|1?\d)?\d)"
PRIVATE_CIDR = (
    rf"^(10\.{OCTET}|172\.(1[6-9]|2\d|3[01])|192\.168)\.{OCTET}\.{OCTET}/(1[6-9]|2[0-4])$"
)


@dataclass(frozen=True, kw_only=True)
class OwnVpc:
    """What a VPC of the stack's own is told."""

    cidr: Ref
    zone_numbers: tuple[Ref, ...]


@dataclass(frozen=True, kw_only=True)
class ExistingVpc:
    """What the stack is told of a VPC that is there already."""

    vpc: Ref
    subnets: Ref
    cidr: Ref | None
    route_tables: Ref | None
    """Both for endpoints that the stack adds."""

    storage_endpoint: Ref | None
    endpoint_security_group: Ref | None
    """Both of endpoints that the VPC has."""


def add_own_vpc(template: Template, group: Group, zones: int) -> OwnVpc:
    """Add what shapes an own VPC, with a parameter for each zone."""
    cidr = group.add(
        "VpcCidr",
        "Private address range of the network, /16 to /24",
        Default="10.0.0.0/24",
        AllowedPattern=PRIVATE_CIDR,
        ConstraintDescription="a private range from /16 to /24, like 10.0.0.0/24",
    )
    numbers = tuple(
        group.add(
            f"AvailabilityZoneIndex{chr(ord('A') + index)}",
            "Number of an Availability Zone in the region's list, from 0; each a different one",
            Type="Number",
            Default=index,
            MinValue=0,
            MaxValue=7,
        )
        for index in range(zones)
    )
    sentence = "Two AvailabilityZoneIndex parameters name the same Availability Zone."
    template.add_rule("AvailabilityZonesDiffer", differ(sentence, numbers))
    return OwnVpc(cidr=cidr, zone_numbers=numbers)


def add_existing_vpc(template: Template, group: Group, *, adds_endpoints: bool) -> ExistingVpc:
    """Add what names a VPC that is there, and its endpoints unless the stack adds them."""
    vpc = group.add(
        "VpcId",
        "VPC to work in; DNS support and DNS host names must be on",
        Type="AWS::EC2::VPC::Id",
    )
    subnets = group.add(
        "SubnetIds",
        "Private subnets of it, in two or more Availability Zones",
        Type="List<AWS::EC2::Subnet::Id>",
    )
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html
    their_vpcs = {"Fn::ValueOf": [subnets.data["Ref"], "VpcId"]}
    template.add_rule(
        "SubnetsAreInTheVpc",
        rule(
            "SubnetIds names a subnet that is not in VpcId.",
            {"Fn::EachMemberEquals": [their_vpcs, vpc]},
        ),
    )
    if not adds_endpoints:
        return ExistingVpc(
            vpc=vpc,
            subnets=subnets,
            cidr=None,
            route_tables=None,
            storage_endpoint=group.add(
                "S3EndpointId",
                "The VPC's gateway endpoint for S3, in the route tables of the subnets",
                AllowedPattern="^vpce-[0-9a-f]+$",
            ),
            endpoint_security_group=group.add(
                "SqsEndpointSecurityGroupId",
                "Security group of the VPC's endpoint for SQS",
                Type="AWS::EC2::SecurityGroup::Id",
            ),
        )
    return ExistingVpc(
        vpc=vpc,
        subnets=subnets,
        cidr=group.add(
            "VpcCidr",
            "Private address range of the VPC: who may use the endpoints that are added",
            AllowedPattern=PRIVATE_CIDR,
            ConstraintDescription="a private range from /16 to /24, like 10.0.0.0/24",
        ),
        route_tables=group.add(
            "RouteTableIds",
            "Route tables of the subnets, with commas: the way to S3 is added to them",
            Type="CommaDelimitedList",
        ),
        storage_endpoint=None,
        endpoint_security_group=None,
    )
