"""Checks of the deployed stack's network: DNS, endpoints, egress and flow logs."""

from collections.abc import Iterator

from darkroom.aws import vpc
from darkroom.checks.deployed.comparison import Target, differ, differ_policies, judge
from darkroom.checks.existing_network import check_dns, check_existing_network
from darkroom.checks.framework import Finding

CHECK = "network"


def check_network(target: Target) -> Iterator[Finding]:
    """Pitfalls 25, 26 and 45: names resolve, endpoints have their policies, egress reaches S3."""
    for _, name, _ in target.resources("EC2::VPC"):
        yield from check_dns(target.stack, name)
    yield from check_existing_network(target.inputs)
    yield from _endpoints(target)
    yield from _egress(target)
    yield from _flow_logs(target)


def _endpoints(target: Target) -> Iterator[Finding]:
    ec2 = target.stack.client("ec2")
    for title, name, properties in target.resources("EC2::VPCEndpoint"):
        (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[name])["VpcEndpoints"]
        differences = [
            *differ("state", "available", found["State"].lower()),
            *differ_policies(properties.get("PolicyDocument"), found.get("PolicyDocument")),
        ]
        if "SubnetIds" in properties:
            subnets = set(found.get("SubnetIds", []))
            differences += differ("subnets", set(properties["SubnetIds"]), subnets)
        if "RouteTableIds" in properties:
            tables = set(found.get("RouteTableIds", []))
            differences += differ("route tables", set(properties["RouteTableIds"]), tables)
        if "PrivateDnsEnabled" in properties:
            private = found.get("PrivateDnsEnabled")
            differences += differ("private DNS", properties["PrivateDnsEnabled"], private)
        yield from judge(target, CHECK, (title, name), differences)


def _egress(target: Target) -> Iterator[Finding]:
    """Pitfall 25: the worker's security group allows S3's prefix list, and no addresses."""
    groups = {
        name: title
        for title, name, properties in target.resources("EC2::SecurityGroup")
        if any("DestinationPrefixListId" in rule for rule in properties["SecurityGroupEgress"])
    }
    if not groups:
        return
    current = vpc.s3_prefix_list(target.stack)
    found = target.stack.client("ec2").describe_security_groups(GroupIds=list(groups))
    for group in found["SecurityGroups"]:
        rules = group.get("IpPermissionsEgress", [])
        lists = {entry["PrefixListId"] for rule in rules for entry in rule.get("PrefixListIds", [])}
        addresses = {entry["CidrIp"] for rule in rules for entry in rule.get("IpRanges", [])}
        addresses |= {entry["CidrIpv6"] for rule in rules for entry in rule.get("Ipv6Ranges", [])}
        yield from judge(
            target,
            CHECK,
            (groups[group["GroupId"]], group["GroupId"]),
            [
                *differ("S3's prefix list", {current} - {None}, lists),
                *differ("egress to addresses", set(), addresses),
            ],
            f"deploy with S3PrefixListId={current}",
        )


def _flow_logs(target: Target) -> Iterator[Finding]:
    ec2 = target.stack.client("ec2")
    for title, name, _ in target.resources("EC2::FlowLog"):
        (found,) = ec2.describe_flow_logs(FlowLogIds=[name])["FlowLogs"]
        differences = differ("state", "ACTIVE", found["FlowLogStatus"])
        if "DeliverLogsStatus" in found:  # only once there was something to deliver
            differences += differ("delivery", "SUCCESS", found["DeliverLogsStatus"])
        yield from judge(target, CHECK, (title, name), differences)
