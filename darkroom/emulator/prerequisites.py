"""Creates on the emulator what a stack expects to exist: external buckets, topics, a network."""

import json

from darkroom.emulator.ministack import Emulator
from templates import naming
from templates.specification import Network, Specification


def create(emulator: Emulator, plan: Specification, prefix: str) -> dict[str, str]:
    """Create all that a stack of `plan` named `prefix` expects; return its parameters."""
    given = {"NamePrefix": prefix}
    for name, source in plan.sources.items():
        if source.type == "s3":
            continue
        external = create_bucket(emulator, f"external-{prefix}-{name}")
        given[naming.logical_id(name, "BucketName")] = external
        if source.type == "sns":
            topic = create_topic(emulator, external, bucket=external)
            given[naming.logical_id(name, "TopicArn")] = topic
        else:
            emulator.client("s3").put_bucket_notification_configuration(
                Bucket=external, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )
    if plan.network.vpc == "existing":
        given |= create_network(emulator, plan.network)
    if plan.cdn and plan.cdn.custom_domain:
        given["DomainName"] = "pictures.example.com"
        given["CertificateArn"] = "arn:aws:acm:us-east-1:000000000000:certificate/c"
    if plan.cdn and plan.cdn.web_acl:
        given["WebAclArn"] = "arn:aws:wafv2:us-east-1:000000000000:global/webacl/w/1"
    return given


def create_bucket(emulator: Emulator, name: str) -> str:
    """Create a bucket that keeps versions; return its name."""
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": emulator.region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def create_topic(emulator: Emulator, name: str, *, bucket: str) -> str:
    """Create a topic that receives the notifications of `bucket`; return its ARN."""
    sns = emulator.client("sns")
    arn: str = sns.create_topic(Name=name)["TopicArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    topics = [{"TopicArn": arn, "Events": ["s3:ObjectCreated:*"]}]
    emulator.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"TopicConfigurations": topics}
    )
    return arn


def create_network(emulator: Emulator, structure: Network) -> dict[str, str]:
    """Create an existing VPC; return the parameters that `vpc = "existing"` needs."""
    ec2 = emulator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=zones[n])
        for n in range(2)
    ]
    ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    for subnet in ids:
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    given = {"VpcId": vpc, "SubnetIds": ",".join(ids)}
    if structure.endpoints == "create":
        return {**given, "VpcCidr": "10.9.0.0/16", "RouteTableIds": table}
    group = ec2.create_security_group(
        GroupName="endpoints", Description="VPC endpoints", VpcId=vpc
    )["GroupId"]
    name = f"com.amazonaws.{emulator.region}.s3"
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc, VpcEndpointType="Gateway", ServiceName=name, RouteTableIds=[table]
    )["VpcEndpoint"]["VpcEndpointId"]
    return {
        **given,
        "S3EndpointId": endpoint,
        "SqsEndpointId": endpoint,  # unused: EnforceVpcEndpoint and CreateSqsEndpoint are off
        "SqsEndpointSecurityGroupId": group,
        "CreateSqsEndpoint": "false",  # an interface endpoint loses its private DNS and its group
    }
