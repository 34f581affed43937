import botocore.session
import pytest

from darkroom.aws.session import Account
from darkroom.checks.framework import Finding
from darkroom.checks.stack_inputs import StackInputs
from darkroom.checks.upload_cidrs import check_upload_cidrs
from darkroom.cloudformation.resolver import ResolvedTemplate


def found(ranges: str) -> list[Finding]:
    inputs = StackInputs(
        account=Account(session=botocore.session.Session()),
        template=ResolvedTemplate({}),
        values={"AllowedUploadCidrs": ranges},
    )
    return list(check_upload_cidrs(inputs))


@pytest.mark.parametrize("ranges", ["203.0.113.0/24", "0.0.0.0/1", "128.0.0.0/2, 2001:db8::/32"])
def test_at_most_half_of_the_addresses_may_upload(ranges: str) -> None:
    """S3: half is the bound."""
    (finding,) = found(ranges)
    assert finding.verdict == "pass"


@pytest.mark.parametrize(
    ("ranges", "problem"),
    [
        ("0.0.0.0/1,128.0.0.0/1", "more than half of all IPv4 addresses (100%)"),
        ("0.0.0.0/1,203.0.113.0/24", "more than half of all IPv4 addresses (50%)"),
        ("203.0.113.0/24, 2000::/3", "more than half of all IPv6 addresses (100%)"),
        ("203.0.113.0/33", "'203.0.113.0/33' does not appear to be"),
    ],
)
def test_ranges_that_together_are_most_addresses_are_refused(ranges: str, problem: str) -> None:
    """S3: the template sees each range alone."""
    (finding,) = found(ranges)
    assert finding.verdict == "fail"
    assert problem in finding.message
    assert finding.remediation


def test_no_ranges_are_no_finding() -> None:
    assert found("") == []
