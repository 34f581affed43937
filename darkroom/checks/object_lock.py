"""Check of what cannot be undone: an object lock in compliance mode."""

from collections.abc import Iterator

from darkroom.checks.deployment_plan import DeploymentPlan
from darkroom.checks.framework import Finding, warned


def check_object_lock(plan: DeploymentPlan) -> Iterator[Finding]:
    """A bucket that the deployment creates locks its objects against everybody.

    In compliance mode [no user can delete a version](https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html)
    or shorten its retention, the root user of the account included.
    """
    for title, bucket in plan.resolved.resources_of_type("S3::Bucket").items():
        rule = bucket.get("ObjectLockConfiguration", {}).get("Rule", {})
        retention = rule.get("DefaultRetention", {})
        if retention.get("Mode") != "COMPLIANCE" or (
            plan.existing and title in plan.existing.resources
        ):
            continue
        yield warned(
            f"{title} locks each object in compliance mode for {retention['Days']} days: until"
            " then nobody can delete it, the root user included, and the stack's data cannot be"
            " deleted either",
            'object_lock = "governance" in the specification, or a shorter'
            " LogArchiveRetentionDays for a first try",
        )
