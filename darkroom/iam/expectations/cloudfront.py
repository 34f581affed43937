"""CloudFront: it reads thumbnails, and its access logs are delivered to the archive."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import KEY_POLICY, LOG_ENCRYPTION, Expectation
from darkroom.iam.expectations.requests import (
    ARCHIVE,
    KEY,
    THUMBNAILS,
    by_external_user,
    by_log_delivery,
    by_service,
)
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel
from templates.specification_values import WATERMARKS

_THUMBNAILS_POLICY = PolicyCheck("ThumbnailBucketPolicy", "resource-based")
_ACCESS_LOG = f"{ARCHIVE}/AWSLogs/{ACCOUNT}/CloudFront/a.gz"
_LOG_SOURCE = f"arn:aws:logs:us-east-1:{ACCOUNT}:delivery-source:darkroom-cdn-{REGION}"
_ARCHIVE = PolicyCheck("LogArchiveBucketPolicy", "resource-based")


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield how a thumbnail is delivered, and its access log where logs are archived."""
    if not stack.specification.cdn:
        return
    for thumbnail in _published(stack):
        read = _by_cloudfront(resource=thumbnail)
        yield Expectation("deliver a thumbnail", read, (_THUMBNAILS_POLICY,))
    use = _by_cloudfront(action="kms:Decrypt", resource=KEY, distribution="any")
    yield Expectation("deliver a thumbnail", use, (KEY_POLICY,))
    if stack.specification.logs.archive:
        yield from _access_log_delivery()


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield other reads of the thumbnails, and other log deliveries."""
    if not stack.specification.cdn:
        return
    thumbnail = _published(stack)[0]
    for request in (
        _by_cloudfront(resource=thumbnail, distribution="<Distribution>2"),
        _by_cloudfront(resource=thumbnail, principal="s3.amazonaws.com"),
        _by_cloudfront(resource=thumbnail, action="s3:GetObjectVersion"),
        _by_cloudfront(resource=thumbnail, action="s3:PutObject"),
        _by_cloudfront(resource=f"{THUMBNAILS}/rejected/uploads/a.jpg.json"),
        _by_cloudfront(resource=f"{THUMBNAILS}/{WATERMARKS}/a.png"),
        _by_cloudfront(resource=thumbnail.replace("/", "-other/", 1)),
        _by_cloudfront(action="s3:ListBucket", resource=THUMBNAILS),
        by_external_user("s3:GetObject", thumbnail),
    ):
        yield Expectation("another object, action or caller", request, (_THUMBNAILS_POLICY,))
    for thumbnail in _unpublished(stack):
        read = _by_cloudfront(resource=thumbnail)
        yield Expectation("an unpublished thumbnail", read, (_THUMBNAILS_POLICY,))
    used = {"action": "kms:Decrypt", "resource": KEY}
    for request in (
        _by_cloudfront(**used, account=OTHER_ACCOUNT),
        _by_cloudfront(**used, principal="apigateway.amazonaws.com"),
        _by_cloudfront(action="kms:GenerateDataKey", resource=KEY),
        _by_cloudfront(action="kms:Encrypt", resource=KEY),
    ):
        yield Expectation("more than a distribution of this account needs", request, (KEY_POLICY,))
    if stack.specification.logs.archive:
        yield from _denied_access_log_deliveries(stack)


def _published(stack: StackModel) -> list[str]:
    """Return a thumbnail below each path that is published."""
    sources = [one for one in stack.sources if one.is_published]
    return [f"{THUMBNAILS}/{key}" for one in sources for key in one.outputs]


def _unpublished(stack: StackModel) -> list[str]:
    """Return a thumbnail of each other source's path, and those beside each folder of each path.

    No prefix of the specification has a `~`, so that no source's thumbnail is beside a folder; one
    of a source that was removed from the specification may be.
    """
    others = [key for one in stack.sources if not one.is_published for key in one.outputs]
    beside = [one for source in stack.sources for key in source.outputs for one in _beside(key)]
    return [f"{THUMBNAILS}/{key}" for key in dict.fromkeys((*others, *beside))]


def _beside(key: str) -> Iterator[str]:
    folders = key.split("/")
    for index in range(1, len(folders) - 2):  # between `thumbnails` and the upload's name
        yield "/".join([*folders[:index], f"{folders[index]}~", *folders[index + 1 :]])


def _access_log_delivery() -> Iterator[Expectation]:
    yield Expectation("deliver a CloudFront access log", _by_log_delivery(), (_ARCHIVE,))
    for action in (*LOG_ENCRYPTION, "kms:DescribeKey"):
        use = _by_log_delivery(action=action, resource=KEY)
        yield Expectation("deliver a CloudFront access log", use, (KEY_POLICY,))


def _denied_access_log_deliveries(stack: StackModel) -> Iterator[Expectation]:
    here = f"arn:aws:logs:{REGION}:{ACCOUNT}:delivery-source:a"
    others = (
        {"principal": "logging.s3.amazonaws.com"},
        {"account": OTHER_ACCOUNT},
        {"source": f"arn:aws:logs:us-east-1:{OTHER_ACCOUNT}:delivery-source:a"},
        {"source": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:a"},
        # The flow log's source is any of this Region.
        *([] if stack.specification.archives_flow_logs else [{"source": here}]),
    )
    for changes in (
        *others,
        {"action": "s3:GetObject"},
        {"action": "s3:DeleteObject"},
        {"resource": f"{ARCHIVE}/worker/a.gz"},
        {"resource": f"{ARCHIVE}-other/AWSLogs/a"},
        {"resource": f"{ARCHIVE}/AWSLogs/{OTHER_ACCOUNT}/CloudFront/a.gz"},
        {"acl": "private"},
    ):
        yield Expectation("another delivery", _by_log_delivery(**changes), (_ARCHIVE,))
    for changes in (*others, {"action": "kms:CreateGrant"}):
        use = _by_log_delivery(**{"action": "kms:GenerateDataKey", **changes}, resource=KEY)
        yield Expectation("the key for another delivery", use, (KEY_POLICY,))


def _by_cloudfront(
    *,
    principal: str = "cloudfront.amazonaws.com",
    action: str = "s3:GetObject",
    resource: str,
    distribution: str = "<Distribution>",
    account: str = ACCOUNT,
) -> Request:
    """Return the request of CloudFront for an object that is not in its cache."""
    arn = f"arn:aws:cloudfront::{account}:distribution/{distribution}"
    return by_service(principal, action, resource, **{"aws:SourceArn": arn})


def _by_log_delivery(**changes: str) -> Request:
    """Return the request of CloudWatch Logs that delivers CloudFront's access log."""
    return by_log_delivery(**{"resource": _ACCESS_LOG, "source": _LOG_SOURCE, **changes})
