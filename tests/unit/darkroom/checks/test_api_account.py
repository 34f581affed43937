"""What API Gateway must have in an account before a stage of its own can log."""

from collections.abc import Callable
from typing import Any

import pytest

from darkroom.checks.api_account import check_api_account
from darkroom.checks.deployment_plan import DeploymentPlan
from tests.unit.darkroom.checks.conftest import refuse, respond

ROLE = "arn:aws:iam::111122223333:role/api-gateway-logs"
FAST = {"rateLimit": 10_000.0, "burstLimit": 5_000}


@pytest.mark.parametrize(
    ("account", "given", "verdicts"),
    [
        ({"cloudwatchRoleArn": ROLE, "throttleSettings": FAST}, {}, ["pass"]),
        ({"throttleSettings": FAST}, {}, ["fail"]),
        ({"cloudwatchRoleArn": ROLE}, {}, ["pass"]),
        (
            {
                "cloudwatchRoleArn": ROLE,
                "throttleSettings": {"rateLimit": 100.0, "burstLimit": 50},
            },
            {"ApiRate": "101", "ApiBurst": "50"},
            ["pass", "warn"],
        ),
    ],
)
def test_a_stage_that_logs_needs_the_accounts_role(
    account: dict[str, Any],
    given: dict[str, str],
    verdicts: list[str],
    planned: Callable[..., DeploymentPlan],
) -> None:
    """Pitfall 88, A1: before the deployment fails; and a rate that the account does not have."""
    plan = planned({"api": {}}, **given)
    respond(plan.account.client("apigateway"), ("get_account", account))
    found = list(check_api_account(plan))
    assert [one.verdict for one in found] == verdicts
    if "fail" in verdicts:
        assert "path=/cloudwatchRoleArn" in found[0].remediation
    if "warn" in verdicts:
        assert found[1].message.startswith("ApiRate is 101, but all APIs")


def test_a_delivery_stream_needs_no_role(planned: Callable[..., DeploymentPlan]) -> None:
    """Pitfall 88: API Gateway writes to a stream as a role of its own service."""
    plan = planned({"api": {}})
    stage = plan.template["Resources"]["UploadApiStage"]["Properties"]
    stream = "arn:aws:firehose:us-east-1:111122223333:deliverystream/amazon-apigateway-x"
    stage["AccessLogSetting"] = {"DestinationArn": stream, "Format": "$context.requestId"}
    respond(plan.account.client("apigateway"), ("get_account", {}))
    assert not list(check_api_account(plan))


def test_only_a_stack_with_an_api_asks(planned: Callable[..., DeploymentPlan]) -> None:
    """Pitfall 88: nothing is asked without need, and a caller who may not ask is told."""
    assert not list(check_api_account(planned()))
    plan = planned({"api": {}})
    refuse(plan.account.client("apigateway"), "get_account")
    (found,) = check_api_account(plan)
    assert found.verdict == "warn"
    assert "GetAccount" in found.remediation
