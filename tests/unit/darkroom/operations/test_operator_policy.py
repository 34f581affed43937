"""The operator's policy: exact actions on exact resources; tests/e2e shows that it is enough."""

from types import SimpleNamespace
from typing import Any

import pytest

from darkroom.aws.queues import DeployedQueue
from darkroom.operations import operator_policy

QUEUE = DeployedQueue("default", "https://sqs/1/work", "https://sqs/1/dead", "worker")


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_every_action_has_exact_resources(partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S5, D2, pitfall 21: no wildcard action, and no ARN of another partition."""
    outputs = {"EncryptionKeyArn": f"arn:{partition}:kms:r:1:key/k", "LogGroupName": "/d/worker"}
    stack: Any = SimpleNamespace(
        name="darkroom-prod",
        region="r",
        partition=partition,
        caller={"Account": "1"},
        output=outputs.__getitem__,
        client=lambda _: None,
    )
    monkeypatch.setattr(
        operator_policy, "queue_arn", lambda _, url: f"arn:{partition}:sqs:r:1:{url[-4:]}"
    )
    monkeypatch.setattr(operator_policy, "source_settings", lambda *_: {"uploads": None})
    statements = operator_policy.operator_policy(stack, [QUEUE])["Statement"]
    by_sid = {statement["Sid"]: statement for statement in statements}
    assert by_sid["ManageDeadLetters"]["Resource"] == [f"arn:{partition}:sqs:r:1:dead"]
    assert by_sid["SendToWorkQueues"]["Resource"] == [f"arn:{partition}:sqs:r:1:work"]
    assert by_sid["HeadUploads"]["Resource"] == [f"arn:{partition}:s3:::uploads/*"]
    for statement in statements:
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        assert all(arn.startswith(f"arn:{partition}:") for arn in statement["Resource"])
