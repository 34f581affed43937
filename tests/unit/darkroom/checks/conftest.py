"""AWS's responses, given by stubs that validate the shape of each one."""

from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from darkroom.aws.session import Account
from darkroom.aws.stack import Stack
from darkroom.checks.deployment_plan import DeploymentPlan
from tests.unit.templates.conftest import generate


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


def respond(client: Any, *responses: tuple[str, dict[str, Any]]) -> None:
    """Give these responses, in this order, and no others."""
    stubber = Stubber(client)
    for operation, response in responses:
        stubber.add_response(operation, response)
    stubber.activate()


def refuse(client: Any, operation: str) -> None:
    """Deny the caller this operation."""
    stubber = Stubber(client)
    stubber.add_client_error(operation, "AccessDenied", http_status_code=403)
    stubber.activate()


def known_account() -> Account:
    """Return an account whose caller is known."""
    session = botocore.session.Session()
    session.set_config_variable("region", "us-east-1")
    account = Account(session=session)
    who = {"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:user/me", "UserId": "A"}
    with Stubber(account.client("sts")) as sts:
        sts.add_response("get_caller_identity", who)
        assert account.caller
    return account


@pytest.fixture
def planned() -> Callable[..., DeploymentPlan]:
    """Return a function that plans a new stack of a specification with these values."""

    def make(description: dict[str, Any] | None = None, **values: str) -> DeploymentPlan:
        return DeploymentPlan(
            account=known_account(),
            name="planned",
            template=dict(generate(**(description or {})).template),
            template_bytes=1,
            given=values,
            find_existing=lambda: None,
        )

    return make


@pytest.fixture
def deployed() -> Callable[..., Stack]:
    """Return a function that returns the planned stack as it is already."""

    def make(status: str = "UPDATE_COMPLETE", **facts: dict[str, str]) -> Stack:
        return Stack(
            session=known_account().session,
            name="planned",
            id="arn:aws:cloudformation:us-east-1:111122223333:stack/planned/0",
            status=status,
            outputs={},
            parameters=facts.get("parameters", {}),
            resources=facts.get("resources", {}),
        )

    return make
