"""The security groups of the worker and of the interface endpoints."""

from typing import Any

from troposphere import If, NoValue, Ref, Template
from troposphere.ec2 import SecurityGroup, SecurityGroupRule
from troposphere.iam import Role

from templates.parameters.network import NetworkParameters
from templates.suppressions import suppress

HTTPS: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


def add_worker_security_group(
    template: Template,
    *,
    vpc: Ref,
    parameters: NetworkParameters,
    sqs_endpoint_security_group: Ref,
    interfaces_owner: Role,
) -> Ref:
    """Add the worker's security group: HTTPS to S3 and to the SQS endpoint, nothing in.

    `interfaces_owner` is the role whose permissions delete the function's network interfaces. The
    group depends on it, so that the permissions outlive the interfaces when the stack is deleted;
    otherwise the deletion hangs (pitfall 22).
    """
    group = template.add_resource(
        SecurityGroup(
            "WorkerSecurityGroup",
            GroupDescription="Worker: HTTPS to S3 and SQS, nothing in",
            VpcId=vpc,
            SecurityGroupEgress=[
                SecurityGroupRule(
                    **HTTPS,
                    DestinationPrefixListId=parameters.s3_prefix_list,
                    Description="S3 gateway endpoint",
                ),
                If(
                    parameters.has_sqs_endpoint,
                    SecurityGroupRule(
                        **HTTPS,
                        DestinationSecurityGroupId=sqs_endpoint_security_group,
                        Description="SQS endpoint",
                    ),
                    NoValue,
                ),
            ],
            DependsOn=[interfaces_owner],
            Metadata=suppress(CKV_AWS_23="Every rule has a description, one inside Fn::If"),
        )
    )
    return Ref(group)


def add_api_security_group(
    template: Template, *, vpc: Ref, s3_prefix_list: If, interfaces_owner: Role
) -> Ref:
    """Add the security group of the upload API's function: HTTPS to S3, nothing in.

    It depends on `interfaces_owner` as the worker's does (pitfall 22).
    """
    group = template.add_resource(
        SecurityGroup(
            "UploadApiSecurityGroup",
            GroupDescription="Upload API: HTTPS to S3, nothing in",
            VpcId=vpc,
            SecurityGroupEgress=[
                SecurityGroupRule(
                    **HTTPS,
                    DestinationPrefixListId=s3_prefix_list,
                    Description="S3 gateway endpoint",
                )
            ],
            DependsOn=[interfaces_owner],
        )
    )
    return Ref(group)


def add_endpoint_security_group(
    template: Template, logical_id: str, *, vpc: Ref, cidr: Ref | None
) -> Ref:
    """Add a security group of interface endpoints, open to `cidr`, the range of their VPC."""
    group = template.add_resource(
        SecurityGroup(
            logical_id,
            GroupDescription="Interface endpoints: HTTPS from the VPC, nothing out",
            VpcId=vpc,
            # The range, not the worker's group: two groups that name each other are a cycle.
            SecurityGroupIngress=[
                SecurityGroupRule(**HTTPS, CidrIp=cidr, Description="HTTPS from the VPC")
            ],
            # Without an egress rule EC2 adds its default: everything, everywhere.
            SecurityGroupEgress=[
                SecurityGroupRule(IpProtocol="-1", CidrIp="127.0.0.1/32", Description="Nowhere")
            ],
        )
    )
    return Ref(group)
