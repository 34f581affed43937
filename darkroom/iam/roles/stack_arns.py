"""The ARNs that the resources of a template will have, before there is a stack."""

from collections.abc import Iterator, Mapping
from typing import Any

from darkroom.cloudformation.resource_types import resource_type

STACK_NAME = "StackName"
"""The parameter of a role's template with the name of the pipeline's stack."""

CODE_BUCKET = "CodeBucket"
"""The pipeline's parameter with the bucket of the function's package."""

_FURTHER: Mapping[str, tuple[str, ...]] = {
    # By their service's pages in
    # https://docs.aws.amazon.com/service-authorization/latest/reference/
    "ApiGateway::ApiKey": ("apigateway:{region}::/apikeys", "apigateway:{region}::/apikeys/*"),
    "ApiGateway::RestApi": (
        "apigateway:{region}::/restapis",
        "apigateway:{region}::/restapis/*",
        "apigateway:{region}::/tags/*",
    ),
    "ApiGateway::UsagePlan": (
        "apigateway:{region}::/usageplans",
        "apigateway:{region}::/usageplans/*",
    ),
    # A rule of a security group is a resource as well.
    "EC2::SecurityGroup": ("ec2:{region}:{account}:security-group-rule/*",),
    # AWS writes a log group's ARN in both ways.
    "Logs::LogGroup": ("logs:{region}:{account}:log-group:{name}",),
}
"""Further ARNs of a type, besides the one in the table of types."""

_NETWORK = tuple(
    f"ec2:{{region}}:{{account}}:{kind}/*"
    for kind in ("network-interface", "route-table", "security-group", "subnet", "vpc")
)
"""What is named when something is created in a network, which may exist outside the stack."""


LISTINGS: Mapping[str, str] = {
    # "… is not authorized to perform: cloudwatch:DescribeAlarms on resource: …:alarm:*"
    "cloudwatch:DescribeAlarms": (
        "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
    ),
}
"""Actions that ask for all resources of a kind, whichever names the request has → their ARN."""


def stack_arns(template: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Return the ARNs of each resource as `Fn::Sub` writes them, by logical id.

    They have the parameters of the template, and STACK_NAME in the names that CloudFormation
    makes. Where AWS generates an id, a `*` stands for it.
    """
    parameters = template.get("Parameters", {})
    return {title: tuple(_arns(one, parameters)) for title, one in template["Resources"].items()}


def _arns(resource: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[str]:
    kind = str(resource["Type"]).removeprefix("AWS::")
    known = resource_type(kind)
    properties = resource.get("Properties", {})
    if known.ref == "id":
        name = "*"
    elif known.name in properties:
        name = as_sub(properties[known.name])
    else:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
        name = f"${{{STACK_NAME}}}-*"
    patterns = [known.arn] if known.arn else []
    patterns += _FURTHER.get(kind, ())
    if kind.startswith("EC2::"):
        patterns += _NETWORK
    for pattern in patterns:
        yield "arn:${AWS::Partition}:" + pattern.format(
            region="${AWS::Region}", account="${AWS::AccountId}", name=name
        )
    if kind == "SNS::Subscription" and properties["TopicArn"].get("Ref") in parameters:
        yield as_sub(properties["TopicArn"])  # an existing topic


def as_sub(value: Any) -> str:
    """Return a name as `Fn::Sub` writes it: a text, a reference to a parameter, or `Fn::Sub`.

    Raises:
        TypeError: It is anything else.
    """
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return f"${{{name}}}"
        case {"Fn::Sub": str(text)}:
            return text
    raise TypeError(f"a name that is none of text, Ref and Fn::Sub: {value!r}")
