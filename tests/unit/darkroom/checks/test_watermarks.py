"""darkroom/checks/watermarks.py: what variants name is in the bucket, before and after."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from botocore.stub import Stubber

from darkroom.aws.stack import Stack
from darkroom.checks.deployment_plan import DeploymentPlan
from darkroom.checks.framework import Finding
from darkroom.checks.watermarks import check_watermarks

LOGO = "watermarks/logo.png"
MARKED = {"variants": {"default": {"watermark": {"key": LOGO}}}}

Planned = Callable[..., DeploymentPlan]


@pytest.fixture
def existing(planned: Planned, deployed: Callable[..., Stack]) -> DeploymentPlan:
    """A deployment over a stack that has its bucket already."""
    stack = deployed(resources={"ThumbnailBucket": "bucket"})
    return replace(planned(MARKED), find_existing=lambda: stack)


def one(plan: DeploymentPlan) -> Finding:
    (finding,) = check_watermarks(plan.inputs)
    return finding


def test_a_new_stack_needs_it_afterwards(planned: Planned) -> None:
    """Issue 15: there is no bucket before; a warning says what to do."""
    finding = one(planned(MARKED))
    assert finding.verdict == "warn"
    assert f"/{LOGO}" in finding.remediation


def test_without_watermarks_there_is_nothing_to_check(planned: Planned) -> None:
    """Issue 15: no request, and no finding."""
    assert list(check_watermarks(planned().inputs)) == []
    assert list(check_watermarks(planned({"api": {}}).inputs)) == []


@pytest.mark.parametrize(
    ("size", "verdict", "words"),
    [
        (1_000_000, "pass", f"s3://bucket/{LOGO} is there, 1,000,000 bytes"),
        (1_000_001, "fail", "reads at most 1,000,000"),
        (None, "fail", f"there is no watermark s3://bucket/{LOGO}"),
    ],
)
def test_it_is_looked_for_in_the_bucket(
    existing: DeploymentPlan, size: int | None, verdict: str, words: str
) -> None:
    """Issue 15: before an update that names it, and after it."""
    with Stubber(existing.account.client("s3")) as stub:
        if size is None:
            stub.add_client_error("head_object", "404", http_status_code=404)
        else:
            expected = {"Bucket": "bucket", "Key": LOGO}
            stub.add_response("head_object", {"ContentLength": size}, expected)
        finding = one(existing)
    assert finding.verdict == verdict
    assert words in finding.message
