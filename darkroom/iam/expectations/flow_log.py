"""The VPC flow log: a role writes it to its log group, or AWS delivers it to the archive."""

from collections.abc import Iterator

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    LOG_ENCRYPTION,
    Expectation,
    denied_by_trust_policy,
)
from darkroom.iam.expectations.requests import ARCHIVE, KEY, by, by_log_delivery, by_service
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

FLOW_LOG = "<FlowLogRole.Arn>"
WRITE_LOG = ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
_TRUST = (PolicyCheck("FlowLogRole", "resource-based"),)
_ROLE = (PolicyCheck("FlowLogRole", "identity-based"),)
_ARCHIVE = (PolicyCheck("LogArchiveBucketPolicy", "resource-based"),)

_OBJECT = f"{ARCHIVE}/AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/2026/05/01/10/a.log.gz"
_SOURCE = f"arn:aws:logs:{REGION}:{ACCOUNT}:*"
CHECK_BUCKET = ("s3:GetBucketAcl", "s3:ListBucket")


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield how the flow log of a created VPC is written."""
    if stack.specification.archives_flow_logs:
        deliver = "deliver the flow log"
        yield Expectation(deliver, _delivery(), _ARCHIVE)
        for action in CHECK_BUCKET:
            yield Expectation(deliver, _delivery(action=action, resource=ARCHIVE), _ARCHIVE)
        for action in (*LOG_ENCRYPTION, "kms:DescribeKey"):
            yield Expectation(deliver, _delivery(action=action, resource=KEY), (KEY_POLICY,))
    elif _has_role(stack):
        context = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
        assume = by_service(
            "vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **context
        )
        yield Expectation("write the flow log", assume, _TRUST)
        for action in WRITE_LOG:
            write = by(FLOW_LOG, action, "<FlowLogGroup.Arn>")
            yield Expectation("write the flow log", write, _ROLE)
        groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
        describe = by(FLOW_LOG, "logs:DescribeLogGroups", groups)
        yield Expectation("write the flow log", describe, _ROLE)


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield the same for other logs and places, and by other callers."""
    if stack.specification.archives_flow_logs:
        yield from _denied_deliveries()
    elif _has_role(stack):
        yield from _denied_to_role()


def _has_role(stack: StackModel) -> bool:
    return "FlowLogRole" in stack.resources


def _denied_deliveries() -> Iterator[Expectation]:
    other_callers = (
        {"principal": "logging.s3.amazonaws.com"},
        {"account": OTHER_ACCOUNT},
        {"source": f"arn:aws:logs:{REGION}:{OTHER_ACCOUNT}:*"},
        {"source": f"arn:aws:logs:ap-south-1:{ACCOUNT}:*"},
        {"source": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"},
    )
    for changes in (
        *other_callers,
        {"action": "s3:GetObject"},
        {"action": "s3:DeleteObject"},
        {"acl": "private"},
        {"resource": f"{ARCHIVE}/worker/a.gz"},
        {"resource": f"{ARCHIVE}-other/AWSLogs/a"},
        {"resource": f"{ARCHIVE}/AWSLogs/{OTHER_ACCOUNT}/vpcflowlogs/a.log.gz"},
    ):
        yield Expectation("another delivery", _delivery(**changes), _ARCHIVE)
    bucket = {"resource": ARCHIVE}
    for changes in (
        *({"action": action, **bucket, **one} for one in other_callers for action in CHECK_BUCKET),
        {"action": "s3:PutBucketPolicy", **bucket},
        {"action": "s3:PutBucketAcl", **bucket},
        *({"action": action, "resource": f"{ARCHIVE}-other"} for action in CHECK_BUCKET),
    ):
        yield Expectation("more than looking at its bucket", _delivery(**changes), _ARCHIVE)
    for changes in (*other_callers, {"action": "kms:CreateGrant"}):
        use = _delivery(**{"action": "kms:GenerateDataKey", **changes}, resource=KEY)
        yield Expectation("the key for another delivery", use, (KEY_POLICY,))


def _denied_to_role() -> Iterator[Expectation]:
    for action in WRITE_LOG:
        yield Expectation("another log", by(FLOW_LOG, action, "<WorkerLogGroup.Arn>"), _ROLE)
    any_group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    for action in ("logs:CreateLogGroup", "logs:DeleteLogGroup", "ec2:DescribeVpcs"):
        for group in ("<FlowLogGroup.Arn>", any_group):
            yield Expectation("more than writing its log", by(FLOW_LOG, action, group), _ROLE)
    for groups in (f"arn:aws:logs:{REGION}:{OTHER_ACCOUNT}:log-group:any", "arn:aws:logs:x"):
        describe = by(FLOW_LOG, "logs:DescribeLogGroups", groups)
        yield Expectation("another account", describe, _ROLE)
    yield from denied_by_trust_policy("FlowLogRole")
    wrong = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{OTHER_ACCOUNT}:vpc-flow-log/fl-1"}
    assume = by_service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **wrong)
    yield Expectation("another flow log", assume, _TRUST)


def _delivery(**changes: str) -> Request:
    return by_log_delivery(**{"resource": _OBJECT, "source": _SOURCE, **changes})
