"""What a stack finds on its arrival: buckets and topics of somebody, and a network."""

import json
import subprocess
import sys

from darkroom.emulator.ministack import Emulator
from templates import naming
from templates.specification import Network, Specification


def bucket(emulator: Emulator, name: str) -> str:
    """Create a bucket that keeps versions; return its name."""
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": emulator.region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def topic(emulator: Emulator, name: str, *, announces: str) -> str:
    """Create a topic that passes on what a bucket announces; return its ARN."""
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
    announced = [{"TopicArn": arn, "Events": ["s3:ObjectCreated:*"]}]
    emulator.client("s3").put_bucket_notification_configuration(
        Bucket=announces, NotificationConfiguration={"TopicConfigurations": announced}
    )
    return arn


def turn_events_on(emulator: Emulator, command: str) -> None:
    """Run an output's command as an operator would."""
    aws = f'aws() {{ "{sys.executable}" -m awscli "$@"; }}'
    subprocess.run(["/bin/sh", "-ec", f"{aws}\n{command}"], env=emulator.environment, check=True)


def network(emulator: Emulator, structure: Network) -> dict[str, str]:
    """Create an account's own network; return what `vpc = "existing"` is told of it."""
    ec2 = emulator.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24", AvailabilityZone=zones[n])
        for n in range(2)
    ]
    told = {
        "VpcId": vpc,
        "SubnetIds": ",".join(subnet["Subnet"]["SubnetId"] for subnet in subnets),
    }
    if structure.endpoints == "create":
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        return {**told, "VpcCidr": "10.9.0.0/16", "RouteTableIds": table}
    group = ec2.create_security_group(GroupName="doors", Description="doors", VpcId=vpc)["GroupId"]
    name = f"com.amazonaws.{emulator.region}.s3"
    door = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=name)["VpcEndpoint"]["VpcEndpointId"]
    return {**told, "S3EndpointId": door, "SqsEndpointSecurityGroupId": group}


def parameters(emulator: Emulator, plan: Specification, prefix: str) -> dict[str, str]:
    """Create all that a stack of `plan` called `prefix` finds; return what it is told of it."""
    given = {"NamePrefix": prefix}
    for name, source in plan.sources.items():
        if source.type != "s3":
            theirs = bucket(emulator, f"somebodys-{prefix}-{name}")
            given[naming.title(name, "BucketName")] = theirs
            if source.type == "sns":
                arn = topic(emulator, theirs, announces=theirs)
                given[naming.title(name, "TopicArn")] = arn
    if plan.network.vpc == "existing":
        given |= network(emulator, plan.network)
    if plan.cdn and plan.cdn.custom_domain:
        given["DomainName"] = "pictures.example.com"
        given["CertificateArn"] = "arn:aws:acm:us-east-1:000000000000:certificate/c"
    if plan.cdn and plan.cdn.web_acl:
        given["WebAclArn"] = "arn:aws:wafv2:us-east-1:000000000000:global/webacl/w/1"
    return given
