"""Change sets as CloudFormation describes them, also those that the emulator does not have."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.stub import ANY, Stubber

from darkroom.aws import change_sets
from darkroom.aws.change_sets import Request
from darkroom.errors import UserError

STACK = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"
SET = "arn:aws:cloudformation:eu-west-1:111122223333:changeSet/darkroom-1/2"
REQUEST = Request(
    stack_name="s",
    is_creation=False,
    template={"UsePreviousTemplate": True},
    parameters={"CodeKey": "new.zip", "NamePrefix": None},
    settings={"Tags": [{"Key": "team", "Value": "a"}]},
)


@pytest.fixture
def stubber(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    made: Any = botocore.session.Session().create_client("cloudformation", "eu-west-1")
    with Stubber(made) as found:
        yield found
        found.assert_no_pending_responses()


def client(stubber: Stubber) -> Any:
    """Return the stubbed client, which is typed as a client of any service."""
    return stubber.client


def described(status: str, **more: Any) -> dict[str, Any]:
    facts = {"ChangeSetName": "darkroom-1", "StackId": STACK, "Status": status, "Changes": []}
    return {**facts, "CreationTime": datetime(2026, 1, 1, tzinfo=UTC), **more}


def created(stubber: Stubber) -> None:
    expected = {
        "StackName": "s",
        "ChangeSetName": ANY,
        "ChangeSetType": "UPDATE",
        "Capabilities": ["CAPABILITY_IAM"],
        "UsePreviousTemplate": True,
        "Parameters": [
            {"ParameterKey": "CodeKey", "ParameterValue": "new.zip"},
            {"ParameterKey": "NamePrefix", "UsePreviousValue": True},
        ],
        "Tags": [{"Key": "team", "Value": "a"}],
    }
    stubber.add_response("create_change_set", {"Id": SET, "StackId": STACK}, expected)


def change(action: str, resource: str, kind: str, **more: Any) -> dict[str, Any]:
    facts = {"Action": action, "LogicalResourceId": resource, "ResourceType": f"AWS::{kind}"}
    return {"Type": "Resource", "ResourceChange": {**facts, **more}}


def test_changes_are_read_from_all_pages(stubber: Stubber) -> None:
    """D6: the most destructive first, with what becomes of the old resource."""
    created(stubber)
    stubber.add_response("describe_change_set", described("CREATE_IN_PROGRESS"))
    stubber.add_response("describe_change_set", described("CREATE_COMPLETE"))
    details = [
        {"Target": {"Attribute": "Properties", "Name": "Code"}},
        {"Target": {"Attribute": "Tags"}},
        {"Target": {"Attribute": "Properties", "Name": "Code"}},
    ]
    pages = [
        [
            change("Add", "New", "SNS::Topic"),
            change("Modify", "Worker", "Lambda::Function", Replacement="False", Details=details),
            change("Modify", "Policy", "SQS::QueuePolicy", Replacement="Conditional"),
        ],
        [
            change("Remove", "Bucket", "S3::Bucket", PolicyAction="Retain"),
            change("Remove", "Old", "SQS::Queue", PolicyAction="Delete"),
            change(
                "Modify",
                "Queue",
                "SQS::Queue",
                Replacement="True",
                PolicyAction="ReplaceAndDelete",
            ),
        ],
    ]
    stubber.add_response(
        "describe_change_set", described("CREATE_COMPLETE", Changes=pages[0], NextToken="2")
    )
    stubber.add_response("describe_change_set", described("CREATE_COMPLETE", Changes=pages[1]))
    found = change_sets.create(client(stubber), REQUEST, sleep=lambda _: None)
    assert found
    assert [(one.action, one.resource, one.consequence) for one in found.changes] == [
        ("replace", "Queue", "the old resource is deleted, with its data"),
        ("may replace", "Policy", "if so, the old resource is deleted"),
        ("delete", "Bucket", "the old resource is retained, outside the stack"),
        ("delete", "Old", "the old resource is deleted, with its data"),
        ("create", "New", ""),
        ("update", "Worker", ""),
    ]
    assert found.changes[-1].properties == ("Code", "Tags")
    assert [one.resource for one in found.changes if one.takes_data] == ["Queue", "Bucket", "Old"]


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information to create"
        " a change set.",
        "No updates are to be performed.",
    ],
)
def test_no_change_is_no_error(stubber: Stubber, reason: str) -> None:
    """D8: CloudFormation calls it a failure, in two ways; the change set is deleted."""
    created(stubber)
    stubber.add_response("describe_change_set", described("FAILED", StatusReason=reason))
    stubber.add_response("delete_change_set", {}, {"ChangeSetName": SET})
    assert change_sets.create(client(stubber), REQUEST) is None


def test_a_failed_change_set_has_its_reason(stubber: Stubber) -> None:
    created(stubber)
    stubber.add_response("describe_change_set", described("FAILED", StatusReason="No hook"))
    stubber.add_response("delete_change_set", {}, {"ChangeSetName": SET})
    with pytest.raises(UserError, match="cannot create the change set: No hook"):
        change_sets.create(client(stubber), REQUEST)


def test_the_wait_is_bounded(stubber: Stubber) -> None:
    created(stubber)
    stubber.add_response("describe_change_set", described("CREATE_PENDING"))
    times = iter([0.0, change_sets.CREATION_SECONDS])
    with pytest.raises(UserError, match="CREATE_PENDING for too long"):
        change_sets.create(client(stubber), REQUEST, clock=lambda: next(times))


@pytest.mark.parametrize("is_last", [True, False])
def test_a_new_stack_is_deleted_with_its_last_change_set(stubber: Stubber, is_last: bool) -> None:
    """D8: a dry run leaves nothing; a stack that waits for another review stays."""
    found = change_sets.ChangeSet(
        id=SET, stack_name="s", stack_id=STACK, is_creation=True, changes=()
    )
    others = [] if is_last else [{"ChangeSetId": "another"}]
    stubber.add_response("delete_change_set", {}, {"ChangeSetName": SET})
    stubber.add_response("list_change_sets", {"Summaries": [{"ChangeSetId": SET}, *others]})
    if is_last:
        stubber.add_response("delete_stack", {}, {"StackName": STACK})
    change_sets.discard(client(stubber), found)
