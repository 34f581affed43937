"""A unit test starts no process and opens no connection."""

import sys
from collections.abc import Iterator

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
