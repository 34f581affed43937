"""darkroom/checks/object_lock.py: what nobody can undo is said before it is done."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from darkroom.aws.stack import Stack
from darkroom.checks.deployment_plan import DeploymentPlan
from darkroom.checks.object_lock import check_object_lock


@pytest.mark.parametrize(("mode", "warnings"), [("compliance", 1), ("governance", 0), ("off", 0)])
def test_a_new_bucket_in_compliance_mode_is_a_warning(
    planned: Callable[..., DeploymentPlan], mode: str, warnings: int
) -> None:
    """S5: with the days that its objects stay, whoever wants them gone."""
    plan = planned({"logs": {"archive": True, "object_lock": mode}}, LogArchiveRetentionDays="400")
    found = list(check_object_lock(plan))
    assert [finding.verdict for finding in found] == ["warn"] * warnings
    assert all("400 days" in finding.message for finding in found)


def test_a_locked_bucket_that_is_there_is_no_news(
    planned: Callable[..., DeploymentPlan], deployed: Callable[..., Stack]
) -> None:
    """S5: an update of the stack changes nothing about it."""
    plan = planned({"logs": {"archive": True, "object_lock": "compliance"}})
    stack = deployed(resources={"LogArchiveBucket": "darkroom-logs"})
    found: list[Any] = list(check_object_lock(replace(plan, find_existing=lambda: stack)))
    assert found == []
