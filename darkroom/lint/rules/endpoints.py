"""Rules about VPC endpoints: where they are, and what their policies allow."""

from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.policy_documents import is_within_account
from darkroom.cloudformation.resolver import PSEUDO
from darkroom.iam.evaluator import Request, allowed, like
from darkroom.lint.rule import Problems, rule

PRIVATELINK = "https://docs.aws.amazon.com/vpc/latest/privatelink"
LAMBDA_VPC = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"
ENDPOINT_POLICY = f"{PRIVATELINK}/vpc-endpoints-access.html"
# What Lambda, CloudWatch Logs and the services themselves call from outside the network for a
# function: its code needs no door for these (trap 42).
OUTSIDE = ("ec2:*", "kms:*", "logs:*", "xray:*", "cloudwatch:PutMetricData")
POLLED = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

# A gateway of any kind, or an address of one's own, is a road.
EGRESS_TYPES = (
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


def functions_in_vpc(stack: TemplateModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each function that has subnets, with its VpcConfig."""
    for function, properties in stack.resources_of_type("Lambda::Function").items():
        config = properties.get("VpcConfig", {})
        if config.get("SubnetIds"):
            yield function, config


def vpc_endpoints(stack: TemplateModel) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each endpoint with its properties and its service, e.g. `s3`."""
    for title, properties in stack.resources_of_type("EC2::VPCEndpoint").items():
        yield title, properties, str(properties.get("ServiceName", "")).rpartition(".")[2]


@rule(
    "DR-VPCE-001",
    "warning",
    remediation="Give each endpoint a PolicyDocument that admits the stack's own calls.",
    source=ENDPOINT_POLICY,
    requirements=("S6",),
    pitfalls=(26,),
)
def vpce_policy(stack: TemplateModel) -> Problems:
    """Each VPC endpoint has a policy.

    Without one an endpoint admits every caller to everything, other accounts' buckets too.
    """
    for title, properties, _ in vpc_endpoints(stack):
        if not properties.get("PolicyDocument"):
            yield title, "has AWS's default policy: full access"


@rule(
    "DR-VPCE-002",
    "error",
    remediation="Let the endpoint's policy hold the same statements as the role's.",
    source=ENDPOINT_POLICY,
    requirements=("S6", "S5"),
)
def vpce_policy_too_narrow(stack: TemplateModel) -> Problems:
    """VPC endpoints and their policies allow what the functions in the VPC call.

    A call that the endpoint refuses fails; one without an endpoint hangs to its time-out.
    """
    doors = {service: title for title, _, service in vpc_endpoints(stack)}
    for function, _ in functions_in_vpc(stack):
        if not (role := stack.role_of(function)):
            continue
        for one in stack.role_statements(role):
            for action in one.get("Action", []) if one["Effect"] == "Allow" else ():
                service = str(action).partition(":")[0].lower()
                if any(like(known, str(action), ignore_case=True) for known in OUTSIDE):
                    continue
                if service not in doors:
                    # The poller's calls are Lambda's own, and the code of a function that has no
                    # door to SQS cannot have meant the rest.
                    if service != "sqs" and not has_other_routes(stack):
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
    "DR-VPCE-003",
    "warning",
    remediation="Remove from the endpoint's policy what no role of the stack may do.",
    source=ENDPOINT_POLICY,
    requirements=("S5", "S6"),
)
def vpce_policy_too_broad(stack: TemplateModel) -> Problems:
    """VPC endpoint policies allow only what a function may do.

    What passes a door that nobody of the stack needs is somebody else's: a way to leak.
    """
    roles = [role for f, _ in functions_in_vpc(stack) if (role := stack.role_of(f))]
    granted = [one for role in roles for one in stack.role_statements(role)]
    for title, _, _ in vpc_endpoints(stack) if roles else ():
        for one in stack.statements(title):
            # A door for other workloads of the account, whose roles say what for.
            if is_within_account(one, PSEUDO["AWS::AccountId"]):
                continue
            for action in one.get("Action", []) if one["Effect"] == "Allow" else ():
                for resource in one.get("Resource", []):
                    request = Request(action=str(action), resource=str(resource))
                    if not allowed(granted, request):
                        yield title, f"admits {action} on {resource}, which no function may do"


def has_other_routes(stack: TemplateModel) -> bool:
    """Whether calls may pass where the template shows no endpoint: by a road, or in a network that
    is not the template's own.
    """
    return not stack.resources_of_type("EC2::VPC") or any(
        stack.resources_of_type(kind) for kind in EGRESS_TYPES
    )


@rule(
    "DR-VPCE-004",
    "warning",
    remediation="Remove it; an endpoint of AWS's own services is of type Gateway or Interface.",
    source=f"{PRIVATELINK}/create-endpoint-service.html",
    requirements=("S6",),
)
def vpce_aws_service_only(stack: TemplateModel) -> Problems:
    """VPC endpoints lead to AWS services only.

    An endpoint of somebody's service, resource or appliance is a road to that somebody.
    """
    for title, properties, _ in (
        vpc_endpoints(stack) if any(True for _ in functions_in_vpc(stack)) else ()
    ):
        service = str(properties.get("ServiceName", ""))
        kind = properties.get("VpcEndpointType", "Gateway")
        if kind not in ("Gateway", "Interface") or ".vpce." in service or not service:
            yield title, f"leads to {service or kind}, which is not AWS's own"


def called_services(stack: TemplateModel, function: str) -> set[str]:
    """Return the services that a function's own code may call; none where its role is elsewhere."""
    role = stack.role_of(function)
    return {
        str(action).partition(":")[0].lower()
        for one in (stack.role_statements(role) if role else ())
        for action in (one.get("Action", []) if one["Effect"] == "Allow" else ())
        if not any(like(known, str(action), ignore_case=True) for known in OUTSIDE)
    }


def interface_endpoints(stack: TemplateModel) -> list[str]:
    """Return the logical ids of the interface endpoints."""
    return [
        title
        for title, properties, _ in vpc_endpoints(stack)
        if properties.get("VpcEndpointType") == "Interface"
    ]


@rule(
    "DR-VPCE-005",
    "error",
    remediation=(
        "Name the route tables of the function's subnets in the endpoint's RouteTableIds, and"
        " associate each subnet with one."
    ),
    source=f"{PRIVATELINK}/gateway-endpoints.html",
    requirements=("S6",),
)
def vpce_route_tables(stack: TemplateModel) -> Problems:
    """A gateway endpoint is in the route table of every subnet of the function.

    A subnet whose route table lacks the endpoint has no way to it.
    """
    tables = {
        stack.logical_id(one.get("SubnetId")): stack.logical_id(one.get("RouteTableId"))
        for one in stack.resources_of_type("EC2::SubnetRouteTableAssociation").values()
    }
    for title, properties, _ in vpc_endpoints(stack):
        if properties.get("VpcEndpointType", "Gateway") != "Gateway":
            continue
        reached = {stack.logical_id(one) for one in properties.get("RouteTableIds", [])}
        for function, config in functions_in_vpc(stack):
            for subnet in filter(None, (stack.logical_id(one) for one in config["SubnetIds"])):
                if tables.get(subnet) not in reached:
                    yield title, f"is not on the route table of {subnet}, where {function} runs"


@rule(
    "DR-VPCE-006",
    "error",
    remediation=(
        "Add an interface endpoint for the service, or take the name out of the environment."
    ),
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    requirements=("S6",),
    pitfalls=(42,),
)
def vpce_missing_endpoint(stack: TemplateModel) -> Problems:
    """Each service that a function's environment names has an endpoint.

    A function that is told of a queue calls it, and without a way hangs to its time-out.
    """
    doors = {service for _, _, service in vpc_endpoints(stack)}
    kinds = {"SQS::Queue": "sqs", "SNS::Topic": "sns", "S3::Bucket": "s3"}
    for function, _ in functions_in_vpc(stack):
        if has_other_routes(stack):
            continue
        variables = stack.properties(function).get("Environment", {}).get("Variables", {})
        for name, value in variables.items():
            title = stack.logical_id(value, *kinds)
            if title and (service := kinds[stack.type_of(title)]) not in doors:
                yield function, f"has {title} in {name}, and the network no endpoint for {service}"


@rule(
    "DR-VPCE-007",
    "warning",
    remediation="Put the endpoint into every subnet of the function, each in a zone of its own.",
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    requirements=("R3",),
)
def vpce_availability_zones(stack: TemplateModel) -> Problems:
    """An interface endpoint is in every subnet of the function.

    When the only zone with the endpoint fails, the function in the others fails with it.
    """
    for title in interface_endpoints(stack):
        reached = {stack.logical_id(one) for one in stack.properties(title).get("SubnetIds", [])}
        for function, config in functions_in_vpc(stack):
            for subnet in filter(None, (stack.logical_id(one) for one in config["SubnetIds"])):
                if subnet not in reached:
                    yield title, f"has no interface in {subnet}, where {function} runs"
