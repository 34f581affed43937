"""The upload API that is served, with AWS's responses; tests/e2e/test_api.py has the emulator's."""

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from darkroom.checks.deployed import api
from darkroom.checks.deployed.comparison import Target
from darkroom.checks.framework import Finding
from tests.unit.darkroom.checks.conftest import respond
from tests.unit.darkroom.checks.test_deployed import ACCOUNT, REGION, Stubbed, stubbed

__all__ = ["stubbed"]

ARN = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:<UploadApi>"
URL = "https://a1.execute-api.eu-west-1.amazonaws.com/v1"


def checked(
    one: Stubbed,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Any]], object] = lambda _: None,
    answer: int | Exception = 403,
) -> list[Finding]:
    """Return the findings about an API as deployed, except for what `change` does to AWS's."""
    found = _as_deployed(one.target)
    change(found)
    respond(
        one.target.stack.client("apigateway"),
        *((name, found[name]) for name in found),
    )
    stack = replace(one.target.stack, outputs={"UploadApiUrl": URL})

    def send(_request: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(status_code=answer)

    monkeypatch.setattr(api, "http_sender", lambda _url, _account: send)
    monkeypatch.setattr(api, "is_emulator", lambda _account: False)
    return list(api.check_api(replace(one.target, stack=stack)))


def _as_deployed(target: Target) -> dict[str, dict[str, Any]]:
    """Return the response of each operation, in their order."""
    live = target.template
    policy = json.dumps(live.properties("UploadApi")["Policy"]).replace("execute-api:/", f"{ARN}/")
    endpoint = live.properties("UploadApi")["EndpointConfiguration"]
    log = live.properties("UploadApiStage")["AccessLogSetting"]
    (deployment,) = live.resources_of_type("ApiGateway::Deployment")
    limited = {"throttlingRateLimit": 20.0, "throttlingBurstLimit": 40, "metricsEnabled": True}
    method = {"authorizationType": "AWS_IAM", "apiKeyRequired": True}
    return {
        "get_rest_api": {
            "endpointConfiguration": {
                "types": endpoint["Types"],
                "vpcEndpointIds": endpoint.get("VpcEndpointIds", []),
            },
            # As API Gateway gives it back: a JSON string without its quotes.
            "policy": json.dumps(policy)[1:-1],
        },
        "get_stage": {
            "deploymentId": f"<{deployment}>",
            "accessLogSettings": {"destinationArn": log["DestinationArn"], "format": log["Format"]},
            "methodSettings": {"*/*": limited},
        },
        "get_deployment": {
            "apiSummary": {
                "/uploads": {"POST": dict(method)},
                "/uploads/{id}": {"GET": dict(method)},
            }
        },
        "get_usage_plan": {
            "apiStages": [{"apiId": "<UploadApi>", "stage": "<UploadApiStage>"}],
            "throttle": {"rateLimit": 20.0, "burstLimit": 40},
            "quota": {"limit": 10_000, "period": "DAY"},
        },
        "get_usage_plan_keys": {"items": [{"id": "<UploadApiKey>"}, {"id": "another"}]},
        "get_api_key": {"enabled": True},
    }


@pytest.mark.parametrize("access", ["private", "regional"])
def test_what_was_deployed_passes(
    access: str, stubbed: Callable[..., Stubbed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A1: and a request without signature and key is refused."""
    found = checked(stubbed({"api": {"access": access}}), monkeypatch)
    assert [one.verdict for one in found] == ["pass"] * 5, found
    assert found[-1].message.endswith("refuses a request without signature and key")


Change = Callable[[dict[str, Any]], object]
CHANGES: list[tuple[Change, str]] = [
    (
        lambda aws: aws["get_rest_api"]["endpointConfiguration"].update(types=["REGIONAL"]),
        "endpoint type: REGIONAL instead of PRIVATE",
    ),
    (
        lambda aws: aws["get_rest_api"]["endpointConfiguration"].update(vpcEndpointIds=["vpce-1"]),
        "VPC endpoints: vpce-1 instead of",
    ),
    (lambda aws: aws["get_rest_api"].update(policy=""), "there is no policy"),
    (
        lambda aws: aws["get_rest_api"].update(
            policy=aws["get_rest_api"]["policy"].replace("StringNotEquals", "StringEquals")
        ),
        "Condition of the policy statement DenyElsewhere changed",
    ),
    (lambda aws: aws["get_stage"].update(deploymentId="other"), "deployment is other"),
    (lambda aws: aws["get_stage"].update(accessLogSettings={}), "access log is not set"),
    (
        lambda aws: aws["get_stage"]["methodSettings"]["*/*"].update(throttlingRateLimit=1e4),
        "requests per second is 10000.0, not 20.0",
    ),
    (
        lambda aws: aws["get_stage"]["methodSettings"].update({"uploads/POST": {}}),
        "method settings: uploads/POST not in the template",
    ),
    (
        lambda aws: aws["get_deployment"]["apiSummary"]["/uploads"]["POST"].update(
            authorizationType="NONE"
        ),
        "authorization: POST /uploads by NONE instead of POST /uploads by AWS_IAM",
    ),
    (
        lambda aws: aws["get_deployment"]["apiSummary"]["/uploads/{id}"]["GET"].update(
            apiKeyRequired=False
        ),
        "methods with a key: GET /uploads/{id} missing",
    ),
    (
        lambda aws: aws["get_deployment"]["apiSummary"].update(
            {"/other": {"GET": {"authorizationType": "AWS_IAM"}}}
        ),
        "authorization: GET /other by AWS_IAM not in the template",
    ),
    (lambda aws: aws["get_usage_plan"].pop("quota"), "quota is not set, but 10000"),
    (
        lambda aws: aws["get_usage_plan"]["throttle"].update(burstLimit=41),
        "requests at once is 41, not 40",
    ),
    (lambda aws: aws["get_usage_plan"].update(apiStages=[]), "stages: <UploadApi>"),
    (lambda aws: aws["get_usage_plan_keys"].update(items=[]), "keys: <UploadApiKey> missing"),
    (lambda aws: aws["get_api_key"].update(enabled=False), "enabled is false, not true"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES, ids=[one[1] for one in CHANGES])
def test_what_was_changed_by_hand_fails(
    change: Change,
    message: str,
    stubbed: Callable[..., Stubbed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A1: each property that keeps callers out or limits them."""
    found = checked(stubbed({"api": {}}), monkeypatch, change)
    (failure,) = [one.message for one in found if one.verdict == "fail"]
    assert message in failure


@pytest.mark.parametrize(
    ("access", "answer", "verdict"),
    [
        ("private", 404, "fail"),
        ("private", EndpointConnectionError(endpoint_url=URL), "skip"),
        ("regional", EndpointConnectionError(endpoint_url=URL), "warn"),
    ],
)
def test_an_answer_to_anybody_fails(
    access: str,
    answer: int | Exception,
    verdict: str,
    stubbed: Callable[..., Stubbed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A1: what cannot be reached from here is said, and not taken for a refusal."""
    *_, last = checked(stubbed({"api": {"access": access}}), monkeypatch, answer=answer)
    assert last.verdict == verdict


def test_a_stack_without_an_api_is_not_asked(stubbed: Callable[..., Stubbed]) -> None:
    """A1: it is an option."""
    assert not list(api.check_api(stubbed().target))
