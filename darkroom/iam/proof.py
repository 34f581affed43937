"""The proof itself: all claims over one template, and over each of its mutations."""

from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.iam.evaluator import Policies, is_allowed
from darkroom.iam.expectations.expectation import Expectation
from darkroom.iam.expectations.suite import forbidden, required
from darkroom.iam.model import StackModel
from darkroom.iam.mutations import Mutation, mutations


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was claimed, what does not hold, and which changes nobody would notice."""

    required: int
    forbidden: int
    mutations: int
    broken: tuple[str, ...]
    survivors: tuple[str, ...]


def prove(stack: StackModel) -> Proof:
    """Return the proof for one stack."""
    policies = _policies(stack)
    granted, refused = required(stack), forbidden(stack)
    changed = list(mutations(policies))
    return Proof(
        required=len(granted),
        forbidden=len(refused),
        mutations=len(changed),
        broken=tuple(_broken(policies, granted, refused)),
        survivors=tuple(str(one) for one in changed if _survives(one, granted, refused)),
    )


def broken(stack: StackModel) -> tuple[str, ...]:
    """Return what does not hold in one stack, in sentences."""
    return tuple(_broken(_policies(stack), required(stack), forbidden(stack)))


def _policies(stack: StackModel) -> Policies:
    return {
        title: statements for title in stack.resources if (statements := stack.statements(title))
    }


def _broken(
    policies: Policies, granted: Sequence[Expectation], refused: Sequence[Expectation]
) -> Sequence[str]:
    return [
        f"{'refused' if must else 'allowed'}, but must not be: {claim.request.action} on"
        f" {claim.request.resource} by {claim.request.principal} ({claim.why})"
        f" at {', '.join(gate.title for gate in claim.gates)}"
        for must, claims in ((True, granted), (False, refused))
        for claim in claims
        if is_allowed(policies, claim.request, claim.gates) is not must
    ]


def _survives(
    mutation: Mutation, granted: Sequence[Expectation], refused: Sequence[Expectation]
) -> bool:
    return all(
        is_allowed(mutation.policies, claim.request, claim.gates) is must
        for must, claims in ((True, granted), (False, refused))
        for claim in claims
        if any(gate.title == mutation.title for gate in claim.gates)  # others see no change
    )
