"""Check of what API Gateway has for the whole account in a Region: its log role and throttling."""

from collections.abc import Iterator

from darkroom.checks.deployment_plan import DeploymentPlan
from darkroom.checks.framework import Finding, failed, passed, warned, where_possible


def check_api_account(plan: DeploymentPlan) -> Iterator[Finding]:
    """Pitfall 88: API Gateway has a role for log groups, and the account's throttling is higher."""
    if stages := list(plan.resolved.resources_of_type("ApiGateway::Stage").values()):
        yield from where_possible(_settings(plan, stages), "API Gateway's account settings")


def _settings(plan: DeploymentPlan, stages: list[dict[str, object]]) -> Iterator[Finding]:
    region = plan.account.region
    settings = plan.account.client("apigateway").get_account()
    role = settings.get("cloudwatchRoleArn")
    if role:
        yield passed(f"API Gateway writes log groups in {region} as {role}")
    elif any(_logs_to_group(stage) for stage in stages):
        yield failed(
            f"API Gateway has no role for log groups in {region}: the stage's access log would"
            " fail the deployment",
            "create one for all APIs of the account (docs/api.md, Access log), then: aws apigateway"
            " update-account --patch-operations op=replace,path=/cloudwatchRoleArn,value=ROLE-ARN",
        )
    throttling = settings.get("throttleSettings", {})
    for name, limit in (
        ("ApiRate", throttling.get("rateLimit")),
        ("ApiBurst", throttling.get("burstLimit")),
    ):
        wanted = float(plan.values.get(name, 0))
        if limit is not None and wanted > limit:
            yield warned(
                f"{name} is {wanted:g}, but all APIs of the account together have {limit:g} in"
                f" {region}",
                f"a lower {name}, or request a quota increase for API Gateway",
            )


def _logs_to_group(stage: dict[str, object]) -> bool:
    """Return whether a stage's access log goes to a log group, and not to a delivery stream."""
    setting = stage.get("AccessLogSetting")
    return isinstance(setting, dict) and ":firehose:" not in str(setting.get("DestinationArn"))
