"""Checks of the endpoints for SQS and S3 of an existing VPC: names, reach and policies."""

import json
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from darkroom.aws import vpc
from darkroom.checks.framework import Finding, failed, passed, warned, where_possible
from darkroom.checks.stack_inputs import StackInputs
from darkroom.cloudformation.policy_documents import as_list, condition_keys
from darkroom.iam.evaluator import Request, allowed
from templates.parameters.regions import interface_endpoint_service

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import SubnetTypeDef, VpcEndpointTypeDef

WORKER_ROLE = "WorkerRole"
POLLER_ACTIONS = {"sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
"""The worker's role has these for Lambda's poller, which calls SQS from outside the VPC."""

MAX_LISTED = 3


def check_sqs_endpoint(
    inputs: StackInputs, network: str, subnets: "Sequence[SubnetTypeDef]"
) -> Iterator[Finding]:
    """Pitfall 45: the worker can use the interface endpoint for SQS, or one can be added."""
    if inputs.values.get("CreateSqsEndpoint") != "true":
        return
    region = inputs.account.region
    service = interface_endpoint_service("sqs", region, is_china=region.startswith("cn-"))
    existing = [
        endpoint
        for endpoint in vpc.endpoints(inputs.account, network, service)
        if endpoint["VpcEndpointType"] == "Interface"
    ]
    private = [endpoint for endpoint in existing if endpoint.get("PrivateDnsEnabled")]
    if "SqsEndpointSecurityGroupId" in inputs.declared:
        group = inputs.values.get("SqsEndpointSecurityGroupId")
        behind = [endpoint for endpoint in private if group in _groups(endpoint)]
        if behind:
            yield _check_endpoint_id(inputs, [one["VpcEndpointId"] for one in behind])
            yield from where_possible(
                _check_ingress(inputs, behind[0], subnets),
                f"whether {behind[0]['VpcEndpointId']} lets the worker in",
            )
            yield check_endpoint_policy(inputs, behind[0], "sqs")
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
        if endpoint["VpcEndpointId"] not in inputs.physical_ids
    ]
    if others:
        yield failed(
            f"{others[0]} already has SQS's private DNS name in {network}, which a second endpoint"
            " cannot have",
            'network.endpoints = "existing" in the specification, or CreateSqsEndpoint=false',
        )
    else:
        yield passed("an endpoint for SQS can be added")


def _check_endpoint_id(inputs: StackInputs, found: Sequence[str]) -> Finding:
    """Return whether the parameter names the endpoint: with EnforceVpcEndpoint, it alone counts."""
    given = inputs.values.get("SqsEndpointId", found[0])
    if given in found:
        return passed(f"the worker reaches SQS through {given}")
    return failed(
        f"SqsEndpointId is {given}, but the worker reaches SQS through {found[0]}: with"
        " EnforceVpcEndpoint its calls would be denied",
        f"SqsEndpointId={found[0]}",
    )


def _groups(endpoint: "VpcEndpointTypeDef") -> list[str]:
    return [group["GroupId"] for group in endpoint.get("Groups", []) if "GroupId" in group]


def _check_ingress(
    inputs: StackInputs, endpoint: "VpcEndpointTypeDef", subnets: "Sequence[SubnetTypeDef]"
) -> Iterator[Finding]:
    """Pitfall 72: the endpoint's security groups let the worker's subnets in."""
    title, groups = endpoint["VpcEndpointId"], _groups(endpoint)
    # Before the stack exists no rule can name the worker's group.
    ranges, is_worker_admitted = vpc.admitted_ranges(inputs.account, groups, inputs.physical_ids)
    refused = [
        subnet["CidrBlock"]
        for subnet in subnets
        if not any(IPv4Network(subnet["CidrBlock"]).subnet_of(one) for one in ranges)
    ]
    if refused and not is_worker_admitted:
        yield failed(
            f"{title} lets in no HTTPS from {', '.join(refused)}: the worker's calls would hang",
            f"allow TCP port {vpc.HTTPS_PORT} from {', '.join(refused)} in {groups[0]}",
        )
    else:
        yield passed(f"{title} lets in HTTPS from the worker")


def check_private_s3_names(
    network: str, endpoints: "Sequence[VpcEndpointTypeDef]"
) -> Iterator[Finding]:
    """Pitfall 73: S3's name resolves to the addresses of its gateway endpoint's prefix list."""
    for endpoint in endpoints:
        options = endpoint.get("DnsOptions", {})
        if (
            endpoint["VpcEndpointType"] == "Interface"
            and endpoint.get("PrivateDnsEnabled")
            and not options.get("PrivateDnsOnlyForInboundResolverEndpoint")
        ):
            title = endpoint["VpcEndpointId"]
            yield failed(
                f"{title} resolves S3's name to its own addresses in {network}, and the worker may"
                " send to those of S3's prefix list only",
                f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {title} --dns-options"
                " PrivateDnsOnlyForInboundResolverEndpoint=true",
            )


def check_endpoint_policy(
    inputs: StackInputs, endpoint: "VpcEndpointTypeDef", service: str
) -> Finding:
    """Return whether an endpoint's policy allows what the worker calls through it (pitfall 72).

    Conditions on what only AWS knows, such as the organization, cannot be decided here: then the
    finding is a warning.
    """
    title = endpoint["VpcEndpointId"]
    text = endpoint.get("PolicyDocument")
    if not text:  # the default: everything
        return passed(f"{title} has no policy of its own")
    statements = as_list(json.loads(text)["Statement"])
    requests = list(_requests(inputs, endpoint, service))
    denied = [one for one in requests if not allowed(statements, one)]
    if not denied:
        return passed(f"the policy of {title} allows all {len(requests)} requests of the worker")
    listed = ", ".join(f"{one.action} on {one.resource}" for one in denied[:MAX_LISTED])
    if len(denied) > MAX_LISTED:
        listed += f" and {len(denied) - MAX_LISTED} more"
    known = set.intersection(*({*one.sent} for one in denied))
    unknown = set().union(*map(condition_keys, statements)) - known
    if unknown:
        return warned(
            f"the policy of {title} allows the worker {listed} only by conditions on"
            f" {', '.join(sorted(unknown))}",
            "compare it with the worker's role in the template",
        )
    return failed(
        f"the policy of {title} denies the worker {listed}",
        f"allow it: aws ec2 modify-vpc-endpoint --vpc-endpoint-id {title} --policy-document",
    )


def _requests(
    inputs: StackInputs, endpoint: "VpcEndpointTypeDef", service: str
) -> Iterator[Request]:
    """Yield an example of each request that the worker's role allows through an endpoint."""
    template, account = inputs.template, inputs.account.caller["Account"]
    # CloudFormation will choose a name of this form.
    name = f"{template.pseudo('StackName')}-{WORKER_ROLE}-EXAMPLE"
    role = template.arn(WORKER_ROLE, inputs.resources.get(WORKER_ROLE, name))
    context = {
        "aws:PrincipalAccount": account,
        "aws:PrincipalArn": role,
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalType": "AssumedRole",
        "aws:SecureTransport": "true",
        "aws:SourceVpc": endpoint.get("VpcId", ""),
        "aws:SourceVpce": endpoint["VpcEndpointId"],
        "aws:ViaAWSService": "false",
    }
    foreign = _foreign_buckets(inputs)
    for statement in template.statements(WORKER_ROLE):
        if statement["Effect"] != "Allow" or "Resource" not in statement:
            continue
        for action in as_list(statement["Action"]):
            if not action.startswith(f"{service}:") or action in POLLER_ACTIONS:
                continue
            for pattern in as_list(statement["Resource"]):
                bucket = pattern.rpartition(":")[2].partition("/")[0]
                owner = {} if bucket in foreign else {"aws:ResourceAccount": account}
                yield Request(
                    action=action,
                    resource=pattern.replace("*", "example"),
                    principal=role,
                    context={**context, **owner},
                )


def _foreign_buckets(inputs: StackInputs) -> set[str]:
    """Return the buckets that may be another account's: those of sources with a topic."""
    prefixes = [
        name.removesuffix("TopicArn") for name in inputs.declared if name.endswith("TopicArn")
    ]
    return {inputs.values.get(f"{prefix}BucketName", "") for prefix in prefixes}
