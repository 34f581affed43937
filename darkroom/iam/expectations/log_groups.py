"""The log groups under the KMS key, and the VPC flow log."""

from collections.abc import Iterator
from dataclasses import replace

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    LOG_ENCRYPTION,
    Expectation,
    denied_by_trust_policy,
)
from darkroom.iam.expectations.requests import EXTERNAL_USER, KEY, by, by_service, request
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

FLOW_LOG = "<FlowLogRole.Arn>"


def allowed(stack: StackModel) -> Iterator[Expectation]:
    """Yield how CloudWatch Logs uses the key, and how the flow log is written."""
    for group in stack.resources_of_type("Logs::LogGroup").values():
        for action in LOG_ENCRYPTION:
            yield Expectation(
                "keep the log", _by_logs(action, group["LogGroupName"]), (KEY_POLICY,)
            )

    trust = PolicyCheck("FlowLogRole", "resource-based")
    context = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
    assume = by_service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **context)
    yield Expectation("write the flow log", assume, (trust,))
    checks = (PolicyCheck("FlowLogRole", "identity-based"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Expectation("write the flow log", _by_flow_log(action, "<FlowLogGroup.Arn>"), checks)
    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    yield Expectation("write the flow log", _by_flow_log("logs:DescribeLogGroups", groups), checks)


def denied(stack: StackModel) -> Iterator[Expectation]:
    """Yield the same for other log groups, and by other callers."""
    for action in (*LOG_ENCRYPTION, "kms:CreateGrant"):
        yield Expectation("another log", _by_logs(action, "/others/log"), (KEY_POLICY,))
    group = stack.properties("WorkerLogGroup")["LogGroupName"]
    yield Expectation("another action", _by_logs("kms:CreateGrant", group), (KEY_POLICY,))
    describe = _by_logs("kms:DescribeKey", group)
    yield Expectation("an action without encryption context", describe, (KEY_POLICY,))
    other_user = replace(_by_logs("kms:Decrypt", group), principal=EXTERNAL_USER)
    yield Expectation(
        "a user of another account, with the log group as context", other_user, (KEY_POLICY,)
    )
    checks = (PolicyCheck("FlowLogRole", "identity-based"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Expectation("another log", _by_flow_log(action, "<WorkerLogGroup.Arn>"), checks)
    any_group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    for action in ("logs:CreateLogGroup", "logs:DeleteLogGroup", "ec2:DescribeVpcs"):
        for group in ("<FlowLogGroup.Arn>", any_group):
            yield Expectation("more than writing its log", _by_flow_log(action, group), checks)
    other_group = f"arn:aws:logs:{REGION}:{OTHER_ACCOUNT}:log-group:any"
    yield Expectation(
        "another account", _by_flow_log("logs:DescribeLogGroups", other_group), checks
    )
    yield Expectation(
        "another account", _by_flow_log("logs:DescribeLogGroups", "arn:aws:logs:x"), checks
    )
    yield from denied_by_trust_policy("FlowLogRole")
    wrong = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{OTHER_ACCOUNT}:vpc-flow-log/fl-1"}
    assume = by_service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **wrong)
    yield Expectation("another flow log", assume, (PolicyCheck("FlowLogRole", "resource-based"),))


def _by_flow_log(action: str, resource: str) -> Request:
    return by(FLOW_LOG, action, resource)


def _by_logs(action: str, log_group: str) -> Request:
    """Return the request of CloudWatch Logs: it sends the log group as encryption context."""
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log_group}"
    return request(
        f"logs.{REGION}.amazonaws.com",
        action,
        KEY,
        {"aws:SecureTransport": "true", "kms:EncryptionContext:aws:logs:arn": arn},
    )
