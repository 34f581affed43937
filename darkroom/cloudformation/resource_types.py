"""What the tools know about each CloudFormation resource type, in one table."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """Facts about one resource type, from its reference page and its service's."""

    name: str = ""
    """The property that names the resource; empty where AWS generates the name."""

    arn: str = ""
    """The ARN after `arn:PARTITION:`, with `{region}`, `{account}` and `{name}`.

    Empty where no tool needs it. Sources: the services' pages in
    https://docs.aws.amazon.com/service-authorization/latest/reference/
    """

    ref: Literal["name", "id", "arn", "url"] = "name"
    """What `Ref` returns: the name, an id that AWS generates, the ARN, or the queue's URL."""

    id_attribute: str = ""
    """The attribute of `Fn::GetAtt` that returns the same as `Ref`."""

    namespace: str = ""
    """The CloudWatch namespace of the service's metrics, and in `dimension` which one names it."""

    dimension: str = ""

    kms_key: str = ""
    """The property that holds the KMS key, where it is a top-level property."""

    attached_to: str = ""
    """For a policy resource, the property that names the resources it is attached to."""

    has_data: bool = False
    """Whether deleting the resource loses data."""


RESOURCE_TYPES: dict[str, ResourceType] = {
    "CloudFront::CachePolicy": ResourceType(
        ref="id", arn="cloudfront::{account}:cache-policy/{name}"
    ),
    "CloudFront::Distribution": ResourceType(
        ref="id", arn="cloudfront::{account}:distribution/{name}"
    ),
    "CloudFront::OriginAccessControl": ResourceType(
        ref="id", arn="cloudfront::{account}:origin-access-control/{name}"
    ),
    "CloudFront::ResponseHeadersPolicy": ResourceType(
        ref="id", arn="cloudfront::{account}:response-headers-policy/{name}"
    ),
    "CloudWatch::Alarm": ResourceType(
        name="AlarmName", arn="cloudwatch:{region}:{account}:alarm:{name}"
    ),
    "CloudWatch::Dashboard": ResourceType(
        name="DashboardName", arn="cloudwatch::{account}:dashboard/{name}"
    ),
    "DynamoDB::Table": ResourceType(name="TableName", has_data=True),
    "EC2::FlowLog": ResourceType(ref="id", arn="ec2:{region}:{account}:vpc-flow-log/{name}"),
    "EC2::RouteTable": ResourceType(
        ref="id", arn="ec2:{region}:{account}:route-table/{name}", id_attribute="RouteTableId"
    ),
    "EC2::SecurityGroup": ResourceType(
        name="GroupName",
        ref="id",
        arn="ec2:{region}:{account}:security-group/{name}",
        id_attribute="GroupId",
    ),
    "EC2::Subnet": ResourceType(
        ref="id", arn="ec2:{region}:{account}:subnet/{name}", id_attribute="SubnetId"
    ),
    "EC2::VPC": ResourceType(
        ref="id", arn="ec2:{region}:{account}:vpc/{name}", id_attribute="VpcId"
    ),
    "EC2::VPCEndpoint": ResourceType(ref="id", arn="ec2:{region}:{account}:vpc-endpoint/{name}"),
    "EFS::FileSystem": ResourceType(ref="id", has_data=True),
    "Events::Rule": ResourceType(
        name="Name",
        arn="events:{region}:{account}:rule/{name}",
        namespace="AWS/Events",
        dimension="RuleName",
    ),
    "IAM::ManagedPolicy": ResourceType(
        name="ManagedPolicyName", arn="iam::{account}:policy/{name}", ref="arn"
    ),
    "IAM::Role": ResourceType(name="RoleName", arn="iam::{account}:role/{name}"),
    "KMS::Alias": ResourceType(name="AliasName", arn="kms:{region}:{account}:{name}"),
    "KMS::Key": ResourceType(
        ref="id", arn="kms:{region}:{account}:key/{name}", id_attribute="KeyId", has_data=True
    ),
    "Kinesis::Stream": ResourceType(name="Name", has_data=True),
    "KinesisFirehose::DeliveryStream": ResourceType(
        name="DeliveryStreamName",
        arn="firehose:{region}:{account}:deliverystream/{name}",
        namespace="AWS/Firehose",
        dimension="DeliveryStreamName",
    ),
    "Lambda::EventSourceMapping": ResourceType(
        ref="id", arn="lambda:{region}:{account}:event-source-mapping:{name}"
    ),
    "Lambda::Function": ResourceType(
        name="FunctionName",
        arn="lambda:{region}:{account}:function:{name}",
        namespace="AWS/Lambda",
        dimension="FunctionName",
        kms_key="KmsKeyArn",
    ),
    "Logs::Delivery": ResourceType(ref="id", arn="logs:{region}:{account}:delivery:{name}"),
    "Logs::DeliveryDestination": ResourceType(
        name="Name", arn="logs:{region}:{account}:delivery-destination:{name}"
    ),
    "Logs::DeliverySource": ResourceType(
        name="Name", arn="logs:{region}:{account}:delivery-source:{name}"
    ),
    "Logs::LogGroup": ResourceType(
        name="LogGroupName",
        arn="logs:{region}:{account}:log-group:{name}:*",
        namespace="AWS/Logs",
        dimension="LogGroupName",
        kms_key="KmsKeyId",
        has_data=True,
    ),
    "RDS::DBInstance": ResourceType(name="DBInstanceIdentifier", has_data=True),
    "Route53Resolver::FirewallDomainList": ResourceType(
        name="Name",
        ref="id",
        arn="route53resolver:{region}:{account}:firewall-domain-list/{name}",
        id_attribute="Id",
    ),
    "Route53Resolver::FirewallRuleGroup": ResourceType(
        name="Name",
        ref="id",
        arn="route53resolver:{region}:{account}:firewall-rule-group/{name}",
        id_attribute="Id",
    ),
    "Route53Resolver::FirewallRuleGroupAssociation": ResourceType(
        name="Name",
        ref="id",
        arn="route53resolver:{region}:{account}:firewall-rule-group-association/{name}",
        id_attribute="Id",
    ),
    "S3::Bucket": ResourceType(
        name="BucketName",
        arn="s3:::{name}",
        namespace="AWS/S3",
        dimension="BucketName",
        has_data=True,
    ),
    "S3::BucketPolicy": ResourceType(attached_to="Bucket"),
    "SNS::Topic": ResourceType(
        name="TopicName",
        arn="sns:{region}:{account}:{name}",
        ref="arn",
        id_attribute="TopicArn",
        namespace="AWS/SNS",
        dimension="TopicName",
        kms_key="KmsMasterKeyId",
    ),
    "SNS::TopicPolicy": ResourceType(attached_to="Topics"),
    "SQS::Queue": ResourceType(
        name="QueueName",
        arn="sqs:{region}:{account}:{name}",
        ref="url",
        id_attribute="QueueUrl",
        namespace="AWS/SQS",
        dimension="QueueName",
        kms_key="KmsMasterKeyId",
        has_data=True,
    ),
    "SQS::QueuePolicy": ResourceType(attached_to="Queues"),
    "SecretsManager::Secret": ResourceType(name="Name", ref="arn", has_data=True),
}
"""Type without `AWS::` → its facts."""

NAMESPACES: dict[str, tuple[str, str]] = {
    known.namespace: (known.dimension, type_name)
    for type_name, known in RESOURCE_TYPES.items()
    if known.namespace
}
"""CloudWatch namespace → the dimension that names a resource, and the resource's type."""

_UNKNOWN = ResourceType()


def resource_type(name: str) -> ResourceType:
    """Return the facts about a type, with or without `AWS::`; empty facts for an unknown type."""
    return RESOURCE_TYPES.get(name.removeprefix("AWS::"), _UNKNOWN)
