"""Rules about networks: no road out, and every door open to exactly what passes it."""

import re
from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import Stack
from darkroom.cloudformation.policy_documents import is_within_account
from darkroom.cloudformation.resolver import PSEUDO
from darkroom.iam.evaluator import Request, allowed, like
from darkroom.lint.rule import Problems, rule

PRIVATELINK = "https://docs.aws.amazon.com/vpc/latest/privatelink"
VPC = "https://docs.aws.amazon.com/vpc/latest/userguide"
ENDPOINT_POLICY = f"{PRIVATELINK}/vpc-endpoints-access.html"
LAMBDA_VPC = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"

# A gateway of any kind, or an address of one's own, is a road.
ROADS = (
    "DirectConnect::PrivateVirtualInterface",
    "EC2::CarrierGateway",
    "EC2::ClientVpnEndpoint",
    "EC2::CustomerGateway",
    "EC2::EgressOnlyInternetGateway",
    "EC2::EIP",
    "EC2::EIPAssociation",
    "EC2::InstanceConnectEndpoint",
    "EC2::InternetGateway",
    "EC2::LocalGatewayRouteTableVPCAssociation",
    "EC2::NatGateway",
    "EC2::TransitGateway",
    "EC2::TransitGatewayAttachment",
    "EC2::TransitGatewayVpcAttachment",
    "EC2::VPCGatewayAttachment",
    "EC2::VPCPeeringConnection",
    "EC2::VPNConnection",
    "EC2::VPNGateway",
    "EC2::VPNGatewayRoutePropagation",
    "NetworkManager::VpcAttachment",
    "VpcLattice::ServiceNetworkVpcAssociation",
)
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
# What Lambda, CloudWatch Logs and the services themselves call from outside the network for a
# function: its code needs no door for these (trap 42).
OUTSIDE = ("ec2:*", "kms:*", "logs:*", "xray:*", "cloudwatch:PutMetricData")
POLLED = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
LOOPBACK = "127.0.0.1/32"  # the usual way to say "nowhere": no rule at all means everywhere


def _functions(stack: Stack) -> Iterator[tuple[str, dict[str, Any]]]:
    for function, properties in stack.of_type("Lambda::Function").items():
        config = properties.get("VpcConfig", {})
        if config.get("SubnetIds"):
            yield function, config


def _endpoints(stack: Stack) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each endpoint with its properties and its service, e.g. `s3`."""
    for title, properties in stack.of_type("EC2::VPCEndpoint").items():
        yield title, properties, str(properties.get("ServiceName", "")).rpartition(".")[2]


def _rules(stack: Stack, group: str, direction: str) -> list[dict[str, Any]]:
    """Return a security group's Ingress or Egress rules, wherever they are written."""
    inline = stack.properties(group).get(f"SecurityGroup{direction}", [])
    return [
        *inline,
        *(
            one
            for one in stack.of_type(f"EC2::SecurityGroup{direction}").values()
            if stack.owner(one.get("GroupId")) == group
        ),
    ]


@rule(
    "Give each endpoint a PolicyDocument that admits the stack's own calls.",
    source=ENDPOINT_POLICY,
    keeps="S6, trap 26",
)
def endpoint_has_policy(stack: Stack) -> Problems:
    """Without one an endpoint admits every caller to everything, other accounts' buckets too."""
    for title, properties, _ in _endpoints(stack):
        if not properties.get("PolicyDocument"):
            yield title, "has AWS's default policy: full access"


@rule(
    "Let the endpoint's policy hold the same statements as the role's.",
    source=ENDPOINT_POLICY,
    keeps="S6, S5",
)
def endpoint_admits_functions_calls(stack: Stack) -> Problems:
    """A call that the endpoint refuses fails; one without an endpoint hangs to its time-out."""
    doors = {service: title for title, _, service in _endpoints(stack)}
    for function, _ in _functions(stack):
        if not (role := stack.role_of(function)):
            continue
        for one in stack.granted(role):
            for action in one.get("Action", []) if one["Effect"] == "Allow" else ():
                service = str(action).partition(":")[0].lower()
                if any(like(known, str(action), ignore_case=True) for known in OUTSIDE):
                    continue
                if service not in doors:
                    # The poller's calls are Lambda's own, and the code of a function that has no
                    # door to SQS cannot have meant the rest.
                    if service != "sqs" and not _may_have_ways(stack):
                        yield role, f"may {action}, and the network has no endpoint for {service}"
                    continue
                if action in POLLED:
                    continue
                if not stack.properties(doors[service]).get("PolicyDocument"):
                    continue  # full access, which another rule minds
                policy = stack.statements(doors[service])
                for resource in one.get("Resource", []):
                    request = Request(
                        action=str(action),
                        resource=str(resource),
                        principal=stack.arn(role),
                        context={
                            "aws:PrincipalArn": stack.arn(role),
                            "aws:PrincipalAccount": stack.account,
                            "aws:ResourceAccount": stack.account,
                            "aws:SecureTransport": "true",
                        },
                    )
                    if not allowed(policy, request):
                        yield doors[service], f"does not admit {action} on {resource}"


@rule(
    "Remove from the endpoint's policy what no role of the stack may do.",
    source=ENDPOINT_POLICY,
    keeps="S5, S6",
)
def endpoint_admits_no_more(stack: Stack) -> Problems:
    """What passes a door that nobody of the stack needs is somebody else's: a way to leak."""
    roles = [role for f, _ in _functions(stack) if (role := stack.role_of(f))]
    granted = [one for role in roles for one in stack.granted(role)]
    for title, _, _ in _endpoints(stack) if roles else ():
        for one in stack.statements(title):
            # A door for other workloads of the account, whose roles say what for.
            if is_within_account(one, PSEUDO["AWS::AccountId"]):
                continue
            for action in one.get("Action", []) if one["Effect"] == "Allow" else ():
                for resource in one.get("Resource", []):
                    request = Request(action=str(action), resource=str(resource))
                    if not allowed(granted, request):
                        yield title, f"admits {action} on {resource}, which no function may do"


def _may_have_ways(stack: Stack) -> bool:
    """Whether calls may pass where the template shows no endpoint: by a road, or in a network that
    is not the template's own.
    """
    return not stack.of_type("EC2::VPC") or any(stack.of_type(kind) for kind in ROADS)


@rule(
    "Remove it; what the function calls gets an endpoint.",
    source=f"{VPC}/VPC_Internet_Gateway.html",
    keeps="S6",
)
def network_has_no_road_out(stack: Stack) -> Problems:
    """Code that can reach the internet can carry data there."""
    if not any(True for _ in _functions(stack)):
        return
    for kind in ROADS:
        for title in stack.of_type(kind):
            yield title, f"is a road out of the network ({kind})"
    for title, route in stack.of_type("EC2::Route").items():
        for target in route.keys() - set(ROUTED):
            yield title, f"leads out of the network by {target}"
    for title, _ in stack.existing():
        for name in PUBLIC if stack.kind(title).startswith("EC2::") else ():
            if any(str(one).lower() != "false" for one in _values(stack.properties(title), name)):
                yield title, f"gives public addresses by {name}"


@rule(
    "Remove it; an endpoint of AWS's own services is of type Gateway or Interface.",
    source=f"{PRIVATELINK}/create-endpoint-service.html",
    keeps="S6",
)
def endpoint_leads_to_aws(stack: Stack) -> Problems:
    """An endpoint of somebody's service, resource or appliance is a road to that somebody."""
    for title, properties, _ in _endpoints(stack) if any(True for _ in _functions(stack)) else ():
        service = str(properties.get("ServiceName", ""))
        kind = properties.get("VpcEndpointType", "Gateway")
        if kind not in ("Gateway", "Interface") or ".vpce." in service or not service:
            yield title, f"leads to {service or kind}, which is not AWS's own"


@rule(
    "State SecurityGroupEgress: TCP 443 to S3's prefix list and to the endpoints' security group.",
    source=f"{VPC}/security-group-rules.html",
    keeps="S6, trap 25",
)
def egress_leads_to_endpoints_only(stack: Stack) -> Problems:
    """A group that states no egress allows all of it."""
    if not any(True for _ in _functions(stack)):
        return
    for group in stack.of_type("EC2::SecurityGroup"):
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
    "Let the function's group out to the prefix list or the endpoint's group, and the endpoint's"
    " group in from the function's, both TCP 443.",
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    keeps="S6, trap 45",
)
def function_reaches_endpoints(stack: Stack) -> Problems:
    """A call that a security group drops hangs to its time-out."""
    for function, config in _functions(stack):
        groups = [stack.owner(one, "EC2::SecurityGroup") for one in config["SecurityGroupIds"]]
        out = [one for group in groups if group for one in _rules(stack, group, "Egress")]
        if not all(groups) or any(one.get("CidrIp") == "0.0.0.0/0" for one in out):
            continue
        called = _called(stack, function)
        for title, properties, service in _endpoints(stack):
            if called and service not in called:
                continue
            if properties.get("VpcEndpointType", "Gateway") == "Gateway":
                if not any("DestinationPrefixListId" in one for one in out):
                    yield groups[0], f"does not let {function} out to {title}"
                continue
            doors = [stack.owner(one) for one in properties.get("SecurityGroupIds", [])]
            aims = [stack.owner(one.get("DestinationSecurityGroupId")) for one in out]
            if not set(doors) & set(aims):
                yield groups[0], f"does not let {function} out to {title}"
            for door in filter(None, doors):
                if not any(
                    str(one.get("FromPort")) == "443" for one in _rules(stack, door, "Ingress")
                ):
                    yield door, f"does not let HTTPS in to {title}"


def _called(stack: Stack, function: str) -> set[str]:
    """Return the services that a function's own code may call; none where its role is elsewhere."""
    role = stack.role_of(function)
    return {
        str(action).partition(":")[0].lower()
        for one in (stack.granted(role) if role else ())
        for action in (one.get("Action", []) if one["Effect"] == "Allow" else ())
        if not any(like(known, str(action), ignore_case=True) for known in OUTSIDE)
    }


@rule(
    "Admit the network's own range or the function's group, on TCP 443 only.",
    source=f"{VPC}/security-group-rules.html",
    keeps="S6",
)
def ingress_is_from_the_network(stack: Stack) -> Problems:
    """Nobody outside has anything to ask of an endpoint or of a function."""
    callers = {
        stack.owner(one) for _, config in _functions(stack) for one in config["SecurityGroupIds"]
    }
    for group in stack.of_type("EC2::SecurityGroup") if callers else ():
        for one in _rules(stack, group, "Ingress"):
            if str(one.get("CidrIp", one.get("CidrIpv6"))) in ("0.0.0.0/0", "::/0"):
                yield group, "lets the whole internet in"
            if group in callers:
                yield group, "lets traffic in; nothing calls a function through its network"
            if (str(one.get("FromPort")), str(one.get("ToPort"))) != ("443", "443"):
                yield group, "lets in more than TCP 443"


@rule(
    "Set EnableDnsSupport and EnableDnsHostnames to true, and PrivateDnsEnabled on interface"
    " endpoints.",
    source=f"{PRIVATELINK}/create-interface-endpoint.html#prerequisites-interface-endpoints",
    keeps="trap 45",
)
def names_resolve_to_endpoints(stack: Stack) -> Problems:
    """Otherwise the SDK resolves the service's public address and hangs to its time-out."""
    for title, vpc in stack.of_type("EC2::VPC").items():
        # https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html: support is on by default.
        if str(vpc.get("EnableDnsSupport", True)).lower() != "true":
            yield title, "has no DNS support"
        if str(vpc.get("EnableDnsHostnames")).lower() != "true" and _interfaces(stack):
            yield title, "has no DNS host names"
    for title in _interfaces(stack):
        if str(stack.properties(title).get("PrivateDnsEnabled")).lower() != "true":
            yield title, "has no private DNS name"


def _interfaces(stack: Stack) -> list[str]:
    return [
        title
        for title, properties, _ in _endpoints(stack)
        if properties.get("VpcEndpointType") == "Interface"
    ]


@rule(
    "Name the route tables of the function's subnets in the endpoint's RouteTableIds, and"
    " associate each subnet with one.",
    source=f"{PRIVATELINK}/gateway-endpoints.html",
    keeps="S6",
)
def gateway_is_on_every_route_table(stack: Stack) -> Problems:
    """A subnet whose route table lacks the endpoint has no way to it."""
    tables = {
        stack.owner(one.get("SubnetId")): stack.owner(one.get("RouteTableId"))
        for one in stack.of_type("EC2::SubnetRouteTableAssociation").values()
    }
    for title, properties, _ in _endpoints(stack):
        if properties.get("VpcEndpointType", "Gateway") != "Gateway":
            continue
        reached = {stack.owner(one) for one in properties.get("RouteTableIds", [])}
        for function, config in _functions(stack):
            for subnet in filter(None, (stack.owner(one) for one in config["SubnetIds"])):
                if tables.get(subnet) not in reached:
                    yield title, f"is not on the route table of {subnet}, where {function} runs"


@rule(
    "Set VpcConfig with the stack's private subnets and security group.",
    source=LAMBDA_VPC,
    keeps="S6",
)
def function_is_in_the_network(stack: Stack) -> Problems:
    """A function without VpcConfig runs in a network of Lambda's, with the internet at hand."""
    inside = {function for function, _ in _functions(stack)}
    for function in stack.of_type("Lambda::Function") if stack.of_type("EC2::Subnet") else ():
        if function not in inside:
            yield function, "runs outside of the stack's network"


@rule(
    "Add an interface endpoint for the service, or take the name out of the environment.",
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    keeps="S6, trap 42",
)
def named_services_have_endpoints(stack: Stack) -> Problems:
    """A function that is told of a queue calls it, and without a way hangs to its time-out."""
    doors = {service for _, _, service in _endpoints(stack)}
    kinds = {"SQS::Queue": "sqs", "SNS::Topic": "sns", "S3::Bucket": "s3"}
    for function, _ in _functions(stack):
        if _may_have_ways(stack):
            continue
        variables = stack.properties(function).get("Environment", {}).get("Variables", {})
        for name, value in variables.items():
            title = stack.owner(value, *kinds)
            if title and (service := kinds[stack.kind(title)]) not in doors:
                yield function, f"has {title} in {name}, and the network no endpoint for {service}"


@rule(
    "Put the endpoint into every subnet of the function, each in a zone of its own.",
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    keeps="R3",
)
def endpoint_is_in_every_zone(stack: Stack) -> Problems:
    """When the only zone with the endpoint fails, the function in the others fails with it."""
    for title in _interfaces(stack):
        reached = {stack.owner(one) for one in stack.properties(title).get("SubnetIds", [])}
        for function, config in _functions(stack):
            for subnet in filter(None, (stack.owner(one) for one in config["SubnetIds"])):
                if subnet not in reached:
                    yield title, f"has no interface in {subnet}, where {function} runs"


@rule(
    "Add an AWS::EC2::FlowLog for the network, with a role that vpc-flow-logs.amazonaws.com may"
    " assume and that may write to the log group.",
    source=f"{VPC}/flow-logs-iam-role.html",
    keeps="S6",
)
def traffic_is_recorded(stack: Stack) -> Problems:
    """What tried to leave is known only where it was written down; without rights nothing is."""
    logs = stack.of_type("EC2::FlowLog")
    watched = {stack.owner(one.get("ResourceId"), "EC2::VPC") for one in logs.values()}
    for network in stack.of_type("EC2::VPC") if any(True for _ in _functions(stack)) else ():
        if network not in watched:
            yield network, "has no flow log"
    for title, one in logs.items():
        role = stack.owner(one.get("DeliverLogsPermissionArn"), "IAM::Role")
        group = stack.owner(one.get("LogGroupName", one.get("LogDestination")), "Logs::LogGroup")
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
            if not allowed(stack.granted(role), Request(action=action, resource=resource)):
                yield role, f"lacks {action} for {title}"


@rule(
    "Choose zones by Fn::Select over Fn::GetAZs with a parameter, and put the function in two.",
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    keeps="R3, D2, trap 24",
)
def zones_are_chosen(stack: Stack) -> Problems:
    """Zone letters differ by region and account, and not every zone has every endpoint service."""
    for title in stack.of_type("EC2::Subnet"):
        zone = stack.resources[title]["Properties"].get("AvailabilityZone")
        if zone is None:
            yield title, "is in whichever zone AWS picks"
        text = zone.get("Fn::Sub") if isinstance(zone, dict) else zone
        if isinstance(text, str) and re.search(r"([0-9]|\$\{AWS::Region\})[a-f]$", text):
            yield title, f"is always in the zone {text}"
        picked = zone.get("Fn::Select", [None])[0] if isinstance(zone, dict) else None
        if isinstance(picked, int | str):
            yield title, f"is always in the zone number {picked}"
    for function, config in _functions(stack):
        if isinstance(stack.resources[function]["Properties"]["VpcConfig"]["SubnetIds"], dict):
            continue  # a parameter's: nobody can tell here
        subnets = [stack.owner(one, "EC2::Subnet") for one in config["SubnetIds"]]
        known = [str(stack.properties(one).get("AvailabilityZone", one)) for one in subnets if one]
        if len(config["SubnetIds"]) < 2 or (all(subnets) and len(set(known)) < 2):
            yield function, "runs in one zone"


@rule(
    "Take the prefix list from a parameter, or a mapping by region with a rule for the others.",
    source=f"{VPC}/working-with-aws-managed-prefix-lists.html",
    keeps="D2, trap 25",
)
def prefix_list_follows_region(stack: Stack) -> Problems:
    """The id of S3's prefix list differs by region."""
    for title, resource in stack.existing():
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
