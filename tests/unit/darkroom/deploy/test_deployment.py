"""A deployment's steps: what is said when one of them is refused, interrupted or fails."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from unittest import mock

import pytest
from botocore.stub import Stubber

from darkroom.aws.change_sets import ChangeSet
from darkroom.aws.stack import Stack
from darkroom.aws.stack_events import Ended, StackEvents
from darkroom.checks.framework import CheckResult, failed, passed
from darkroom.cloudformation.changes import Change
from darkroom.console.command import StackOptions
from darkroom.console.progress import Progress
from darkroom.deploy import execution, protection
from darkroom.deploy.consent import Consent
from darkroom.deploy.deployment import Deployment, Result
from darkroom.deploy.preparation import Inputs
from darkroom.errors import UserError
from templates.specification import Specification

ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"
CHANGE = Change(resource="Worker", type="AWS::Lambda::Function", action="update")
CHANGE_SET = ChangeSet(
    id="arn:set", stack_name="s", stack_id=ID, is_creation=False, changes=(CHANGE,)
)


class Lines(Progress):
    """Keeps what is reported."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return Deployment(
        StackOptions(name="s", region="eu-west-1"),
        Inputs(specification=Specification()),
        Lines(),
        timeout=10.0,
        sleep=lambda _: None,
    )


def steps(work: Deployment) -> list[str]:
    assert isinstance(work.progress, Lines)
    return work.progress.steps


def stack(work: Deployment, status: str) -> Stack:
    return Stack(
        session=work.account.session,
        name="s",
        id=ID,
        status=status,
        outputs={},
        parameters={},
        resources={},
    )


def event(status: str, number: int = 0, reason: str = "") -> dict[str, Any]:
    return {
        "StackId": ID,
        "StackName": "s",
        "EventId": f"{status}{number}",
        "LogicalResourceId": "s",
        "PhysicalResourceId": ID,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "Timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }


def test_an_operation_under_way_is_waited_for(
    work: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D8: the same command follows what an interrupted one began."""
    monkeypatch.setattr(execution, "find_stack", lambda *_: stack(work, "UPDATE_IN_PROGRESS"))
    with Stubber(work.account.client("cloudformation")) as stubber:
        found = [event("UPDATE_COMPLETE"), event("UPDATE_IN_PROGRESS")]
        stubber.add_response("describe_stack_events", {"StackEvents": found})
        work.execution.follow_running("s")
    assert steps(work)[0] == "The stack s is in UPDATE_IN_PROGRESS: waiting for its end"
    assert steps(work)[-1].startswith("s: UPDATE_COMPLETE, after ")


@pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", "UPDATE_COMPLETE", ""])
def test_nothing_is_waited_for_where_nothing_goes_on(
    work: Deployment, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """D8: a change set that nobody executed is no operation."""
    monkeypatch.setattr(execution, "find_stack", lambda *_: stack(work, status) if status else None)
    work.execution.follow_running("s")
    assert steps(work) == []


@pytest.fixture
def running(work: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack is deployed."""
    monkeypatch.setattr(execution, "find_stack", lambda *_: stack(work, "CREATE_COMPLETE"))


@pytest.mark.usefixtures("running")
def test_an_interruption_says_what_goes_on(
    work: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D8: Ctrl-C ends the command, not the update."""

    def interrupt(_: StackEvents) -> list[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(StackEvents, "read", interrupt)
    with Stubber(work.account.client("cloudformation")) as stubber:
        stubber.add_response("get_stack_policy", {})
        stubber.add_response("describe_stack_events", {"StackEvents": []})
        executed = {"ChangeSetName": "arn:set", "DisableRollback": False}
        stubber.add_response("execute_change_set", {}, executed)
        with pytest.raises(KeyboardInterrupt, match="goes on with s; the same command follows"):
            work.execution.run(CHANGE_SET, tries=False)


def test_a_refused_change_set_is_deleted(work: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """D8: also after Ctrl-C at the question, and by a dry run."""
    prepared: Any = type("Prepared", (), {"checks": (), "is_deployable": True, "warnings": ["w"]})
    monkeypatch.setattr(work, "prepare", lambda: prepared)
    monkeypatch.setattr(work, "propose", lambda _: CHANGE_SET)

    consent = Consent(yes=False)
    for error in (UserError("not confirmed; nothing was changed"), KeyboardInterrupt()):
        monkeypatch.setattr(Consent, "ask", mock.Mock(side_effect=error))
        with Stubber(work.account.client("cloudformation")) as stubber:
            stubber.add_response("delete_change_set", {}, {"ChangeSetName": "arn:set"})
            with pytest.raises(type(error)):
                work.run(consent)
            stubber.assert_no_pending_responses()
    work.dry_run = True
    with Stubber(work.account.client("cloudformation")) as stubber:
        stubber.add_response("delete_change_set", {}, {"ChangeSetName": "arn:set"})
        found = work.run(consent)
        stubber.assert_no_pending_responses()
    assert (found.changes, found.stack, found.status) == ((CHANGE,), None, 0)


@pytest.mark.usefixtures("running")
def test_a_failed_update_closes_the_policy_again(work: Deployment) -> None:
    """Pitfall 91: consent is for one update, whether it succeeds or not."""
    taken = Change(resource="Queue", type="AWS::SQS::Queue", action="delete")
    before = protection.stack_policy({"Bucket", "Queue"})
    opened = protection.stack_policy({"Bucket"})
    with Stubber(work.account.client("cloudformation")) as stubber:
        stubber.add_response("get_stack_policy", {"StackPolicyBody": before})
        stubber.add_response("set_stack_policy", {}, {"StackName": ID, "StackPolicyBody": opened})
        stubber.add_response("describe_stack_events", {"StackEvents": []})
        stubber.add_response("execute_change_set", {})
        found = [event("UPDATE_ROLLBACK_COMPLETE"), event("UPDATE_IN_PROGRESS")]
        stubber.add_response("describe_stack_events", {"StackEvents": found})
        stubber.add_response("set_stack_policy", {}, {"StackName": ID, "StackPolicyBody": before})
        with pytest.raises(UserError, match="It is as it was before"):
            work.execution.run(replace(CHANGE_SET, changes=(taken,)), tries=False)
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("is_creation", "status", "advice"),
    [
        (True, "ROLLBACK_COMPLETE", "`darkroom delete --stack-name s` first"),
        (False, "UPDATE_ROLLBACK_COMPLETE", "It is as it was before."),
        (False, "UPDATE_ROLLBACK_FAILED", "`darkroom preflight --stack-name s` says"),
    ],
)
def test_a_failure_begins_with_its_reason(is_creation: bool, status: str, advice: str) -> None:
    """D8: the first reason, the others, then the state and what to do."""
    change_set = ChangeSet(id="", stack_name="s", stack_id=ID, is_creation=is_creation, changes=())
    first, second, last = execution.failure(
        change_set, Ended(status=status, reasons=("Key: denied", "Queue: no key"))
    ).splitlines()
    assert (first, second) == ("Key: denied", "  then: Queue: no key")
    assert f"({status})" in last
    assert advice in last


def test_the_status_is_that_of_the_checks() -> None:
    """D8: 1 where a check before or after the deployment fails."""
    good, bad = (CheckResult("x", (one,)) for one in (passed("ok"), failed("no", "do")))
    make = partial(Result, stack_name="s")
    assert make(preflight=[good]).status == 0
    assert make(preflight=[bad]).status == 1
    assert make(preflight=[good], verification=[good]).status == 0
    assert make(preflight=[good], verification=[bad]).status == 1
