"""New code is tried before messages reach it; what happens where it is bad."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from botocore.stub import Stubber

from darkroom.aws.change_sets import ChangeSet
from darkroom.aws.session import open_account
from darkroom.aws.stack import Stack
from darkroom.aws.stack_events import StackEvent
from darkroom.cloudformation.changes import Action, Change
from darkroom.console.progress import Progress
from darkroom.deploy import execution
from darkroom.deploy.execution import Execution
from darkroom.deploy.trial import Trial, Watch, changed_functions
from darkroom.errors import UserError

ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"
FUNCTION = "AWS::Lambda::Function"
CHANGE_SET = ChangeSet(
    id="arn:set",
    stack_name="s",
    stack_id=ID,
    is_creation=False,
    changes=(Change(resource="Worker", type=FUNCTION, action="update", properties=("Code",)),),
)


class Recorded:
    """The trial of a stack, of which only the order of calls is known."""

    def __init__(self, *problems: str) -> None:
        self.calls: list[str] = []
        self.problems = list(problems)

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")

    def run(self) -> str:
        self.calls.append("try")
        return self.problems.pop(0)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Execution:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    account = open_account(region="eu-west-1")
    before = Stack(
        session=account.session,
        name="s",
        id=ID,
        status="UPDATE_COMPLETE",
        outputs={},
        parameters={"CodeBucket": "b", "CodeKey": "old.zip", "NamePrefix": "p"},
        resources={},
    )
    monkeypatch.setattr(execution, "find_stack", lambda *_: before)
    return Execution(account, Progress(), timeout=10.0, sleep=lambda _: None)


@pytest.fixture
def aws(work: Execution) -> Iterator[Stubber]:
    with Stubber(work.account.client("cloudformation")) as stubber:
        stubber.add_response("get_stack_policy", {})
        yield stubber
        stubber.assert_no_pending_responses()


def event(resource: str, status: str, number: int = 0) -> dict[str, Any]:
    return {
        "StackId": ID,
        "StackName": "s",
        "EventId": f"{resource}{status}{number}",
        "LogicalResourceId": resource,
        "PhysicalResourceId": ID if resource == "s" else resource,
        "ResourceType": "AWS::CloudFormation::Stack" if resource == "s" else FUNCTION,
        "ResourceStatus": status,
        "Timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }


def executed(aws: Stubber, *newest_first: dict[str, Any]) -> None:
    """Answer the execution of a change set with these events."""
    aws.add_response("describe_stack_events", {"StackEvents": []})
    aws.add_response("execute_change_set", {})
    aws.add_response("describe_stack_events", {"StackEvents": [*newest_first]})


UPDATED = [
    event("s", "UPDATE_COMPLETE"),
    event("Worker", "UPDATE_COMPLETE"),
    event("s", "UPDATE_IN_PROGRESS"),
]


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    found = Recorded()
    monkeypatch.setattr(Trial, "of", lambda *_: found)
    return found


def test_messages_wait_until_the_new_worker_was_tried(
    work: Execution, aws: Stubber, trial: Recorded
) -> None:
    """D8: the mappings are off before the update, and on after a picture was processed."""
    executed(aws, *UPDATED)
    trial.problems = [""]
    work.run(CHANGE_SET, tries=True)
    assert trial.calls == ["pause", "try", "resume"]


def test_an_update_under_way_is_cancelled(work: Execution, aws: Stubber, trial: Recorded) -> None:
    """D8: as while CloudFormation watches alarms; then the old worker goes on."""
    aws.add_response("describe_stack_events", {"StackEvents": []})
    aws.add_response("execute_change_set", {})
    first = [event("Worker", "UPDATE_COMPLETE"), event("s", "UPDATE_IN_PROGRESS")]
    aws.add_response("describe_stack_events", {"StackEvents": first})
    aws.add_response("cancel_update_stack", {}, {"StackName": ID})
    back = [event("s", "UPDATE_ROLLBACK_COMPLETE"), event("Worker", "UPDATE_COMPLETE", 2), *first]
    aws.add_response("describe_stack_events", {"StackEvents": back})
    trial.problems = ["worker fails", ""]
    with pytest.raises(UserError, match=r"(?s)\Aworker fails.*UPDATE_ROLLBACK_COMPLETE.*is back"):
        work.run(CHANGE_SET, tries=True)
    assert trial.calls == ["pause", "try", "try", "resume"]


def test_after_the_update_the_package_of_before_is_deployed(
    work: Execution, aws: Stubber, trial: Recorded
) -> None:
    """D8: with the new template and its values, and tried as well."""
    executed(aws, *UPDATED)
    aws.add_client_error("cancel_update_stack", "ValidationError")
    aws.add_response(
        "create_change_set",
        {"Id": "arn:back", "StackId": ID},
        {
            "StackName": "s",
            "ChangeSetName": mock.ANY,
            "ChangeSetType": "UPDATE",
            "Capabilities": ["CAPABILITY_IAM"],
            "UsePreviousTemplate": True,
            "Parameters": [
                {"ParameterKey": "CodeBucket", "ParameterValue": "b"},
                {"ParameterKey": "CodeKey", "ParameterValue": "old.zip"},
                {"ParameterKey": "NamePrefix", "UsePreviousValue": True},
            ],
        },
    )
    for _ in range(2):
        aws.add_response("describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": []})
    executed(aws, *UPDATED)
    trial.problems = ["worker fails", ""]
    with pytest.raises(UserError, match=r"(?s)\Aworker fails.*s3://b/old\.zip is back"):
        work.run(CHANGE_SET, tries=True)
    assert trial.calls == ["pause", "try", "try", "resume"]


def test_a_worker_that_is_bad_before_and_after_stays_without_messages(
    work: Execution, aws: Stubber, trial: Recorded
) -> None:
    """D8: no receive is used up for it, and the error says so."""
    executed(aws, event("s", "UPDATE_ROLLBACK_COMPLETE"), event("s", "UPDATE_IN_PROGRESS"))
    trial.problems = ["worker fails"]
    with pytest.raises(UserError, match="messages wait"):
        work.run(CHANGE_SET, tries=True)
    assert trial.calls == ["pause", "try"]


def test_an_interruption_says_that_messages_wait(
    work: Execution, aws: Stubber, trial: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D8: the same command tries the worker, and enables the mappings."""
    aws.add_response("describe_stack_events", {"StackEvents": []})
    aws.add_response("execute_change_set", {})
    monkeypatch.setattr(execution, "follow", mock.Mock(side_effect=KeyboardInterrupt))
    trial.problems = []
    with pytest.raises(KeyboardInterrupt, match=r"same command follows it again.*messages wait"):
        work.run(CHANGE_SET, tries=True)
    assert trial.calls == ["pause"]


@pytest.mark.parametrize(
    ("action", "is_tried"),
    [("update", True), ("may replace", True), ("replace", True), ("create", False)],
)
def test_a_changed_function_is_tried(action: Action, is_tried: bool) -> None:
    changes = [
        Change(resource="Worker", type=FUNCTION, action=action),
        Change(resource="Queue", type="AWS::SQS::Queue", action="update"),
    ]
    assert changed_functions(changes) == ({"Worker"} if is_tried else set())


def test_all_functions_are_updated_before_they_are_tried() -> None:
    """D8: a stack has a function for each queue."""
    trial: Any = Recorded("")
    watch = Watch(trial, frozenset({"Worker", "BulkWorker"}))

    def seen(resource: str, status: str) -> StackEvent:
        return StackEvent(
            id="1",
            time=datetime(2026, 1, 1, tzinfo=UTC),
            resource=resource,
            type=FUNCTION,
            status=status,
            reason="",
            is_stack=False,
        )

    watch.takes(seen("Worker", "UPDATE_COMPLETE"))
    watch.takes(seen("BulkWorker", "UPDATE_IN_PROGRESS"))
    assert trial.calls == []
    assert not watch.takes(seen("BulkWorker", "UPDATE_COMPLETE"))
    assert trial.calls == ["try", "resume"]
    watch.takes(seen("Worker", "UPDATE_COMPLETE"))  # such as while an update is taken back
    assert trial.calls == ["try", "resume"]
