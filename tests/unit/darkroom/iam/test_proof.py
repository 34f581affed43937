from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from darkroom.cli import main
from darkroom.iam import proof as module
from darkroom.iam.expectations.suite import required
from darkroom.iam.model import StackModel, model_of
from darkroom.iam.mutations import mutations
from darkroom.iam.proof import broken, prove
from templates import specification
from tests.unit.templates.conftest import generate
from tests.unit.templates.test_sources import EVERY_KIND


def stack_of(**tables: Any) -> StackModel:
    return model_of(specification.parse(tables, origin="test"))


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"sources": {"default": {"propagate_deletes": True}}},
        {"sources": {"default": {"prefixes": ["in/", "raw/pictures/"]}}},
        {
            "sources": {"default": {}, "scans": {"queue": "bulk"}},
            "queues": {"default": {}, "bulk": {}},
        },
        {"sources": {"old": {"type": "eventbridge"}}},
        {"sources": {"partner": {"type": "sns"}}},
        {
            "sources": {
                "partner": {"type": "sns", "raw_message_delivery": True, "propagate_deletes": True}
            }
        },
        {"network": {"vpc": "existing"}},
        {"network": {"vpc": "existing", "endpoints": "existing"}},
        {"network": {"interface_endpoints": {"kms": ["kms:Decrypt"]}}},
        EVERY_KIND,
    ],
    ids=[
        "default",
        "deletes",
        "prefixes",
        "queues",
        "existing bucket",
        "sns",
        "raw topic",
        "existing network",
        "existing doors",
        "further doors",
        "every kind",
    ],
)
def test_what_is_granted_is_what_is_needed(tables: dict[str, Any]) -> None:
    """S5, T5: removing any right breaks a claim, and so does any right more."""
    proof = prove(stack_of(**tables))
    assert proof.broken == ()
    assert proof.survivors == ()
    assert proof.required > 80
    assert proof.forbidden > 250
    assert proof.mutations > 180


def test_the_right_to_trace_is_there_with_tracing_only() -> None:
    """S5: needed when it is on, refused when it is off; and the other way round is noticed."""
    on = stack_of()
    off = replace(on, values={**on.values, "Tracing": "PassThrough"})
    proof = prove(off)
    assert (proof.broken, proof.survivors) == ((), ())
    conditions = on.template["Conditions"]
    swapped = {"TracingActive": {"Fn::Not": [conditions["TracingActive"]]}}
    for stack in (on, off):
        wrong = {**on.template, "Conditions": {**conditions, **swapped}}
        assert any("xray:Put" in line for line in broken(replace(stack, template=wrong)))


def test_the_proof_is_over_every_source_and_lane() -> None:
    """S5: each right of each source is read, somebody's key included, and is claimed."""
    stack = stack_of(**EVERY_KIND)
    assert [source.service.partition(".")[0] for source in stack.sources] == [
        "s3",
        "s3",
        "events",
        "sns",
        "sns",
    ]
    assert len(stack.queues) == 2
    asked = {(claim.request.action, claim.request.resource) for claim in required(stack)}
    for statement in stack.statements("WorkerRole"):
        if statement.get("Sid", "").endswith(
            ("ReadUploads", "DecryptUploads", "DeleteOrDelayMessages")
        ):
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    named = resource.replace("/*", "/a.jpg")
                    assert (action, named) in asked, statement["Sid"]


@pytest.mark.parametrize(
    "logs",
    [
        {"archive": True},
        {"archive": True, "s3_access_logs": True, "archive_flow_logs": True},
        {"s3_access_logs": True},
    ],
    ids=["archive", "all", "access"],
)
def test_what_logs_need_is_granted_where_they_are_kept(logs: dict[str, bool]) -> None:
    """S5, O6: with each bucket of logs that the specification may ask for."""
    proof = prove(stack_of(logs=logs))
    assert proof.broken == ()
    assert proof.survivors == ()


def broken_by(title: str, sid: str, **changes: Any) -> tuple[str, ...]:
    """Return what does not hold in a stack in which that statement is changed."""
    stack = stack_of(**EVERY_KIND, logs={"archive": True})
    resource = stack.resources[title]
    for statement in _statements(resource):
        if statement.get("Sid") == sid:
            for part, value in changes.items():
                statement[part] = value
    return broken(stack)


def _statements(value: Any) -> list[dict[str, Any]]:
    """Return the statements anywhere in `value`, the conditional ones as well."""
    if isinstance(value, list):
        return [found for item in value for found in _statements(item)]
    if isinstance(value, dict):
        own = [value] if "Sid" in value else []
        return own + [found for item in value.values() for found in _statements(item)]
    return []


@pytest.mark.parametrize(
    ("title", "sid", "changes", "told"),
    [
        ("WorkerRole", "WriteOutputs", {"Action": ["s3:PutObject"]}, "refused, but must not"),
        ("WorkerRole", "ReadUploads", {"Action": ["s3:*"]}, "allowed, but must not"),
        ("WorkQueuePolicy", "SendNotifications", {"Condition": {}}, "another bucket"),
        ("S3Endpoint", "ReadUploads", {"Condition": {}}, "the worker's alone"),
        ("UploadBucketPolicy", "DenyOtherAccounts", {"Effect": "Allow"}, "a stranger"),
        ("EncryptionKey", "PublishAlarms", {"Condition": {}}, "another account"),
        ("EncryptionKey", "SendRuleEvents", {"Condition": {}}, "another queue"),
        ("EncryptionKey", "SendTopicMessages", {"Action": ["kms:Decrypt"]}, "announce an upload"),
        ("BulkWorkQueuePolicy", "OldSendNotifications", {"Condition": {}}, "rule or topic"),
        ("DeadLetterQueuePolicy", "WireSendUndelivered", {"Effect": "Deny"}, "be delivered"),
        ("WorkerRole", "OldReadUploads", {"Resource": ["arn:aws:s3:::*"]}, "another action"),
        ("WorkerRole", "WireDecryptUploads", {"Action": ["kms:*"]}, "under somebody's key"),
        ("LogDeliveryRole", "Assume", {"Condition": {}}, "another stream or account"),
        ("LogDeliveryRole", "EncryptLogs", {"Condition": {}}, "the key for something else"),
        ("LogDeliveryRole", "WriteLogs", {"Action": ["s3:PutObject"]}, "refused, but must not"),
        ("LogSubscriptionRole", "Assume", {"Condition": {}}, "another log"),
        ("LogSubscriptionRole", "SendLogs", {"Resource": ["*"]}, "another stream"),
        ("LogArchiveBucketPolicy", "DenyOtherKeys", {"Effect": "Allow"}, "another encryption"),
    ],
)
def test_a_wrong_right_is_named(title: str, sid: str, changes: dict[str, Any], told: str) -> None:
    """S5: the proof can fail, and says where."""
    found = "\n".join(broken_by(title, sid, **changes))
    assert told in found
    assert title in found


def test_a_right_that_nobody_uses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """S5: without a claim for it, taking it away breaks nothing; it survives, by name."""

    def fewer(stack: StackModel) -> Any:
        return [claim for claim in required(stack) if claim.request.action != "sqs:ReceiveMessage"]

    monkeypatch.setattr(module, "required", fewer)
    proof = prove(stack_of())
    assert "WorkerRole.ReceiveMessages: without Action sqs:ReceiveMessage" in proof.survivors


def test_every_policy_of_the_stack_is_changed() -> None:
    """S5: the worker's and every other identity's, and every resource's policy."""
    stack = generate()
    policies = {title: found for title in stack.resources if (found := stack.statements(title))}
    changed = {mutation.title for mutation in mutations(policies)}
    assert changed == set(policies)
    assert {"WorkerRole", "FlowLogRole", "EncryptionKey", "S3Endpoint"} <= changed


def test_the_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """S5: the proof's counts, printed, and told in docs/security.md."""
    assert main(["privilege"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = (Path(__file__).parents[4] / "docs" / "security.md").read_text()
    assert [line for line in lines if line not in told] == []
    counts = [int(line.split()[0]) for line in lines]
    allowed, refused, broken, changed, noticed = counts
    assert allowed > 80
    assert refused > 300
    assert broken == 0
    assert changed == noticed > 200


def test_a_proof_that_fails_is_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = prove(stack_of())
    bad = replace(real, survivors=("WorkerRole.X: gone",))
    monkeypatch.setattr("darkroom.commands.iam_test.prove", lambda *_, **__: bad)
    assert main(["privilege"]) == 1
    assert "not noticed: WorkerRole.X: gone" in capsys.readouterr().out


def test_a_wrong_specification_is_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privilege", "--pipeline", str(tmp_path / "none.toml")]) == 2
    assert "no such file" in capsys.readouterr().err
