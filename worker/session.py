"""A botocore session for S3 and SQS in Lambda, without what other services and places need."""

from __future__ import annotations

import botocore.session
from botocore.credentials import CredentialResolver, EnvProvider
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST

SERVICES = frozenset({"s3", "sqs"})
"""The services that it makes clients of, as botocore names them in events."""


def create_session() -> botocore.session.Session:
    """Return a session whose credentials are those that Lambda sets in the environment.

    botocore's default session registers handlers for all services and prepares to look for
    credentials in a dozen places, which together takes a twentieth of a cold start.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    session = botocore.session.Session(include_builtin_handlers=False)
    emitter = session.get_component("event_emitter")
    placed = {REGISTER_FIRST: emitter.register_first, REGISTER_LAST: emitter.register_last}
    for event, handler, *place in BUILTIN_HANDLERS:
        if _is_needed(event):
            register = placed[place[0]] if place else emitter.register
            register(event, handler)
    session.register_component("credential_provider", CredentialResolver([EnvProvider()]))
    return session


def _is_needed(event: str) -> bool:
    """Return whether an event is of these services or of all, and not of documentation."""
    kind, *rest = event.split(".")
    return kind != "docs" and (not rest or rest[0] in {"*", *SERVICES})
