"""A deployment: what it would change, its execution, and whether the stack works afterwards."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from darkroom.aws import change_sets
from darkroom.aws.change_sets import ChangeSet, Request
from darkroom.aws.errors import explained
from darkroom.aws.session import Account, open_account
from darkroom.aws.stack import Stack, open_stack
from darkroom.checks.deployed.suite import check_deployed
from darkroom.checks.framework import CheckResult, exit_status
from darkroom.cloudformation.changes import Change
from darkroom.console.command import StackOptions
from darkroom.console.progress import Progress
from darkroom.console.text import elapsed
from darkroom.deploy import packages, protection
from darkroom.deploy.consent import Consent
from darkroom.deploy.execution import REVIEW, Execution
from darkroom.deploy.preparation import Inputs, Prepared, prepare
from darkroom.deploy.report import changes_table
from darkroom.deploy.settings import PRODUCTION_MONITORING_SECONDS, Settings, roll_back

SLOW_CHECKS = ("drift", "archived-canary")
"""Checks of `darkroom verify` that take minutes, and that a stack just deployed does not need."""


CANARY_SECONDS = 180
"""As `darkroom verify` waits for the canary, a first cold start included."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a deployment has come to: how far, and with what."""

    stack_name: str
    preflight: Sequence[CheckResult]
    changes: Sequence[Change] = ()
    stack: Stack | None = None
    """As it is deployed; None where nothing was."""

    verification: Sequence[CheckResult] | None = None

    @property
    def status(self) -> int:
        """1 if a check before or after failed; else 0."""
        return exit_status([*self.preflight, *(self.verification or ())], strict=False)


@dataclass
class Deployment:
    """The deployment of a stack. Each step looks at what exists, so any run can be repeated."""

    options: StackOptions
    inputs: Inputs
    progress: Progress
    timeout: float
    """Seconds to wait for CloudFormation, besides the time for which alarms are watched."""

    settings: Settings = field(default_factory=Settings)

    goes_back: bool = False
    """Deploy the package that the stack had before, unless the inputs name one."""

    verifies: bool = True
    """Check the stack afterwards."""

    dry_run: bool = False
    """Upload no package, and execute nothing."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    account: Account = field(init=False)
    execution: Execution = field(init=False)

    def __post_init__(self) -> None:
        """Find account and region; no request is sent."""
        self.account = open_account(region=self.options.region, profile=self.options.profile)
        timeout = self.timeout + (self.settings.monitoring_seconds or 0)
        self.execution = Execution(
            self.account, self.progress, timeout, clock=self.clock, sleep=self.sleep
        )

    def run(self, consent: Consent) -> Result:
        """Do all of it, as far as the operator consents.

        Raises:
            UsageError: the inputs cannot be used.
            UserError: AWS cannot be used, or CloudFormation failed, with the first reason first.
            KeyboardInterrupt: with a sentence about what goes on.
        """
        prepared = self.prepare()
        result = Result(stack_name=self.options.name, preflight=prepared.checks)
        if not prepared.is_deployable:
            return result
        for message in prepared.warnings:
            self.progress.step(f"  {message}")
        change_set = self.propose(prepared)
        changes = change_set.changes if change_set else ()
        result = replace(result, changes=changes)
        if self.dry_run:
            if change_set:
                self.discard(change_set)
            return result
        if change_set:
            self._show(changes)
            try:
                consent.ask(self.account, self.options.name, changes)
            except (Exception, KeyboardInterrupt):
                self.discard(change_set)
                raise
            self.execution.run(change_set, tries=self.verifies)
        else:
            self.progress.step(f"No changes: {self.options.name} is as specified")
        result = replace(result, stack=self._protect(prepared))
        if self.verifies and result.stack:
            self.execution.enable(result.stack)
        return replace(result, verification=self._verify(result)) if self.verifies else result

    @explained()
    def _protect(self, prepared: Prepared) -> Stack:
        """Protect the deployed stack, and return it."""
        stack = open_stack(self.options)
        from_termination = self.settings.termination_protection
        if from_termination is None and prepared.is_production:
            from_termination = True
        if note := protection.protect(
            stack, prepared.plan.template, from_termination=from_termination
        ):
            self.progress.step(note)
        return stack

    def _show(self, changes: Sequence[Change]) -> None:
        for line in changes_table(changes).splitlines():
            self.progress.step(line)

    @explained()
    def prepare(self) -> Prepared:
        """Wait for what CloudFormation is at, then generate, package and check.

        Raises:
            UsageError, UserError: as `prepare` and `Execution.follow_running`.
        """
        self.execution.follow_running(self.options.name)
        inputs = self.inputs
        if self.goes_back and not inputs.overrides:
            stack = open_stack(self.options)
            package = packages.previous(stack)
            self.progress.step(f"The package before: s3://{'/'.join(package.values())}")
            inputs = replace(inputs, overrides=[f"{name}={one}" for name, one in package.items()])
        return prepare(
            self.account,
            self.options.name,
            inputs,
            uploads=not self.dry_run,
            progress=self.progress,
        )

    @explained()
    def propose(self, prepared: Prepared) -> ChangeSet | None:
        """Create the change set; None where the stack is as it should be.

        Raises:
            UserError: CloudFormation refuses it.
        """
        stack = prepared.plan.existing
        self.progress.update("Creating the change set")
        is_new = not stack or stack.status == REVIEW
        members = self.settings.members()
        if stack and not is_new:
            members["RollbackConfiguration"] = self._roll_back(stack, prepared)
        request = Request(
            stack_name=self.options.name,
            is_creation=is_new,
            template=prepared.template(),
            parameters=prepared.parameters(),
            settings=members,
        )
        client = self.account.client("cloudformation")
        found = change_sets.create(client, request, clock=self.clock, sleep=self.sleep)
        self.progress.clear()
        return found

    def _roll_back(self, stack: Stack, prepared: Prepared) -> dict[str, Any]:
        seconds = self.settings.monitoring_seconds
        if seconds is None:
            seconds = PRODUCTION_MONITORING_SECONDS if prepared.is_production else 0.0
        found = roll_back(stack, prepared.plan.template, seconds)
        if found.alarms:
            after = f", and for {elapsed(seconds)} after it" if seconds else ""
            names = ", ".join(found.alarms)
            self.progress.step(f"These alarms take the update back during it{after}: {names}")
        for name, reason in found.left_out.items():
            self.progress.step(f"  but not {name}, which {reason}")
        return found.member()

    @explained()
    def discard(self, change_set: ChangeSet) -> None:
        """Delete a change set that is not executed."""
        change_sets.discard(self.account.client("cloudformation"), change_set)

    def _verify(self, result: Result) -> Sequence[CheckResult]:
        """Check the deployed stack, and send a picture through it."""
        # Without changes, an earlier update that was rolled back says nothing about the stack.
        skip = (*SLOW_CHECKS, *(() if result.changes else ("stack",)))
        try:
            _, results = check_deployed(
                self.options, skip=skip, timeout=CANARY_SECONDS, progress=self.progress
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "the stack is deployed, and not verified; `darkroom verify --stack-name"
                f" {self.options.name}` does that"
            ) from None
        return results
