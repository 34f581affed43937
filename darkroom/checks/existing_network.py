"""Checks of a VPC: its DNS, and whether the subnets of an existing one reach S3 and SQS."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from darkroom.aws import vpc
from darkroom.aws.errors import error_code, is_not_found
from darkroom.aws.session import Account
from darkroom.checks.existing_endpoints import (
    check_endpoint_policy,
    check_private_s3_names,
    check_sqs_endpoint,
)
from darkroom.checks.framework import Finding, failed, passed
from darkroom.checks.stack_inputs import StackInputs

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import SubnetTypeDef, VpcEndpointTypeDef

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
    yield from _check_endpoint_zones(inputs, subnets)
    tables = vpc.route_tables(account, network, chosen)
    s3_endpoints = vpc.endpoints(account, network, f"com.amazonaws.{account.region}.s3")
    if "RouteTableIds" in inputs.declared:
        yield _new_s3_endpoint(inputs, s3_endpoints, tables)
    else:
        yield from _existing_s3_endpoint(inputs, network, s3_endpoints, tables)
    yield from check_private_s3_names(network, s3_endpoints)
    yield from check_sqs_endpoint(inputs, network, subnets)


def _check_endpoint_zones(
    inputs: StackInputs, subnets: "Sequence[SubnetTypeDef]"
) -> Iterator[Finding]:
    """Pitfall 71: an interface endpoint of the template gets one subnet in each zone."""
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
    for title, endpoint in inputs.template.resources_of_type("EC2::VPCEndpoint").items():
        zones: dict[str, list[str]] = {}
        for subnet in endpoint.get("SubnetIds", []):
            zones.setdefault(zone_of.get(subnet, subnet), []).append(subnet)
        for zone, shared in zones.items():
            if len(shared) > 1:
                yield failed(
                    f"{title} cannot have {' and '.join(shared)}, which are both in {zone}: an"
                    " interface endpoint takes one subnet in each zone",
                    "one subnet in each Availability Zone as SubnetIds, or CreateSqsEndpoint=false",
                )


def _new_s3_endpoint(
    inputs: StackInputs, endpoints: "Sequence[VpcEndpointTypeDef]", tables: set[str]
) -> Finding:
    """Return whether a gateway endpoint for S3 can be added to the subnets' route tables."""
    existing = _gateways(endpoints)
    routed = {
        table for endpoint in existing.values() for table in endpoint.get("RouteTableIds", [])
    }
    given = set(inputs.values.get("RouteTableIds", "").split(","))
    if given != tables:
        return failed(
            f"RouteTableIds is {','.join(sorted(given))}; the subnets use"
            f" {','.join(sorted(tables))}",
            f"RouteTableIds={','.join(sorted(tables))}",
        )
    if routed & tables and not inputs.physical_ids & existing.keys():
        return failed(
            f"{', '.join(sorted(routed & tables))} already have a route to S3, through"
            f" {', '.join(existing)}",
            'network.endpoints = "existing" in the specification, with that as S3EndpointId',
        )
    return passed("a route to S3 can be added to the subnets' route tables")


def _existing_s3_endpoint(
    inputs: StackInputs,
    network: str,
    endpoints: "Sequence[VpcEndpointTypeDef]",
    tables: set[str],
) -> Iterator[Finding]:
    """Yield whether the subnets' route tables lead to S3 through the VPC's own endpoint."""
    existing = _gateways(endpoints)
    endpoint = inputs.values.get("S3EndpointId", "")
    if endpoint not in existing:
        yield failed(
            f"{endpoint} is not a gateway endpoint for S3 in {network}",
            f"it has: {', '.join(existing) or 'none'}",
        )
        return
    if missing := tables - set(existing[endpoint].get("RouteTableIds", [])):
        yield failed(
            f"{endpoint} is not in {', '.join(sorted(missing))}, which the subnets use",
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {endpoint} --add-route-table-ids"
            f" {' '.join(sorted(missing))}",
        )
    else:
        yield passed(f"the subnets reach S3 through {endpoint}")
    yield check_endpoint_policy(inputs, existing[endpoint], "s3")


def _gateways(endpoints: "Sequence[VpcEndpointTypeDef]") -> "dict[str, VpcEndpointTypeDef]":
    """Return the gateway endpoints by their ids."""
    return {
        endpoint["VpcEndpointId"]: endpoint
        for endpoint in endpoints
        if endpoint["VpcEndpointType"] == "Gateway"
    }
