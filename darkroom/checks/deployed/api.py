"""Checks of the upload API that is served: who may call it, from where, how often, and its log."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError

from darkroom.aws.upload_api import http_sender
from darkroom.checks.deployed.comparison import (
    Difference,
    Target,
    differ,
    differ_policies,
    judge,
    number,
)
from darkroom.checks.framework import Finding, failed, passed, warned
from darkroom.emulator.limitations import is_emulator

if TYPE_CHECKING:
    from types_boto3_apigateway import APIGatewayClient

CHECK = "api"
ALL_METHODS = "*/*"


def check_api(target: Target) -> Iterator[Finding]:
    """A1: the API is as in the template, and refuses a request without signature and key."""
    client = target.stack.client("apigateway")
    for title, api, properties in target.resources("ApiGateway::RestApi"):
        yield from _api(target, client, (title, api), properties)
    for title, stage, properties in target.resources("ApiGateway::Stage"):
        yield from _stage(target, client, (title, stage), properties)
    for title, plan, properties in target.resources("ApiGateway::UsagePlan"):
        yield from _usage_plan(target, client, (title, plan), properties)
    for title, key, properties in target.resources("ApiGateway::ApiKey"):
        enabled = client.get_api_key(apiKey=key).get("enabled")
        differences = differ("enabled", properties["Enabled"], enabled)
        yield from judge(target, CHECK, (title, key), differences)
    for _, stage, properties in target.resources("ApiGateway::Stage"):
        yield _unsigned(target, properties["RestApiId"], stage)


def _api(
    target: Target,
    client: "APIGatewayClient",
    resource: tuple[str, str],
    properties: Mapping[str, Any],
) -> Iterator[Finding]:
    found = client.get_rest_api(restApiId=resource[1])
    expected, actual = properties["EndpointConfiguration"], found.get("endpointConfiguration", {})
    endpoints = set(actual.get("vpcEndpointIds", []))
    differences = [
        *differ("endpoint type", set(expected["Types"]), set(actual.get("types", []))),
        *differ("VPC endpoints", set(expected.get("VpcEndpointIds", [])), endpoints),
        *differ_policies(properties["Policy"], _policy(resource[1], found.get("policy", ""))),
    ]
    yield from judge(target, CHECK, resource, differences)


def _policy(api: str, text: str) -> str:
    """Return an API's resource policy as JSON, with the short ARNs that a template has.

    API Gateway gives back the text with its quotes escaped, and the API's own ARN for
    `execute-api:`. https://github.com/hashicorp/terraform-provider-aws/issues/15602
    """
    if not text:
        return "{}"
    try:
        policy = json.loads(text)
    except ValueError:
        policy = json.loads(json.loads(f'"{text}"'))
    for statement in policy["Statement"]:
        listed = statement["Resource"]
        statement["Resource"] = [
            f"execute-api:{rest}" if one.startswith("arn:") and found else one
            for one in ([listed] if isinstance(listed, str) else listed)
            for _, found, rest in [one.partition(f":{api}")]
        ]
    return json.dumps(policy)


def _stage(
    target: Target,
    client: "APIGatewayClient",
    resource: tuple[str, str],
    properties: Mapping[str, Any],
) -> Iterator[Finding]:
    api, stage = properties["RestApiId"], resource[1]
    found = client.get_stage(restApiId=api, stageName=stage)
    log, expected_log = found.get("accessLogSettings", {}), properties["AccessLogSetting"]
    settings = found.get("methodSettings", {})
    differences = [
        *differ("deployment", properties["DeploymentId"], found.get("deploymentId")),
        # A log group's ARN may end in ":*".
        *differ(
            "access log",
            expected_log["DestinationArn"].removesuffix(":*"),
            log.get("destinationArn", "").removesuffix(":*") or None,
        ),
        *differ("access log format", expected_log["Format"], log.get("format")),
        # Those of a method alone come before the ones of all.
        *differ("method settings", {ALL_METHODS}, set(settings)),
    ]
    for setting in properties["MethodSettings"]:
        actual = settings.get(ALL_METHODS, {})
        differences += [
            *differ("metrics", setting["MetricsEnabled"], actual.get("metricsEnabled")),
            *_throttling(
                setting["ThrottlingRateLimit"],
                setting["ThrottlingBurstLimit"],
                actual.get("throttlingRateLimit"),
                actual.get("throttlingBurstLimit"),
            ),
        ]
    deployment = client.get_deployment(
        restApiId=api, deploymentId=found["deploymentId"], embed=["apisummary"]
    )
    differences += _methods(target, api, deployment.get("apiSummary", {}))
    yield from judge(target, CHECK, resource, differences)


def _methods(target: Target, api: str, served: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    """Return how the methods that a stage serves differ from the template's in who may call."""
    body = next(
        properties["Body"]
        for _, name, properties in target.resources("ApiGateway::RestApi")
        if name == api
    )
    schemes = body["components"]["securitySchemes"]
    by_signature, by_key = set(), set()
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            label = f"{method.upper()} {path}"
            used = [schemes[name] for one in operation["security"] for name in one]
            if any(one.get("x-amazon-apigateway-authtype") == "awsSigv4" for one in used):
                by_signature.add(f"{label} by AWS_IAM")
            if any(one.get("name") == "x-api-key" for one in used):
                by_key.add(label)
    found = {
        f"{method} {path}": snapshot
        for path, methods in served.items()
        for method, snapshot in methods.items()
    }
    types = {
        f"{label} by {kind}"
        for label, one in found.items()
        if (kind := one.get("authorizationType"))
    }
    with_key = {label for label, one in found.items() if one.get("apiKeyRequired")}
    return [
        *differ("methods with a key", by_key, with_key),
        *differ("authorization", by_signature, types),
    ]


def _usage_plan(
    target: Target,
    client: "APIGatewayClient",
    resource: tuple[str, str],
    properties: Mapping[str, Any],
) -> Iterator[Finding]:
    plan = resource[1]
    found = client.get_usage_plan(usagePlanId=plan)
    throttle, quota = found.get("throttle", {}), found.get("quota", {})
    stages = {f"{one.get('apiId')}/{one.get('stage')}" for one in found.get("apiStages", [])}
    exceptions = {name for one in found.get("apiStages", []) for name in one.get("throttle", {})}
    pages = client.get_paginator("get_usage_plan_keys").paginate(usagePlanId=plan)
    keys = {one.get("id", "") for page in pages for one in page["items"]}
    expected_keys = {
        one["KeyId"]
        for _, _, one in target.resources("ApiGateway::UsagePlanKey")
        if one["UsagePlanId"] == plan
    }
    expected = properties["Throttle"]
    differences = [
        *_throttling(
            expected["RateLimit"],
            expected["BurstLimit"],
            throttle.get("rateLimit"),
            throttle.get("burstLimit"),
        ),
        *differ("quota", number(properties["Quota"]["Limit"]), quota.get("limit")),
        *differ("quota's period", properties["Quota"]["Period"], quota.get("period")),
        *differ(
            "stages", {f"{one['ApiId']}/{one['Stage']}" for one in properties["ApiStages"]}, stages
        ),
        *differ("limits of single methods", set(), exceptions),
        # More callers may have keys of their own; the template's must be there.
        *differ("keys", expected_keys, keys & expected_keys),
    ]
    yield from judge(target, CHECK, resource, differences)


def _throttling(
    rate: Any, burst: Any, actual_rate: float | None, actual_burst: int | None
) -> list[Difference]:
    return [
        *differ("requests per second", float(rate), actual_rate),
        *differ("requests at once", number(burst), actual_burst),
    ]


def _unsigned(target: Target, api: str, stage: str) -> Finding:
    """Return whether the API refuses a request without signature and key, if it can be reached."""
    url = f"{target.stack.output('UploadApiUrl')}/uploads/verify"
    if is_emulator(target.stack):
        endpoint = target.stack.client("apigateway").meta.endpoint_url
        url = f"{endpoint}/_aws/execute-api/{api}/{stage}/uploads/verify"
    try:
        status = http_sender(url, target.stack)(AWSRequest("GET", url).prepare()).status_code
    except (HTTPClientError, NoConnectionError) as error:
        return _unreachable(target, url, error)
    if status == 403:
        return passed(f"{url} refuses a request without signature and key")
    return failed(
        f"{url} answers {status} to a request without signature and key",
        "the authorization of its methods, and the deployment that the stage serves",
    )


def _unreachable(target: Target, url: str, error: Exception) -> Finding:
    apis = target.template.resources_of_type("ApiGateway::RestApi").values()
    if any(one["EndpointConfiguration"]["Types"] == ["PRIVATE"] for one in apis):
        return Finding("skip", f"{url} is private, and not reachable from here: not called")
    return warned(f"{url} is not reachable from here: {error}", "verify from where callers are")
