"""Rules about VPCs, subnets, security groups and flow logs."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.iam.evaluator import allowed
from darkroom.iam.expectations.requests import by_service
from darkroom.lint.access import not_allowed
from darkroom.lint.rule import Problems, rule
from darkroom.lint.rules.endpoints import (
    EGRESS_TYPES,
    called_services,
    functions_in_vpc,
    interface_endpoints,
    may_have_other_routes,
    vpc_endpoints,
)

PRIVATELINK = "https://docs.aws.amazon.com/vpc/latest/privatelink"
VPC = "https://docs.aws.amazon.com/vpc/latest/userguide"
DNS_FIREWALL = "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide"
RESOLVER = "Route53Resolver"
LAMBDA_VPC = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"
# Properties of a route that are not its target. The VPC's own range needs no route.
ROUTED = (
    "RouteTableId",
    "DestinationCidrBlock",
    "DestinationIpv6CidrBlock",
    "DestinationPrefixListId",
)
# Properties that give public addresses; every IPv6 address is public.
PUBLIC = (
    "AmazonProvidedIpv6CidrBlock",
    "AssignIpv6AddressOnCreation",
    "AssociatePublicIpAddress",
    "Ipv6CidrBlock",
    "Ipv6IpamPoolId",
    "Ipv6Native",
    "MapPublicIpOnLaunch",
)
LOOPBACK = "127.0.0.1/32"  # the usual egress rule for "nowhere": no rule means everywhere


def _rules(model: TemplateModel, group: str, direction: str) -> list[dict[str, Any]]:
    """Return a security group's Ingress or Egress rules, wherever they are written."""
    inline = model.properties(group).get(f"SecurityGroup{direction}", [])
    return [
        *inline,
        *(
            one
            for one in model.resources_of_type(f"EC2::SecurityGroup{direction}").values()
            if model.logical_id(one.get("GroupId")) == group
        ),
    ]


@rule(
    "DR-VPC-002",
    "warning",
    remediation="Remove it; add an endpoint for each service that the function calls.",
    source=f"{VPC}/VPC_Internet_Gateway.html",
    requirements=("S6",),
)
def vpc_no_egress(model: TemplateModel) -> Problems:
    """The VPC has no route to the internet or to another network.

    Code that can reach the internet can send data there.
    """
    if not any(True for _ in functions_in_vpc(model)):
        return
    for kind in EGRESS_TYPES:
        for title in model.resources_of_type(kind):
            yield title, f"connects the VPC to another network ({kind})"
    for title, route in model.resources_of_type("EC2::Route").items():
        for target in route.keys() - set(ROUTED):
            yield title, f"routes out of the VPC through {target}"
    for title, _ in model.active_resources():
        for name in PUBLIC if model.type_of(title).startswith("EC2::") else ():
            if any(str(one).lower() != "false" for one in _values(model.properties(title), name)):
                yield title, f"gives public addresses ({name})"


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
def vpc_security_group_egress(model: TemplateModel) -> Problems:
    """Security groups let traffic out only to endpoints, on TCP 443.

    A security group without egress rules allows all traffic out.
    """
    if not any(True for _ in functions_in_vpc(model)):
        return
    for group in model.resources_of_type("EC2::SecurityGroup"):
        rules = _rules(model, group, "Egress")
        if not rules:
            yield group, "has no egress rules: it allows all traffic out"
        for one in rules:
            where = one.get("CidrIp", one.get("CidrIpv6"))
            if where == LOOPBACK:
                continue
            if where is not None:
                yield group, f"allows traffic out to {where}"
            elif (str(one.get("IpProtocol")), str(one.get("FromPort")), str(one.get("ToPort"))) != (
                "tcp",
                "443",
                "443",
            ):
                yield group, "allows more out than TCP 443, the only port of endpoints"


@rule(
    "DR-VPC-004",
    "error",
    remediation=(
        "Allow the function's group out to the prefix list or the endpoint's group, and the"
        " endpoint's group in from the function's, both TCP 443."
    ),
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    requirements=("S6",),
    pitfalls=(45,),
)
def vpc_security_group_endpoint_access(model: TemplateModel) -> Problems:
    """Security groups let the function reach its endpoints.

    A call that a security group drops hangs until it times out.
    """
    for function, config in functions_in_vpc(model):
        groups = [model.logical_id(one, "EC2::SecurityGroup") for one in config["SecurityGroupIds"]]
        out = [one for group in groups if group for one in _rules(model, group, "Egress")]
        if not all(groups) or any(one.get("CidrIp") == "0.0.0.0/0" for one in out):
            continue
        called = called_services(model, function)
        for title, properties, service in vpc_endpoints(model):
            if called and service not in called:
                continue
            if properties.get("VpcEndpointType", "Gateway") == "Gateway":
                if not any("DestinationPrefixListId" in one for one in out):
                    yield groups[0], f"does not let {function} out to {title}"
                continue
            endpoint_groups = [
                model.logical_id(one) for one in properties.get("SecurityGroupIds", [])
            ]
            targets = [model.logical_id(one.get("DestinationSecurityGroupId")) for one in out]
            if not set(endpoint_groups) & set(targets):
                yield groups[0], f"does not let {function} out to {title}"
            for group in filter(None, endpoint_groups):
                if not any(
                    str(one.get("FromPort")) == "443" for one in _rules(model, group, "Ingress")
                ):
                    yield group, f"does not let HTTPS in to {title}"


@rule(
    "DR-VPC-005",
    "warning",
    remediation="Allow only the VPC's own range or the function's security group, on TCP 443.",
    source=f"{VPC}/security-group-rules.html",
    requirements=("S6",),
)
def vpc_security_group_ingress(model: TemplateModel) -> Problems:
    """Security groups let in only HTTPS from the VPC, and nothing to a function.

    No traffic from outside the VPC is meant for an endpoint or a function.
    """
    callers = {
        model.logical_id(one)
        for _, config in functions_in_vpc(model)
        for one in config["SecurityGroupIds"]
    }
    for group in model.resources_of_type("EC2::SecurityGroup") if callers else ():
        for one in _rules(model, group, "Ingress"):
            if str(one.get("CidrIp", one.get("CidrIpv6"))) in ("0.0.0.0/0", "::/0"):
                yield group, "allows traffic in from the whole internet"
            if group in callers:
                yield group, "allows traffic in, and nothing calls a function through its VPC"
            if (str(one.get("FromPort")), str(one.get("ToPort"))) != ("443", "443"):
                yield group, "allows more in than TCP 443"


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
def vpc_private_dns(model: TemplateModel) -> Problems:
    """The VPC has DNS support and DNS host names, and interface endpoints have private DNS.

    Otherwise the SDK resolves the service's public address and hangs until it times out.
    """
    for title, vpc in model.resources_of_type("EC2::VPC").items():
        # https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html: support is on by default.
        if str(vpc.get("EnableDnsSupport", True)).lower() != "true":
            yield title, "has no DNS support"
        if str(vpc.get("EnableDnsHostnames")).lower() != "true" and interface_endpoints(model):
            yield title, "has no DNS host names"
    for title in interface_endpoints(model):
        if str(model.properties(title).get("PrivateDnsEnabled")).lower() != "true":
            yield title, "has no private DNS name"


@rule(
    "DR-LAMBDA-017",
    "warning",
    remediation="Set VpcConfig with the stack's private subnets and security group.",
    source=LAMBDA_VPC,
    requirements=("S6",),
)
def lambda_vpc_config(model: TemplateModel) -> Problems:
    """Every function of a template with subnets runs in them.

    A function without VpcConfig runs in a network of Lambda's, with access to the internet.
    """
    inside = {function for function, _ in functions_in_vpc(model)}
    for function in (
        model.resources_of_type("Lambda::Function")
        if model.resources_of_type("EC2::Subnet")
        else ()
    ):
        if function not in inside:
            yield function, "runs outside of the template's subnets"


@rule(
    "DR-VPC-007",
    "warning",
    remediation=(
        "Add an AWS::EC2::FlowLog for the network, to a bucket, or to a log group with a role that"
        " vpc-flow-logs.amazonaws.com may assume and that may write to it."
    ),
    source=f"{VPC}/flow-logs-iam-role.html",
    requirements=("S6",),
)
def vpc_flow_logs(model: TemplateModel) -> Problems:
    """The VPC has a flow log that may write.

    Only a flow log shows what tried to leave the VPC; without permissions it records nothing.
    """
    logs = model.resources_of_type("EC2::FlowLog")
    watched = {model.logical_id(one.get("ResourceId"), "EC2::VPC") for one in logs.values()}
    for network in (
        model.resources_of_type("EC2::VPC") if any(True for _ in functions_in_vpc(model)) else ()
    ):
        if network not in watched:
            yield network, "has no flow log"
    for title, one in logs.items():
        role = model.logical_id(one.get("DeliverLogsPermissionArn"), "IAM::Role")
        group = model.logical_id(
            one.get("LogGroupName", one.get("LogDestination")), "Logs::LogGroup"
        )
        if not role or not group:
            continue
        source = {"aws:SourceArn": model.arn(title)}
        assume = by_service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "*", **source)
        if not allowed((s for s in model.statements(role) if "Principal" in s), assume):
            yield role, f"does not trust vpc-flow-logs.amazonaws.com for {title}"
        log_stream = f"{model.arn(group).removesuffix('*')}log-stream:x"
        missing = [
            not_allowed(model.role_statements(role), actions, resource)
            for actions, resource in (
                (("logs:CreateLogStream", "logs:PutLogEvents"), log_stream),
                (("logs:DescribeLogStreams", "logs:DescribeLogGroups"), model.arn(group)),
            )
        ]
        if any(missing):
            yield role, f"lacks {', '.join(filter(None, missing))} for {title}"


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
def vpc_availability_zones(model: TemplateModel) -> Problems:
    """Subnets take their Availability Zones from parameters, and functions run in two.

    Zone letters differ by account, and not every zone has every endpoint service.
    """
    for title in model.resources_of_type("EC2::Subnet"):
        zone = model.resources[title]["Properties"].get("AvailabilityZone")
        if zone is None:
            yield title, "is in whichever zone AWS picks"
        text = zone.get("Fn::Sub") if isinstance(zone, dict) else zone
        if isinstance(text, str) and re.search(r"([0-9]|\$\{AWS::Region\})[a-f]$", text):
            yield title, f"is always in the zone {text}"
        picked = zone.get("Fn::Select", [None])[0] if isinstance(zone, dict) else None
        if isinstance(picked, int | str):
            yield title, f"is always in the zone number {picked}"
    for function, config in functions_in_vpc(model):
        if isinstance(model.resources[function]["Properties"]["VpcConfig"]["SubnetIds"], dict):
            continue  # a parameter gives the subnets: their zones are not known here
        subnets = [model.logical_id(one, "EC2::Subnet") for one in config["SubnetIds"]]
        known = [str(model.properties(one).get("AvailabilityZone", one)) for one in subnets if one]
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
def vpc_prefix_list_region(model: TemplateModel) -> Problems:
    """The S3 prefix list is looked up by Region.

    The id of S3's prefix list differs by Region.
    """
    for title, resource in model.active_resources():
        for value in _values(resource.get("Properties", {}), "DestinationPrefixListId"):
            if isinstance(value, str) and value.startswith("pl-"):
                yield title, f"always allows traffic out to {value}"


@rule(
    "DR-VPC-010",
    "warning",
    remediation=(
        "Associate a DNS firewall with the VPC: a rule that allows the names of S3's and the"
        " endpoints' services, and one that blocks *."
    ),
    source=f"{DNS_FIREWALL}/resolver-dns-firewall-overview.html",
    requirements=("S9",),
    pitfalls=(69,),
)
def vpc_dns_firewall(model: TemplateModel) -> Problems:
    """A VPC without a route out has a DNS firewall.

    The VPC's resolver asks the whole world for names, whatever routes and security groups say: the
    names can carry data out.
    """
    if may_have_other_routes(model) or not any(True for _ in functions_in_vpc(model)):
        return
    guarded = {
        model.logical_id(one.get("VpcId"), "EC2::VPC")
        for one in model.resources_of_type(f"{RESOLVER}::FirewallRuleGroupAssociation").values()
    }
    for network in model.resources_of_type("EC2::VPC"):
        if network not in guarded:
            yield network, "resolves every name, and a name can carry data out"


@rule(
    "DR-VPC-011",
    "error",
    remediation=(
        "Allow the regional names of the endpoints' services with TRUST_REDIRECTION_DOMAIN, then"
        " block * with NXDOMAIN or NODATA, and leave FirewallFailOpen off."
    ),
    source=f"{DNS_FIREWALL}/resolver-dns-firewall-rule-actions.html",
    requirements=("S9",),
    pitfalls=(69, 70),
)
def vpc_dns_firewall_rules(model: TemplateModel) -> Problems:
    """A DNS firewall blocks all names but those of the VPC's endpoints.

    A rule that only alerts lets the query through, and so does a firewall that fails open. An
    allowed name that is an alias resolves only if the rule trusts the names it leads to.
    """
    region, suffix = model.pseudo("Region"), model.pseudo("URLSuffix")
    needed = {
        f"{host}.{region}.{suffix}"
        for _, _, service in vpc_endpoints(model)
        for host in {"s3": ("s3", "bucket.s3"), "sqs": ("sqs",)}.get(service, ())
    }
    for title, group in model.resources_of_type(f"{RESOLVER}::FirewallRuleGroup").items():
        rules = sorted(group.get("FirewallRules", []), key=lambda one: int(one["Priority"]))
        action, answer = _answer(model, rules, "data.attacker.example")
        if action == "ALERT":
            yield title, "only reports other names, and resolves them"
        elif action != "BLOCK":
            yield title, "resolves any name"
        elif answer.get("BlockResponse") not in ("NXDOMAIN", "NODATA"):
            yield title, f"answers blocked names with {answer.get('BlockResponse')}"
        for name in sorted(needed):
            action, answer = _answer(model, rules, name)
            if action == "BLOCK":
                yield title, f"blocks {name}, which the VPC has an endpoint for"
            elif answer.get("FirewallDomainRedirectionAction") != "TRUST_REDIRECTION_DOMAIN":
                yield title, f"blocks the names that {name} may be an alias of"
    for title, config in model.resources_of_type(f"{RESOLVER}::FirewallConfig").items():
        if config.get("FirewallFailOpen") == "ENABLED":
            yield title, "resolves any name while the firewall fails"


@rule(
    "DR-VPC-012",
    "warning",
    remediation="Name a security group of the template in SecurityGroupIds.",
    source=f"{VPC}/default-security-group.html",
    requirements=("S6",),
)
def vpc_default_security_group(model: TemplateModel) -> Problems:
    """Nothing is in the VPC's default security group.

    It lets its members reach everything and each other, and CloudFormation cannot change its rules.
    """
    for title in interface_endpoints(model):
        if not model.properties(title).get("SecurityGroupIds"):
            yield title, "is in the default security group: it names no other"
    for title, resource in model.active_resources():
        if "DefaultSecurityGroup" in _attributes(resource.get("Properties", {})):
            yield title, "names the default security group"


def _attributes(value: Any) -> set[str]:
    """Return the attributes that Fn::GetAtt takes from resources."""
    taken = _values(value, "Fn::GetAtt")
    return {str((one.split(".") if isinstance(one, str) else one)[1]) for one in taken}


def _answer(
    model: TemplateModel, rules: Iterable[dict[str, Any]], name: str
) -> tuple[str, dict[str, Any]]:
    """Return the action of the first rule that matches a name, and the rule; no rule allows it."""
    for one in rules:
        domains = model.logical_id(
            one.get("FirewallDomainListId"), f"{RESOLVER}::FirewallDomainList"
        )
        listed = model.properties(domains).get("Domains", []) if domains else []
        if any(fnmatch(name, str(domain)) for domain in listed):
            return str(one["Action"]), one
    return "ALLOW", {"FirewallDomainRedirectionAction": "TRUST_REDIRECTION_DOMAIN"}


def _values(value: Any, key: str) -> Iterator[Any]:
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for item in value.values():
            yield from _values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, key)
