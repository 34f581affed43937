"""AWS's responses, given by stubs that validate the shape of each one."""

from typing import Any

import pytest
from botocore.stub import Stubber


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
