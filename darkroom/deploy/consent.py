"""Consent to a deployment's changes: once, and once more where they take data."""

from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.aws.session import Account
from darkroom.cloudformation.changes import Change
from darkroom.console.confirm import confirm
from darkroom.deploy.report import counted


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What the operator has agreed to beforehand."""

    yes: bool
    """To any change that takes no data."""

    replace_data: bool = False
    """To the replacement and deletion of what holds data."""

    def ask(self, account: Account, stack_name: str, changes: Sequence[Change]) -> None:
        """Return when everything is agreed to.

        Raises:
            UsageError: standard input is not a terminal, and an option is missing.
            UserError: it is not agreed to.
        """
        where = f"the stack {stack_name} in {account.region}"
        confirm(f"{counted(changes)}, in {where}.", word="yes", yes=self.yes)
        if taken := [change for change in changes if change.takes_data]:
            names = ", ".join(f"{one.resource} ({one.action}: {one.consequence})" for one in taken)
            confirm(
                f"These hold data: {names}.",
                word=stack_name,
                yes=self.replace_data,
                option="--replace-data: --yes does not cover data",
            )
