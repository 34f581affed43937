"""Checks of what the emulator does not have at all, with AWS's responses."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from darkroom.checks.deployed import archive as archive_checks
from darkroom.checks.deployed.archive import check_archive, check_archived_canary
from darkroom.checks.deployed.comparison import Target
from darkroom.checks.deployed.denied_requests import check_denied_requests
from darkroom.checks.deployed.dns_firewall import check_dns_firewall
from darkroom.checks.deployed.functions import _recursion
from darkroom.checks.framework import Finding, where_possible
from darkroom.cloudformation.identifiers import deployed
from darkroom.cloudformation.resolver import ResolvedTemplate
from darkroom.emulator.limitations import LIMITATIONS
from tests.unit.darkroom.checks.conftest import respond
from tests.unit.darkroom.checks.test_deployed import ACCOUNT, REGION, Stubbed, stubbed

__all__ = ["stubbed"]

FIREWALL: dict[str, Any] = {
    "Resources": {
        "Names": {
            "Type": "AWS::Route53Resolver::FirewallDomainList",
            "Properties": {"Domains": ["s3.eu-west-1.amazonaws.com"]},
        },
        "Rules": {
            "Type": "AWS::Route53Resolver::FirewallRuleGroup",
            "Properties": {
                "FirewallRules": [
                    {
                        "Action": "BLOCK",
                        "BlockResponse": "NXDOMAIN",
                        "FirewallDomainListId": {"Fn::GetAtt": ["Names", "Id"]},
                        "Priority": 2,
                    }
                ]
            },
        },
        "Association": {
            "Type": "AWS::Route53Resolver::FirewallRuleGroupAssociation",
            "Properties": {"VpcId": "vpc-0a"},
        },
    }
}


def firewall(target: Target, **changed: Any) -> list[Finding]:
    rule = {
        "Priority": 2,
        "Action": changed.get("action", "BLOCK"),
        "FirewallDomainListId": "rslvr-fdl-1",
    }
    if rule["Action"] == "BLOCK":
        rule["BlockResponse"] = "NXDOMAIN"
    respond(
        target.stack.client("route53resolver"),
        (
            "get_firewall_rule_group_association",
            {
                "FirewallRuleGroupAssociation": {
                    "VpcId": "vpc-0a",
                    "Status": changed.get("status", "COMPLETE"),
                }
            },
        ),
        (
            "get_firewall_config",
            {"FirewallConfig": {"FirewallFailOpen": changed.get("open", "DISABLED")}},
        ),
        ("list_firewall_rules", {"FirewallRules": [rule]}),
        (
            "list_firewall_domains",
            {"Domains": ["s3.eu-west-1.amazonaws.com.", *changed.get("more", [])]},
        ),
    )
    names = {"Association": "rslvr-frgassoc-1", "Rules": "rslvr-frg-1", "Names": "rslvr-fdl-1"}
    live = ResolvedTemplate(FIREWALL, {}, deployed(names))
    return list(check_dns_firewall(replace(target, template=live)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, ""),
        ({"status": "DELETING"}, "status is DELETING, not COMPLETE"),
        ({"open": "ENABLED"}, "fail open is ENABLED, not DISABLED"),
        ({"action": "ALERT"}, "rules: 2 ALERT rslvr-fdl-1 instead of 2 BLOCK NXDOMAIN"),
        ({"more": ["attacker.example."]}, "domains: attacker.example not in the template"),
    ],
)
def test_the_dns_firewall_is_as_in_the_template(
    stubbed: Callable[..., Stubbed],  # the fixture
    changed: dict[str, Any],
    message: str,
) -> None:
    """S6: in force, failing closed, with these rules and names; AWS ends names in a dot."""
    failures = [one for one in firewall(stubbed().target, **changed) if one.verdict == "fail"]
    assert message in " ".join(one.message for one in failures)
    assert bool(failures) == bool(changed)


def event(code: str, role: str = "", *, service: bool = False, key: str = "") -> dict[str, Any]:
    session = {"sessionContext": {"sessionIssuer": {"arn": role}}} if role else {}
    identity = {"type": "AWSService" if service else "AssumedRole", **session}
    detail = {
        "eventName": "Decrypt",
        "errorCode": code,
        "errorMessage": "no",
        "sourceIPAddress": "sns.amazonaws.com",
        "userIdentity": identity,
        "resources": [{"ARN": key}],
    }
    return {"EventName": "Decrypt", "CloudTrailEvent": json.dumps(detail)}


def test_denied_requests_of_the_stack_fail(
    stubbed: Callable[..., Stubbed],  # the fixture
) -> None:
    """S6: those of its roles, and those of services with its key; not those of other callers."""
    one = stubbed()
    live = one.target.template
    role = live.resolve({"Fn::GetAtt": ["WorkerRole", "Arn"]})
    key = live.resolve({"Fn::GetAtt": ["EncryptionKey", "Arn"]})
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    events = [
        event("AccessDenied", role),
        event("AccessDeniedException", role),
        event("", role),
        event("AccessDenied", other, key=key),
        event("AccessDenied", service=True, key=key),
        event("AccessDenied", service=True, key="arn:other"),
    ]
    one.answers("cloudtrail", ("lookup_events", {"Events": events}))
    worker, sns = check_denied_requests(one.target)
    assert worker.verdict == sns.verdict == "fail"
    assert f"KMS refused Decrypt to {role} 2 times in the last hour: no" in worker.message
    assert "Decrypt to sns.amazonaws.com 1 time " in sns.message
    again = stubbed()
    again.answers("cloudtrail", ("lookup_events", {"Events": events[2:4]}))
    (found,) = check_denied_requests(again.target)
    assert found.verdict == "pass"


LINE = json.dumps({"timestamp": "2026-05-01T12:30:00Z", "message": "outputs written"})


def archive(target: Target, text: str | None, *, failed: bool = False) -> list[Finding]:
    bucket = "logs"
    listed: list[dict[str, Any]] = []
    if text is not None:
        listed = [{"Key": "worker/x", "LastModified": datetime.now(UTC)}]
    body = gzip.compress((text or "").encode())
    answers: list[tuple[str, dict[str, Any]]] = [
        ("list_objects_v2", {"Contents": listed}),
        ("list_objects_v2", {}),
    ]
    if listed:
        answers.append(("get_object", {"Body": StreamingBody(io.BytesIO(body), len(body))}))
    answers.append(("list_objects_v2", {"Contents": [{"Key": "failed/x"}] if failed else []}))
    respond(target.stack.client("s3"), *answers)
    outputs = {"LogArchiveBucketName": bucket}
    return list(check_archive(replace(target, stack=replace(target.stack, outputs=outputs))))


@pytest.mark.parametrize(
    ("text", "failed", "verdicts", "message"),
    [
        (f"{LINE}\n{LINE}\n\n", False, ["pass"], "2 lines of JSON"),
        (LINE + LINE, False, ["warn"], "no line break separates some of its 2 lines"),
        (f"{LINE}\nSTART\n", False, ["fail"], "1 of 2 lines are not JSON: 'START'"),
        (None, False, ["warn"], "logs has no line of the last 2 days"),
        (LINE, True, ["pass", "warn"], "Firehose could not process: failed/x"),
    ],
)
def test_the_archives_newest_lines_are_read(
    stubbed: Callable[..., Stubbed],  # the fixture
    text: str | None,
    *,
    failed: bool,
    verdicts: list[str],
    message: str,
) -> None:
    """Pitfall 55: whether Firehose separates lines is seen in an object that it wrote."""
    found = archive(stubbed().target, text, failed=failed)
    assert [one.verdict for one in found] == verdicts
    assert message in " ".join(one.message for one in found)


KEY = "uploads/canary-1.jpg"
ABOUT_KEY = json.dumps({"timestamp": "t", "key": KEY, "outcome": "succeeded"})
STARTED = json.dumps({"timestamp": "t", "key": KEY, "message": "started"})


@pytest.mark.parametrize(
    ("found", "verdict", "message"),
    [
        ([[ABOUT_KEY]], "pass", f"line about {KEY} is in s3://logs/worker/"),
        ([[], [LINE], [LINE, ABOUT_KEY]], "pass", "is in s3://logs/worker/2"),  # each is read once
        ([[LINE], [LINE, STARTED]], "fail", f"logs has no line about {KEY} after "),
    ],
)
def test_the_canarys_line_is_awaited(
    stubbed: Callable[..., Stubbed],  # the fixture
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: list[list[str]],
    verdict: str,
    message: str,
) -> None:
    """O6, pitfall 48: as long as Firehose may take, which is said before; then it fails."""
    target = stubbed().target
    seconds = iter(range(0, 10**6, 420 // len(found) + 1))  # the last answer is past the limit
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: None)
    monkeypatch.setattr("darkroom.checks.deployed.archive.time", clock)
    hours = len(archive_checks._hours(target.began - archive_checks.CLOCK_DIFFERENCE))
    answers: list[tuple[str, dict[str, Any]]] = []
    read = 0
    for texts in found:
        listed = [
            {"Key": f"worker/{number}", "LastModified": datetime.now(UTC)}
            for number in range(1, len(texts) + 1)
        ]
        answers += [("list_objects_v2", {"Contents": listed})]
        answers += [("list_objects_v2", {})] * (hours - 1)
        for text in texts[read:]:
            body = gzip.compress(f"{text}\n".encode())
            answers.append(("get_object", {"Body": StreamingBody(io.BytesIO(body), len(body))}))
        read = len(texts)
    respond(target.stack.client("s3"), *answers)
    stack = replace(target.stack, outputs={"LogArchiveBucketName": "logs"})
    (one,) = check_archived_canary(replace(target, stack=stack, canaries=frozenset({KEY})))
    assert one.verdict == verdict
    assert message in one.message
    assert "Waiting up to 420 s" in capsys.readouterr().err


def test_no_line_is_awaited_without_a_canary_or_an_archive(
    stubbed: Callable[..., Stubbed],  # the fixture
) -> None:
    """D4: nothing was sent, or nothing keeps it; no request is made."""
    target = stubbed().target
    stack = replace(target.stack, outputs={"LogArchiveBucketName": "logs"})
    assert not [*check_archived_canary(replace(target, stack=stack))]
    assert not [*check_archived_canary(replace(target, canaries=frozenset({KEY})))]


def test_the_emulator_does_not_show_the_canarys_line(
    stubbed: Callable[..., Stubbed],  # the fixture
) -> None:
    """D4: where nothing takes Firehose's place, it is not awaited."""
    target = stubbed().target
    respond(target.stack.client("s3"), ("list_objects_v2", {}), ("list_objects_v2", {}))
    stack = replace(target.stack, outputs={"LogArchiveBucketName": "logs"})
    local = replace(target, stack=stack, canaries=frozenset({KEY}), limitations=LIMITATIONS)
    (one,) = check_archived_canary(local)
    assert one.verdict == "skip"
    assert "not shown by the emulator" in one.message


def test_a_changed_loop_detection_fails(
    stubbed: Callable[..., Stubbed],  # the fixture
) -> None:
    """Pitfall 16: a function that was allowed to trigger itself."""
    one = stubbed()
    one.answers("lambda", ("get_function_recursion_config", {"RecursiveLoop": "Allow"}))
    (found,) = _recursion(one.target, ("Worker", "worker"), "Terminate")
    assert "recursive loop is Allow, not Terminate" in found.message


@pytest.mark.parametrize(
    ("code", "verdict"), [("AccessDeniedException", "warn"), ("UnknownOperation", "skip")]
)
def test_what_cannot_be_asked_is_no_failure(
    stubbed: Callable[..., Stubbed],  # the fixture
    code: str,
    verdict: str,
) -> None:
    """D4: a permission that the caller lacks, and an endpoint without the action."""
    target = stubbed().target
    stubber = Stubber(target.stack.client("cloudtrail"))
    stubber.add_client_error("lookup_events", code)
    with stubber:
        (found,) = check_denied_requests(target)
    assert found.verdict == verdict
    assert "CloudTrail was not checked" in found.message


def test_another_error_stays_one() -> None:
    """D4: only a refusal, or an action that is not there, is excused."""

    def failing() -> Iterator[Finding]:
        raise ClientError({"Error": {"Code": "Throttling", "Message": ""}}, "LookupEvents")
        yield

    with pytest.raises(ClientError):
        list(where_possible(failing(), REGION))
