"""Rules about REST APIs of API Gateway."""

from collections.abc import Iterator
from typing import Any

from darkroom.cloudformation.model import TemplateModel
from darkroom.lint.rule import Problems, rule

METHODS = ("delete", "get", "head", "patch", "post", "put", "x-amazon-apigateway-any-method")
GUIDE = "https://docs.aws.amazon.com/apigateway/latest/developerguide/"


def _methods(model: TemplateModel) -> Iterator[tuple[str, str, set[str], dict[str, Any]]]:
    """Yield API, method, the names of its security schemes, and all schemes of the API."""
    for title, properties in model.resources_of_type("ApiGateway::RestApi").items():
        body = properties.get("Body", {})
        schemes = body.get("components", {}).get("securitySchemes", {})
        for path, operations in body.get("paths", {}).items():
            for name in METHODS:
                if name in operations:
                    asked = operations[name].get("security", body.get("security", []))
                    names = {one for each in asked for one in each}
                    yield title, f"{name.upper()} {path}", names, schemes


@rule(
    "DR-API-001",
    "error",
    remediation=(
        "Give every method a security scheme with x-amazon-apigateway-authtype awsSigv4, or an"
        " authorizer."
    ),
    source=f"{GUIDE}permissions.html",
    requirements=("A1",),
)
def api_method_open(model: TemplateModel) -> Problems:
    """Every method of a REST API identifies its caller.

    An API key is no identity: without IAM or an authorizer, whoever reaches the API may call it.
    """
    for title, method, names, schemes in _methods(model):
        if not any("x-amazon-apigateway-authtype" in schemes.get(one, {}) for one in names):
            yield title, f"{method} asks for no identity"


@rule(
    "DR-API-002",
    "warning",
    remediation="Add a scheme of the header x-api-key to the method's security.",
    source=f"{GUIDE}api-gateway-api-usage-plans.html",
    requirements=("A1",),
)
def api_method_unmetered(model: TemplateModel) -> Problems:
    """Every method of an API with a usage plan asks for an API key.

    A usage plan counts and limits the calls with a key; without one a call is not limited by it.
    """
    if not model.resources_of_type("ApiGateway::UsagePlan"):
        return
    for title, method, names, schemes in _methods(model):
        if not any(schemes.get(one, {}).get("name") == "x-api-key" for one in names):
            yield title, f"{method} asks for no API key"


@rule(
    "DR-API-003",
    "warning",
    remediation='Set ThrottlingRateLimit and ThrottlingBurstLimit for "*" and "/*".',
    source=f"{GUIDE}api-gateway-request-throttling.html",
    requirements=("A1",),
)
def api_stage_unthrottled(model: TemplateModel) -> Problems:
    """Every stage limits the rate of all its methods.

    Otherwise one API may use up the account's limit, which all its APIs of a Region share.
    """
    for title, properties in model.resources_of_type("ApiGateway::Stage").items():
        if not any(
            one.get("ResourcePath") == "/*"
            and one.get("HttpMethod") == "*"
            and {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= one.keys()
            for one in properties.get("MethodSettings", [])
        ):
            yield title, "has no throttling of all methods"


@rule(
    "DR-API-004",
    "error",
    remediation="Add a Policy that denies calls that do not come through the VPC endpoint.",
    source=f"{GUIDE}apigateway-resource-policies.html",
    requirements=("A1", "S6"),
)
def api_resource_policy_missing(model: TemplateModel) -> Problems:
    """Every REST API has a resource policy, and a private one names its VPC endpoint.

    A private API without a policy cannot be deployed; with one that names no endpoint, it may be
    called through an endpoint of any VPC, of any account.
    """
    for title, properties in model.resources_of_type("ApiGateway::RestApi").items():
        types = properties.get("EndpointConfiguration", {}).get("Types", [])
        statements = model.statements(title)
        if not statements:
            yield title, "has no resource policy"
        elif "PRIVATE" in types and not any(
            "aws:SourceVpce" in keys
            for one in statements
            for keys in one.get("Condition", {}).values()
        ):
            yield title, "is private and its policy names no VPC endpoint"
