"""Rules about VPC endpoints: where they are, and what their policies allow."""

from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.cloudformation.policy_documents import Statement, is_within_account
from darkroom.cloudformation.resolver import PSEUDO
from darkroom.iam.evaluator import Request, allowed, like
from darkroom.iam.expectations.requests import by
from darkroom.lint.rule import Problems, rule

PRIVATELINK = "https://docs.aws.amazon.com/vpc/latest/privatelink"
LAMBDA_VPC = "https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"
ENDPOINT_POLICY = f"{PRIVATELINK}/vpc-endpoints-access.html"
# What Lambda, CloudWatch Logs and the services themselves call from outside the network for a
# function: its code needs no endpoint for these (pitfall 42).
OUTSIDE = ("ec2:*", "kms:*", "logs:*", "xray:*", "cloudwatch:PutMetricData")
POLLED = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

# Types that connect a VPC to another network, or give it a public address.
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


def functions_in_vpc(model: TemplateModel) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each function that has subnets, with its VpcConfig."""
    for function, properties in model.resources_of_type("Lambda::Function").items():
        config = properties.get("VpcConfig", {})
        if config.get("SubnetIds"):
            yield function, config


def vpc_endpoints(model: TemplateModel) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each endpoint with its properties and its service, e.g. `s3`."""
    for title, properties in model.resources_of_type("EC2::VPCEndpoint").items():
        yield title, properties, str(properties.get("ServiceName", "")).rpartition(".")[2]


@rule(
    "DR-VPCE-001",
    "warning",
    remediation="Give each endpoint a PolicyDocument that allows the stack's own calls.",
    source=ENDPOINT_POLICY,
    requirements=("S6",),
    pitfalls=(26,),
)
def vpce_policy(model: TemplateModel) -> Problems:
    """Each VPC endpoint has a policy.

    Without one an endpoint allows every caller everything, including other accounts' buckets.
    """
    for title, properties, _ in vpc_endpoints(model):
        if not properties.get("PolicyDocument"):
            yield title, "has AWS's default policy: full access"


def _tested(statement: Statement) -> dict[str, str]:
    """Return condition keys with values for which a statement's tests of strings hold."""
    return {
        key: str(values[0])
        for operator, keys in statement.get("Condition", {}).items()
        if operator in ("StringEquals", "StringLike")
        for key, values in keys.items()
    }


@rule(
    "DR-VPCE-002",
    "error",
    remediation="Give the endpoint's policy the same statements as the role.",
    source=ENDPOINT_POLICY,
    requirements=("S6", "S5"),
)
def vpce_policy_too_narrow(model: TemplateModel) -> Problems:
    """VPC endpoints and their policies allow what the functions in the VPC call.

    A call that the endpoint's policy denies fails; a call without an endpoint hangs until it
    times out.
    """
    endpoints = {service: title for title, _, service in vpc_endpoints(model)}
    for function, _ in functions_in_vpc(model):
        if not (role := model.role_of(function)):
            continue
        for one in model.role_statements(role):
            for action in one.get("Action", []) if one["Effect"] == "Allow" else ():
                service = str(action).partition(":")[0].lower()
                if any(like(known, str(action), ignore_case=True) for known in OUTSIDE):
                    continue
                if service not in endpoints:
                    # Lambda polls from outside the VPC, and the code of a function without an
                    # endpoint for SQS does not call the rest.
                    if service != "sqs" and not may_have_other_routes(model):
                        yield role, f"may {action}, and the VPC has no endpoint for {service}"
                    continue
                if action in POLLED:
                    continue
                if not model.properties(endpoints[service]).get("PolicyDocument"):
                    continue  # full access, which vpce-policy reports
                policy = model.statements(endpoints[service])
                for resource in one.get("Resource", []):
                    request = by(
                        model.arn(role),
                        str(action),
                        str(resource),
                        **{"aws:ResourceAccount": model.account, **_tested(one)},
                    )
                    if not allowed(policy, request):
                        yield endpoints[service], f"does not allow {action} on {resource}"


@rule(
    "DR-VPCE-003",
    "warning",
    remediation="Remove from the endpoint's policy what no role of the stack may do.",
    source=ENDPOINT_POLICY,
    requirements=("S5", "S6"),
)
def vpce_policy_too_broad(model: TemplateModel) -> Problems:
    """VPC endpoint policies allow only what a function may do.

    What a policy allows and no function needs is a way to leak data.
    """
    roles = [role for f, _ in functions_in_vpc(model) if (role := model.role_of(f))]
    granted = [one for role in roles for one in model.role_statements(role)]
    for title, _, _ in vpc_endpoints(model) if roles else ():
        for one in model.statements(title):
            # An endpoint for other workloads of the account, which their roles limit.
            if is_within_account(one, PSEUDO["AWS::AccountId"]):
                continue
            for action in one.get("Action", []) if one["Effect"] == "Allow" else ():
                for resource in one.get("Resource", []):
                    request = Request(
                        action=str(action),
                        resource=str(resource),
                        context={"aws:ResourceAccount": model.account},
                    )
                    if not allowed(granted, request):
                        yield title, f"allows {action} on {resource}, which no function may do"


def may_have_other_routes(model: TemplateModel) -> bool:
    """Return whether a service may be reachable without an endpoint of the template.

    The VPC has a route out, or it is not in the template.
    """
    return not model.resources_of_type("EC2::VPC") or any(
        model.resources_of_type(kind) for kind in EGRESS_TYPES
    )


@rule(
    "DR-VPCE-004",
    "warning",
    remediation="Remove it; an endpoint of an AWS service has the type Gateway or Interface.",
    source=f"{PRIVATELINK}/create-endpoint-service.html",
    requirements=("S6",),
)
def vpce_aws_service_only(model: TemplateModel) -> Problems:
    """VPC endpoints lead to AWS services only.

    An endpoint of a third-party service, resource or appliance carries data to that third
    party.
    """
    for title, properties, _ in (
        vpc_endpoints(model) if any(True for _ in functions_in_vpc(model)) else ()
    ):
        service = str(properties.get("ServiceName", ""))
        kind = properties.get("VpcEndpointType", "Gateway")
        if kind not in ("Gateway", "Interface") or ".vpce." in service or not service:
            yield title, f"leads to {service or kind}, which is not an AWS service"


def called_services(model: TemplateModel, function: str) -> set[str]:
    """Return the services that a function's own code may call; none where its role is elsewhere."""
    role = model.role_of(function)
    return {
        str(action).partition(":")[0].lower()
        for one in (model.role_statements(role) if role else ())
        for action in (one.get("Action", []) if one["Effect"] == "Allow" else ())
        if not any(like(known, str(action), ignore_case=True) for known in OUTSIDE)
    }


def interface_endpoints(model: TemplateModel) -> list[str]:
    """Return the logical ids of the interface endpoints."""
    return [
        title
        for title, properties, _ in vpc_endpoints(model)
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
def vpce_route_tables(model: TemplateModel) -> Problems:
    """A gateway endpoint is in the route table of every subnet of the function.

    A subnet whose route table lacks the endpoint has no route to the service.
    """
    tables = {
        model.logical_id(one.get("SubnetId")): model.logical_id(one.get("RouteTableId"))
        for one in model.resources_of_type("EC2::SubnetRouteTableAssociation").values()
    }
    for title, properties, _ in vpc_endpoints(model):
        if properties.get("VpcEndpointType", "Gateway") != "Gateway":
            continue
        reached = {model.logical_id(one) for one in properties.get("RouteTableIds", [])}
        for function, config in functions_in_vpc(model):
            for subnet in filter(None, (model.logical_id(one) for one in config["SubnetIds"])):
                if tables.get(subnet) not in reached:
                    yield title, f"is not on the route table of {subnet}, where {function} runs"


@rule(
    "DR-VPCE-006",
    "error",
    remediation=(
        "Add an interface endpoint for the service, or remove the name from the environment."
    ),
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    requirements=("S6",),
    pitfalls=(42,),
)
def vpce_missing_endpoint(model: TemplateModel) -> Problems:
    """Each service that a function's environment names has an endpoint.

    A function calls the resources that its environment names, and without an endpoint hangs
    until it times out.
    """
    known = {service for _, _, service in vpc_endpoints(model)}
    kinds = {"SQS::Queue": "sqs", "SNS::Topic": "sns", "S3::Bucket": "s3"}
    for function, _ in functions_in_vpc(model):
        if may_have_other_routes(model):
            continue
        variables = model.properties(function).get("Environment", {}).get("Variables", {})
        for name, value in variables.items():
            title = model.logical_id(value, *kinds)
            if title and (service := kinds[model.type_of(title)]) not in known:
                yield function, f"has {title} in {name}, and the VPC has no endpoint for {service}"


@rule(
    "DR-VPCE-007",
    "warning",
    remediation="Put the endpoint in every subnet of the function, each in a zone of its own.",
    source=f"{PRIVATELINK}/create-interface-endpoint.html",
    requirements=("R3",),
)
def vpce_availability_zones(model: TemplateModel) -> Problems:
    """An interface endpoint is in every subnet of the function.

    If the only zone with the endpoint fails, the function fails in the other zones too.
    """
    for title in interface_endpoints(model):
        reached = {model.logical_id(one) for one in model.properties(title).get("SubnetIds", [])}
        for function, config in functions_in_vpc(model):
            for subnet in filter(None, (model.logical_id(one) for one in config["SubnetIds"])):
                if subnet not in reached:
                    yield title, f"has no interface in {subnet}, where {function} runs"
