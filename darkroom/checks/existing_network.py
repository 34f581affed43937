"""Checks of a VPC: its DNS, and whether the subnets of an existing one reach S3 and SQS."""

from collections.abc import Iterator, Mapping

from botocore.exceptions import ClientError

from darkroom.aws import vpc
from darkroom.aws.errors import error_code, is_not_found
from darkroom.aws.session import Account
from darkroom.checks.framework import Finding, failed, passed
from darkroom.checks.stack_inputs import StackInputs

DNS_OPTIONS = {
    "enableDnsSupport": "--enable-dns-support",
    "enableDnsHostnames": "--enable-dns-hostnames",
}


def check_dns(account: Account, network: str) -> Iterator[Finding]:
    """Pitfall 45: the names of interface endpoints resolve to private addresses in a VPC."""
    for attribute, is_on in vpc.dns_attributes(account, network).items():
        if is_on:
            yield passed(f"{network} has {attribute} on")
        else:
            yield failed(
                f"{network} has {attribute} off: the worker would resolve SQS's public address and"
                " wait until it times out",
                f"aws ec2 modify-vpc-attribute --vpc-id {network} {DNS_OPTIONS[attribute]}",
            )


def check_existing_network(inputs: StackInputs) -> Iterator[Finding]:
    """Pitfall 45: an existing VPC has what the worker needs."""
    network, subnet_ids = inputs.values.get("VpcId"), inputs.values.get("SubnetIds")
    if not network or not subnet_ids:
        return
    account, chosen = inputs.account, subnet_ids.split(",")
    try:
        subnets = account.client("ec2").describe_subnets(SubnetIds=chosen)["Subnets"]
    except ClientError as error:
        if not is_not_found(error) and not error_code(error).endswith(".Malformed"):
            raise
        yield failed(error.response["Error"]["Message"], "correct SubnetIds")
        return
    yield from check_dns(account, network)
    elsewhere = [subnet["SubnetId"] for subnet in subnets if subnet["VpcId"] != network]
    zones = sorted({subnet["AvailabilityZone"] for subnet in subnets})
    if elsewhere:
        yield failed(f"{', '.join(elsewhere)} are not in {network}", "correct SubnetIds or VpcId")
        return
    if len(zones) < 2:
        yield failed(f"all subnets are in {zones[0]}", "choose subnets in two or more zones")
    else:
        yield passed(f"the subnets are in {', '.join(zones)}")
    tables = vpc.route_tables(account, network, chosen)
    if "RouteTableIds" in inputs.declared:
        yield _new_s3_endpoint(inputs, network, tables)
    else:
        yield _existing_s3_endpoint(inputs, network, tables)
    yield from check_sqs_endpoint(inputs, network)


def _new_s3_endpoint(inputs: StackInputs, network: str, tables: set[str]) -> Finding:
    """Return whether a gateway endpoint for S3 can be added to the subnets' route tables."""
    existing = _s3_endpoints(inputs, network)
    routed = {table for tables_ in existing.values() for table in tables_}
    given = set(inputs.values.get("RouteTableIds", "").split(","))
    if given != tables:
        return failed(
            f"RouteTableIds is {','.join(sorted(given))}; the subnets use"
            f" {','.join(sorted(tables))}",
            f"RouteTableIds={','.join(sorted(tables))}",
        )
    if routed & tables and not inputs.resources & existing.keys():
        return failed(
            f"{', '.join(sorted(routed & tables))} already have a route to S3, through"
            f" {', '.join(existing)}",
            'network.endpoints = "existing" in the specification, with that as S3EndpointId',
        )
    return passed("a route to S3 can be added to the subnets' route tables")


def _existing_s3_endpoint(inputs: StackInputs, network: str, tables: set[str]) -> Finding:
    """Return whether the subnets' route tables lead to S3 through the VPC's own endpoint."""
    existing = _s3_endpoints(inputs, network)
    endpoint = inputs.values.get("S3EndpointId", "")
    if endpoint not in existing:
        return failed(
            f"{endpoint} is not a gateway endpoint for S3 in {network}",
            f"it has: {', '.join(existing) or 'none'}",
        )
    if missing := tables - existing[endpoint]:
        return failed(
            f"{endpoint} is not in {', '.join(sorted(missing))}, which the subnets use",
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {endpoint} --add-route-table-ids"
            f" {' '.join(sorted(missing))}",
        )
    return passed(f"the subnets reach S3 through {endpoint}")


def _s3_endpoints(inputs: StackInputs, network: str) -> Mapping[str, set[str]]:
    """Return the VPC's gateway endpoints for S3 with their route tables."""
    service = f"com.amazonaws.{inputs.account.region}.s3"
    return {
        endpoint["VpcEndpointId"]: set(endpoint.get("RouteTableIds", []))
        for endpoint in vpc.endpoints(inputs.account, network, service, "Gateway")
    }


def check_sqs_endpoint(inputs: StackInputs, network: str) -> Iterator[Finding]:
    """Pitfall 45: there is an interface endpoint for SQS, or one can be added."""
    if inputs.values.get("CreateSqsEndpoint") != "true":
        return
    prefix = "cn." if inputs.account.region.startswith("cn-") else ""
    service = f"{prefix}com.amazonaws.{inputs.account.region}.sqs"
    existing = vpc.endpoints(inputs.account, network, service, "Interface")
    private = [endpoint for endpoint in existing if endpoint.get("PrivateDnsEnabled")]
    if "SqsEndpointSecurityGroupId" in inputs.declared:
        group = inputs.values.get("SqsEndpointSecurityGroupId")
        behind = [
            endpoint["VpcEndpointId"]
            for endpoint in private
            if group in {member.get("GroupId") for member in endpoint.get("Groups", [])}
        ]
        if behind:
            yield passed(f"the worker reaches SQS through {behind[0]}")
        else:
            listed = ", ".join(endpoint["VpcEndpointId"] for endpoint in existing) or "none"
            yield failed(
                f"{network} has no endpoint for SQS with private DNS and the security group"
                f" {group}",
                "CreateSqsEndpoint=false, or the security group of one of its endpoints for SQS:"
                f" {listed}",
            )
        return
    others = [
        endpoint["VpcEndpointId"]
        for endpoint in private
        if endpoint["VpcEndpointId"] not in inputs.resources
    ]
    if others:
        yield failed(
            f"{others[0]} already has SQS's private DNS name in {network}, which a second endpoint"
            " cannot have",
            'network.endpoints = "existing" in the specification, or CreateSqsEndpoint=false',
        )
    else:
        yield passed("an endpoint for SQS can be added")
