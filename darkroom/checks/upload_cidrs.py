"""Checks the ranges that may upload: each is a CIDR, and together they are not most addresses."""

from collections.abc import Iterator

from darkroom.checks.framework import Finding, failed, passed
from darkroom.checks.stack_inputs import StackInputs
from darkroom.iam.source_addresses import MOST, covered

PARAMETER = "AllowedUploadCidrs"


def check_upload_cidrs(inputs: StackInputs) -> Iterator[Finding]:
    """The ranges that may upload are together at most half of the addresses.

    The template's AllowedPattern refuses a single range of all addresses; it cannot add ranges up.
    """
    ranges = [one for text in inputs.values.get(PARAMETER, "").split(",") if (one := text.strip())]
    if not ranges:
        return
    try:
        shares = covered(ranges)
    except ValueError as error:
        yield failed(f"{PARAMETER}: {error}", "CIDRs such as 203.0.113.0/24, comma-separated")
        return
    excessive = {family: share for family, share in shares.items() if share > MOST}
    for family, share in excessive.items():
        yield failed(
            f"{PARAMETER} is more than half of all {family} addresses ({share:.0%})",
            "only the uploaders' public ranges, or leave it empty to allow any address",
        )
    if not excessive:
        yield passed(f"uploads are limited to {len(ranges)} ranges of addresses")
