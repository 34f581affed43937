from typing import Any

import pytest

from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.iam.evaluator import PolicyCheck, Request, is_allowed
from tests.unit.templates.conftest import generate

DISTRIBUTION = "arn:aws:cloudfront::111122223333:distribution/<Distribution>"
OWN_NAME = {
    "DomainName": "pictures.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/c",
    "WebAclArn": "arn:aws:wafv2:us-east-1:111122223333:global/webacl/w/1",
}


@pytest.fixture(scope="module")
def web() -> ResolvedTemplate:
    return generate(cdn={}, logs={"archive": False})


def config(stack: ResolvedTemplate) -> dict[str, Any]:
    found: dict[str, Any] = stack.properties("Distribution")["DistributionConfig"]
    return found


def is_delivered(stack: ResolvedTemplate, **changes: str) -> bool:
    """Return whether the bucket policy lets the distribution read a thumbnail."""
    request = Request(
        action=changes.get("action", "s3:GetObject"),
        resource=changes.get("resource", "<ThumbnailBucket.Arn>/thumbnails/uploads/a.jpg/w400"),
        principal=changes.get("principal", "cloudfront.amazonaws.com"),
        context={
            "aws:SourceArn": changes.get("arn", DISTRIBUTION),
            "aws:SecureTransport": changes.get("secure", "true"),
            "aws:PrincipalIsAWSService": "true",
        },
    )
    checks = [PolicyCheck("ThumbnailBucketPolicy", "resource-based")]
    policies = {"ThumbnailBucketPolicy": stack.statements("ThumbnailBucketPolicy")}
    return is_allowed(policies, request, checks)


def test_there_is_no_delivery_unless_asked_for(stack: ResolvedTemplate) -> None:
    """P4, S1: thumbnails stay in their bucket by default."""
    assert not [title for title, r in stack.resources.items() if "CloudFront" in r["Type"]]


def test_the_bucket_stays_private(web: ResolvedTemplate) -> None:
    """P4, S1: public access stays blocked; the distribution signs, over the region's own name."""
    blocked = web.properties("ThumbnailBucket")["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    (origin,) = config(web)["Origins"]
    assert origin["DomainName"] == "<ThumbnailBucket.RegionalDomainName>"
    assert origin["OriginAccessControlId"] == "<DistributionAccessControl.Id>"
    access = web.properties("DistributionAccessControl")["OriginAccessControlConfig"]
    assert (access["SigningBehavior"], access["SigningProtocol"]) == ("always", "sigv4")


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"resource": "<ThumbnailBucket.Arn>/rejected/a.jpg.json"}, False),
        ({"action": "s3:PutObject"}, False),
        ({"action": "s3:GetObjectVersion"}, False),
        ({"principal": "cloudtrail.amazonaws.com"}, False),
        ({"arn": DISTRIBUTION + "2"}, False),
        ({"arn": DISTRIBUTION.replace("1111", "9999")}, False),
        ({"secure": "false"}, False),
    ],
)
def test_this_distribution_alone_reads_thumbnails_alone(
    web: ResolvedTemplate, changes: dict[str, str], *, allowed: bool
) -> None:
    """S2, S5: the record of a rejection has no address, nor has another distribution a way in."""
    assert is_delivered(web, **changes) is allowed


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("uploads/a.jpg/w400", True),
        ("partner/outbox/a.jpg/w400", True),
        ("scans/uploads/a.jpg/w400", False),
        ("shared/incoming/a.jpg/w400", False),
        ("shared/outgoing/a.jpg/w400", True),
        # What a removed source left behind.
        ("removed/uploads/a.jpg/w400", False),
        # Any of 256 hashes, and nothing else in their place.
        ("imports/00/in/a.jpg/w400", True),
        ("imports/ff/in/a.jpg/w400", True),
        ("imports/in/a.jpg/w400", False),
        ("imports/0/in/a.jpg/w400", False),
        ("imports/000/in/a.jpg/w400", False),
        ("imports/00/other/a.jpg/w400", False),
        ("secret/00/in/a.jpg/w400", False),
    ],
)
def test_only_published_sources_are_delivered(path: str, *, allowed: bool) -> None:
    """P4, S2: the distribution reads no thumbnail of an unpublished source, whatever its prefix."""
    sources = {
        "default": {},
        "partner": {"type": "sns", "prefixes": ["outbox/"]},
        "scans": {"published": False},
        "incoming": {
            "prefixes": ["incoming/"],
            "output_prefix": "shared/",
            "published": False,
        },
        "outgoing": {"prefixes": ["outgoing/"], "output_prefix": "shared/"},
        "imports": {"prefixes": ["in/"], "hash_prefix": True},
        "secret": {"prefixes": ["in/"], "hash_prefix": True, "published": False},
    }
    stack = generate(cdn={}, sources=sources)
    assert is_delivered(stack, resource=f"<ThumbnailBucket.Arn>/thumbnails/{path}") is allowed


def test_the_key_admits_distributions_of_this_account(web: ResolvedTemplate) -> None:
    """Pitfall 40, S4: by pattern, for a reference would close a cycle; to decrypt and no more."""
    statement = web.statement("EncryptionKey", "ReadThumbnails")
    assert statement["Action"] == ["kms:Decrypt"]
    assert statement["Condition"]["ArnLike"] == {
        "aws:SourceArn": "arn:aws:cloudfront::111122223333:distribution/*"
    }


def test_an_own_name_brings_tls_1_2_and_a_web_acl_stands_before_it() -> None:
    """P4: with CloudFront's own name, its certificate takes no minimum."""
    own = config(generate(cdn={"custom_domain": True, "web_acl": True}).with_parameters(**OWN_NAME))
    assert own["Aliases"] == ["pictures.example.com"]
    assert own["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert own["WebACLId"] == OWN_NAME["WebAclArn"]
    plain = config(generate(cdn={}))
    assert plain["ViewerCertificate"] == {"CloudFrontDefaultCertificate": True}
    assert not {"Aliases", "WebACLId"} & plain.keys()


def test_security_headers(web: ResolvedTemplate) -> None:
    """P4, pitfall 61: HTTPS only, cached as each object says, a picture that runs nothing."""
    behavior = config(web)["DefaultCacheBehavior"]
    assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
    assert behavior["AllowedMethods"] == ["GET", "HEAD"]
    caching = web.properties("DistributionCachePolicy")["CachePolicyConfig"]
    assert (caching["MinTTL"], caching["MaxTTL"]) == (0, 31_536_000)
    headers = web.properties("DistributionHeadersPolicy")["ResponseHeadersPolicyConfig"]
    security = headers["SecurityHeadersConfig"]
    assert security["ContentTypeOptions"] == {"Override": True}
    assert "default-src 'none'" in security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] == 31_536_000


def test_names_hold_prefix_and_region(web: ResolvedTemplate) -> None:
    """Pitfall 52: CloudFront's names are the account's, whatever the region."""
    names = {
        web.properties("DistributionCachePolicy")["CachePolicyConfig"]["Name"],
        web.properties("DistributionHeadersPolicy")["ResponseHeadersPolicyConfig"]["Name"],
        web.properties("DistributionAccessControl")["OriginAccessControlConfig"]["Name"],
    }
    assert names == {"darkroom-cdn-eu-west-1"}


@pytest.mark.parametrize(
    ("region", "there"), [("eu-west-1", True), ("cn-north-1", False), ("us-gov-west-1", False)]
)
def test_partitions_without_it_are_refused(
    web: ResolvedTemplate, region: str, *, there: bool
) -> None:
    """D2: before anything is made, with a sentence."""
    broken = web.with_parameters(**{"AWS::Region": region, "S3PrefixListId": "pl-1"}).broken_rules()
    assert (broken == []) is there


@pytest.fixture(scope="module")
def archived() -> ResolvedTemplate:
    return generate(cdn={}, logs={"archive_flow_logs": False})


def test_requests_are_noted_in_the_archive_where_the_stack_can(archived: ResolvedTemplate) -> None:
    """O6: CloudFront delivers logs from one region, whatever region the bucket is in."""
    kinds = ("Logs::DeliverySource", "Logs::DeliveryDestination", "Logs::Delivery")
    assert not any(archived.resources_of_type(kind) for kind in kinds)
    home = archived.with_parameters(**{"AWS::Region": "us-east-1"})
    (source,) = home.resources_of_type("Logs::DeliverySource").values()
    assert source["ResourceArn"] == DISTRIBUTION
    (destination,) = home.resources_of_type("Logs::DeliveryDestination").values()
    assert destination["DestinationResourceArn"] == "<LogArchiveBucket.Arn>"
    (delivery,) = home.resources_of_type("Logs::Delivery").values()
    assert delivery["DeliverySourceName"] == source["Name"]
    # Otherwise AWS may add a policy before CloudFormation does (pitfall 65).
    depends_on = archived.resources["DistributionLogDelivery"]["DependsOn"]
    assert depends_on == ["LogArchiveBucketPolicy"]


def test_logs_come_from_cloudfronts_region_only(archived: ResolvedTemplate) -> None:
    """S5, pitfall 79: the stack's Region is another, and has no sources of CloudFront's logs."""
    for title, sid in (
        ("LogArchiveBucketPolicy", "AWSLogDeliveryWrite"),
        ("EncryptionKey", "DeliverLogs"),
    ):
        condition = archived.statement(title, sid)["Condition"]
        assert condition["ArnLike"] == {
            "aws:SourceArn": "arn:aws:logs:us-east-1:111122223333:delivery-source:*"
        }


def test_without_an_archive_nothing_is_noted(web: ResolvedTemplate) -> None:
    """S5: and the key admits no delivery."""
    assert not [title for title in web.resources if title.startswith("DistributionLogSource")]
    assert "DeliverLogs" not in {one["Sid"] for one in web.statements("EncryptionKey")}
