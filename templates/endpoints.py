"""Doors out of the network, each open to exactly what the worker is granted."""

import re
from collections.abc import Mapping, Sequence

from awacs.aws import Action, Statement, StringEquals
from troposphere import Equals, GetAtt, If, Ref, Sub, Template
from troposphere.ec2 import VPCEndpoint
from troposphere.iam import Role

from templates import policies
from templates.network import Network, add_endpoint_group

IN_CHINA = "IsChina"


def add_endpoints(
    template: Template,
    *,
    network: Network,
    role: Role,
    s3_grants: Sequence[Statement],
    sqs_grants: Sequence[Statement],
    has_sqs_endpoint: str,
) -> Ref:
    """Add the doors to S3 and to SQS and return the first; `role` alone passes, as it is granted.

    No other service is called from inside the network: Lambda polls the queue, ships the logs and
    reads the package from outside of it, and S3 itself uses the key (trap 42).
    """
    if network.storage_endpoint:  # both are there
        return network.storage_endpoint
    storage = template.add_resource(
        VPCEndpoint(
            "S3Endpoint",  # reads uploads, writes thumbnails; no charge
            VpcEndpointType="Gateway",
            VpcId=network.vpc,
            ServiceName=Sub("com.amazonaws.${AWS::Region}.s3"),
            RouteTableIds=network.route_tables,
            PolicyDocument=_policy(s3_grants, role),
        )
    )
    template.add_resource(
        VPCEndpoint(
            # Puts off the next try of a failed message; about 0.01 USD an hour and zone
            # (https://aws.amazon.com/privatelink/pricing/), so that it can be left out.
            "SqsEndpoint",
            Condition=has_sqs_endpoint,
            VpcEndpointType="Interface",
            VpcId=network.vpc,
            ServiceName=_interface(template, "sqs"),
            SubnetIds=network.subnets,
            SecurityGroupIds=[network.endpoint_security_group],
            PrivateDnsEnabled=True,
            PolicyDocument=_policy(sqs_grants, role),
        )
    )
    return Ref(storage)


def add_further_endpoints(
    template: Template,
    *,
    network: Network,
    services: Mapping[str, Sequence[str]],
) -> None:
    """Add doors for other workloads in the network: each service open for its actions alone.

    They have a security group of their own, which the worker's does not reach. Each costs about
    0.01 USD an hour and zone.
    """
    if not services:
        return
    group = add_endpoint_group(
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
                        # Whatever the account has: what for, other stacks' roles say.
                        ["*"],
                        account,
                        principal=policies.anyone(),
                    )
                ),
            )
        )


def _interface(template: Template, service: str) -> If:
    """Return a service's name as endpoints know it: in China another than elsewhere."""
    if IN_CHINA not in template.conditions:
        template.add_condition(IN_CHINA, Equals(Ref("AWS::Partition"), "aws-cn"))
    name = f"com.amazonaws.${{AWS::Region}}.{service}"
    return If(IN_CHINA, Sub(f"cn.{name}"), Sub(name))


def _policy(grants: Sequence[Statement], role: Role) -> object:
    return policies.document(
        *(policies.through_endpoint(grant, GetAtt(role, "Arn")) for grant in grants)
    )
