"""Executes a change set: events as they come, new code tried first, and back where it is bad."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from darkroom.aws import change_sets
from darkroom.aws.change_sets import ChangeSet, Request
from darkroom.aws.errors import error_code, explained
from darkroom.aws.session import Account
from darkroom.aws.stack import Stack, find_stack
from darkroom.aws.stack_events import Ended, StackEvent, StackEvents, follow
from darkroom.console.progress import Progress
from darkroom.console.text import elapsed
from darkroom.deploy import protection
from darkroom.deploy.packages import CODE
from darkroom.deploy.trial import Trial, Watch, changed_functions
from darkroom.errors import UserError

REVIEW = "REVIEW_IN_PROGRESS"
"""The state of a stack that a change set would create."""

PACKAGE = (*CODE, "Runtime", "Architecture")
"""The parameters that have to fit each other."""

DISABLED = "the queues' event source mappings are disabled, and messages wait"


@dataclass
class Execution:
    """What CloudFormation does, followed to its end."""

    account: Account
    progress: Progress
    timeout: float
    """Seconds to wait for CloudFormation."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @explained()
    def follow_running(self, stack_name: str) -> None:
        """Follow an operation on the stack that is under way, such as one that was interrupted.

        Raises:
            UserError: it takes longer than the timeout.
        """
        stack = find_stack(self.account, stack_name)
        if not stack or not stack.status.endswith("_IN_PROGRESS") or stack.status == REVIEW:
            return
        self.progress.step(f"The stack {stack.name} is in {stack.status}: waiting for its end")
        client = self.account.client("cloudformation")
        ended = self._follow(StackEvents(client, stack.id), stack.name)
        for reason in ended.reasons:
            self.progress.step(f"  {reason}")

    @explained()
    def run(self, change_set: ChangeSet, *, tries: bool) -> None:
        """Execute a change set.

        With `tries`, and where it changes functions, their queues' event source mappings are
        disabled meanwhile, and enabled when the new code has processed a picture. If it does not,
        the update is taken back, or the package where CloudFormation has finished.

        Raises:
            UserError: it failed, with the first reason first, or takes longer than the timeout.
            KeyboardInterrupt: with a sentence about what goes on.
        """
        client = self.account.client("cloudformation")
        functions = changed_functions(change_set.changes) if tries else frozenset()
        before = None if change_set.is_creation else find_stack(self.account, change_set.stack_id)
        policy = None
        if not change_set.is_creation:
            policy = protection.allow(client, change_set.stack_id, change_set.changes)
        watch = None
        if before and functions:
            watch = Watch(Trial.of(before, self.progress), functions)
            watch.trial.pause()
        try:
            ended = self._execute(change_set, watch)
            if not ended.is_success and policy:
                protection.restore(client, change_set.stack_id, policy)
            if before and watch:
                self._conclude(change_set, ended, before, watch)
        except KeyboardInterrupt as interruption:
            if watch and watch.problem != "":
                said = "; ".join(map(str, interruption.args)) or "the same command continues"
                raise KeyboardInterrupt(f"{said}; {DISABLED}") from None
            raise
        except UserError as error:
            if watch and watch.problem is None:
                raise UserError(f"{error}\n{DISABLED}; the same command continues") from None
            raise
        if not ended.is_success:
            raise UserError(failure(change_set, ended))

    def _execute(self, change_set: ChangeSet, watch: Watch | None) -> Ended:
        client = self.account.client("cloudformation")
        events = StackEvents.from_now(client, change_set.stack_id)
        client.execute_change_set(ChangeSetName=change_set.id, DisableRollback=False)

        def report(event: StackEvent) -> None:
            self._report(event)
            if watch and watch.takes(event):
                self._cancel(change_set.stack_id, str(watch.problem))

        return self._follow(events, change_set.stack_name, report)

    def _cancel(self, stack_id: str, problem: str) -> None:
        """Have CloudFormation take the update back, unless it has finished."""
        self.progress.step(f"The new worker is bad: {problem}")
        try:
            self.account.client("cloudformation").cancel_update_stack(StackName=stack_id)
        except ClientError as error:
            if error_code(error) != "ValidationError":
                raise
        else:
            self.progress.step("CloudFormation takes the update back")

    def _conclude(self, change_set: ChangeSet, ended: Ended, before: Stack, watch: Watch) -> None:
        """Enable the mappings for a worker that was tried; take back one that is bad.

        Raises:
            UserError: the new worker is bad, or so is the old one.
        """
        if watch.problem is None and ended.is_success:
            watch.try_()
        if watch.problem == "":
            return
        problem = watch.problem
        if ended.is_success and not self._take_back(change_set, before):
            raise UserError(f"{problem}\nThe package is the same as before: {DISABLED}")
        if again := watch.trial.run():
            raise UserError(f"{problem or again}\nThe worker of before is bad too: {DISABLED}")
        watch.trial.resume()
        if problem:
            what = f"package s3://{'/'.join(before.parameters.get(name, '') for name in CODE)}"
            if not ended.is_success:
                what = f"stack ({ended.status})"
            raise UserError(
                f"{problem}\nThe {what} is back; meanwhile messages waited, and none was tried"
            )

    def _take_back(self, change_set: ChangeSet, before: Stack) -> bool:
        """Deploy the package of before with the new template; False if it is the same."""
        package: Mapping[str, str] = {
            name: before.parameters[name] for name in PACKAGE if name in before.parameters
        }
        request = Request(
            stack_name=change_set.stack_name,
            is_creation=False,
            template={"UsePreviousTemplate": True},
            parameters={
                name: package.get(name)
                for name in (find_stack(self.account, change_set.stack_id) or before).parameters
            },
        )
        client = self.account.client("cloudformation")
        found = change_sets.create(client, request, clock=self.clock, sleep=self.sleep)
        if not found:
            return False
        self.progress.step("Going back to the package of before")
        ended = self._execute(found, None)
        if not ended.is_success:
            raise UserError(f"{failure(found, ended)}\n{DISABLED}")
        return True

    @explained()
    def enable(self, stack: Stack) -> None:
        """Try the worker and enable its mappings, where an interrupted deployment left them off.

        Raises:
            UserError: the worker is bad.
        """
        trial = Trial.of(stack, self.progress)
        if not trial.is_paused:
            return
        self.progress.step(f"In {stack.name} {DISABLED}")
        if problem := trial.run():
            raise UserError(f"{problem}\n{DISABLED}")
        trial.resume()

    def _follow(
        self,
        events: StackEvents,
        name: str,
        report: Callable[[StackEvent], None] | None = None,
    ) -> Ended:
        began = self.clock()
        try:
            ended = follow(
                events,
                timeout=self.timeout,
                report=report or self._report,
                wait=lambda text: self.progress.update(
                    f"{name}: {text}, {elapsed(self.clock() - began)}"
                ),
                clock=self.clock,
                sleep=self.sleep,
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"CloudFormation goes on with {name}; the same command follows it again, and"
                f" `aws cloudformation cancel-update-stack --stack-name {name}` takes an update"
                " back"
            ) from None
        except UserError as error:
            raise UserError(
                f"{error}; CloudFormation goes on, and the same command follows it again"
            ) from None
        self.progress.step(f"{name}: {ended.status}, after {elapsed(self.clock() - began)}")
        return ended

    def _report(self, event: StackEvent) -> None:
        if event.status.endswith("_IN_PROGRESS") and not event.is_stack:
            self.progress.update(f"{event.resource}: {event.status}")
            return
        reason = f": {event.reason}" if event.reason else ""
        kind = "" if event.is_stack else f" ({event.type.removeprefix('AWS::')})"
        when = f"{event.time.astimezone():%H:%M:%S}"
        self.progress.step(f"{when} {event.status} {event.resource}{kind}{reason}")


def failure(change_set: ChangeSet, ended: Ended) -> str:
    """Return what is said of a failed deployment: the first reason, the others, what to do."""
    first, *others = ended.reasons or ("CloudFormation gives no reason",)
    name, verb = change_set.stack_name, "created" if change_set.is_creation else "updated"
    if ended.status == "UPDATE_ROLLBACK_COMPLETE":
        advice = "It is as it was before."
    elif change_set.is_creation:
        advice = f"Fix that; `darkroom delete --stack-name {name}` first, then the same command."
    else:
        advice = f"`darkroom preflight --stack-name {name}` says how to continue."
    return "\n".join(
        [
            first,
            *(f"  then: {other}" for other in others),
            f"The stack {name} could not be {verb} ({ended.status}). {advice}",
        ]
    )
