"""A VPC with no internet egress, or an existing one, its security groups and flow log."""

from dataclasses import dataclass

import awacs.logs as logs
from troposphere import AWSHelperFn, Cidr, GetAtt, GetAZs, Ref, Select, Sub, Template
from troposphere.ec2 import VPC, FlowLog, RouteTable, Subnet, SubnetRouteTableAssociation
from troposphere.iam import Policy, Role
from troposphere.logs import LogGroup

from templates import policies
from templates.encryption import Encryption
from templates.log_group import add_log_group
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

    flow_log_group: LogGroup | None
    """Log group of the flow log; None in an existing VPC, whose owner keeps flow logs."""


def add_network(
    template: Template,
    *,
    parameters: NetworkParameters,
    encryption: Encryption,
    log_retention_days: Ref,
    permissions_boundary: AWSHelperFn,
    interfaces_owner: Role,
) -> Network:
    """Add the security groups, and a VPC with a flow log unless an existing one is used.

    `interfaces_owner` is the role whose permissions delete the function's network interfaces.
    """
    vpc: Ref
    subnets: list[Ref] | Ref
    route_tables: list[Ref] | Ref | None
    flow_log_group = s3_endpoint = sqs_endpoint = sqs_group = None
    if isinstance(parameters.vpc, ExistingVpc):
        existing = parameters.vpc
        vpc, subnets, route_tables = existing.vpc, existing.subnets, existing.route_tables
        s3_endpoint, sqs_endpoint = existing.s3_endpoint, existing.sqs_endpoint
        sqs_group = existing.sqs_endpoint_security_group
    else:
        vpc, subnets, route_tables = _add_vpc(template, parameters.vpc)
        flow_log_group = _add_flow_log(
            template, vpc, encryption, log_retention_days, permissions_boundary
        )
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
        flow_log_group=flow_log_group,
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
    account = "${AWS::Region}:${AWS::AccountId}"
    role = template.add_resource(
        Role(
            "FlowLogRole",
            AssumeRolePolicyDocument=policies.document(
                policies.allow_assume(
                    "vpc-flow-logs.amazonaws.com",
                    policies.from_this_account(),
                    policies.on_behalf_of(
                        Sub(f"arn:${{AWS::Partition}}:ec2:{account}:vpc-flow-log/*")
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
                            # The action names no log group: account and Region are the limit.
                            [Sub(f"arn:${{AWS::Partition}}:logs:{account}:log-group:*")],
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
