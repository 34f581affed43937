"""Doors out of the network, each open to exactly what the worker is granted."""

from collections.abc import Sequence

from awacs.aws import Statement
from troposphere import GetAtt, If, Ref, Sub, Template
from troposphere.ec2 import VPCEndpoint
from troposphere.iam import Role

from templates import policies
from templates.network import Network


def add_endpoints(
    template: Template,
    *,
    network: Network,
    role: Role,
    s3_grants: Sequence[Statement],
    sqs_grants: Sequence[Statement],
    has_queue_endpoint: str,
    in_china: str,
) -> Ref:
    """Add the doors to S3, which is returned, and to SQS; `role` alone passes, as it is granted.

    No other service is called from inside the network: Lambda polls the queue, ships the logs and
    reads the package from outside of it, and S3 itself uses the key (trap 42).
    """
    storage = template.add_resource(
        VPCEndpoint(
            "StorageEndpoint",  # reads uploads, writes thumbnails; no charge
            VpcEndpointType="Gateway",
            VpcId=network.vpc,
            ServiceName=Sub("com.amazonaws.${AWS::Region}.s3"),
            RouteTableIds=list(network.route_tables),
            PolicyDocument=_policy(s3_grants, role),
        )
    )
    template.add_resource(
        VPCEndpoint(
            # Puts off the next try of a failed message; about 0.01 USD an hour and zone
            # (https://aws.amazon.com/privatelink/pricing/), so that it can be left out.
            "WorkQueueEndpoint",
            Condition=has_queue_endpoint,
            VpcEndpointType="Interface",
            VpcId=network.vpc,
            ServiceName=If(
                in_china,
                Sub("cn.com.amazonaws.${AWS::Region}.sqs"),
                Sub("com.amazonaws.${AWS::Region}.sqs"),
            ),
            SubnetIds=list(network.subnets),
            SecurityGroupIds=[network.endpoint_security_group],
            PrivateDnsEnabled=True,
            PolicyDocument=_policy(sqs_grants, role),
        )
    )
    return Ref(storage)


def _policy(grants: Sequence[Statement], role: Role) -> object:
    return policies.document(
        *(policies.through_endpoint(grant, GetAtt(role, "Arn")) for grant in grants)
    )
