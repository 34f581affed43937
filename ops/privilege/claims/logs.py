"""The log groups under the key, and the record of the network's traffic."""

from collections.abc import Iterator
from dataclasses import replace

from ops.privilege.claims.callers import KEY, STRANGER, by, of_service, request
from ops.privilege.claims.claim import KEY_POLICY, LOG_ENCRYPTION, Claim, past_a_trust
from ops.privilege.described import ACCOUNT, OTHER_ACCOUNT, REGION, Described
from ops.privilege.evaluation import Gate, Request

FLOW_LOG = "<FlowLogRole.Arn>"


def required(stack: Described) -> Iterator[Claim]:
    """Yield how CloudWatch Logs uses the key, and how the flow log is written."""
    for group in stack.of_type("Logs::LogGroup").values():
        for action in LOG_ENCRYPTION:
            yield Claim("keep the log", _of_logs(action, group["LogGroupName"]), (KEY_POLICY,))

    trust = Gate("FlowLogRole", "resource")
    of_log = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/fl-1"}
    assume = of_service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **of_log)
    yield Claim("write the flow log", assume, (trust,))
    rights = (Gate("FlowLogRole", "identity"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Claim("write the flow log", _of_flow_log(action, "<FlowLogGroup.Arn>"), rights)
    groups = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    yield Claim("write the flow log", _of_flow_log("logs:DescribeLogGroups", groups), rights)


def forbidden(stack: Described) -> Iterator[Claim]:
    """Yield other logs, and other callers."""
    for action in (*LOG_ENCRYPTION, "kms:CreateGrant"):
        yield Claim("another log", _of_logs(action, "/others/log"), (KEY_POLICY,))
    group = stack.properties("WorkerLogGroup")["LogGroupName"]
    yield Claim("another action", _of_logs("kms:CreateGrant", group), (KEY_POLICY,))
    posing = replace(_of_logs("kms:Decrypt", group), principal=STRANGER)
    yield Claim("a stranger with the log's name", posing, (KEY_POLICY,))
    rights = (Gate("FlowLogRole", "identity"),)
    for action in ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"):
        yield Claim("another log", _of_flow_log(action, "<WorkerLogGroup.Arn>"), rights)
    any_group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:any"
    for action in ("logs:CreateLogGroup", "logs:DeleteLogGroup", "ec2:DescribeVpcs"):
        for group in ("<FlowLogGroup.Arn>", any_group):
            yield Claim("beyond its log", _of_flow_log(action, group), rights)
    elsewhere = f"arn:aws:logs:{REGION}:{OTHER_ACCOUNT}:log-group:any"
    yield Claim("another account", _of_flow_log("logs:DescribeLogGroups", elsewhere), rights)
    yield Claim("another account", _of_flow_log("logs:DescribeLogGroups", "arn:aws:logs:x"), rights)
    yield from past_a_trust("FlowLogRole")
    wrong = {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{OTHER_ACCOUNT}:vpc-flow-log/fl-1"}
    assume = of_service("vpc-flow-logs.amazonaws.com", "sts:AssumeRole", "<FlowLogRole>", **wrong)
    yield Claim("another flow log", assume, (Gate("FlowLogRole", "resource"),))


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
