"""Private subnets with no road out, who may talk to whom in them, and a record of who did."""

from dataclasses import dataclass
from typing import Any

import awacs.logs as logs
from troposphere import AWSHelperFn, Cidr, GetAtt, GetAZs, If, NoValue, Ref, Select, Sub, Template
from troposphere.ec2 import (
    VPC,
    FlowLog,
    RouteTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetRouteTableAssociation,
)
from troposphere.iam import Policy, Role
from troposphere.logs import LogGroup

from templates import policies
from templates.encryption import Encryption
from templates.log_group import add_log_group
from templates.parameters.network import ExistingVpc, OwnVpc
from templates.suppressions import suppress

HTTPS: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
# 64 addresses a subnet, 59 of them usable. A function takes one interface for each subnet and
# security group however many run, and each interface endpoint one for each subnet.
SUBNET_HOST_BITS = 6
MAXIMUM_ZONES = 4


@dataclass(frozen=True, kw_only=True)
class Network:
    """Where the function runs and where its doors are."""

    vpc: Ref
    subnets: list[Ref] | Ref
    route_tables: list[Ref] | Ref | None
    """Those that the way to S3 is added to; None where it is there."""

    worker_security_group: Ref
    endpoint_security_group: Ref
    """Of the door to SQS."""

    cidr: Ref | None
    storage_endpoint: Ref | None
    """The door to S3 of a VPC that has both doors already."""

    flow_log_group: LogGroup | None
    """Where its traffic is recorded; None where whoever owns the VPC does that."""


def add_network(
    template: Template,
    *,
    place: OwnVpc | ExistingVpc,
    s3_prefix_list: AWSHelperFn,
    has_sqs_endpoint: str,
    encryption: Encryption,
    log_retention_days: Ref,
    permissions_boundary: AWSHelperFn,
    interfaces_owner: Role,
) -> Network:
    """Add the security groups, and a VPC with private subnets where there is none to work in.

    `interfaces_owner` is the role whose rights remove the function's network interfaces: the
    worker's security group depends on it, so that on deletion the rights outlive the interfaces
    and the stack does not hang on them (trap 22).
    """
    vpc: Ref
    subnets: list[Ref] | Ref
    route_tables: list[Ref] | Ref | None
    flow_log_group = None
    if isinstance(place, OwnVpc):
        vpc, subnets, route_tables = _add_vpc(template, place)
        # Whoever owns an existing VPC records its traffic.
        flow_log_group = _add_flow_log(
            template, vpc, encryption, log_retention_days, permissions_boundary
        )
    else:
        vpc, subnets, route_tables = place.vpc, place.subnets, place.route_tables
    endpoint_group = (
        place.endpoint_security_group
        if isinstance(place, ExistingVpc) and place.endpoint_security_group
        else add_endpoint_group(template, "EndpointSecurityGroup", vpc=vpc, cidr=place.cidr)
    )
    worker_group = template.add_resource(
        SecurityGroup(
            "WorkerSecurityGroup",
            GroupDescription="Worker: HTTPS to S3 and to the interface endpoints, nothing in",
            VpcId=vpc,
            SecurityGroupEgress=[
                SecurityGroupRule(
                    **HTTPS,
                    DestinationPrefixListId=s3_prefix_list,
                    Description="S3 through its gateway endpoint",
                ),
                If(
                    has_sqs_endpoint,
                    SecurityGroupRule(
                        **HTTPS,
                        DestinationSecurityGroupId=endpoint_group,
                        Description="SQS through its interface endpoint",
                    ),
                    NoValue,
                ),
            ],
            DependsOn=[interfaces_owner],
            Metadata=suppress(
                CKV_AWS_23="Every rule is described; one is behind Fn::If, which the check cannot"
                " read"
            ),
        )
    )
    return Network(
        vpc=vpc,
        subnets=subnets,
        route_tables=route_tables,
        worker_security_group=Ref(worker_group),
        endpoint_security_group=endpoint_group,
        cidr=place.cidr,
        storage_endpoint=place.storage_endpoint if isinstance(place, ExistingVpc) else None,
        flow_log_group=flow_log_group,
    )


def add_endpoint_group(template: Template, title: str, *, vpc: Ref, cidr: Ref | None) -> Ref:
    """Add a security group for interface endpoints, open to `cidr`, the range of their VPC."""
    group = template.add_resource(
        SecurityGroup(
            title,
            GroupDescription="Interface endpoints: HTTPS from this network, nothing out",
            VpcId=vpc,
            # The range and not the worker's group: two groups that name each other are a cycle.
            SecurityGroupIngress=[
                SecurityGroupRule(**HTTPS, CidrIp=cidr, Description="HTTPS from this network")
            ],
            # No rule at all would mean the default: everything, everywhere.
            SecurityGroupEgress=[
                SecurityGroupRule(
                    IpProtocol="-1", CidrIp="127.0.0.1/32", Description="Nowhere: answers only"
                )
            ],
        )
    )
    return Ref(group)


def _add_vpc(template: Template, place: OwnVpc) -> tuple[Ref, list[Ref], list[Ref]]:
    """Add a VPC with a private subnet in each zone and no gateway of any kind."""
    vpc = template.add_resource(
        VPC(
            "Vpc",
            CidrBlock=place.cidr,
            # Without both, the SDK resolves the endpoint's public address and hangs (trap 45).
            EnableDnsSupport=True,
            EnableDnsHostnames=True,
        )
    )
    # One table serves all zones: it holds no route but the VPC's own and the S3 endpoint's.
    table = template.add_resource(RouteTable("PrivateRouteTable", VpcId=Ref(vpc)))
    subnets = []
    for index, number in enumerate(place.zone_numbers):
        letter = chr(ord("A") + index)
        subnet = template.add_resource(
            Subnet(
                f"PrivateSubnet{letter}",
                VpcId=Ref(vpc),
                # By number, for not every zone has every endpoint service (trap 24).
                AvailabilityZone=Select(number, GetAZs()),
                # As many pieces however many zones there are: another zone replaces no subnet.
                CidrBlock=Select(index, Cidr(place.cidr, MAXIMUM_ZONES, SUBNET_HOST_BITS)),
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


def _add_flow_log(
    template: Template,
    vpc: Ref,
    encryption: Encryption,
    log_retention_days: Ref,
    permissions_boundary: AWSHelperFn,
) -> LogGroup:
    group = add_log_group(
        template, "FlowLogGroup", "flow", encryption=encryption, retention_days=log_retention_days
    )
    role = template.add_resource(
        Role(
            "FlowLogRole",
            AssumeRolePolicyDocument=policies.document(
                policies.allow_assume(
                    "vpc-flow-logs.amazonaws.com",
                    policies.from_this_account(),
                    policies.on_behalf_of(
                        Sub(
                            "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}"
                            ":vpc-flow-log/*"
                        )
                    ),
                )
            ),
            PermissionsBoundary=permissions_boundary,
            Policies=[
                Policy(
                    PolicyName="write-flow-log",
                    PolicyDocument=policies.document(
                        policies.allow(
                            "WriteFlowLog",
                            [logs.CreateLogStream, logs.DescribeLogStreams, logs.PutLogEvents],
                            [GetAtt(group, "Arn")],
                        ),
                        policies.allow(
                            "DescribeFlowLogGroup",
                            [logs.DescribeLogGroups],
                            # The call lists groups and names none: account and region at most.
                            [
                                Sub(
                                    "arn:${AWS::Partition}:logs:${AWS::Region}"
                                    ":${AWS::AccountId}:log-group:*"
                                )
                            ],
                        ),
                    ),
                )
            ],
        )
    )
    template.add_resource(
        FlowLog(
            "FlowLog",
            ResourceId=vpc,
            ResourceType="VPC",
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogGroupName=Ref(group),
            DeliverLogsPermissionArn=GetAtt(role, "Arn"),
        )
    )
    return group
