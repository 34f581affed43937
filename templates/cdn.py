"""A CloudFront distribution of the thumbnails, whose bucket stays private."""

from collections.abc import Sequence
from dataclasses import dataclass

import awacs.s3 as s3
from awacs.aws import Statement
from troposphere import Equals, GetAtt, NoValue, Output, Ref, Sub, Template
from troposphere.cloudfront import (
    CacheCookiesConfig,
    CacheHeadersConfig,
    CachePolicy,
    CachePolicyConfig,
    CacheQueryStringsConfig,
    ContentSecurityPolicy,
    ContentTypeOptions,
    CustomErrorResponse,
    DefaultCacheBehavior,
    Distribution,
    DistributionConfig,
    FrameOptions,
    Origin,
    OriginAccessControl,
    OriginAccessControlConfig,
    ParametersInCacheKeyAndForwardedToOrigin,
    ReferrerPolicy,
    ResponseHeadersPolicy,
    ResponseHeadersPolicyConfig,
    S3OriginConfig,
    SecurityHeadersConfig,
    StrictTransportSecurity,
    ViewerCertificate,
)
from troposphere.logs import Delivery as LogDelivery
from troposphere.logs import DeliveryDestination, DeliverySource
from troposphere.s3 import Bucket

from templates import naming, policies
from templates.buckets import THUMBNAILS
from templates.parameters.cdn import CdnParameters
from templates.suppressions import suppress

YEAR_SECONDS = 31_536_000
DAY_SECONDS = 86_400

# How long CloudFront caches the error for a thumbnail that does not exist yet.
ERROR_CACHE_SECONDS = 10

IS_CLOUDFRONT_REGION = "IsUsEast1"

UNAVAILABLE = "The rule CloudFrontIsAvailable refuses Regions without it"


@dataclass(frozen=True, kw_only=True)
class CdnDistribution:
    """The distribution, the bucket that it reads, and the paths below `thumbnails/` that it may."""

    distribution: Distribution
    bucket: Bucket
    published: Sequence[str]

    def read_thumbnails(self) -> Statement:
        """Return the distribution's permission to read thumbnails, for the bucket policy.

        It covers the thumbnails of published sources only: no other source's, and no rejection
        records, which are in the same bucket. What a source leaves behind that is removed from the
        specification is not published either.
        """
        return policies.allow(
            "ReadThumbnails",
            [s3.GetObject],
            [
                policies.within(GetAtt(self.bucket, "Arn"), f"{THUMBNAILS}/{path}*")
                for path in self.published
            ],
            policies.on_behalf_of(_arn(self.distribution)),
            principal=policies.service("cloudfront.amazonaws.com"),
        )

    def outputs(self) -> list[Output]:
        """Return the stack's output about the distribution."""
        domain = GetAtt(self.distribution, "DomainName")
        description = "Domain name of the distribution"
        return [Output("DistributionDomainName", Description=description, Value=domain)]


def add_distribution(
    template: Template, *, bucket: Bucket, published: Sequence[str], parameters: CdnParameters
) -> CdnDistribution:
    """Add a distribution of the thumbnails in `bucket`, with caching and security headers.

    It may read the paths in `published`, each below `thumbnails/`.
    """
    access_control = template.add_resource(
        OriginAccessControl(
            "DistributionAccessControl",
            OriginAccessControlConfig=OriginAccessControlConfig(
                Name=naming.global_name("cdn"),
                OriginAccessControlOriginType="s3",
                SigningBehavior="always",
                SigningProtocol="sigv4",
            ),
            Metadata=suppress(E3006=UNAVAILABLE),
        )
    )
    cache_policy = _add_cache_policy(template)
    headers_policy = _add_headers_policy(template)
    distribution = template.add_resource(
        Distribution(
            "Distribution",
            DistributionConfig=DistributionConfig(
                Enabled=True,
                Comment=naming.name(THUMBNAILS),
                HttpVersion="http2and3",
                IPV6Enabled=True,
                PriceClass=parameters.price_class,
                Aliases=[parameters.domain] if parameters.domain else NoValue,
                ViewerCertificate=_certificate(parameters),
                WebACLId=parameters.web_acl or NoValue,
                Origins=[
                    Origin(
                        Id=THUMBNAILS,
                        # The Regional name: the global one redirects for hours after creation.
                        DomainName=GetAtt(bucket, "RegionalDomainName"),
                        OriginPath=f"/{THUMBNAILS}",
                        OriginAccessControlId=GetAtt(access_control, "Id"),
                        S3OriginConfig=S3OriginConfig(OriginAccessIdentity=""),
                    )
                ],
                DefaultCacheBehavior=DefaultCacheBehavior(
                    TargetOriginId=THUMBNAILS,
                    ViewerProtocolPolicy="redirect-to-https",
                    AllowedMethods=["GET", "HEAD"],
                    CachedMethods=["GET", "HEAD"],
                    Compress=False,
                    CachePolicyId=Ref(cache_policy),
                    ResponseHeadersPolicyId=Ref(headers_policy),
                ),
                # A missing object answers 403, because the distribution may not list the bucket.
                CustomErrorResponses=[
                    CustomErrorResponse(ErrorCode=403, ErrorCachingMinTTL=ERROR_CACHE_SECONDS)
                ],
            ),
            Metadata=suppress(**_reasons(parameters)),
        )
    )
    return CdnDistribution(distribution=distribution, bucket=bucket, published=published)


def _add_cache_policy(template: Template) -> CachePolicy:
    return template.add_resource(
        CachePolicy(
            "DistributionCachePolicy",
            CachePolicyConfig=CachePolicyConfig(
                Name=naming.global_name("cdn"),
                # The Cache-Control header counts, which the worker sets on each object.
                MinTTL=0,
                DefaultTTL=DAY_SECONDS,
                MaxTTL=YEAR_SECONDS,
                ParametersInCacheKeyAndForwardedToOrigin=ParametersInCacheKeyAndForwardedToOrigin(
                    CookiesConfig=CacheCookiesConfig(CookieBehavior="none"),
                    HeadersConfig=CacheHeadersConfig(HeaderBehavior="none"),
                    QueryStringsConfig=CacheQueryStringsConfig(QueryStringBehavior="none"),
                    EnableAcceptEncodingGzip=False,  # images are compressed already
                    EnableAcceptEncodingBrotli=False,
                ),
            ),
            Metadata=suppress(E3006=UNAVAILABLE),
        )
    )


def _add_headers_policy(template: Template) -> ResponseHeadersPolicy:
    return template.add_resource(
        ResponseHeadersPolicy(
            "DistributionHeadersPolicy",
            ResponseHeadersPolicyConfig=ResponseHeadersPolicyConfig(
                Name=naming.global_name("cdn"),
                SecurityHeadersConfig=SecurityHeadersConfig(
                    StrictTransportSecurity=StrictTransportSecurity(
                        AccessControlMaxAgeSec=YEAR_SECONDS, IncludeSubdomains=True, Override=True
                    ),
                    ContentTypeOptions=ContentTypeOptions(Override=True),
                    # A picture opened directly runs and loads nothing.
                    ContentSecurityPolicy=ContentSecurityPolicy(
                        ContentSecurityPolicy="default-src 'none'; sandbox", Override=True
                    ),
                    FrameOptions=FrameOptions(FrameOption="DENY", Override=True),
                    ReferrerPolicy=ReferrerPolicy(ReferrerPolicy="no-referrer", Override=True),
                ),
            ),
            Metadata=suppress(E3006=UNAVAILABLE),
        )
    )


def add_cdn_log_delivery(template: Template, cdn: CdnDistribution, archive: Bucket) -> None:
    """Add the delivery of the distribution's access logs to the log archive.

    CloudFront's log deliveries can be created in one Region only (pitfall 79). A stack in another
    Region allows the delivery, and docs/cloudfront.md has the three commands that create it.
    """
    template.add_condition(
        IS_CLOUDFRONT_REGION, Equals(Ref("AWS::Region"), naming.CLOUDFRONT_REGION)
    )
    source = template.add_resource(
        DeliverySource(
            "DistributionLogSource",
            Condition=IS_CLOUDFRONT_REGION,
            Name=naming.global_name("cdn"),
            LogType="ACCESS_LOGS",
            ResourceArn=_arn(cdn.distribution),
        )
    )
    destination = template.add_resource(
        DeliveryDestination(
            "DistributionLogDestination",
            Condition=IS_CLOUDFRONT_REGION,
            Name=naming.global_name("cdn"),
            OutputFormat="json",
            DestinationResourceArn=GetAtt(archive, "Arn"),
        )
    )
    template.add_resource(
        LogDelivery(
            "DistributionLogDelivery",
            Condition=IS_CLOUDFRONT_REGION,
            DeliverySourceName=Ref(source),
            DeliveryDestinationArn=GetAtt(destination, "Arn"),
            # Where a bucket has no policy yet, AWS adds one, and CloudFormation then cannot
            # (pitfall 65).
            DependsOn=[f"{archive.title}Policy"],
        )
    )


def _arn(distribution: Distribution) -> Sub:
    return Sub(
        f"arn:${{AWS::Partition}}:cloudfront::${{AWS::AccountId}}"
        f":distribution/${{{distribution.title}}}"
    )


def _certificate(parameters: CdnParameters) -> ViewerCertificate:
    if parameters.certificate is None:
        return ViewerCertificate(CloudFrontDefaultCertificate=True)
    return ViewerCertificate(
        AcmCertificateArn=parameters.certificate,
        MinimumProtocolVersion="TLSv1.2_2021",
        SslSupportMethod="sni-only",
    )


def _reasons(parameters: CdnParameters) -> dict[str, str]:
    reasons = {
        "E3006": UNAVAILABLE,
        "CKV_AWS_86": "It expects a bucket with ACLs; docs/cloudfront.md has log delivery",
    }
    if parameters.certificate is None:
        reasons["CKV_AWS_174"] = (
            "The default certificate takes no minimum; cdn.custom_domain sets TLS 1.2"
        )
    return reasons
