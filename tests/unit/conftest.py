"""A unit test starts no process and opens no connection."""

import sys
from collections.abc import Iterator

import botocore.loaders
import botocore.session
import pytest

FORBIDDEN = {"os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.connect"}
FORBIDDEN |= {"subprocess.Popen"}
_running = False


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if _running and event in FORBIDDEN:
        raise RuntimeError(f"{event}{arguments}: such a test belongs to tests/integration")


sys.addaudithook(_refuse)  # cannot be removed, so it looks at _running


@pytest.fixture(autouse=True, scope="package")
def _no_process_and_no_connection() -> Iterator[None]:
    global _running
    _running = True
    yield
    _running = False


@pytest.fixture(autouse=True, scope="session")
def _service_descriptions_are_read_once() -> Iterator[None]:
    """Let all clients share botocore's descriptions of the services: EC2's takes 0.5 s to read."""
    loader = botocore.loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda _=None: loader)
        yield
