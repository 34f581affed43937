"""A VPC with no internet egress, or an existing one, and its security groups."""

from dataclasses import dataclass

from troposphere import Cidr, GetAZs, Ref, Select, Template
from troposphere.ec2 import VPC, RouteTable, Subnet, SubnetRouteTableAssociation
from troposphere.iam import Role

from templates.parameters.network import CreatedVpc, ExistingVpc, NetworkParameters
from templates.security_groups import add_endpoint_security_group, add_worker_security_group

# 64 addresses per subnet, 59 of them usable. A function takes one interface for each subnet and
# security group, however many instances run, and an interface endpoint takes one for each subnet.
SUBNET_HOST_BITS = 6
MAX_AVAILABILITY_ZONES = 4


@dataclass(frozen=True, kw_only=True)
class Network:
    """The VPC that the function runs in."""

    vpc: Ref
    subnets: list[Ref] | Ref
    route_tables: list[Ref] | Ref | None
    """Route tables for the S3 endpoint; None where the VPC has its endpoints."""

    cidr: Ref | None
    worker_security_group: Ref
    sqs_endpoint_security_group: Ref
    s3_endpoint: Ref | None
    """The S3 endpoint of a VPC that has its endpoints."""

    sqs_endpoint: Ref | None
    """The SQS endpoint of a VPC that has its endpoints."""


def add_network(
    template: Template,
    *,
    parameters: NetworkParameters,
    interfaces_owner: Role,
) -> Network:
    """Add the security groups, and a VPC unless an existing one is used.

    `interfaces_owner` is the role whose permissions delete the function's network interfaces.
    """
    vpc: Ref
    subnets: list[Ref] | Ref
    route_tables: list[Ref] | Ref | None
    s3_endpoint = sqs_endpoint = sqs_group = None
    if isinstance(parameters.vpc, ExistingVpc):
        existing = parameters.vpc
        vpc, subnets, route_tables = existing.vpc, existing.subnets, existing.route_tables
        s3_endpoint, sqs_endpoint = existing.s3_endpoint, existing.sqs_endpoint
        sqs_group = existing.sqs_endpoint_security_group
    else:
        vpc, subnets, route_tables = _add_vpc(template, parameters.vpc)
    sqs_group = sqs_group or add_endpoint_security_group(
        template, "EndpointSecurityGroup", vpc=vpc, cidr=parameters.vpc.cidr
    )
    return Network(
        vpc=vpc,
        subnets=subnets,
        route_tables=route_tables,
        cidr=parameters.vpc.cidr,
        worker_security_group=add_worker_security_group(
            template,
            vpc=vpc,
            parameters=parameters,
            sqs_endpoint_security_group=sqs_group,
            interfaces_owner=interfaces_owner,
        ),
        sqs_endpoint_security_group=sqs_group,
        s3_endpoint=s3_endpoint,
        sqs_endpoint=sqs_endpoint,
    )


def _add_vpc(template: Template, parameters: CreatedVpc) -> tuple[Ref, list[Ref], list[Ref]]:
    """Add a VPC with a private subnet in each Availability Zone and no gateway."""
    vpc = template.add_resource(
        VPC(
            "Vpc",
            CidrBlock=parameters.cidr,
            # Without both, the SDK resolves the endpoint's public address and hangs (pitfall 45).
            EnableDnsSupport=True,
            EnableDnsHostnames=True,
        )
    )
    # One table for all subnets: its only routes are the VPC's own and the S3 endpoint's.
    table = template.add_resource(RouteTable("PrivateRouteTable", VpcId=Ref(vpc)))
    subnets = []
    for index, zone_index in enumerate(parameters.availability_zone_indexes):
        letter = chr(ord("A") + index)
        subnet = template.add_resource(
            Subnet(
                f"PrivateSubnet{letter}",
                VpcId=Ref(vpc),
                # By index, because not every zone has every endpoint service (pitfall 24).
                AvailabilityZone=Select(zone_index, GetAZs()),
                # Always the maximum number of ranges, so that another zone replaces no subnet.
                CidrBlock=Select(
                    index, Cidr(parameters.cidr, MAX_AVAILABILITY_ZONES, SUBNET_HOST_BITS)
                ),
                MapPublicIpOnLaunch=False,
            )
        )
        template.add_resource(
            SubnetRouteTableAssociation(
                f"PrivateRouteTableAssociation{letter}",
                SubnetId=Ref(subnet),
                RouteTableId=Ref(table),
            )
        )
        subnets.append(Ref(subnet))
    return Ref(vpc), subnets, [Ref(table)]
