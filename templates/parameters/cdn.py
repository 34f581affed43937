"""What the distribution is told."""

from dataclasses import dataclass

from troposphere import Not, Ref, Template

from templates import specification
from templates.parameters.builder import Group, contains, rule
from templates.parameters.regions import WITHOUT_DELIVERY


@dataclass(frozen=True, kw_only=True)
class CdnParameters:
    """What the distribution is told; None for what its structure leaves out."""

    price_class: Ref
    domain: Ref | None
    certificate: Ref | None
    web_acl: Ref | None


def add_cdn_parameters(
    template: Template, group: Group, structure: specification.Cdn
) -> CdnParameters:
    """Add the distribution's parameters, and the rule that there is CloudFront in the region."""
    template.add_rule(
        "CloudFrontIsAvailable",
        rule(
            "There is no CloudFront of this kind in this region's partition.",
            Not(contains(list(WITHOUT_DELIVERY), Ref("AWS::Region"))),
        ),
    )
    return CdnParameters(
        price_class=group.add(
            "PriceClass",
            "Where CloudFront holds copies; PriceClass_100 is North America and Europe",
            Default="PriceClass_100",
            AllowedValues=["PriceClass_100", "PriceClass_200", "PriceClass_All"],
        ),
        domain=group.add(
            "DomainName",
            "Name of the distribution; its DNS record is yours to set",
            AllowedPattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$",
        )
        if structure.custom_domain
        else None,
        certificate=group.add(
            "CertificateArn",
            "Certificate of that name, in us-east-1",
            AllowedPattern=r"^arn:[a-z-]+:acm:us-east-1:\d{12}:certificate/.+$",
        )
        if structure.custom_domain
        else None,
        web_acl=group.add(
            "WebAclArn",
            "Web ACL of scope CLOUDFRONT",
            AllowedPattern=r"^arn:[a-z-]+:wafv2:us-east-1:\d{12}:global/webacl/.+$",
        )
        if structure.web_acl
        else None,
    )
