"""The log groups under the key, and the record of the network's traffic."""

from collections.abc import Iterator
from dataclasses import replace

from darkroom.iam.evaluator import PolicyCheck, Request
from darkroom.iam.expectations.expectation import (
    KEY_POLICY,
    LOG_ENCRYPTION,
    Expectation,
    past_a_trust,
)
from darkroom.iam.expectations.requests import KEY, STRANGER, by, of_service, request
from darkroom.iam.model import ACCOUNT, OTHER_ACCOUNT, REGION, StackModel

FLOW_LOG = "<FlowLogRole.Arn>"


def required(stack: StackModel) -> Iterator[Expectation]:
    """Yield how CloudWatch Logs uses the key, and how the flow log is written."""
    for group in stack.resources_of_type("Logs::LogGroup").values():
        for action in LOG_ENCRYPTION:
            yield Expectation(
                "keep the log", _of_logs(action, group["LogGroupName"]), (KEY_POLICY,)
            )

    trust = PolicyCheck("FlowLogRole", "resource")
    of_log = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
    assume = of_service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **of_log)
    yield Expectation("write the flow log", assume, (trust,))
    rights = (PolicyCheck("FlowLogRole", "identity"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Expectation("write the flow log", _of_flow_log(action, "<FlowLogGroup.Arn>"), rights)
    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    yield Expectation("write the flow log", _of_flow_log("logs:DescribeLogGroups", groups), rights)


def forbidden(stack: StackModel) -> Iterator[Expectation]:
    """Yield other logs, and other callers."""
    for action in (*LOG_ENCRYPTION, "kms:CreateGrant"):
        yield Expectation("another log", _of_logs(action, "/others/log"), (KEY_POLICY,))
    group = stack.properties("WorkerLogGroup")["LogGroupName"]
    yield Expectation("another action", _of_logs("kms:CreateGrant", group), (KEY_POLICY,))
    posing = replace(_of_logs("kms:Decrypt", group), principal=STRANGER)
    yield Expectation("a stranger with the log's name", posing, (KEY_POLICY,))
    rights = (PolicyCheck("FlowLogRole", "identity"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Expectation("another log", _of_flow_log(action, "<WorkerLogGroup.Arn>"), rights)
    any_group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    for action in ("logs:CreateLogGroup", "logs:DeleteLogGroup", "ec2:DescribeVpcs"):
        for group in ("<FlowLogGroup.Arn>", any_group):
            yield Expectation("beyond its log", _of_flow_log(action, group), rights)
    elsewhere = f"arn:aws:logs:{REGION}:{OTHER_ACCOUNT}:log-group:any"
    yield Expectation("another account", _of_flow_log("logs:DescribeLogGroups", elsewhere), rights)
    yield Expectation(
        "another account", _of_flow_log("logs:DescribeLogGroups", "arn:aws:logs:x"), rights
    )
    yield from past_a_trust("FlowLogRole")
    wrong = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{OTHER_ACCOUNT}:vpc-flow-log/fl-1"}
    assume = of_service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **wrong)
    yield Expectation("another flow log", assume, (PolicyCheck("FlowLogRole", "resource"),))


def _of_flow_log(action: str, resource: str) -> Request:
    return by(FLOW_LOG, action, resource)


def _of_logs(action: str, log_group: str) -> Request:
    """Return what CloudWatch Logs sends: the group as encryption context, and no account."""
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log_group}"
    return request(
        f"logs.{REGION}.amazonaws.com",
        action,
        KEY,
        {"aws:SecureTransport": "true", "kms:EncryptionContext:aws:logs:arn": arn},
    )
