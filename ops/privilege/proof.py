"""The proof itself: all claims over one template, and over each of its mutations."""

from collections.abc import Sequence
from dataclasses import dataclass

from ops.privilege.evaluation import Policies, is_allowed
from ops.privilege.mutations import Mutation, mutations
from ops.privilege.requests import OFFICE, Claim, forbidden, required
from ops.reading import Reading


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was claimed, what does not hold, and which changes nobody would notice."""

    required: int
    forbidden: int
    mutations: int
    broken: tuple[str, ...]
    survivors: tuple[str, ...]


def prove(stack: Reading, prefixes: Sequence[str], *, follow_deletes: bool) -> Proof:
    """Return the proof for the template read as `stack`, with its uploads under `prefixes`."""
    stack = stack.given(UploadRanges=[OFFICE])  # every optional refusal is there to be proven
    policies: Policies = {
        title: statements for title in stack.resources if (statements := stack.statements(title))
    }
    granted = required(stack, prefixes, follow_deletes=follow_deletes)
    refused = forbidden(stack, prefixes, follow_deletes=follow_deletes)
    changed = list(mutations(policies))
    return Proof(
        required=len(granted),
        forbidden=len(refused),
        mutations=len(changed),
        broken=tuple(_broken(policies, granted, refused)),
        survivors=tuple(str(one) for one in changed if _survives(one, granted, refused)),
    )


def _broken(
    policies: Policies, granted: Sequence[Claim], refused: Sequence[Claim]
) -> Sequence[str]:
    return [
        f"{'refused' if must else 'allowed'}, but must not be: {claim.request.action} on"
        f" {claim.request.resource} by {claim.request.principal} ({claim.why})"
        f" at {', '.join(gate.title for gate in claim.gates)}"
        for must, claims in ((True, granted), (False, refused))
        for claim in claims
        if is_allowed(policies, claim.request, claim.gates) is not must
    ]


def _survives(mutation: Mutation, granted: Sequence[Claim], refused: Sequence[Claim]) -> bool:
    return all(
        is_allowed(mutation.policies, claim.request, claim.gates) is must
        for must, claims in ((True, granted), (False, refused))
        for claim in claims
        if any(gate.title == mutation.title for gate in claim.gates)  # others see no change
    )
