"""The upload API: who may call it, what it may do, and how much of it."""

import json
import re
from typing import Any

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from templates.api import LONGEST_SIGNATURE_MILLISECONDS
from templates.specification import SpecificationError
from tests.unit.templates.conftest import generate
from worker.api_settings import ApiSettings
from worker.api_states import EXPIRY_SECONDS


@pytest.fixture(scope="module")
def stack() -> ResolvedTemplate:
    return generate(api={})


def _methods(stack: ResolvedTemplate) -> dict[str, Any]:
    paths = stack.properties("UploadApi")["Body"]["paths"]
    return {f"{m} {path}": op for path, methods in paths.items() for m, op in methods.items()}


def test_without_a_table_there_is_no_api() -> None:
    """A1, C1: the API is an option, and absent by default."""
    assert not [name for name in generate().template["Resources"] if "UploadApi" in name]


def test_every_method_asks_for_a_signature_and_a_key(stack: ResolvedTemplate) -> None:
    """A1, S5: IAM identifies the caller; a key alone opens nothing."""
    methods = _methods(stack)
    assert set(methods) == {"post /uploads", "get /uploads/{id}"}
    schemes = stack.properties("UploadApi")["Body"]["components"]["securitySchemes"]
    assert schemes["iam"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert schemes["key"]["name"] == "x-api-key"
    for method in methods.values():
        assert {name for one in method["security"] for name in one} == {"iam", "key"}
        assert ":function:darkroom-upload-api/" in method["x-amazon-apigateway-integration"]["uri"]


def test_a_private_api_is_reached_through_its_endpoint_only(stack: ResolvedTemplate) -> None:
    """A1, S6: the resource policy denies the rest, and allows nobody by itself."""
    api = stack.properties("UploadApi")
    assert api["EndpointConfiguration"] == {
        "Types": ["PRIVATE"],
        "VpcEndpointIds": ["<ExecuteApiEndpoint>"],
    }
    by_sid = {one["Sid"]: one for one in api["Policy"]["Statement"]}
    assert {one["Effect"] for one in by_sid.values()} == {"Deny"}
    outside = {"StringNotEquals": {"aws:SourceVpce": "<ExecuteApiEndpoint>"}}
    assert by_sid["DenyElsewhere"]["Condition"] == outside
    endpoint = stack.properties("ExecuteApiEndpoint")
    assert endpoint["PrivateDnsEnabled"] is True
    (statement,) = endpoint["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["execute-api:Invoke"]
    names = stack.properties("AllowedDomains")["Domains"]
    assert any(name.startswith("*.execute-api.") for name in names)


def test_a_regional_api_has_the_addresses_of_uploads() -> None:
    """A1: and no endpoint."""
    stack = generate(api={"access": "regional"})
    assert "ExecuteApiEndpoint" not in stack.template["Resources"]
    assert stack.properties("UploadApi")["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    given = stack.with_parameters(AllowedUploadCidrs=["192.0.2.0/24"])
    (_, elsewhere) = given.properties("UploadApi")["Policy"]["Statement"]
    assert elsewhere["Condition"] == {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24"]}}


def test_an_existing_vpcs_endpoint_is_a_parameter() -> None:
    """A1, S6: a stack that creates no endpoints creates none for the API."""
    stack = generate(api={}, network={"vpc": "existing", "endpoints": "existing"})
    assert "ExecuteApiEndpoint" not in stack.template["Resources"]
    assert "ExecuteApiEndpointId" in stack.template["Parameters"]
    shared = generate(api={}, network={"vpc": "existing"})
    assert "ExecuteApiEndpoint" in shared.template["Resources"]


def test_calls_are_limited_per_method_and_per_key(stack: ResolvedTemplate) -> None:
    """A1: by the stage for all callers, by the plan for a key, and per day."""
    given = stack.with_parameters(ApiRate=7, ApiBurst=9, ApiQuota=11)
    (method,) = given.properties("UploadApiStage")["MethodSettings"]
    assert (method["HttpMethod"], method["ResourcePath"]) == ("*", "/*")
    assert (method["ThrottlingRateLimit"], method["ThrottlingBurstLimit"]) == (7, 9)
    plan = given.properties("UploadApiUsagePlan")
    assert plan["Throttle"] == {"RateLimit": 7, "BurstLimit": 9}
    assert plan["Quota"] == {"Limit": 11, "Period": "DAY"}
    assert plan["ApiStages"] == [{"ApiId": "<UploadApi>", "Stage": "<UploadApiStage>"}]
    key = given.properties("UploadApiUsagePlanKey")
    assert (key["KeyId"], key["UsagePlanId"]) == ("<UploadApiKey>", "<UploadApiUsagePlan>")


def test_errors_of_api_gateway_look_like_the_functions(stack: ResolvedTemplate) -> None:
    """A1: problem+json with the request's id; throttled and quota are told apart."""
    responses = stack.properties("UploadApi")["Body"]["x-amazon-apigateway-gateway-responses"]
    for response in responses.values():
        header = response["responseParameters"]["gatewayresponse.header.Content-Type"]
        assert header == "'application/problem+json'"
        text = response["responseTemplates"]["application/json"]
        content = json.loads(text.replace("$context.error.messageString", '"m"'))
        assert content["request_id"] == "$context.requestId"
    titles = {
        name: json.loads(
            responses[name]["responseTemplates"]["application/json"].replace(
                "$context.error.messageString", '"m"'
            )
        )["title"]
        for name in ("THROTTLED", "QUOTA_EXCEEDED")
    }
    assert titles == {"THROTTLED": "throttled", "QUOTA_EXCEEDED": "quota"}
    for name in titles:
        assert "gatewayresponse.header.Retry-After" in responses[name]["responseParameters"]


def test_another_document_or_policy_is_another_deployment() -> None:
    """A1: a stage serves the deployment's copy, not the API as it is."""

    def deployment(**tables: Any) -> str:
        (title,) = generate(**tables).resources_of_type("ApiGateway::Deployment")
        return title

    one = deployment(api={})
    assert one == deployment(api={}, dashboard=False)
    assert one != deployment(api={"access": "regional"})
    assert re.fullmatch("UploadApiDeployment[0-9a-f]{8}", one)


def test_the_access_log_holds_no_permission(stack: ResolvedTemplate) -> None:
    """A1: who called what when; neither URL nor key."""
    settings = stack.properties("UploadApiStage")["AccessLogSetting"]
    assert settings["DestinationArn"] == "<UploadApiAccessLogGroup.Arn>"
    fields = json.loads(settings["Format"])
    assert fields["requestId"] == "$context.requestId"
    assert "$context.identity.apiKey" not in fields.values()


@pytest.mark.parametrize(("tracing", "enabled"), [("Active", True), ("PassThrough", False)])
def test_calls_are_traced_from_their_start(
    tracing: str, enabled: bool, stack: ResolvedTemplate
) -> None:
    """O1: with the function, or not at all."""
    stage = stack.with_parameters(Tracing=tracing).properties("UploadApiStage")
    assert stage["TracingEnabled"] is enabled


def test_the_function_reads_its_settings() -> None:
    """A1: what the template passes is what worker/api_settings.py reads."""
    stack = generate(
        api={"source": "scans", "prefix": "in/api/"},
        sources={"scans": {"prefixes": ["in/"], "suffixes": [".png"], "hash_prefix": True}},
        queues={"default": {"max_file_size_mb": 7, "max_receive_count": 3}},
    )
    function = stack.properties("UploadApiFunction")
    assert function["Handler"] == "worker.api.handle"
    assert function["MemorySize"] <= 512
    settings = ApiSettings.from_environment(function["Environment"]["Variables"])
    assert settings.upload_bucket.startswith("darkroom-scans-")
    assert settings.upload_prefix == "in/api/"
    assert settings.suffixes == (".png",)
    assert settings.max_object_bytes == 7_000_000
    assert settings.longest_seconds == 3 * 365
    assert settings.source.output_prefix == "scans/"
    key = settings.source.record_key("in/api/a.png")
    (read,) = [one for one in stack.statements("UploadApiRole") if one.get("Sid") == "ReadRecords"]
    pattern = read["Resource"][0].partition("/")[2].replace("?", "[0-9a-f]").replace("*", ".*")
    assert re.fullmatch(pattern, key)


def test_a_signature_is_as_old_as_its_url_at_most() -> None:
    """A1: the bucket's limit is the expiry that the function gives."""
    assert LONGEST_SIGNATURE_MILLISECONDS == EXPIRY_SECONDS * 1000


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"api": {"source": "x"}}, "api.source: 'x' is not defined; defined: default"),
        ({"api": {"prefix": "other/"}}, "api.prefix: 'other/' must begin with a prefix"),
        (
            {"api": {}, "sources": {"default": {"type": "eventbridge"}}},
            'must be of type "s3", not "eventbridge"',
        ),
        (
            {
                "api": {},
                "network": {"interface_endpoints": {"execute-api": ["execute-api:Invoke"]}},
            },
            "has one for execute-api",
        ),
    ],
)
def test_an_api_that_cannot_be_is_refused(tables: dict[str, Any], message: str) -> None:
    """A1, C1: with the setting and what is allowed."""
    with pytest.raises(SpecificationError, match=re.escape(message)):
        generate(**tables)
