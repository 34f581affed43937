"""S3's record of requests to the buckets."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import Expectation, past_a_bucket
from darkroom.iam.expectations.requests import of_service, of_user
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

ACCESS_LOGS = "<AccessLogBucket.Arn>"
_ACCESS = PolicyCheck("AccessLogBucketPolicy", "resource")


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield what S3 puts there, and who reads it."""
    if not stack.plan.logs.s3_access_logs:
        return
    guard = PolicyCheck("AccessLogBucketPolicy", "guard")
    for source in ("uploads", "thumbnails", "logs"):
        yield Expectation("note a request", _noting(source), (_ACCESS,))
    for action, resource in (("s3:GetObject", f"{ACCESS_LOGS}/a"), ("s3:ListBucket", ACCESS_LOGS)):
        yield Expectation("read the access log", of_user(action, resource), (guard,))


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield what nobody else puts there."""
    if not stack.plan.logs.s3_access_logs:
        return
    for request in (
        _noting("uploads", principal="s3.amazonaws.com"),
        _noting("uploads", action="s3:DeleteObject"),
        _noting("uploads", resource=f"{ACCESS_LOGS}-of-others/a"),
        _noting("uploads", source_account=OTHER_ACCOUNT),
        _noting("of-others", prefix="others"),
    ):
        yield Expectation("nothing else notes here", request, (_ACCESS,))
    put = of_user("s3:PutObject", f"{ACCESS_LOGS}/a")
    yield Expectation("nobody else notes here", put, (_ACCESS,))
    yield from past_a_bucket(PolicyCheck("AccessLogBucketPolicy", "guard"), ACCESS_LOGS)


def _noting(
    bucket: str,
    *,
    principal: str = "logging.s3.amazonaws.com",
    action: str = "s3:PutObject",
    resource: str = f"{ACCESS_LOGS}/any/a",
    source_account: str = ACCOUNT,
    prefix: str = "darkroom",
) -> Request:
    """Return what S3 sends when it delivers the access log of a bucket."""
    source = f"arn:aws:s3:::{prefix}-{bucket}-{ACCOUNT}-{REGION}"
    context = {"aws:SourceArn": source, "aws:SourceAccount": source_account}
    return of_service(principal, action, resource, **context)
