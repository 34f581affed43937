"""Thumbnails on the web: a distribution that alone may read them; the bucket stays private."""

from dataclasses import dataclass

import awacs.s3 as s3
from awacs.aws import Statement
from troposphere import Equals, GetAtt, NoValue, Ref, Sub, Template
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
from templates.parameters.cdn import CdnParameters
from templates.suppressions import suppress

# Thumbnails alone: what lies beside them, the records of rejections, has no address.
FOLDER = "thumbnails"
ORIGIN = "thumbnails"
YEAR_SECONDS = 31_536_000

# CloudFront asks for what it does not hold; an error is asked for again after this many seconds.
ERROR_SECONDS = 10

# Where CloudFront itself is, whatever region a stack is in.
HOME_REGION = "us-east-1"
IN_HOME_REGION = "IsUsEast1"

ELSEWHERE = "The rule CloudFrontIsAvailable refuses the regions that do not have it"


@dataclass(frozen=True, kw_only=True)
class Published:
    """The distribution, and the bucket that it reads."""

    distribution: Distribution
    bucket: Bucket

    def read(self) -> Statement:
        """Return the right of this distribution to read thumbnails, for the bucket's policy."""
        return policies.allow(
            "ReadThumbnails",
            [s3.GetObject],
            [policies.within(GetAtt(self.bucket, "Arn"), f"{FOLDER}/*")],
            policies.on_behalf_of(_arn(self.distribution)),
            principal=policies.service("cloudfront.amazonaws.com"),
        )


def add_distribution(template: Template, *, bucket: Bucket, parameters: CdnParameters) -> Published:
    """Add a distribution over the thumbnails in `bucket`, with caching and security headers."""
    access = template.add_resource(
        OriginAccessControl(
            "DistributionAccessControl",
            OriginAccessControlConfig=OriginAccessControlConfig(
                Name=_global_name("cdn"),
                OriginAccessControlOriginType="s3",
                SigningBehavior="always",
                SigningProtocol="sigv4",
            ),
            Metadata=suppress(E3006=ELSEWHERE),
        )
    )
    caching = template.add_resource(
        CachePolicy(
            "DistributionCachePolicy",
            CachePolicyConfig=CachePolicyConfig(
                Name=_global_name("cdn"),
                # What each object says of itself counts; the worker writes it.
                MinTTL=0,
                DefaultTTL=86_400,
                MaxTTL=YEAR_SECONDS,
                ParametersInCacheKeyAndForwardedToOrigin=ParametersInCacheKeyAndForwardedToOrigin(
                    CookiesConfig=CacheCookiesConfig(CookieBehavior="none"),
                    HeadersConfig=CacheHeadersConfig(HeaderBehavior="none"),
                    QueryStringsConfig=CacheQueryStringsConfig(QueryStringBehavior="none"),
                    EnableAcceptEncodingGzip=False,  # pictures are compressed already
                    EnableAcceptEncodingBrotli=False,
                ),
            ),
            Metadata=suppress(E3006=ELSEWHERE),
        )
    )
    headers = template.add_resource(
        ResponseHeadersPolicy(
            "DistributionHeadersPolicy",
            ResponseHeadersPolicyConfig=ResponseHeadersPolicyConfig(
                Name=_global_name("cdn"),
                SecurityHeadersConfig=SecurityHeadersConfig(
                    StrictTransportSecurity=StrictTransportSecurity(
                        AccessControlMaxAgeSec=YEAR_SECONDS, IncludeSubdomains=True, Override=True
                    ),
                    ContentTypeOptions=ContentTypeOptions(Override=True),
                    # A picture opened by itself runs nothing and loads nothing.
                    ContentSecurityPolicy=ContentSecurityPolicy(
                        ContentSecurityPolicy="default-src 'none'; sandbox", Override=True
                    ),
                    FrameOptions=FrameOptions(FrameOption="DENY", Override=True),
                    ReferrerPolicy=ReferrerPolicy(ReferrerPolicy="no-referrer", Override=True),
                ),
            ),
            Metadata=suppress(E3006=ELSEWHERE),
        )
    )
    distribution = template.add_resource(
        Distribution(
            "Distribution",
            DistributionConfig=DistributionConfig(
                Enabled=True,
                Comment=naming.name("thumbnails"),
                HttpVersion="http2and3",
                IPV6Enabled=True,
                PriceClass=parameters.price_class,
                Aliases=[parameters.domain] if parameters.domain else NoValue,
                ViewerCertificate=_certificate(parameters),
                WebACLId=parameters.web_acl or NoValue,
                Origins=[
                    Origin(
                        Id=ORIGIN,
                        # Of the region: the global name answers with redirects for hours.
                        DomainName=GetAtt(bucket, "RegionalDomainName"),
                        OriginPath=f"/{FOLDER}",
                        OriginAccessControlId=GetAtt(access, "Id"),
                        S3OriginConfig=S3OriginConfig(OriginAccessIdentity=""),
                    )
                ],
                DefaultCacheBehavior=DefaultCacheBehavior(
                    TargetOriginId=ORIGIN,
                    ViewerProtocolPolicy="redirect-to-https",
                    AllowedMethods=["GET", "HEAD"],
                    CachedMethods=["GET", "HEAD"],
                    Compress=False,
                    CachePolicyId=Ref(caching),
                    ResponseHeadersPolicyId=Ref(headers),
                ),
                # What is not there answers 403: the distribution may not list. It may come soon.
                CustomErrorResponses=[
                    CustomErrorResponse(ErrorCode=403, ErrorCachingMinTTL=ERROR_SECONDS)
                ],
            ),
            Metadata=suppress(**_reasons(parameters)),
        )
    )
    return Published(distribution=distribution, bucket=bucket)


def archive_requests(template: Template, published: Published, archive: Bucket) -> None:
    """Have the requests to a distribution noted in the log archive, as far as the stack can.

    CloudFront's log deliveries are made in one region; in any other they are three commands
    (docs/cloudfront.md), and the archive admits what they bring.
    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html
    """
    template.add_condition(IN_HOME_REGION, Equals(Ref("AWS::Region"), HOME_REGION))
    source = template.add_resource(
        DeliverySource(
            "DistributionLogSource",
            Condition=IN_HOME_REGION,
            Name=_global_name("cdn"),
            LogType="ACCESS_LOGS",
            ResourceArn=_arn(published.distribution),
        )
    )
    destination = template.add_resource(
        DeliveryDestination(
            "DistributionLogDestination",
            Condition=IN_HOME_REGION,
            Name=_global_name("cdn"),
            OutputFormat="json",
            DestinationResourceArn=GetAtt(archive, "Arn"),
        )
    )
    template.add_resource(
        LogDelivery(
            "DistributionLogDelivery",
            Condition=IN_HOME_REGION,
            DeliverySourceName=Ref(source),
            DeliveryDestinationArn=GetAtt(destination, "Arn"),
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
        "E3006": ELSEWHERE,
        "CKV_AWS_86": "It wants a bucket with ACLs; docs/cloudfront.md has the newer kind",
    }
    if parameters.certificate is None:
        reasons["CKV_AWS_174"] = (
            "CloudFront's own certificate takes no minimum; cdn.custom_domain sets TLS 1.2"
        )
    return reasons


def _global_name(role: str) -> Sub:
    """Return a name unique in the account: CloudFront has no regions (trap 52)."""
    return Sub(f"${{{naming.NAME_PREFIX}}}-{role}-${{AWS::Region}}")
