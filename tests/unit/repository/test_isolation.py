"""tests/unit/conftest.py: what a unit test may not do."""

import socket
import subprocess
import sys

import pytest


def test_a_process_is_an_error() -> None:
    """D5: starting programs takes seconds; such tests are in tests/integration."""
    with pytest.raises(RuntimeError, match="belongs to tests/integration"):
        subprocess.run([sys.executable, "--version"], check=False)


def test_a_connection_is_an_error() -> None:
    """D5: not even to this host."""
    problem = pytest.raises(RuntimeError, match="belongs to tests/integration")
    with socket.socket() as connection, problem:
        connection.connect(("127.0.0.1", 9))
