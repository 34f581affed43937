from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.__main__ import main
from ops.privilege import proof as module
from ops.privilege.mutations import mutations
from ops.privilege.proof import Proof, prove
from ops.privilege.requests import required
from ops.reading import Reading
from tests.templates.conftest import generate


@pytest.mark.parametrize(
    ("prefixes", "follow_deletes"),
    [(["uploads/"], False), (["uploads/"], True), (["in/", "raw/pictures/"], False)],
)
def test_what_is_granted_is_what_is_needed(prefixes: list[str], follow_deletes: bool) -> None:
    """S5: removing any right breaks a claim, and so does any right more."""
    stack = generate(sources={"default": {"prefixes": prefixes, "follow_deletes": follow_deletes}})
    proof = prove(stack, prefixes, follow_deletes=follow_deletes)
    assert proof.broken == ()
    assert proof.survivors == ()
    assert proof.required > 80
    assert proof.forbidden > 300
    assert proof.mutations > 200


def proof_with(title: str, sid: str, **changes: Any) -> Proof:
    """Return the proof of a stack in which that statement is changed."""
    stack = generate()
    resource = stack.resources[title]
    for statement in _statements(resource):
        if statement.get("Sid") == sid:
            for part, value in changes.items():
                statement[part] = value
    return prove(stack, ("uploads/",), follow_deletes=False)


def _statements(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for item in value for found in _statements(item)]
    if isinstance(value, dict):
        own: list[dict[str, Any]] = value.get("Statement", [])
        return own + [found for item in value.values() for found in _statements(item)]
    return []


@pytest.mark.parametrize(
    ("title", "sid", "changes", "told"),
    [
        ("WorkerRole", "WriteOutputs", {"Action": ["s3:PutObject"]}, "refused, but must not"),
        ("WorkerRole", "ReadUploads", {"Action": ["s3:*"]}, "allowed, but must not"),
        ("WorkQueuePolicy", "AnnounceUploads", {"Condition": {}}, "another bucket"),
        ("StorageEndpoint", "ReadUploads", {"Condition": {}}, "the worker's alone"),
        ("UploadBucketPolicy", "DenyOtherAccounts", {"Effect": "Allow"}, "a stranger"),
        ("EncryptionKey", "RaiseAlarms", {"Condition": {}}, "another account"),
    ],
)
def test_a_wrong_right_is_named(title: str, sid: str, changes: dict[str, Any], told: str) -> None:
    """S5: the proof can fail, and says where."""
    broken = "\n".join(proof_with(title, sid, **changes).broken)
    assert told in broken
    assert title in broken


def test_a_right_that_nobody_uses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """S5: without a claim for it, taking it away breaks nothing; it survives, by name."""

    def fewer(stack: Reading, prefixes: Any, *, follow_deletes: bool) -> Any:
        claims = required(stack, prefixes, follow_deletes=follow_deletes)
        return [claim for claim in claims if claim.request.action != "sqs:ReceiveMessage"]

    monkeypatch.setattr(module, "required", fewer)
    proof = prove(generate(), ("uploads/",), follow_deletes=False)
    assert "WorkerRole.ReceiveWork: without Action sqs:ReceiveMessage" in proof.survivors


def test_every_policy_of_the_stack_is_changed() -> None:
    """S5: the worker's and every other identity's, and every resource's policy."""
    stack = generate()
    policies = {title: found for title in stack.resources if (found := stack.statements(title))}
    changed = {mutation.title for mutation in mutations(policies)}
    assert changed == set(policies)
    assert {"WorkerRole", "FlowLogRole", "EncryptionKey", "StorageEndpoint"} <= changed


def test_the_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """S5: the proof's counts, printed."""
    assert main(["privilege"]) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = [int(line.split()[0]) for line in lines]
    allowed, refused, broken, changed, noticed = counts
    assert allowed > 80
    assert refused > 300
    assert broken == 0
    assert changed == noticed > 200


def test_a_proof_that_fails_is_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = prove(generate(), ("uploads/",), follow_deletes=False)
    bad = replace(real, survivors=("WorkerRole.X: gone",))
    monkeypatch.setattr("ops.privilege.command.prove", lambda *_, **__: bad)
    assert main(["privilege"]) == 1
    assert "not noticed: WorkerRole.X: gone" in capsys.readouterr().out


def test_a_wrong_specification_is_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privilege", "--pipeline", str(tmp_path / "none.toml")]) == 2
    assert "no such file" in capsys.readouterr().err
