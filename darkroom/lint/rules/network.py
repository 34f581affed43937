"""Rules about networks: no road out, and every door open to exactly what passes it."""

import re
from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.iam.evaluator import Request, allowed
from darkroom.lint.rule import Problems, rule
from darkroom.lint.rules.endpoints import (
    EGRESS_TYPES,
    called_services,
    functions_in_vpc,
    interface_endpoints,
    vpc_endpoints,
)

PRIVATELINK = "https://docs.aws.amazon.com/vpc/latest/privatelink"
VPC = "https://docs.aws.amazon.com/vpc/latest/userguide"
LAMBDA_VPC = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"
# What a route has beside its target. The network's own range needs no route.
ROUTED = (
    "RouteTableId",
    "DestinationCidrBlock",
    "DestinationIpv6CidrBlock",
    "DestinationPrefixListId",
)
# Addresses that the internet can answer to; every IPv6 address is one.
PUBLIC = (
    "AmazonProvidedIpv6CidrBlock",
    "AssignIpv6AddressOnCreation",
    "AssociatePublicIpAddress",
    "Ipv6CidrBlock",
    "Ipv6IpamPoolId",
    "Ipv6Native",
    "MapPublicIpOnLaunch",
)
LOOPBACK = "127.0.0.1/32"  # the usual way to say "nowhere": no rule at all means everywhere


def _rules(stack: TemplateModel, group: str, direction: str) -> list[dict[str, Any]]:
    """Return a security group's Ingress or Egress rules, wherever they are written."""
    inline = stack.properties(group).get(f"SecurityGroup{direction}", [])
    return [
        *inline,
        *(
            one
            for one in stack.resources_of_type(f"EC2::SecurityGroup{direction}").values()
            if stack.logical_id(one.get("GroupId")) == group
        ),
    ]


@rule(
    "DR-VPC-002",
    "warning",
    remediation="Remove it; what the function calls gets an endpoint.",
    source=f"{VPC}/VPC_Internet_Gateway.html",
    requirements=("S6",),
)
def vpc_no_egress(stack: TemplateModel) -> Problems:
    """The VPC has no route to the internet or to another network.

    Code that can reach the internet can carry data there.
    """
    if not any(True for _ in functions_in_vpc(stack)):
        return
    for kind in EGRESS_TYPES:
        for title in stack.resources_of_type(kind):
            yield title, f"is a road out of the network ({kind})"
    for title, route in stack.resources_of_type("EC2::Route").items():
        for target in route.keys() - set(ROUTED):
            yield title, f"leads out of the network by {target}"
    for title, _ in stack.active_resources():
        for name in PUBLIC if stack.type_of(title).startswith("EC2::") else ():
            if any(str(one).lower() != "false" for one in _values(stack.properties(title), name)):
                yield title, f"gives public addresses by {name}"


@rule(
    "DR-VPC-003",
    "warning",
    remediation=(
        "State SecurityGroupEgress: TCP 443 to S3's prefix list and to the endpoints' security"
        " group."
    ),
    source=f"{VPC}/security-group-rules.html",
    requirements=("S6",),
    pitfalls=(25,),
)
def vpc_security_group_egress(stack: TemplateModel) -> Problems:
    """Security groups let traffic out only to endpoints, on TCP 443.

    A group that states no egress allows all of it.
    """
    if not any(True for _ in functions_in_vpc(stack)):
        return
    for group in stack.resources_of_type("EC2::SecurityGroup"):
        rules = _rules(stack, group, "Egress")
        if not rules:
            yield group, "states no egress: everything, everywhere"
        for one in rules:
            where = one.get("CidrIp", one.get("CidrIpv6"))
            if where == LOOPBACK:
                continue
            if where is not None:
                yield group, f"lets traffic out to {where}"
            elif (str(one.get("IpProtocol")), str(one.get("FromPort")), str(one.get("ToPort"))) != (
                "tcp",
                "443",
                "443",
            ):
                yield group, "lets out more than TCP 443, which is all that endpoints speak"


@rule(
    "DR-VPC-004",
    "error",
    remediation=(
        "Let the function's group out to the prefix list or the endpoint's group, and the"
        " endpoint's group in from the function's, both TCP 443."
    ),
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    requirements=("S6",),
    pitfalls=(45,),
)
def vpc_security_group_endpoint_access(stack: TemplateModel) -> Problems:
    """Security groups let the function reach its endpoints.

    A call that a security group drops hangs to its time-out.
    """
    for function, config in functions_in_vpc(stack):
        groups = [stack.logical_id(one, "EC2::SecurityGroup") for one in config["SecurityGroupIds"]]
        out = [one for group in groups if group for one in _rules(stack, group, "Egress")]
        if not all(groups) or any(one.get("CidrIp") == "0.0.0.0/0" for one in out):
            continue
        called = called_services(stack, function)
        for title, properties, service in vpc_endpoints(stack):
            if called and service not in called:
                continue
            if properties.get("VpcEndpointType", "Gateway") == "Gateway":
                if not any("DestinationPrefixListId" in one for one in out):
                    yield groups[0], f"does not let {function} out to {title}"
                continue
            doors = [stack.logical_id(one) for one in properties.get("SecurityGroupIds", [])]
            aims = [stack.logical_id(one.get("DestinationSecurityGroupId")) for one in out]
            if not set(doors) & set(aims):
                yield groups[0], f"does not let {function} out to {title}"
            for door in filter(None, doors):
                if not any(
                    str(one.get("FromPort")) == "443" for one in _rules(stack, door, "Ingress")
                ):
                    yield door, f"does not let HTTPS in to {title}"


@rule(
    "DR-VPC-005",
    "warning",
    remediation="Admit the network's own range or the function's group, on TCP 443 only.",
    source=f"{VPC}/security-group-rules.html",
    requirements=("S6",),
)
def vpc_security_group_ingress(stack: TemplateModel) -> Problems:
    """Security groups let in only HTTPS from the VPC, and nothing to a function.

    Nobody outside has anything to ask of an endpoint or of a function.
    """
    callers = {
        stack.logical_id(one)
        for _, config in functions_in_vpc(stack)
        for one in config["SecurityGroupIds"]
    }
    for group in stack.resources_of_type("EC2::SecurityGroup") if callers else ():
        for one in _rules(stack, group, "Ingress"):
            if str(one.get("CidrIp", one.get("CidrIpv6"))) in ("0.0.0.0/0", "::/0"):
                yield group, "lets the whole internet in"
            if group in callers:
                yield group, "lets traffic in; nothing calls a function through its network"
            if (str(one.get("FromPort")), str(one.get("ToPort"))) != ("443", "443"):
                yield group, "lets in more than TCP 443"


@rule(
    "DR-VPC-006",
    "error",
    remediation=(
        "Set EnableDnsSupport and EnableDnsHostnames to true, and PrivateDnsEnabled on interface"
        " endpoints."
    ),
    source=f"{PRIVATELINK}/create-interface-endpoint.html#prerequisites-interface-endpoints",
    pitfalls=(45,),
)
def vpc_private_dns(stack: TemplateModel) -> Problems:
    """The VPC has DNS support and DNS host names, and interface endpoints have private DNS.

    Otherwise the SDK resolves the service's public address and hangs to its time-out.
    """
    for title, vpc in stack.resources_of_type("EC2::VPC").items():
        # https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html: support is on by default.
        if str(vpc.get("EnableDnsSupport", True)).lower() != "true":
            yield title, "has no DNS support"
        if str(vpc.get("EnableDnsHostnames")).lower() != "true" and interface_endpoints(stack):
            yield title, "has no DNS host names"
    for title in interface_endpoints(stack):
        if str(stack.properties(title).get("PrivateDnsEnabled")).lower() != "true":
            yield title, "has no private DNS name"


@rule(
    "DR-LAMBDA-017",
    "warning",
    remediation="Set VpcConfig with the stack's private subnets and security group.",
    source=LAMBDA_VPC,
    requirements=("S6",),
)
def lambda_vpc_config(stack: TemplateModel) -> Problems:
    """Every function of a template with subnets runs in them.

    A function without VpcConfig runs in a network of Lambda's, with the internet at hand.
    """
    inside = {function for function, _ in functions_in_vpc(stack)}
    for function in (
        stack.resources_of_type("Lambda::Function")
        if stack.resources_of_type("EC2::Subnet")
        else ()
    ):
        if function not in inside:
            yield function, "runs outside of the stack's network"


@rule(
    "DR-VPC-007",
    "warning",
    remediation=(
        "Add an AWS::EC2::FlowLog for the network, with a role that vpc-flow-logs.amazonaws.com"
        " may assume and that may write to the log group."
    ),
    source=f"{VPC}/flow-logs-iam-role.html",
    requirements=("S6",),
)
def vpc_flow_logs(stack: TemplateModel) -> Problems:
    """The VPC has a flow log that may write.

    What tried to leave is known only where it was written down; without rights nothing is.
    """
    logs = stack.resources_of_type("EC2::FlowLog")
    watched = {stack.logical_id(one.get("ResourceId"), "EC2::VPC") for one in logs.values()}
    for network in (
        stack.resources_of_type("EC2::VPC") if any(True for _ in functions_in_vpc(stack)) else ()
    ):
        if network not in watched:
            yield network, "has no flow log"
    for title, one in logs.items():
        role = stack.logical_id(one.get("DeliverLogsPermissionArn"), "IAM::Role")
        group = stack.logical_id(
            one.get("LogGroupName", one.get("LogDestination")), "Logs::LogGroup"
        )
        if not role or not group:
            continue
        assume = Request(
            action="sts:AssumeRole",
            principal="vpc-flow-logs.amazonaws.com",
            context={"aws:SourceArn": stack.arn(title), "aws:SourceAccount": stack.account},
        )
        if not allowed((s for s in stack.statements(role) if "Principal" in s), assume):
            yield role, f"does not trust vpc-flow-logs.amazonaws.com for {title}"
        here = f"{stack.arn(group).removesuffix('*')}log-stream:x"
        for action, resource in (
            ("logs:CreateLogStream", here),
            ("logs:PutLogEvents", here),
            ("logs:DescribeLogStreams", stack.arn(group)),
            ("logs:DescribeLogGroups", stack.arn(group)),
        ):
            if not allowed(stack.role_statements(role), Request(action=action, resource=resource)):
                yield role, f"lacks {action} for {title}"


@rule(
    "DR-VPC-008",
    "warning",
    remediation=(
        "Choose zones by Fn::Select over Fn::GetAZs with a parameter, and put the function in two."
    ),
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    requirements=("R3", "D2"),
    pitfalls=(24,),
)
def vpc_availability_zones(stack: TemplateModel) -> Problems:
    """Subnets take their Availability Zones from parameters, and functions run in two.

    Zone letters differ by region and account, and not every zone has every endpoint service.
    """
    for title in stack.resources_of_type("EC2::Subnet"):
        zone = stack.resources[title]["Properties"].get("AvailabilityZone")
        if zone is None:
            yield title, "is in whichever zone AWS picks"
        text = zone.get("Fn::Sub") if isinstance(zone, dict) else zone
        if isinstance(text, str) and re.search(r"([0-9]|\$\{AWS::Region\})[a-f]$", text):
            yield title, f"is always in the zone {text}"
        picked = zone.get("Fn::Select", [None])[0] if isinstance(zone, dict) else None
        if isinstance(picked, int | str):
            yield title, f"is always in the zone number {picked}"
    for function, config in functions_in_vpc(stack):
        if isinstance(stack.resources[function]["Properties"]["VpcConfig"]["SubnetIds"], dict):
            continue  # a parameter's: nobody can tell here
        subnets = [stack.logical_id(one, "EC2::Subnet") for one in config["SubnetIds"]]
        known = [str(stack.properties(one).get("AvailabilityZone", one)) for one in subnets if one]
        if len(config["SubnetIds"]) < 2 or (all(subnets) and len(set(known)) < 2):
            yield function, "runs in one zone"


@rule(
    "DR-VPC-009",
    "warning",
    remediation=(
        "Take the prefix list from a parameter, or a mapping by region with a rule for the others."
    ),
    source=f"{VPC}/working-with-aws-managed-prefix-lists.html",
    requirements=("D2",),
    pitfalls=(25,),
)
def vpc_prefix_list_region(stack: TemplateModel) -> Problems:
    """The S3 prefix list is looked up by Region.

    The id of S3's prefix list differs by region.
    """
    for title, resource in stack.active_resources():
        for value in _values(resource.get("Properties", {}), "DestinationPrefixListId"):
            if isinstance(value, str) and value.startswith("pl-"):
                yield title, f"always lets traffic out to {value}"


def _values(value: Any, key: str) -> Iterator[Any]:
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for item in value.values():
            yield from _values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, key)
