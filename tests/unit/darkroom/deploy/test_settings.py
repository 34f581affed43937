"""The alarms that take an update back, and what else a deployment gives a stack."""

from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from darkroom.aws.session import open_account
from darkroom.aws.stack import Stack
from darkroom.deploy.settings import (
    ALARM,
    PRODUCTION_MONITORING_SECONDS,
    TRIGGERS,
    RollBack,
    Settings,
    roll_back,
)
from tests.unit.templates.conftest import generate

TWO_QUEUES: dict[str, Any] = {
    "queues": {"default": {}, "bulk": {}},
    "sources": {"default": {}, "scans": {"queue": "bulk"}},
}


def stack(resources: dict[str, str]) -> Stack:
    return Stack(
        session=open_account(region="eu-west-1").session,
        name="s",
        id="arn:s",
        status="UPDATE_COMPLETE",
        outputs={},
        parameters={},
        resources=resources,
    )


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


def found(deployed: Stack, template: Any, seconds: float, **states: str) -> RollBack:
    """Return the roll-back where these alarms exist, by name with `_` for `-`."""
    alarms = [
        {"AlarmName": name.replace("_", "-"), "AlarmArn": f"arn:{name}", "StateValue": state}
        for name, state in states.items()
    ]
    with Stubber(deployed.client("cloudwatch")) as stubber:
        stubber.add_response("describe_alarms", {"MetricAlarms": alarms})
        return roll_back(deployed, template, seconds)


def test_the_template_has_each_alarm_once_per_queue() -> None:
    """D8: worker errors, dead letters, retries and the rejection ratio."""
    template = generate(**TWO_QUEUES).template
    alarms = [name for name, one in template["Resources"].items() if one["Type"] == ALARM]
    for end in TRIGGERS:
        assert sum(name.endswith(end) for name in alarms) == 2


def test_the_alarms_that_the_stack_has_take_an_update_back() -> None:
    """D8: those that it keeps, the most severe first, for whole minutes."""
    template = generate().template
    deployed = stack({"RetryAlarm": "retries", "DeadLetterAlarm": "dead", "BulkRetryAlarm": "gone"})
    back = found(deployed, template, 90.0, dead="OK", retries="INSUFFICIENT_DATA")
    assert back.member() == {
        "RollbackTriggers": [
            {"Arn": "arn:dead", "Type": ALARM},
            {"Arn": "arn:retries", "Type": ALARM},
        ],
        "MonitoringTimeInMinutes": 2,
    }
    assert back.left_out == {}


def test_an_alarm_that_is_raised_or_missing_is_none_of_them() -> None:
    """Pitfall 90: the first would say nothing about the update, the second would fail it."""
    deployed = stack({"RetryAlarm": "retries", "DeadLetterAlarm": "dead"})
    back = found(deployed, generate().template, 60.0, dead="ALARM")
    assert back.left_out == {"dead": "is in ALARM already", "retries": "is not there"}
    assert back.member() == {"RollbackTriggers": [], "MonitoringTimeInMinutes": 0}


def test_there_are_at_most_five() -> None:
    """D8: the dead letters of each queue come before the retries of the first."""
    template = generate(**TWO_QUEUES).template
    names = {f"{queue}{end}": f"{queue}{end}" for queue in ("", "Bulk") for end in TRIGGERS}
    back = found(stack(names), template, 0.0, **dict.fromkeys(names, "OK"))
    assert [name.removeprefix("Bulk") for name in back.alarms] == [
        "DeadLetterAlarm",
        "DeadLetterAlarm",
        "WorkerErrorAlarm",
        "WorkerErrorAlarm",
        "RetryAlarm",
    ]
    assert len(back.left_out) == 3


def test_a_stack_without_alarms_asks_for_none() -> None:
    assert roll_back(stack({}), generate().template, 60.0) == RollBack()


def test_what_is_not_given_stays_as_it_is() -> None:
    """D8: CloudFormation keeps tags, role and topics that a change set leaves out."""
    assert Settings().members() == {}
    given = Settings(tags={"team": "a"}, role_arn="arn:r", notification_arns=("arn:t",))
    assert given.members() == {
        "Tags": [{"Key": "team", "Value": "a"}],
        "RoleARN": "arn:r",
        "NotificationARNs": ["arn:t"],
    }


@pytest.mark.parametrize(
    "scenario",
    [
        "the function does not start",
        "half an hour: the role may not use S3 or the key",
        "invocations hang until the timeout",
        "all uploads are junk",
    ],
)
def test_a_bad_worker_raises_one_of_them_in_time(scenario: str) -> None:
    """D8: by the simulated minutes of docs/alarms.md, with half as much time to spare."""
    page = (Path(__file__).parents[4] / "docs" / "alarms.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith((f"| {scenario} |", "| within minutes | dead-letters"))
    ]
    minutes = dict(zip(*rows, strict=True))
    watched = [minutes[name] for name in ("dead-letters", "worker-errors", "retries", "rejections")]
    assert 1.5 * min(float(one) for one in watched if one) * 60 < PRODUCTION_MONITORING_SECONDS
