"""What keeps a stack's data, which the emulator stores and does not enforce."""

import json
from collections.abc import Iterator

import pytest
from botocore.stub import Stubber

from darkroom.aws.session import open_account
from darkroom.aws.stack import Stack
from darkroom.cloudformation.changes import Action, Change
from darkroom.deploy import protection

ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"
TEMPLATE = {
    "Resources": {
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Key": {"Type": "AWS::KMS::Key"},
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Absent": {"Type": "AWS::SQS::Queue", "Condition": "Never"},
        "Worker": {"Type": "AWS::Lambda::Function"},
    }
}
POLICY = protection.stack_policy({"Bucket", "Key", "Queue"})


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
        parameters={},
        resources={"Bucket": "b", "Key": "k", "Queue": "q", "Worker": "w"},
    )


@pytest.fixture
def aws(stack: Stack) -> Iterator[Stubber]:
    with Stubber(stack.client("cloudformation")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def change(resource: str, action: Action, kind: str = "AWS::SQS::Queue") -> Change:
    return Change(resource=resource, type=kind, action=action)


def test_only_replacement_and_deletion_of_data_are_denied() -> None:
    """D8: buckets, queues and the key; all else may be updated."""
    allowed, denied = json.loads(POLICY)["Statement"]
    assert (allowed["Effect"], allowed["Action"], allowed["Resource"]) == ("Allow", "Update:*", "*")
    assert denied["Effect"] == "Deny"
    assert denied["Action"] == ["Update:Replace", "Update:Delete"]
    assert denied["Resource"] == [f"LogicalResourceId/{one}" for one in ("Bucket", "Key", "Queue")]


@pytest.mark.parametrize("titles", [(), ("Bucket",), ("Bucket", "Key")])
def test_a_policy_of_ours_is_known_again(titles: tuple[str, ...]) -> None:
    assert protection.protected(protection.stack_policy(titles)) == frozenset(titles)


@pytest.mark.parametrize(
    "policy",
    [
        '{"Statement":[{"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"*"}]}',
        POLICY.replace("Update:Delete", "Update:Modify"),
        '{"Statement":[]}',
        "no JSON",
    ],
)
def test_another_policy_is_kept(stack: Stack, aws: Stubber, policy: str) -> None:
    """D8: it is neither replaced nor opened."""
    for _ in range(2):
        aws.add_response("get_stack_policy", {"StackPolicyBody": policy}, {"StackName": ID})
    assert "of its own" in protection.protect(stack, TEMPLATE, from_termination=None)
    client = stack.client("cloudformation")
    assert protection.allow(client, ID, [change("Queue", "delete")]) is None


def test_a_new_stack_gets_its_policy_and_its_protection(stack: Stack, aws: Stubber) -> None:
    """D8: for what is there, which a resource with a false condition is not."""
    aws.add_response(
        "update_termination_protection",
        {"StackId": ID},
        {"StackName": ID, "EnableTerminationProtection": True},
    )
    aws.add_response("get_stack_policy", {})
    aws.add_response("set_stack_policy", {}, {"StackName": ID, "StackPolicyBody": POLICY})
    assert protection.protect(stack, TEMPLATE, from_termination=True) == ""


def test_a_policy_that_is_right_is_not_set_again(stack: Stack, aws: Stubber) -> None:
    aws.add_response("get_stack_policy", {"StackPolicyBody": POLICY})
    assert protection.protect(stack, TEMPLATE, from_termination=None) == ""


@pytest.mark.parametrize("action", ["replace", "may replace", "delete"])
def test_consent_opens_the_policy_for_that_resource_alone(
    stack: Stack, aws: Stubber, action: Action
) -> None:
    """D8: and `restore` closes it where the update fails."""
    opened = protection.stack_policy({"Bucket", "Key"})
    aws.add_response("get_stack_policy", {"StackPolicyBody": POLICY})
    aws.add_response("set_stack_policy", {}, {"StackName": ID, "StackPolicyBody": opened})
    client = stack.client("cloudformation")
    changes = [change("Queue", action), change("Worker", "replace", "AWS::Lambda::Function")]
    before = protection.allow(client, ID, changes)
    assert before == POLICY
    aws.add_response("set_stack_policy", {}, {"StackName": ID, "StackPolicyBody": POLICY})
    protection.restore(client, ID, before)


def test_changes_without_loss_open_nothing(stack: Stack, aws: Stubber) -> None:
    aws.add_response("get_stack_policy", {"StackPolicyBody": POLICY})
    changes = [change("Queue", "update"), change("New", "create")]
    assert protection.allow(stack.client("cloudformation"), ID, changes) is None
