"""S3 server access logs: S3 writes them, users read them."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import Expectation, denied_by_bucket_policy
from darkroom.iam.expectations.requests import by_service, by_user
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

ACCESS_LOGS = "<AccessLogBucket.Arn>"
_POLICY = PolicyCheck("AccessLogBucketPolicy", "resource-based")
_DENIALS = PolicyCheck("AccessLogBucketPolicy", "deny-only")


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield S3's delivery of the access logs of each bucket, and how users read them."""
    if not stack.specification.logs.s3_access_logs:
        return
    for source in ("uploads", "thumbnails", "logs"):
        yield Expectation("write an access log", _by_access_logging(source), (_POLICY,))
    for action, resource in (("s3:GetObject", f"{ACCESS_LOGS}/a"), ("s3:ListBucket", ACCESS_LOGS)):
        yield Expectation("read the access log", by_user(action, resource), (_DENIALS,))


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield deliveries by other callers, of other buckets, and to other places."""
    if not stack.specification.logs.s3_access_logs:
        return
    for request in (
        _by_access_logging("uploads", principal="s3.amazonaws.com"),
        _by_access_logging("uploads", action="s3:DeleteObject"),
        _by_access_logging("uploads", resource=f"{ACCESS_LOGS}-other/a"),
        _by_access_logging("uploads", source_account=OTHER_ACCOUNT),
        _by_access_logging("other", prefix="other"),
    ):
        yield Expectation("another caller, action, bucket or account", request, (_POLICY,))
    put = by_user("s3:PutObject", f"{ACCESS_LOGS}/a")
    yield Expectation("a user writes access logs", put, (_POLICY,))
    yield from denied_by_bucket_policy(_DENIALS, ACCESS_LOGS)


def _by_access_logging(
    bucket: str,
    *,
    principal: str = "logging.s3.amazonaws.com",
    action: str = "s3:PutObject",
    resource: str = f"{ACCESS_LOGS}/any/a",
    source_account: str = ACCOUNT,
    prefix: str = "darkroom",
) -> Request:
    """Return the request of S3 that delivers the access log of a bucket."""
    source = f"arn:aws:s3:::{prefix}-{bucket}-{ACCOUNT}-{REGION}"
    context = {"aws:SourceArn": source, "aws:SourceAccount": source_account}
    return by_service(principal, action, resource, **context)
