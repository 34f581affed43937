"""The flow log of a created VPC, in the log archive or in a log group."""

import awacs.logs as logs
from troposphere import AWSHelperFn, GetAtt, Ref, Sub, Template
from troposphere.ec2 import DestinationOptions, FlowLog
from troposphere.iam import Policy, Role
from troposphere.s3 import Bucket

from templates import policies
from templates.encryption import Encryption
from templates.log_group import add_log_group


def add_archived_flow_log(template: Template, vpc: Ref, archive: Bucket) -> None:
    """Add a flow log that AWS delivers to the archive's bucket, with no role in between.

    The objects are `AWSLogs/<account>/vpcflowlogs/<Region>/yyyy/MM/dd/HH/….log.gz`.
    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html
    """
    template.add_resource(
        FlowLog(
            "FlowLog",
            ResourceId=vpc,
            ResourceType="VPC",
            TrafficType="ALL",
            LogDestinationType="s3",
            LogDestination=GetAtt(archive, "Arn"),
            DestinationOptions=DestinationOptions(
                FileFormat="plain-text",  # Parquet costs more, and less than 100 KB take more space
                HiveCompatiblePartitions=False,
                PerHourPartition=True,  # as the archive's other prefixes
            ),
            # AWS would replace or change the policy of a bucket that does not allow the delivery
            # (pitfall 65).
            DependsOn=[f"{archive.title}Policy"],
        )
    )


def add_flow_log_group(
    template: Template,
    vpc: Ref,
    *,
    encryption: Encryption,
    log_retention_days: Ref,
    permissions_boundary: AWSHelperFn,
) -> None:
    """Add a flow log in a log group, with the role that writes it."""
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
