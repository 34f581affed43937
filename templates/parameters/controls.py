"""Parameters of the account's controls: Regions, addresses and boundaries."""

from dataclasses import dataclass

from troposphere import Equals, If, Join, Not, Or, Ref, Template

from templates.parameters.builder import (
    YES_NO,
    Condition,
    Group,
    condition,
    contains,
    if_given,
    is_true,
    rule,
)


@dataclass(frozen=True, kw_only=True)
class Controls:
    """Limits that an account sets."""

    enforce_vpce: Condition
    """Condition: the buckets deny the worker's role outside its VPC."""

    upload_cidrs: Ref | None
    """Ranges that may upload; None for a stack without upload buckets."""

    restrict_upload_cidrs: Condition | None
    """Condition: only `upload_cidrs` may upload."""

    permissions_boundary: If


def add_controls(template: Template, *, has_upload_buckets: bool) -> Controls:
    """Add the parameters of the account's controls."""
    group = Group(template, "Account controls")
    regions = group.add(
        "AllowedRegions",
        "Regions that the stack may be deployed to, separated by commas; * for any",
        Type="CommaDelimitedList",
        Default="*",
    )
    template.add_rule(
        "RegionIsAllowed",
        rule(
            "AllowedRegions does not include this Region.",
            Or(contains(regions, "*"), contains(regions, Ref("AWS::Region"))),
        ),
    )
    enforce = group.add(
        "EnforceVpcEndpoint",
        "Refuse the worker's role outside of the VPC, so that stolen credentials are useless there",
        Default="true",
        **YES_NO,
    )
    upload_cidrs = restrict_upload_cidrs = None
    if has_upload_buckets:
        upload_cidrs = group.add(
            "AllowedUploadCidrs",
            "Public CIDRs that uploads may come from, separated by commas; empty for any",
            Type="CommaDelimitedList",
            Default="",
            # For each value. `preflight` adds the ranges up, which CloudFormation cannot.
            AllowedPattern="^([0-9A-Fa-f.:]+/[1-9][0-9]{0,2})?$",
            ConstraintDescription="CIDRs, together at most half of all addresses",
        )
        restrict_upload_cidrs = condition(
            template, "RestrictsUploadCidrs", Not(Equals(Join("", upload_cidrs), ""))
        )
    boundary = group.add(
        "PermissionsBoundaryArn",
        "ARN of the permissions boundary of every role; empty for none",
        Default="",
        AllowedPattern=r"^$|^arn:[a-z-]+:iam::(\d{12}|aws):policy/.+$",
    )
    return Controls(
        enforce_vpce=is_true(template, "EnforcesVpcEndpoint", enforce),
        upload_cidrs=upload_cidrs,
        restrict_upload_cidrs=restrict_upload_cidrs,
        permissions_boundary=if_given(template, "HasPermissionsBoundary", boundary),
    )
