"""The least-privilege test of a stack, and the mutation test of that test."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from darkroom.iam.evaluator import Policies, is_allowed
from darkroom.iam.expectations import suite
from darkroom.iam.expectations.expectation import Expectation
from darkroom.iam.model import StackModel
from darkroom.iam.mutations import Mutant, mutants

Decision = Literal["allowed", "denied"]
Expectations = dict[Decision, list[Expectation]]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A request on which the policies decide differently than expected."""

    expected: Decision
    action: str
    resource: str
    principal: str
    reason: str
    policies: tuple[str, ...]

    def __str__(self) -> str:
        """Return the failure as one sentence."""
        actual = "denied" if self.expected == "allowed" else "allowed"
        return (
            f"{actual}, but must be {self.expected}: {self.action} on {self.resource}"
            f" by {self.principal} ({self.reason}); decided by {', '.join(self.policies)}"
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """How many requests and mutants were tested, and what went wrong.

    Attributes:
        allowed: Number of requests that must be allowed.
        denied: Number of requests that must be denied.
        mutants: Number of mutants of the policies.
        failures: Requests that are decided differently than expected.
        surviving_mutants: Mutants that decide every request as expected: a permission that no
            request needs, or a wider one that no request shows.
    """

    allowed: int
    denied: int
    mutants: int
    failures: tuple[Failure, ...]
    surviving_mutants: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        """Whether every request is decided as expected and every mutant is detected."""
        return not self.failures and not self.surviving_mutants


def verify(stack: StackModel) -> Result:
    """Return the result of the test for one stack."""
    policies, expectations = _policies(stack), _expectations(stack)
    changed = list(mutants(policies))
    return Result(
        allowed=len(expectations["allowed"]),
        denied=len(expectations["denied"]),
        mutants=len(changed),
        failures=tuple(_failures(policies, expectations)),
        surviving_mutants=tuple(str(one) for one in changed if _survives(one, expectations)),
    )


def failures(stack: StackModel) -> tuple[Failure, ...]:
    """Return the requests that are decided differently than expected, without mutants."""
    return tuple(_failures(_policies(stack), _expectations(stack)))


def _policies(stack: StackModel) -> Policies:
    active = {title for title, _ in stack.active_resources()}
    return {
        title: statements if title in active else []
        for title in stack.resources
        # The statements of a managed policy count as its role's.
        if stack.type_of(title) != "IAM::ManagedPolicy"
        if (statements := stack.statements(title))
    }


def _expectations(stack: StackModel) -> Expectations:
    return {"allowed": suite.allowed(stack), "denied": suite.denied(stack)}


def _failures(policies: Policies, expectations: Expectations) -> Iterator[Failure]:
    for decision, expected in expectations.items():
        for one in expected:
            if is_allowed(policies, one.request, one.checks) is not (decision == "allowed"):
                yield Failure(
                    expected=decision,
                    action=one.request.action,
                    resource=one.request.resource,
                    principal=one.request.principal,
                    reason=one.reason,
                    policies=tuple(check.title for check in one.checks),
                )


def _survives(mutant: Mutant, expectations: Expectations) -> bool:
    return all(
        is_allowed(mutant.policies, one.request, one.checks) is (decision == "allowed")
        for decision, expected in expectations.items()
        for one in expected
        if any(check.title == mutant.title for check in one.checks)  # others do not change
    )
