from typing import Any

import botocore.session
import pytest
from botocore.exceptions import NoCredentialsError
from botocore.handlers import BUILTIN_HANDLERS

from worker import api, handler
from worker.session import SERVICES, create_session


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def handlers(session: botocore.session.Session, event: str) -> list[Any]:
    """Return what an event calls, in order."""
    emitter: Any = session.get_component("event_emitter")
    return list(emitter._emitter._handlers.prefix_search(emitter._alias_event_name(event)))


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_it_handles_all_events_of_its_services(service: str) -> None:
    """R2: requests are made, signed, repeated and read as by botocore's default session."""
    whole, ours = botocore.session.Session(), create_session()
    kinds = {event.partition(".")[0] for event, *_ in BUILTIN_HANDLERS} - {"docs"}
    assert {"before-parameter-build", "before-call", "choose-signer", "needs-retry"} <= kinds
    for kind in sorted(kinds):
        assert handlers(ours, kind) == handlers(whole, kind)
        for operation in whole.get_service_model(service).operation_names:
            event = f"{kind}.{service}.{operation}"
            assert handlers(ours, event) == handlers(whole, event), event


def test_it_takes_the_credentials_of_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """S7: those that Lambda sets, with their token."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    found: Any = create_session().get_credentials()
    assert found.get_frozen_credentials()[:3] == ("AKIDEXAMPLE", "secret", "token")


def test_it_looks_for_credentials_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """S7: not in files and not at addresses; a unit test may not open a connection."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    for config in (handler.client_config(), api.client_config()):
        client: Any = create_session().create_client("s3", config=config)
        with pytest.raises(NoCredentialsError):
            client.head_object(Bucket="bucket", Key="key")
