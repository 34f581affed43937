"""CloudFront: what it fetches of the thumbnails, and notes of it in the archive."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import KEY_POLICY, LOG_ENCRYPTION, Expectation
from darkroom.iam.expectations.requests import ARCHIVE, KEY, THUMBNAILS, of_service, of_stranger
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

_PUBLISHED = PolicyCheck("ThumbnailBucketPolicy", "resource")
_DELIVERED = f"{ARCHIVE}/AWSLogs/{ACCOUNT}/CloudFront/a.gz"
_ARCHIVE = PolicyCheck("LogArchiveBucketPolicy", "resource")


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield the delivery of a thumbnail, and its note where there is an archive."""
    if not stack.plan.cdn:
        return
    yield Expectation("deliver a thumbnail", _delivering(), (_PUBLISHED,))
    use = _delivering(action="kms:Decrypt", resource=KEY, distribution="any")
    yield Expectation("deliver a thumbnail", use, (KEY_POLICY,))
    if stack.plan.logs.archive:
        yield from _noted()


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield what is not delivered, and not noted."""
    if not stack.plan.cdn:
        return
    for request in (
        _delivering(distribution="<Distribution>2"),
        _delivering(principal="s3.amazonaws.com"),
        _delivering(action="s3:GetObjectVersion"),
        _delivering(action="s3:PutObject"),
        _delivering(resource=f"{THUMBNAILS}/rejected/uploads/a.jpg.json"),
        _delivering(resource=f"{THUMBNAILS}-of-others/thumbnails/uploads/a.jpg/w400"),
        _delivering(action="s3:ListBucket", resource=THUMBNAILS),
        of_stranger("s3:GetObject", f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400"),
    ):
        yield Expectation("nothing else is delivered, to nobody else", request, (_PUBLISHED,))
    used = {"action": "kms:Decrypt", "resource": KEY}
    for request in (
        _delivering(**used, account=OTHER_ACCOUNT),
        _delivering(**used, principal="apigateway.amazonaws.com"),
        _delivering(action="kms:GenerateDataKey", resource=KEY),
        _delivering(action="kms:Encrypt", resource=KEY),
    ):
        yield Expectation("a distribution only reads, and of this account", request, (KEY_POLICY,))
    if stack.plan.logs.archive:
        yield from _past_the_notes()


def _noted() -> Iterator[Expectation]:
    yield Expectation("note a request to the web", _noting_for_the_web(), (_ARCHIVE,))
    for action in LOG_ENCRYPTION:
        use = _noting_for_the_web(action=action, resource=KEY)
        yield Expectation("note a request to the web", use, (KEY_POLICY,))


def _past_the_notes() -> Iterator[Expectation]:
    for changes in (
        {"action": "s3:GetObject"},
        {"action": "s3:DeleteObject"},
        {"resource": f"{ARCHIVE}/worker/a.gz"},
        {"resource": f"{ARCHIVE}-of-others/AWSLogs/a"},
        {"principal": "logging.s3.amazonaws.com"},
        {"account": OTHER_ACCOUNT},
        {"source": f"arn:aws:logs:us-east-1:{OTHER_ACCOUNT}:delivery-source:a"},
        {"source": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:a"},
    ):
        request = _noting_for_the_web(**changes)
        yield Expectation("nothing else is delivered here", request, (_ARCHIVE,))
    for changes in (
        {"action": "kms:CreateGrant"},
        {"principal": "logging.s3.amazonaws.com"},
        {"account": OTHER_ACCOUNT},
        {"source": f"arn:aws:logs:us-east-1:{OTHER_ACCOUNT}:delivery-source:a"},
        {"source": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:a"},
    ):
        request = _noting_for_the_web(**{"action": "kms:GenerateDataKey", **changes}, resource=KEY)
        yield Expectation("the key for no other delivery", request, (KEY_POLICY,))


def _delivering(
    *,
    principal: str = "cloudfront.amazonaws.com",
    action: str = "s3:GetObject",
    resource: str = f"{THUMBNAILS}/thumbnails/uploads/a.jpg/w400",
    distribution: str = "<Distribution>",
    account: str = ACCOUNT,
) -> Request:
    """Return what CloudFront sends when it fetches what it does not hold."""
    arn = f"arn:aws:cloudfront::{account}:distribution/{distribution}"
    return of_service(principal, action, resource, **{"aws:SourceArn": arn})


def _noting_for_the_web(
    *,
    principal: str = "delivery.logs.amazonaws.com",
    action: str = "s3:PutObject",
    resource: str = _DELIVERED,
    account: str = ACCOUNT,
    source: str = f"arn:aws:logs:us-east-1:{ACCOUNT}:delivery-source:darkroom-cdn-{REGION}",
) -> Request:
    """Return what CloudWatch Logs sends when it delivers what CloudFront has noted."""
    context = {"aws:SourceArn": source, "aws:SourceAccount": account}
    return of_service(principal, action, resource, **context)
