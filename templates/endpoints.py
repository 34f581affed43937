"""The VPC endpoints, each with a policy that allows only what the worker may do."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from awacs.aws import Action, Statement, StringEquals
from troposphere import Equals, GetAtt, If, Ref, Sub, Template
from troposphere.ec2 import VPCEndpoint
from troposphere.iam import Role

from templates import policies
from templates.api import ApiIdentity
from templates.network import Network
from templates.parameters.builder import Condition
from templates.parameters.regions import interface_endpoint_service
from templates.security_groups import add_endpoint_security_group

IS_CHINA = "IsChina"


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """The ids of the VPC's endpoints."""

    s3: Ref
    sqs: Ref
    """Of a resource that exists on the condition that the VPC has an SQS endpoint."""


def add_endpoints(
    template: Template,
    *,
    network: Network,
    role: Role,
    s3_grants: Sequence[Statement],
    sqs_grants: Sequence[Statement],
    has_sqs_endpoint: Condition,
    api: ApiIdentity | None,
) -> Endpoints:
    """Add the endpoints of S3 and SQS unless the VPC has them, and return them.

    They allow `role` its grants, the role of `api` its own, and nothing else. The function calls no
    other service from the VPC: Lambda polls the queue, ships the logs and loads the package from
    outside, and S3 itself uses the key (pitfall 42).
    """
    if network.s3_endpoint and network.sqs_endpoint:
        return Endpoints(s3=network.s3_endpoint, sqs=network.sqs_endpoint)
    s3_endpoint = template.add_resource(
        VPCEndpoint(
            "S3Endpoint",  # a gateway endpoint is free
            VpcEndpointType="Gateway",
            VpcId=network.vpc,
            ServiceName=Sub("com.amazonaws.${AWS::Region}.s3"),
            RouteTableIds=network.route_tables,
            PolicyDocument=policies.document(
                *_through(s3_grants, role), *(_through(api.grants, api.role) if api else ())
            ),
        )
    )
    sqs_endpoint = template.add_resource(
        VPCEndpoint(
            # Delays the retry of a failed message. Optional, because it costs about 0.01 USD per
            # hour and zone (https://aws.amazon.com/privatelink/pricing/).
            "SqsEndpoint",
            Condition=has_sqs_endpoint,
            VpcEndpointType="Interface",
            VpcId=network.vpc,
            ServiceName=_interface(template, "sqs"),
            SubnetIds=network.subnets,
            SecurityGroupIds=[network.sqs_endpoint_security_group],
            PrivateDnsEnabled=True,
            PolicyDocument=policies.document(*_through(sqs_grants, role)),
        )
    )
    return Endpoints(s3=Ref(s3_endpoint), sqs=Ref(sqs_endpoint))


def add_interface_endpoints(
    template: Template,
    *,
    network: Network,
    services: Mapping[str, Sequence[str]],
) -> None:
    """Add interface endpoints for other workloads in the VPC.

    Each allows the actions of its service in `services`, for this account. They have a separate
    security group, which the worker cannot reach. Each costs about 0.01 USD per hour and zone.
    """
    if not services:
        return
    group = add_endpoint_security_group(
        template, "InterfaceEndpointSecurityGroup", vpc=network.vpc, cidr=network.cidr
    )
    account = StringEquals(
        {"aws:PrincipalAccount": policies.ACCOUNT, "aws:ResourceAccount": policies.ACCOUNT}
    )
    for service, actions in services.items():
        words = re.split("[.-]", service)
        template.add_resource(
            VPCEndpoint(
                "".join(word.capitalize() for word in words) + "Endpoint",
                VpcEndpointType="Interface",
                VpcId=network.vpc,
                ServiceName=_interface(template, service),
                SubnetIds=network.subnets,
                SecurityGroupIds=[group],
                PrivateDnsEnabled=True,
                PolicyDocument=policies.document(
                    policies.allow(
                        "UseService",
                        [Action(*action.split(":")) for action in actions],
                        ["*"],  # in this account; the workloads' roles name the resources
                        account,
                        principal=policies.anyone(),
                    )
                ),
            )
        )


def _interface(template: Template, service: str) -> If | Sub:
    """Return the service name of an interface endpoint, which may differ in China."""
    in_china, elsewhere = (
        interface_endpoint_service(service, "${AWS::Region}", is_china=one) for one in (True, False)
    )
    if in_china == elsewhere:
        return Sub(elsewhere)
    if IS_CHINA not in template.conditions:
        template.add_condition(IS_CHINA, Equals(Ref("AWS::Partition"), "aws-cn"))
    return If(IS_CHINA, Sub(in_china), Sub(elsewhere))


def _through(grants: Sequence[Statement], role: Role) -> list[Statement | If]:
    arn = GetAtt(role, "Arn")
    return policies.merged(policies.through_endpoint(grant, arn) for grant in grants)
