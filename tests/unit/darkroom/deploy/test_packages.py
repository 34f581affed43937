"""Which package a stack had before, from events as CloudFormation writes them.

The emulator's events have no properties.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from darkroom.aws.session import open_account
from darkroom.aws.stack import Stack
from darkroom.deploy import packages
from darkroom.errors import UserError

ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"


def event(status: str, key: str = "") -> dict[str, Any]:
    """Return an event of the stack itself, or of its function with the package `key`."""
    code = {"Code": {"S3Bucket": "b", "S3Key": key}, "Timeout": "60"}
    more = {"ResourceProperties": json.dumps(code)} if key else {}
    return {
        "StackId": ID,
        "StackName": "s",
        "EventId": f"{status}{key}",
        "PhysicalResourceId": "worker" if key else ID,
        "ResourceType": "AWS::Lambda::Function" if key else "AWS::CloudFormation::Stack",
        "ResourceStatus": status,
        "Timestamp": datetime(2026, 1, 1, tzinfo=UTC),
        **more,
    }


def operation(status: str, *keys: str) -> list[dict[str, Any]]:
    """Return the events of an update, the newest first."""
    own = [event(one, key) for key in keys for one in ("UPDATE_COMPLETE", "UPDATE_IN_PROGRESS")]
    return [event(status), *own, event("UPDATE_IN_PROGRESS")]


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return Stack(
        session=open_account(region="eu-west-1").session,
        name="s",
        id=ID,
        status="UPDATE_COMPLETE",
        outputs={},
        parameters={"CodeBucket": "b", "CodeKey": "new.zip"},
        resources={},
    )


def previous(stack: Stack, events: list[dict[str, Any]]) -> dict[str, str]:
    with Stubber(stack.client("cloudformation")) as stubber:
        stubber.add_response("describe_stack_events", {"StackEvents": events[:3], "NextToken": "2"})
        stubber.add_response("describe_stack_events", {"StackEvents": events[3:]})
        return packages.previous(stack)


def test_it_is_the_last_one_that_succeeded_and_is_another(stack: Stack) -> None:
    """D8: neither one that was taken back, nor the present one of two updates."""
    found = previous(
        stack,
        [
            *operation("UPDATE_COMPLETE", "new.zip"),
            *operation("UPDATE_ROLLBACK_COMPLETE", "new.zip", "bad.zip"),
            *operation("UPDATE_COMPLETE"),
            *operation("UPDATE_COMPLETE", "new.zip"),
            *operation("UPDATE_COMPLETE", "old.zip"),
            *operation("UPDATE_COMPLETE", "oldest.zip"),
        ],
    )
    assert found == {"CodeBucket": "b", "CodeKey": "old.zip"}


def test_without_another_one_the_option_is_named(stack: Stack) -> None:
    events = [*operation("UPDATE_COMPLETE", "new.zip"), *operation("UPDATE_COMPLETE")]
    with pytest.raises(UserError, match=r"no other package than s3://b/new\.zip: pass --code-key"):
        previous(stack, events)
