"""Parameters of the network: a VPC that the stack creates, or an existing one."""

from dataclasses import dataclass
from typing import Any

from troposphere import Equals, FindInMap, If, Not, Or, Ref, Template

from templates.parameters.builder import (
    YES_NO,
    Condition,
    Group,
    contains,
    differ,
    if_given,
    is_true,
    rule,
)
from templates.parameters.regions import (
    OTHER_REGIONS,
    PREFIX_LIST_MAPPING,
    S3_PREFIX_LISTS,
    UNKNOWN_PREFIX_LIST,
)
from templates.specification import Network

# A private range of RFC 1918, /16 to /24: a VPC's largest, and the smallest that holds four /26.
OCTET = r"(25[0-5]|(2[0-4]|1?\d)?\d)"
PRIVATE_CIDR: dict[str, Any] = {
    "AllowedPattern": (
        rf"^(10\.{OCTET}|172\.(1[6-9]|2\d|3[01])|192\.168)(\.{OCTET}){{2}}/(1[6-9]|2[0-4])$"
    ),
    "ConstraintDescription": "a private CIDR from /16 to /24, such as 10.0.0.0/24",
}


@dataclass(frozen=True, kw_only=True)
class CreatedVpc:
    """Parameters of a VPC that the stack creates."""

    cidr: Ref
    availability_zone_indexes: tuple[Ref, ...]


@dataclass(frozen=True, kw_only=True)
class ExistingVpc:
    """Parameters of an existing VPC."""

    vpc: Ref
    subnets: Ref
    cidr: Ref | None
    """The VPC's range; None where the VPC has its endpoints."""

    route_tables: Ref | None
    """Route tables of the subnets; None where the VPC has its endpoints."""

    s3_endpoint: Ref | None
    """The VPC's S3 endpoint; None where the stack creates the endpoints."""

    sqs_endpoint: Ref | None
    """The VPC's SQS endpoint; None where the stack creates the endpoints."""

    sqs_endpoint_security_group: Ref | None
    """Security group of the VPC's SQS endpoint; None where the stack creates the endpoints."""


@dataclass(frozen=True, kw_only=True)
class NetworkParameters:
    """Parameters of the network and of its endpoints."""

    vpc: CreatedVpc | ExistingVpc
    has_sqs_endpoint: Condition
    """Condition: the VPC has an SQS endpoint, so that the worker can delay retries."""

    s3_prefix_list: If


def add_network_parameters(template: Template, network: Network) -> NetworkParameters:
    """Add the parameters of the network, and the mapping of S3's prefix lists."""
    group = Group(template, "Network")
    if network.vpc == "create":
        vpc: CreatedVpc | ExistingVpc = _add_created_vpc(
            template, group, network.availability_zones
        )
    else:
        vpc = _add_existing_vpc(template, group, creates_endpoints=network.endpoints == "create")
    sqs_endpoint = group.add(
        "CreateSqsEndpoint",
        "Create an endpoint of SQS, through which the worker chooses the delay of retries (about 7"
        " USD per month and Availability Zone); without it, failed messages wait for their"
        " visibility timeout",
        Default="true",
        **YES_NO,
    )
    return NetworkParameters(
        vpc=vpc,
        has_sqs_endpoint=is_true(template, "HasSqsEndpoint", sqs_endpoint),
        s3_prefix_list=_add_prefix_list(template, group),
    )


def _add_prefix_list(template: Template, group: Group) -> If:
    """Add the S3 prefix list's parameter, mapping and rule; return the list's id."""
    prefix_list = group.add(
        "S3PrefixListId",
        "ID of the Region's S3 prefix list; empty where the template knows it",
        Default="",
        AllowedPattern="^$|^pl-[0-9a-f]+$",
    )
    template.add_rule(
        "S3PrefixListIsKnown",
        rule(
            "The template does not know the S3 prefix list of this Region: set S3PrefixListId"
            " (aws ec2 describe-managed-prefix-lists).",
            Or(
                Not(Equals(prefix_list, "")),
                contains(list(S3_PREFIX_LISTS), Ref("AWS::Region")),
            ),
        ),
    )
    template.add_mapping(
        PREFIX_LIST_MAPPING,
        {
            region: {"Id": S3_PREFIX_LISTS.get(region, UNKNOWN_PREFIX_LIST)}
            for region in sorted((*S3_PREFIX_LISTS, *OTHER_REGIONS))
        },
    )
    known = FindInMap(PREFIX_LIST_MAPPING, Ref("AWS::Region"), "Id")
    return if_given(template, "HasS3PrefixList", prefix_list, otherwise=known)


def _add_created_vpc(template: Template, group: Group, availability_zones: int) -> CreatedVpc:
    """Add the range of a VPC to create, and a parameter for each Availability Zone."""
    cidr = group.add(
        "VpcCidr", "Private IPv4 CIDR of the VPC, /16 to /24", Default="10.0.0.0/24", **PRIVATE_CIDR
    )
    indexes = tuple(
        group.add(
            f"AvailabilityZoneIndex{chr(ord('A') + index)}",
            "Index of an Availability Zone in the Region's list, from 0",
            Type="Number",
            Default=index,
            MinValue=0,
            MaxValue=7,
        )
        for index in range(availability_zones)
    )
    template.add_rule(
        "AvailabilityZonesDiffer", differ("The AvailabilityZoneIndex values must differ.", indexes)
    )
    return CreatedVpc(cidr=cidr, availability_zone_indexes=indexes)


def _add_existing_vpc(template: Template, group: Group, *, creates_endpoints: bool) -> ExistingVpc:
    """Add the ids of an existing VPC, and of its endpoints unless the stack creates them."""
    vpc = group.add(
        "VpcId",
        "VPC of the function; DNS support and DNS hostnames must be enabled",
        Type="AWS::EC2::VPC::Id",
    )
    subnets = group.add(
        "SubnetIds",
        "Private subnets of the VPC, one in each of two or more Availability Zones",
        Type="List<AWS::EC2::Subnet::Id>",
    )
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html
    vpcs_of_subnets = {"Fn::ValueOf": [subnets.data["Ref"], "VpcId"]}
    template.add_rule(
        "SubnetsAreInTheVpc",
        rule(
            "SubnetIds contains a subnet that is not in VpcId.",
            {"Fn::EachMemberEquals": [vpcs_of_subnets, vpc]},
        ),
    )
    cidr = route_tables = s3_endpoint = sqs_endpoint = sqs_endpoint_security_group = None
    if creates_endpoints:
        cidr = group.add(
            "VpcCidr", "Private IPv4 CIDR of the VPC, which may use the endpoints", **PRIVATE_CIDR
        )
        route_tables = group.add(
            "RouteTableIds",
            "Route tables of the subnets, comma-separated; each gets a route to S3",
            Type="CommaDelimitedList",
        )
    else:
        s3_endpoint = group.add(
            "S3EndpointId",
            "S3 gateway endpoint of the VPC, in the route tables of the subnets",
            AllowedPattern="^vpce-[0-9a-f]+$",
            MaxLength=len("vpce-") + 17,
        )
        sqs_endpoint = group.add(
            "SqsEndpointId",
            "SQS endpoint of the VPC, which the worker's calls to SQS must come through",
            AllowedPattern="^vpce-[0-9a-f]+$",
            MaxLength=len("vpce-") + 17,
        )
        sqs_endpoint_security_group = group.add(
            "SqsEndpointSecurityGroupId",
            "Security group of the VPC's SQS endpoint",
            Type="AWS::EC2::SecurityGroup::Id",
        )
    return ExistingVpc(
        vpc=vpc,
        subnets=subnets,
        cidr=cidr,
        route_tables=route_tables,
        s3_endpoint=s3_endpoint,
        sqs_endpoint=sqs_endpoint,
        sqs_endpoint_security_group=sqs_endpoint_security_group,
    )
