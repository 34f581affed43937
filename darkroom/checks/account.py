"""Checks of what else an account has: other stacks' prefixes, and CloudFront distributions."""

from collections.abc import Iterator

from darkroom.checks.deployment_plan import DeploymentPlan
from darkroom.checks.framework import Finding, passed, warned, where_possible

NAME_PREFIX = "NamePrefix"


def check_name_prefix(plan: DeploymentPlan) -> Iterator[Finding]:
    """The prefix of no other stack begins with a new stack's prefix and a hyphen, or the reverse.

    Policies name resources by patterns such as `darkroom-*`, which match `darkroom-prod-…` too.
    """
    is_new = not plan.existing or plan.existing.status == "REVIEW_IN_PROGRESS"
    if NAME_PREFIX in plan.declared and is_new:
        yield from where_possible(_other_prefixes(plan), "other stacks' NamePrefix")


def _other_prefixes(plan: DeploymentPlan) -> Iterator[Finding]:
    own = plan.values[NAME_PREFIX]
    overlapping = {}
    pages = plan.account.client("cloudformation").get_paginator("describe_stacks").paginate()
    for stack in (stack for page in pages for stack in page["Stacks"]):
        for parameter in stack.get("Parameters", []):
            other = parameter.get("ParameterValue", "")
            if parameter.get("ParameterKey") == NAME_PREFIX and (
                other.startswith(f"{own}-") or own.startswith(f"{other}-")
            ):
                overlapping[stack["StackName"]] = other
    for name, other in overlapping.items():
        yield warned(
            f"the stack {name} has the prefix {other}: policies on {min(own, other, key=len)}-*"
            " cover the names of both stacks",
            f"a {NAME_PREFIX} that is not the beginning of another one",
        )
    if not overlapping:
        yield passed(f"no other stack's prefix overlaps with {own}")


def check_distribution(plan: DeploymentPlan) -> Iterator[Finding]:
    """Pitfall 80: an account without a distribution may have to be verified first."""
    distributions = plan.resolved.resources_of_type("CloudFront::Distribution")
    own = plan.existing.resources if plan.existing else {}
    if distributions and not distributions.keys() & own.keys():
        yield from where_possible(_first_distribution(plan), "CloudFront's distributions")


def _first_distribution(plan: DeploymentPlan) -> Iterator[Finding]:
    listed = plan.account.client("cloudfront").list_distributions(MaxItems="1")
    if listed["DistributionList"]["Quantity"]:
        yield passed("the account has CloudFront distributions")
    else:
        yield warned(
            "the account has no CloudFront distribution: AWS may refuse the first one until it has"
            " verified the account",
            "create one by hand first, or ask AWS Support to verify the account for CloudFront",
        )
