"""A question that many rules ask about policies."""

from collections.abc import Iterable, Sequence

from darkroom.cloudformation.policy_documents import Statement
from darkroom.iam.evaluator import Request, allowed


def not_allowed(
    statements: Sequence[Statement],
    actions: Iterable[str],
    resource: str = "*",
    *,
    principal: str = "",
    **context: str,
) -> str:
    """Return those of `actions` that the statements do not allow, joined by commas."""
    requests = (
        Request(action=one, resource=resource, principal=principal, context=context)
        for one in actions
    )
    return ", ".join(one.action for one in requests if not allowed(statements, one))
