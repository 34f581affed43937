"""darkroom/checks/account.py: what else the account has."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from darkroom.aws.stack import Stack
from darkroom.checks.account import check_distribution, check_name_prefix
from darkroom.checks.deployment_plan import DeploymentPlan
from tests.unit.darkroom.checks.conftest import refuse, respond


def stacks(*prefixes: str) -> dict[str, Any]:
    return {
        "Stacks": [
            {
                "StackName": f"stack-{number}",
                "CreationTime": "2026-01-01T00:00:00Z",
                "StackStatus": "CREATE_COMPLETE",
                "Parameters": [
                    {"ParameterKey": "Environment", "ParameterValue": "dev"},
                    {"ParameterKey": "NamePrefix", "ParameterValue": prefix},
                ],
            }
            for number, prefix in enumerate(prefixes)
        ]
    }


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ("darkroom-prod", "warn"),
        ("dark", "pass"),
        ("darkrooms", "pass"),
        ("darkroom", "pass"),  # check_names finds what is taken
        ("photos", "pass"),
    ],
)
def test_prefixes_of_which_one_begins_the_other(
    planned: Callable[..., DeploymentPlan], other: str, verdict: str
) -> None:
    """S1: `darkroom-*` in a policy means the names of `darkroom-prod` too."""
    plan = planned()
    respond(plan.account.client("cloudformation"), ("describe_stacks", stacks("x", other)))
    (found,) = check_name_prefix(plan)
    assert found.verdict == verdict
    assert ("stack-1" in found.message) == (verdict == "warn")


def test_a_longer_prefix_overlaps_too(planned: Callable[..., DeploymentPlan]) -> None:
    """S1: whichever of the two stacks was first."""
    plan = planned(NamePrefix="darkroom-prod")
    respond(plan.account.client("cloudformation"), ("describe_stacks", stacks("darkroom")))
    (found,) = check_name_prefix(plan)
    assert "darkroom-*" in found.message


def test_an_existing_stack_keeps_its_prefix(
    planned: Callable[..., DeploymentPlan], deployed: Callable[..., Stack]
) -> None:
    """S1: a warning would come too late, so that nothing is asked."""
    assert not [*check_name_prefix(replace(planned(), find_existing=deployed))]
    plan = replace(planned(), find_existing=lambda: deployed("REVIEW_IN_PROGRESS"))
    respond(plan.account.client("cloudformation"), ("describe_stacks", stacks("darkroom-prod")))
    (found,) = check_name_prefix(plan)  # a change set of a new stack
    assert found.verdict == "warn"


@pytest.mark.parametrize(("quantity", "verdict"), [(0, "warn"), (1, "pass")])
def test_a_first_distribution_is_a_warning(
    planned: Callable[..., DeploymentPlan], quantity: int, verdict: str
) -> None:
    """Pitfall 80: AWS may refuse it, and the whole stack is rolled back."""
    plan = planned({"cdn": {}})
    listed = {"Marker": "", "MaxItems": 1, "IsTruncated": False, "Quantity": quantity}
    respond(plan.account.client("cloudfront"), ("list_distributions", {"DistributionList": listed}))
    (found,) = check_distribution(plan)
    assert found.verdict == verdict


def test_a_caller_who_may_not_list_is_told(planned: Callable[..., DeploymentPlan]) -> None:
    """Pitfall 80: it only advises."""
    plan = planned({"cdn": {}})
    refuse(plan.account.client("cloudfront"), "list_distributions")
    (found,) = check_distribution(plan)
    assert found.verdict == "warn"
    assert "ListDistributions" in found.remediation


def test_nothing_is_asked_without_need(
    planned: Callable[..., DeploymentPlan], deployed: Callable[..., Stack]
) -> None:
    """Pitfall 80: no distribution in the template, or one in the stack."""
    assert not [*check_distribution(planned())]
    stack = deployed(resources={"Distribution": "E123"})
    plan = replace(planned({"cdn": {}}), find_existing=lambda: stack)
    assert not [*check_distribution(plan)]
