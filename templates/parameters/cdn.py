"""Parameters of the CloudFront distribution."""

from dataclasses import dataclass

from troposphere import Not, Ref, Template

from templates.parameters.builder import Group, contains, rule
from templates.parameters.regions import REGIONS_WITHOUT_CLOUDFRONT
from templates.specification_options import Cdn


@dataclass(frozen=True, kw_only=True)
class CdnParameters:
    """Parameters of the distribution; None for what the specification leaves out."""

    price_class: Ref
    domain: Ref | None
    certificate: Ref | None
    web_acl: Ref | None


def add_cdn_parameters(template: Template, cdn: Cdn) -> CdnParameters:
    """Add the distribution's parameters, and the rule that the Region has CloudFront."""
    group = Group(template, "CloudFront")
    template.add_rule(
        "CloudFrontIsAvailable",
        rule(
            "CloudFront with origin access control is not available in this partition.",
            Not(contains(list(REGIONS_WITHOUT_CLOUDFRONT), Ref("AWS::Region"))),
        ),
    )
    price_class = group.add(
        "PriceClass",
        "CloudFront edge locations; PriceClass_100 is North America and Europe",
        Default="PriceClass_100",
        AllowedValues=["PriceClass_100", "PriceClass_200", "PriceClass_All"],
    )
    domain = certificate = web_acl = None
    if cdn.custom_domain:
        domain = group.add(
            "DomainName",
            "Custom domain of the distribution; you create its DNS record",
            AllowedPattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$",
        )
        certificate = group.add(
            "CertificateArn",
            "ACM certificate of the domain, in us-east-1",
            AllowedPattern=r"^arn:[a-z-]+:acm:us-east-1:\d{12}:certificate/.+$",
        )
    if cdn.web_acl:
        web_acl = group.add(
            "WebAclArn",
            "AWS WAF web ACL of scope CLOUDFRONT",
            AllowedPattern=r"^arn:[a-z-]+:wafv2:us-east-1:\d{12}:global/webacl/.+$",
        )
    return CdnParameters(
        price_class=price_class, domain=domain, certificate=certificate, web_acl=web_acl
    )
